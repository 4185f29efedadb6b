"""
What is served as it lies in the package: the lab page, the chat, and the client
for browsers.

All of it is read once, when the first tree of resources is made.  A request only
looks up what was read: no path of a request ever becomes a path of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

from attrs import evolve, frozen
from twisted.web.resource import Resource

from comet.errors import CometError
from comet.http.origins import CORS
from comet.http.reads import entityTags
from comet.http.responses import JSON, Headers, Response
from comet.hub import Hub
from comet.model.clients import ANONYMOUS
from comet.transports.exchange import Exchange, notFound
from comet.transports.resource import HubResource

_HTML: Final = b"text/html; charset=utf-8"

# What files are, by how their names end; the first that fits counts.  Files of
# any other name are not served.
TYPES: Final[tuple[tuple[str, bytes], ...]] = (
    (".html", _HTML),
    (".css", b"text/css; charset=utf-8"),
    (".js", b"text/javascript; charset=utf-8"),
    # There is no type for it, and by its name it would be a film.
    (".d.ts", b"text/plain; charset=utf-8"),
    (".svg", b"image/svg+xml"),
)

# It may be kept, but not used before it was asked for whether it has changed:
# then an updated server is seen at once, and pages fit their scripts.
_KEPT: Final[Headers] = (
    (b"Cache-Control", b"no-cache"),
    (b"X-Content-Type-Options", b"nosniff"),
)

# Nothing inline, nothing of others.  JSONP is a script of this server's, and the
# forever frame a page of it, which has a policy of its own.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_PAGE: Final[Headers] = (
    (b"Content-Security-Policy", _POLICY.encode("ascii")),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Frame-Options", b"DENY"),
)

_OWN: Final[Headers] = ((b"Cross-Origin-Resource-Policy", b"same-origin"),)

# The client may be used by the pages of every site.
_ANYBODYS: Final[Headers] = (
    (b"Access-Control-Allow-Origin", b"*"),
    (b"Access-Control-Expose-Headers", b"ETag"),
    (b"Cross-Origin-Resource-Policy", b"cross-origin"),
)

# What of the client's folder is served; the rest is for those who install it.
CLIENT: Final = frozenset({b"comet.js", b"comet.d.ts", b"comet.classic.js"})

_STATIC: Final = Path(__file__).resolve().parents[1] / "static"
_INDEX: Final = b"index.html"

# A channel that pages publish to only where the server was told to let them.
_LAB: Final = "lab/page"


@frozen
class File:
    """
    What is served as it is.

    @ivar body: Its bytes.

    @ivar tag: Names these bytes, and no others.

    @ivar headers: The headers of every answer that has it, or says that it has
        not changed.
    """

    body: bytes
    tag: str
    headers: Headers


def makeFile(name: str, body: bytes) -> File | None:
    """
    Make a file of these bytes.

    @param name: The name, whose end says what it is.

    @return: The file, or L{None} where no file of such a name is served.
    """
    contentType = next((kind for end, kind in TYPES if name.endswith(end)), None)
    if contentType is None:
        return None
    tag = sha256(body).hexdigest()[:16]
    headers = (
        (b"Content-Type", contentType),
        (b"ETag", f'"{tag}"'.encode("ascii")),
        *_KEPT,
        *_OWN,
        *(_PAGE if contentType == _HTML else ()),
    )
    return File(body, tag, headers)


@cache
def readFolder(folder: str) -> Mapping[bytes, File]:
    """
    Read the files of a folder of C{static}, those of folders within it left
    out.

    @return: The files by their names.
    """
    read = {
        path.name.encode("ascii"): makeFile(path.name, path.read_bytes())
        for path in sorted((_STATIC / folder).iterdir())
        if path.is_file()
    }
    return {name: file for name, file in read.items() if file is not None}


def allowAnyOrigin(file: File) -> File:
    """
    Let the pages of every site use a file.
    """
    headers = tuple(header for header in file.headers if header not in _OWN)
    return evolve(file, headers=(*headers, *_ANYBODYS))


class FilesResource(HubResource):
    """
    Serves some files, each by what follows in the path; C{b""} names the one
    that is served where nothing follows.
    """

    methods = ("GET", "HEAD")

    def __init__(self, hub: Hub, files: Mapping[bytes, File]) -> None:
        super().__init__(hub)
        self.files = files

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Send the file, unless the client has it.
        """
        segments = exchange.head.segments
        name = unquote_to_bytes(segments[0]) if segments else b""
        # A slash at the end would lead what the page names elsewhere.
        if len(segments) > 1 or segments == (b"",) or name not in self.files:
            raise notFound(exchange)
        file = self.files[name]
        if _ANYBODYS[0] in file.headers:
            # It says so itself, and the same to everybody.
            exchange.cors = CORS(None, False, True)
        tags = entityTags(exchange.head)
        # RFC 9110 13.1.2: the comparison is weak, and * is whatever there is.
        if file.tag in tags or "*" in tags:
            # RFC 9110 15.4.5: of what describes the body it needs nothing.
            headers = tuple(h for h in file.headers if h[0] != b"Content-Type")
            exchange.respond(Response(304, headers, b""))
        else:
            exchange.respond(Response(200, file.headers, file.body))

    answer_HEAD = answer_GET


class LabResource(FilesResource):
    """
    What the lab page consists of; and, at C{state}, whether it may publish.
    """

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Send a file, or tell the state.
        """
        if exchange.head.segments != (b"state",):
            super().answer_GET(exchange)
            return
        try:
            self.hub.checkPublish(ANONYMOUS, (_LAB,))
        except CometError:
            isOpen = b"false"
        else:
            isOpen = b"true"
        exchange.respond(Response(200, JSON, b'{"open":%s}' % isOpen))

    answer_HEAD = answer_GET


def putPages(tree: Resource, hub: Hub) -> None:
    """
    Put the pages and the client into a tree of resources.
    """
    lab, chat = dict(readFolder("lab")), dict(readFolder("chat"))
    tree.putChild(b"", FilesResource(hub, {b"": lab.pop(_INDEX)}))
    tree.putChild(b"lab", LabResource(hub, lab))
    tree.putChild(b"chat", FilesResource(hub, {b"": chat.pop(_INDEX), **chat}))
    for name, file in readFolder("client").items():
        if name in CLIENT:
            tree.putChild(name, FilesResource(hub, {b"": allowAnyOrigin(file)}))
