"""
What a hub allows.
"""

from __future__ import annotations

from attrs import field, frozen

from comet.framing.compression import Compression
from comet.framing.publications import Limits
from comet.limits.capacity import UPLOAD_BYTES
from comet.limits.clientlimits import ClientSettings


@frozen
class Settings:
    """
    What the hub allows.

    @ivar limits: How large a publication may be, and how many names a reader may
        have.

    @ivar heartbeat: After how many seconds of silence a stream is told where
        its reader stands.

    @ivar maxConnections: How many readers there may be at once; 0 for as many
        as the system allows.

    @ivar room: For how many readers the system has room; 0 if there is no limit.

    @ivar uploadBytes: How many bytes the bodies of requests may have that are on
        their way, all together.  Clients that may not publish to every channel
        have a part of them.  As many bytes may have the commands that have half
        come.

    @ivar identifySeconds: For how many seconds a client waits for the access object
        to find out which client it is.

    @ivar clients: How much one client may do.

    @ivar compression: Which messages are compressed for clients that take it; L{None} for
        none.  Readers that are there keep to what was agreed on with them.

    @ivar revokedSeconds: For how many seconds something is revoked where that is not
        said; L{None} for ever.  It has to be no less than any token lasts.
    """

    limits: Limits = field(factory=Limits)
    heartbeat: float = 25.0
    maxConnections: int = 0
    room: int = 0
    uploadBytes: int = UPLOAD_BYTES
    identifySeconds: float = 10.0
    clients: ClientSettings = field(factory=ClientSettings)
    revokedSeconds: float | None = None
    compression: Compression | None = None
