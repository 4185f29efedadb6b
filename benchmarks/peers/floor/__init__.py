"""
The floor: a server in C that does the least that a server can do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

from benchmarks.building import buildFloor
from benchmarks.scripts import Publishing, Reading, get, post, upgrade
from benchmarks.servers import Peer, Place

_READINGS: Final = {
    "websocket": Reading("ws", [("send", upgrade("/websocket/%N")), ("await", "\r\n\r\n")]),
    "longpoll": Reading("http", [], get("/longpoll/%N", 'If-None-Match: "%0"'), cursors=["ETag"]),
}


def _prepare() -> str:
    buildFloor()
    told = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=False)
    return f"({told.stdout.splitlines()[0]})"


def _command(place: Place) -> Sequence[str]:
    return [str(buildFloor()), str(place.port)]


PEER: Final = Peer(
    "floor",
    _READINGS,
    {"http": Publishing(post("/pub/%C", "%M"))},
    _prepare,
    _command,
    hasSeveral=False,
)
