"""
C{twisted.web}, without comet.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.scripts import Reading, get

PEER: Final = pythonPeer(
    "twistedweb",
    ["twisted"],
    {
        "sse": Reading("http", [("send", get("/sse/%N")), ("await", ": hello")]),
        "longpoll": Reading(
            "http", [], get("/longpoll/%N", 'If-None-Match: "%0"'), cursors=["ETag"]
        ),
    },
    hasSeveral=False,
)
