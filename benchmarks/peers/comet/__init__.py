"""
comet itself, as C{twistd} starts it, with its default options.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import comet
from benchmarks.servers import Peer, Place
from benchmarks.wires import Publishing, Wire, asJSON, get, post, upgrade

_URL: Final = "/channels/%N?transport="
_CODE: Final = "from twisted.scripts.twistd import run; run()"

# A poll says where it begins: the first is answered at once with a cursor.
_POLL: Final = (("send", get(_URL + "poll")), ("end",))

_WIRES: Final = {
    "websocket": Wire("ws", [("send", upgrade(_URL + "websocket")), ("await", '{"cursor"')]),
    "sse": Wire("http", [("send", get(_URL + "sse")), ("await", "id: ")]),
    "stream": Wire("http", [("send", get(_URL + "stream")), ("await", '{"cursor"')]),
    "longpoll": Wire(
        "http", _POLL, get(_URL + "longpoll", 'If-None-Match: "%0"'), cursors=["ETag"]
    ),
    "tcp": Wire(
        "raw",
        [("send", '{"subscribe":[%N]}\n'), ("await", '"ok"')],
        names=asJSON,
        second=True,
    ),
    "multipart": Wire("http", [("send", get(_URL + "multipart")), ("await", '{"cursor"')]),
    "iframe": Wire("http", [("send", get(_URL + "iframe")), ("await", "postMessage(")]),
    "jsonp": Wire("http", _POLL, get(_URL + "jsonp&callback=cb&since=%0"), cursors=["ETag"]),
}
_PUBLISHINGS: Final = {
    "http": Publishing(
        post("/channels/%C", "%M"),
        batch=post("/publish", "%B", "application/x-ndjson"),
        line='{"channel":"%C","data":"%M"}',
        between="\n",
    ),
    "websocket": Publishing(
        '{"id":1,"publish":"%C","data":"%M"}',
        "ws",
        [("send", upgrade("/socket")), ("await", "\r\n\r\n")],
        ack='"ok"',
    ),
}


def _prepare() -> str:
    return f"{comet.__version__} (Python {sys.version.split()[0]}, Twisted {version('twisted')})"


def _command(place: Place) -> Sequence[str]:
    key = place.folder / "key"
    key.write_text("benchmarks-" * 4)
    command = [sys.executable, "-c", _CODE, "-n", "--pidfile=", "comet"]
    command += ["--open", "bench/**", "--publish-key", str(key)]
    # All that arrive at once wait in the system's queue, as in every peer.
    command += ["--listen", f"tcp:{place.port}:interface=127.0.0.1"]
    command += ["--tcp", f"tcp:{place.second}:interface=127.0.0.1"]
    if "edge" in place.options:
        command += ["--edge", place.options["edge"]]
    return command


PEER: Final = Peer("comet", _WIRES, _PUBLISHINGS, _prepare, _command, hasPatterns=True)
