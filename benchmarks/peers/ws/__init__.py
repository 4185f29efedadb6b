"""
ws, the WebSocket library of node.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.node import nodePeer
from benchmarks.scripts import Reading, upgrade

PEER: Final = nodePeer(
    "ws", "ws", {"websocket": Reading("ws", [("send", upgrade("/%N")), ("await", "\r\n\r\n")])}
)
