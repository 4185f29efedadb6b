"""
C{websockets}, a WebSocket library for asyncio.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.wires import Wire, upgrade

PEER: Final = pythonPeer(
    "websockets",
    ["websockets"],
    {"websocket": Wire("ws", [("send", upgrade("/%N")), ("await", "\r\n\r\n")])},
    second=True,
)
