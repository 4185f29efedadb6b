"""
Nchan: Debian's nginx with its module.
"""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.scripts import Publishing, Reading, get, post, upgrade
from benchmarks.servers import Missing, Peer, Place

_CONFIGURATION: Final = Path(__file__).with_name("nginx.conf")
_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_PACKAGES: Final = "apt install nginx-light libnginx-mod-nchan"

_HEAD: Final = ("await", "\r\n\r\n")
_READINGS: Final = {
    "websocket": Reading("ws", [("send", upgrade("/websocket/%N")), _HEAD]),
    "sse": Reading("http", [("send", get("/sse/%N", "Accept: text/event-stream")), _HEAD]),
    "stream": Reading("http", [("send", get("/stream/%N", "TE: chunked")), _HEAD]),
    "longpoll": Reading(
        "http",
        [],
        get("/longpoll/%N", "If-Modified-Since: %0", "If-None-Match: %1"),
        cursors=["Last-Modified", "Etag"],
    ),
    "tcp": Reading("http", [("send", get("/raw/%N")), _HEAD]),
    "multipart": Reading(
        "http", [("send", get("/multipart/%N", "Accept: multipart/mixed")), _HEAD]
    ),
}
_PUBLISHINGS: Final = {
    "http": Publishing(post("/pub/%C", "%M")),
    "websocket": Publishing("%M", "ws", [("send", upgrade("/pub/bench/0/0")), _HEAD]),
}


def _prepare() -> str:
    if shutil.which("nginx") is None or not _MODULE.exists():
        raise Missing(_PACKAGES)
    told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr
    nginx = re.search(r"nginx/([0-9.]+)", told)
    asked = ["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"]
    package = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    return f"{package or 'of unknown version'} (nginx {nginx[1] if nginx else 'unknown'})"


def command(place: Place, listen: str = "", more: str = "") -> Sequence[str]:
    """
    Return the command that serves.

    @param listen: More words for how it listens.

    @param more: More directives of the server.
    """
    filled = {
        "module": str(_MODULE),
        "user": getpass.getuser(),
        "port": str(place.port),
        "listen": listen,
        "more": more,
        "deflate": "on" if "compress-above" in place.options else "off",
    }
    text = _CONFIGURATION.read_text()
    for name, value in filled.items():
        text = text.replace("{{" + name + "}}", value)
    (place.folder / "nginx.conf").write_text(text)
    return ["nginx", "-p", str(place.folder), "-c", "nginx.conf", "-e", "error.log"]


PEER: Final = Peer("nchan", _READINGS, _PUBLISHINGS, _prepare, command)
