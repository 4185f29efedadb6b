"""
Socket.IO.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.node import nodePeer
from benchmarks.scripts import Reading, asJSON, get, post, upgrade

_URL: Final = "/socket.io/?EIO=4&transport="
_POLL: Final = get(f"{_URL}polling&sid=%0")
_JOIN: Final = '420["join",[%N]]'


def _say(text: str) -> str:
    return post(f"{_URL}polling&sid=%0", text, "text/plain;charset=UTF-8")


# Engine.IO's "0" opens, Socket.IO's "40" connects, "420" asks, "430" answers.
# The client answers Engine.IO's "2", a ping, with "3".
READINGS: Final = {
    "websocket": Reading(
        "ws",
        [
            ("send", upgrade(f"{_URL}websocket")),
            ("await", '0{"sid"'),
            ("text", "40"),
            ("await", "40{"),
            ("text", _JOIN),
            ("await", "430["),
        ],
        replies=[("2", "3")],
        names=asJSON,
    ),
    "longpoll": Reading(
        "http",
        [
            ("send", get(f"{_URL}polling")),
            ("end",),
            ("take", "0", '0{"sid":"', '"'),
            ("send", _say("40")),
            ("end",),
            ("send", _POLL),
            ("end",),
            ("send", _say(_JOIN)),
            ("end",),
            ("send", _POLL),
            ("end",),
        ],
        _POLL,
        names=asJSON,
    ),
}

PEER: Final = nodePeer("socketio", "socket.io", READINGS)
