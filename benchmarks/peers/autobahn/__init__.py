"""
Autobahn on Twisted, without comet.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.scripts import Reading, upgrade

PEER: Final = pythonPeer(
    "autobahn",
    ["autobahn", "twisted"],
    {"websocket": Reading("ws", [("send", upgrade("/%N")), ("await", "\r\n\r\n")])},
    second=True,
)
