"""
The floor: a server in C that does the least that can be done.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

from benchmarks.building import buildFloor
from benchmarks.servers import Peer, Place
from benchmarks.wires import Publishing, Wire, get, post, upgrade

_WIRES: Final = {
    "websocket": Wire("ws", [("send", upgrade("/websocket/%N")), ("await", "\r\n\r\n")]),
    "longpoll": Wire("http", [], get("/longpoll/%N", 'If-None-Match: "%0"'), cursors=["ETag"]),
}


def _prepare() -> str:
    buildFloor()
    told = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=False)
    return f"({told.stdout.splitlines()[0]})"


def _command(place: Place) -> Sequence[str]:
    return [str(buildFloor()), str(place.port)]


PEER: Final = Peer(
    "floor",
    _WIRES,
    {"http": Publishing(post("/pub/%C", "%M"))},
    _prepare,
    _command,
    hasSeveral=False,
)
