"""
SockJS: sockjs-node.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.node import nodePeer
from benchmarks.scripts import Reading, get, post, upgrade

_URL: Final = "/sockjs/000/reader%R/"

# A frame "o" opens.  The server ends a stream after 128 KB; the reader asks
# again, as SockJS's own client does.
_POLL: Final = post(f"{_URL}xhr?names=%N", "")
_STREAM: Final = post(f"{_URL}xhr_streaming?names=%N", "")
_SSE: Final = get(f"{_URL}eventsource?names=%N")

PEER: Final = nodePeer(
    "sockjs",
    "sockjs",
    {
        "websocket": Reading(
            "ws", [("send", upgrade(f"{_URL}websocket?names=%N")), ("await", "\r\n\r\no")]
        ),
        "sse": Reading("http", [("send", _SSE), ("await", "data: o")], _SSE),
        "stream": Reading("http", [("send", _STREAM), ("await", "o\n")], _STREAM),
        "longpoll": Reading("http", [("send", _POLL), ("end",)], _POLL),
    },
)
