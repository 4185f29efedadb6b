"""
The reader of a WebSocket, whose last words are followed by the closing handshake.
"""

from __future__ import annotations

from typing import Any, Final

from comet.fanout.core import Fanout
from comet.fanout.streams import StreamReader
from comet.framing.websocket import MAX_CONTROL_BYTES, POLICY_VIOLATION, WebSocketShape
from comet.interfaces.sinks import ISink
from comet.model.messages import Close

# RFC 6455 7.4.1, and 1012 and 1013 from IANA's registry.
_STATUSES: Final = {"internal": 1011, "unavailable": 1013, "tooMany": 1013, "draining": 1001}


class WebSocketReader(StreamReader):
    """
    A reader whose last words are followed by the closing handshake.
    """

    __slots__ = ("protocol",)

    # A slot of the base class, with a narrower type.
    shape: WebSocketShape

    def __init__(
        self,
        fanout: Fanout,
        shape: WebSocketShape,
        sink: ISink,
        opening: bytes | None,
        protocol: Any,
    ) -> None:
        """
        @param protocol: The owner of the sink.  It does the closing handshake
            when its C{sendCloseFrame} is called with a status and a reason.
        """
        super().__init__(fanout, shape, sink, opening, protocol)
        self.protocol = protocol

    def finish(self, close: Close) -> None:
        """
        See L{StreamReader.finish}.
        """
        code = _STATUSES.get(close.code, POLICY_VIOLATION)
        # RFC 6455 5.5: at most 125 bytes, the status included; no part of a
        # character.
        reason = close.message.encode("utf-8")[: MAX_CONTROL_BYTES - 2].decode("utf-8", "ignore")
        self.protocol.sendCloseFrame(code, reason.encode("utf-8"))
