"""
comet itself, as C{twistd} starts it, with its default options.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import comet
from benchmarks.scripts import Publishing, Reading, asJSON, get, post, upgrade
from benchmarks.servers import Peer, Place

_URL: Final = "/channels/%N?transport="
_CODE: Final = "from twisted.scripts.twistd import run; run()"

# JSONP is for pages of the server's own origin.
_PAGE: Final = "Sec-Fetch-Site: same-origin"

# The first poll is answered at once, with the cursor from which the next begins.
_POLL: Final = (("send", get(_URL + "poll")), ("end",))

_READINGS: Final = {
    "websocket": Reading("ws", [("send", upgrade(_URL + "websocket")), ("await", '{"cursor"')]),
    "sse": Reading("http", [("send", get(_URL + "sse")), ("await", "id: ")]),
    "stream": Reading("http", [("send", get(_URL + "stream")), ("await", '{"cursor"')]),
    "longpoll": Reading(
        "http", _POLL, get(_URL + "longpoll", 'If-None-Match: "%0"'), cursors=["ETag"]
    ),
    "tcp": Reading(
        "raw",
        [("send", '{"subscribe":[%N]}\n'), ("await", '"ok"')],
        names=asJSON,
        second=True,
    ),
    "multipart": Reading("http", [("send", get(_URL + "multipart")), ("await", '{"cursor"')]),
    "iframe": Reading("http", [("send", get(_URL + "iframe")), ("await", "postMessage(")]),
    "jsonp": Reading(
        "http", _POLL, get(_URL + "jsonp&callback=cb&since=%0", _PAGE), cursors=["ETag"]
    ),
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


def command(place: Place, listen: str = "", isWithTCP: bool = True) -> Sequence[str]:
    """
    Return the command that serves.

    @param listen: The endpoint for HTTP, if it is not the plain one.

    @param isWithTCP: Whether raw TCP is served on the second port.
    """
    key = place.folder / "key"
    key.write_text("benchmarks-" * 4)
    words = [sys.executable, "-c", _CODE, "-n", "--pidfile=", "comet"]
    words += ["--open", "bench/**", "--publish-key", str(key)]
    # The kernel's queue holds all connections that arrive at once, as it does
    # for every peer.
    words += ["--listen", listen or f"tcp:{place.port}:interface=127.0.0.1"]
    words += ["--tcp", f"tcp:{place.second}:interface=127.0.0.1"] if isWithTCP else []
    for name, value in place.options.items():
        words += [f"--{name}", value]
    return words


PEER: Final = Peer("comet", _READINGS, _PUBLISHINGS, _prepare, command, hasPatterns=True)
