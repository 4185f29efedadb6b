"""
ws, the WebSocket library of node.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.node import nodePeer
from benchmarks.wires import Wire, upgrade

PEER: Final = nodePeer(
    "ws", "ws", {"websocket": Wire("ws", [("send", upgrade("/%N")), ("await", "\r\n\r\n")])}
)
