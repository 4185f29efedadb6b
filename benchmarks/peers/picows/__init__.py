"""
picows, a WebSocket library in Cython, on uvloop.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.scripts import Reading, upgrade

PEER: Final = pythonPeer(
    "picows",
    ["picows", "uvloop"],
    {"websocket": Reading("ws", [("send", upgrade("/%N")), ("await", "\r\n\r\n")])},
    second=True,
)
