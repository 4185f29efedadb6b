"""
Messages as bytes: one module for each wire shape.

Nothing here imports Twisted or keeps anything.  A L{Shape} is all that makes
the bytes of one reader differ from those of another; readers of the same names
in equal shapes share every byte that is written to them.

  - L{strictjson}: JSON, strictly and safely for every format
  - L{envelope}: a message as JSON with its cursor
  - L{chunked}: the chunks of HTTP/1.1
  - L{ndjson}: a line a message
  - L{sse}: C{text/event-stream}
  - L{multipart}: C{multipart/x-mixed-replace}
  - L{iframe}: script elements of the forever frame
  - L{jsonp}: a call of a function
  - L{pollbody}: the body that answers a poll
  - L{websocket}: frames of RFC 6455
  - L{tcp}: lines of raw TCP
  - L{policy}: Flash's policy file
  - L{publications}: what a publisher's body, line or value says
  - L{commands}: what a client says on a two-way transport
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from comet.model.cursors import Cursor
from comet.model.messages import Close, Message


class Shape(Protocol):
    """
    How an endless stream of messages looks on one wire.

    Shapes are values: they do not change, they hash, and two are equal only
    if all their bytes are.  What the methods return are I{pieces}; only
    L{frame} makes of one or more pieces what may be written.
    """

    @property
    def prelude(self) -> bytes:
        """
        Written once, before anything else: what makes a client begin to read.
        It is not framed, and may be empty.
        """

    @property
    def coda(self) -> bytes:
        """
        Written once, after everything else: what ends the stream.  It is not
        framed, and may be empty.
        """

    @property
    def adoptsReplay(self) -> bool:
        """
        Whether a client comes back with the cursor of whatever came last, also
        of what was replayed, as an C{EventSource} does.
        """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        One message.

        @param replay: Whether it is brought to a name that begins behind the
            others.
        """

    def standing(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Where the reader stands: at the beginning, and as a heartbeat.

        @param resume: The cursor to come back with, where the client adopts
            what is replayed and is in the middle of it.
        """

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        These names lost messages after this cursor.

        @param resume: As in L{standing}.
        """

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        The reader is sent away.

        @param resume: As in L{standing}.
        """

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Make of at least one piece the bytes of one write.
        """
