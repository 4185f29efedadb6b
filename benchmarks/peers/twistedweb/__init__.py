"""
C{twisted.web}, without comet.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.wires import Wire, get

PEER: Final = pythonPeer(
    "twistedweb",
    ["twisted"],
    {
        "sse": Wire("http", [("send", get("/sse/%N")), ("await", ": hello")]),
        "longpoll": Wire("http", [], get("/longpoll/%N", 'If-None-Match: "%0"'), cursors=["ETag"]),
    },
    hasSeveral=False,
)
