"""
Faye.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from benchmarks.peers.node import nodePeer
from benchmarks.scripts import Reading, post, upgrade


def _names(names: Sequence[str]) -> str:
    return json.dumps([f"/{name}" for name in names])


_HANDSHAKE: Final = (
    '[{"channel":"/meta/handshake","version":"1.0",'
    '"supportedConnectionTypes":["websocket","long-polling"]}]'
)
_SUBSCRIBE: Final = '[{"channel":"/meta/subscribe","clientId":"%0","subscription":%N}]'
_CONNECT: Final = '[{"channel":"/meta/connect","clientId":"%0","connectionType":"KIND"}]'
_CLIENT: Final = ("take", "0", '"clientId":"', '"')


def _say(text: str) -> str:
    return post("/bayeux", text, "application/json")


PEER: Final = nodePeer(
    "faye",
    "faye",
    {
        "websocket": Reading(
            "ws",
            [
                ("send", upgrade("/bayeux")),
                ("await", "\r\n\r\n"),
                ("text", _HANDSHAKE),
                _CLIENT,
                ("text", _SUBSCRIBE),
                ("await", '"successful":true'),
                ("text", _CONNECT.replace("KIND", "websocket")),
            ],
            names=_names,
        ),
        "longpoll": Reading(
            "http",
            [
                ("send", _say(_HANDSHAKE)),
                ("end",),
                _CLIENT,
                ("send", _say(_SUBSCRIBE)),
                ("end",),
            ],
            _say(_CONNECT.replace("KIND", "long-polling")),
            names=_names,
        ),
    },
    hasPatterns=True,
)
