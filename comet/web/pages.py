"""
The pages of the package, and the client for browsers: files in C{static},
served as they are, or compressed.

All files are read once, when the first tree of resources is made.  A request
only looks up what was read: no path of a request ever becomes a path of a file.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from twisted.web.resource import Resource

from comet.errors import CometError
from comet.http.negotiation import acceptsGzip
from comet.http.origins import CORS
from comet.http.reads import entityTags
from comet.http.request import RequestHead
from comet.http.responses import JSON, Headers, Response, endLine
from comet.hub.hub import Hub
from comet.model.clients import ANONYMOUS
from comet.model.percent import unquoted
from comet.transports.exchange import Exchange, notFound
from comet.transports.resource import HubResource
from comet.web.npm import makePackage

HTML: Final = b"text/html; charset=utf-8"

# Content types by the ends of file names; the first that fits counts.  Files
# with other names are not served.
TYPES: Final[tuple[tuple[str, bytes], ...]] = (
    (".html", HTML),
    (".css", b"text/css; charset=utf-8"),
    (".js", b"text/javascript; charset=utf-8"),
    # TypeScript has no content type of its own, and by its name this would be a
    # video.
    (".d.ts", b"text/plain; charset=utf-8"),
    (".svg", b"image/svg+xml"),
    (".png", b"image/png"),
    (".webp", b"image/webp"),
    (".map", b"application/json"),
    (".tgz", b"application/gzip"),
)

# Types whose content is compressed already.
_PACKED: Final = frozenset({b"image/png", b"image/webp", b"application/gzip"})

# A browser may keep a file, but has to ask before each use whether it has
# changed.  So an updated server is seen at once, and pages fit their scripts.
_CHECKED: Final = (b"Cache-Control", b"no-cache")

# A URL that names the content may be kept for a year, and is never asked for again.
_FOR_EVER: Final = (b"Cache-Control", b"public, max-age=31536000, immutable")

# The parameter by which a URL names the content: the entity tag.
VERSION: Final = "v"

_KEPT: Final[Headers] = ((b"X-Content-Type-Options", b"nosniff"),)


def policyOf(script: str = "'self'", style: str = "'self'", img: str = "'self'") -> Headers:
    """
    Make the policy of a page: by default nothing inline, and nothing from other
    servers.  JSONP is a script from this server; the forever frame is a page of it
    with a policy of its own.
    """
    directives = (
        "default-src 'none'",
        f"script-src {script}",
        f"style-src {style}",
        f"img-src {img}",
        "connect-src 'self'",
        "frame-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return ((b"Content-Security-Policy", "; ".join(directives).encode("ascii")),)


_PAGE: Final[Headers] = (
    *policyOf(),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    # JSONP takes the Referer as a proof that its page is of this server.
    (b"Referrer-Policy", b"same-origin"),
    (b"X-Frame-Options", b"DENY"),
)

# Pages of allowed origins may read them, and are told so by CORS.
_OWN: Final[Headers] = (
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
    (b"Vary", b"Origin, Accept-Encoding"),
)

# The pages of every site may use the client.
_ANYBODYS: Final[Headers] = (
    (b"Access-Control-Allow-Origin", b"*"),
    (b"Access-Control-Expose-Headers", b"ETag"),
    (b"Cross-Origin-Resource-Policy", b"cross-origin"),
    (b"Vary", b"Accept-Encoding"),
)

# The files of the client's folder that are served.  The others are for those
# who install the client.
CLIENT: Final = frozenset(
    {b"comet.d.ts"}
    | {
        name + end
        for name in (b"comet", b"comet.classic", b"comet.tabs", b"comet.presence")
        for end in (b".js", b".js.map")
    }
)

# What npm installs.
PACKAGE: Final = "comet-push-client.tgz"

# How the scripts of pages import the client.
_IMPORT: Final = b'from "../comet.js"'

_STATIC: Final = Path(__file__).resolve().parents[1] / "static"
_INDEX: Final = b"index.html"

# A channel of each page, to which its visitors publish only where the server allows it.
_CHANNELS: Final = {"lab": "lab/page", "chat": "chat/lobby"}


# The files of the lab that the admin page has, too.
_SHARED: Final = (b"base.css", b"format.js", b"icon.svg")


@frozen
class File:
    """
    A file as it is served.

    @ivar body: Its bytes.

    @ivar tag: Its entity tag, which no other bytes have.

    @ivar headers: The headers of each response with the file, or with the
        status 304, but those that depend on the request.

    @ivar isPacked: Whether its content is compressed already.
    """

    body: bytes
    tag: str
    headers: Headers
    isPacked: bool = False

    def answer(self, head: RequestHead) -> Response:
        """
        Make the response to a request for the file: 304 if the client has it.
        """
        body, tag, own = self.body, self.tag, self.headers
        if not self.isPacked and acceptsGzip(head):
            body = compress(self.body)
            # RFC 9110 8.8.3.3: it is another representation.
            tag = f"{tag}-gzip"
            own = (*own, (b"Content-Encoding", b"gzip"))
        isNamed = head.parameters.get(VERSION) == self.tag
        headers = (
            (b"ETag", f'"{tag}"'.encode("ascii")),
            _FOR_EVER if isNamed else _CHECKED,
            *own,
        )
        tags = entityTags(head)
        # RFC 9110 13.1.2: the comparison is weak, and * matches any file.
        if self.tag in tags or "*" in tags:
            # RFC 9110 15.4.5: 304 needs no headers that describe the body.
            return Response(304, tuple(h for h in headers if h[0] not in _OF_BODY), b"")
        return Response(200, headers, body)


_OF_BODY: Final = frozenset({b"Content-Type", b"Content-Encoding"})


@cache
def compress(body: bytes) -> bytes:
    """
    Compress the content of a file: once, when a client first asks for it so.
    """
    return gzip.compress(body, 9, mtime=0)


def makeFile(name: str, body: bytes) -> File | None:
    """
    Make a file.

    @param name: Its name, whose end determines the content type.

    @param body: Its bytes.

    @return: The file, or L{None} if no file with such a name is served.
    """
    contentType = next((kind for end, kind in TYPES if name.endswith(end)), None)
    if contentType is None:
        return None
    tag = sha256(body).hexdigest()[:16]
    headers = (
        (b"Content-Type", contentType),
        *_KEPT,
        *_OWN,
        *(_PAGE if contentType == HTML else ()),
    )
    return File(body, tag, headers, contentType in _PACKED)


def nameClient(body: bytes) -> bytes:
    """
    Have a page's script import the client by a URL that names its content, which its
    browser then keeps without asking.
    """
    if _IMPORT not in body:
        return body
    tag = readFolder("client")[b"comet.js"].tag
    return body.replace(_IMPORT, f'from "../comet.js?{VERSION}={tag}"'.encode("ascii"))


@cache
def readFolder(folder: str) -> Mapping[bytes, File]:
    """
    Read the files of a folder in C{static}, without those of the folders in it.

    @return: The files by their names.
    """
    read = {
        path.name.encode("ascii"): makeFile(path.name, nameClient(path.read_bytes()))
        for path in sorted((_STATIC / folder).iterdir())
        if path.is_file()
    }
    return {name: file for name, file in read.items() if file is not None}


def allowAnyOrigin(file: File) -> File:
    """
    Return a file that the pages of every site may use.
    """
    headers = tuple(header for header in file.headers if header not in _OWN)
    return evolve(file, headers=(*headers, *_ANYBODYS))


class FilesResource(HubResource):
    """
    Serves some files, each below the resource by its name.  The file named
    C{b""} is served at the resource itself.
    """

    identifies = False
    methods = ("GET", "HEAD")

    def __init__(self, hub: Hub, files: Mapping[bytes, File]) -> None:
        super().__init__(hub)
        self.files = files

    def find(self, segments: Sequence[bytes]) -> File | None:
        """
        Find the file of a path.

        @param segments: The segments of the path below the resource, decoded.
        """
        # With a slash at the end, the relative links of a page would lead elsewhere.
        if len(segments) > 1 or list(segments) == [b""]:
            return None
        return self.files.get(segments[0] if segments else b"")

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Send the file, or 304 if the client has it.
        """
        file = self.find([unquoted(each) for each in exchange.head.segments])
        if file is None:
            raise notFound(exchange)
        if _ANYBODYS[0] in file.headers:
            # The file has its own CORS headers, the same for all.
            exchange.cors = CORS(None, False, True)
        exchange.respond(file.answer(exchange.head))

    answer_HEAD = answer_GET


class PageResource(FilesResource):
    """
    Serves the files of a page; and at C{state}, whether its visitors may publish,
    whether presence is kept of its channel, how often a silent connection has a
    heartbeat, and whether there is a book.

    @ivar channel: A channel to which its visitors would publish.
    """

    def __init__(self, hub: Hub, files: Mapping[bytes, File], channel: str, hasBook: bool) -> None:
        super().__init__(hub, files)
        self.channel = channel
        self.hasBook = hasBook

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Send a file, or the state.
        """
        if exchange.head.segments != (b"state",):
            super().answer_GET(exchange)
            return
        try:
            self.hub.checkPublish(ANONYMOUS, (self.channel,))
        except CometError:
            isOpen = False
        else:
            isOpen = True
        attendance = self.hub.attendance
        state = {
            "open": isOpen,
            "presence": attendance is not None and self.channel in attendance.kept,
            "heartbeat": self.hub.settings.heartbeat,
            "book": self.hasBook,
        }
        exchange.respond(Response(200, JSON, endLine(json.dumps(state).encode("ascii"))))

    answer_HEAD = answer_GET


def putPages(tree: Resource, hub: Hub, hasBook: bool = False) -> None:
    """
    Put the pages into a tree of resources.

    @param hasBook: Whether the book is there, too.
    """
    lab, chat = dict(readFolder("lab")), dict(readFolder("chat"))
    tree.putChild(b"", FilesResource(hub, {b"": lab.pop(_INDEX)}))
    tree.putChild(b"lab", PageResource(hub, lab, _CHANNELS["lab"], hasBook))
    chat[b""] = chat.pop(_INDEX)
    tree.putChild(b"chat", PageResource(hub, chat, _CHANNELS["chat"], hasBook))


def putAdminPage(tree: Resource, hub: Hub) -> FilesResource:
    """
    Put the files of the admin page into a tree of resources, at C{adminpage}: below
    C{admin} everything needs the key, which a browser sends with no file.

    @return: The resource for the page itself.
    """
    lab, admin = readFolder("lab"), dict(readFolder("admin"))
    page = admin.pop(_INDEX)
    shared = {name: lab[name] for name in _SHARED}
    tree.putChild(b"adminpage", FilesResource(hub, {**shared, **admin}))
    return FilesResource(hub, {b"": page})


def putClient(tree: Resource, hub: Hub) -> None:
    """
    Put the client for browsers into a tree of resources.
    """
    package = makeFile(PACKAGE, makePackage())
    assert package is not None
    files = {name: file for name, file in readFolder("client").items() if name in CLIENT}
    for name, file in {**files, PACKAGE.encode("ascii"): package}.items():
        tree.putChild(name, FilesResource(hub, {b"": allowAnyOrigin(file)}))
