"""
The parsers, each as a function of bytes, and what each may raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from h2.exceptions import ProtocolError as H2ProtocolError
from hiredis import ProtocolError as RedisProtocolError
from hiredis import Reader
from hpack import OversizedHeaderListError
from twisted.internet.task import Clock

from comet.bus.memory.bus import MemoryBus
from comet.bus.redis import (
    bodies,
    channelreplies,
    messagereplies,
    pushes,
    storedreplies,
    upkeepreplies,
)
from comet.bus.redis.replies import BadReply, NoLog, Overdue
from comet.errors import CometError
from comet.framing.batchreader import readBatch
from comet.framing.codings import undoCoding
from comet.framing.commands import CommandError, encodeError, readCommand
from comet.framing.contenttypes import parseContentType
from comet.framing.jsonp import checkCallback
from comet.framing.proxyheader import BadProxyHeader, parseProxyHeader
from comet.framing.publications import Limits, readBody
from comet.framing.stored import NotOurs
from comet.framing.strictjson import decode, encode
from comet.framing.tcp import LineDecoder
from comet.http.handshake import answerHandshake
from comet.http.origins import Origins
from comet.http.polls import entityTag
from comet.http.reads import parseReadRequest, readAccount, readStarts
from comet.http.request import RequestHead, beginsHead, checkHeaderValues, isBrokenHead
from comet.hub.hub import Hub
from comet.lean.cache import RequestCache
from comet.lean.routes import findRoutes
from comet.model.channels import parseEvent, parseName, parsePath
from comet.model.cursors import parseCursor
from comet.model.messages import Publication
from comet.model.patterns import PatternTable, covers
from comet.model.positions import parseStartPosition
from comet.web.http2.fields import FieldDecoder, Malformed, checkTrailers, readRequest, refusalOf
from comet.web.http2.framereceiver import FrameReceiver, RequestBegun
from comet.web.http2.frames import ConnectionFault
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.fuzz import corpus
from tests.fuzz.memory import MemoryServer
from tests.fuzz.shaking import hellos, makeShaking

_LIMITS: Final = Limits(maxMessage=4096)
_EPOCH: Final = "k3f9a2"


@frozen
class Parser:
    """
    A parser.

    @ivar name: Its name on the command line.

    @ivar feed: Gives it some bytes.

    @ivar corpus: What it understands.

    @ivar allowed: What it may raise.
    """

    name: str
    feed: Callable[[bytes], object]
    corpus: Sequence[bytes]
    allowed: tuple[type[Exception], ...] = (CometError,)

    def attempt(self, data: bytes) -> bool:
        """
        Give it some bytes.

        @return: Whether it takes them.
        """
        try:
            self.feed(data)
        except self.allowed:
            return False
        return True


def halves(data: bytes) -> list[bytes]:
    """
    Cut bytes in two, at a place that depends on them.
    """
    at = (sum(data) + 1) % (len(data) + 1)
    return [data[:at], data[at:]]


def _json(data: bytes) -> None:
    value = decode(data, 64)
    # What was read can be written, and read again.
    if decode(encode(value), 64) != value:
        raise AssertionError(f"{value!r} is another value once it is written")


def _command(data: bytes) -> None:
    try:
        readCommand(data, _LIMITS)
    except CommandError as error:
        decode(encodeError(error.id, error.error), 9)
        raise


def _body(data: bytes) -> None:
    kind, _, body = data.partition(b"\n")
    readBody(["a"], kind.decode("latin-1"), body, _LIMITS, "e", None)


def _batch(data: bytes) -> None:
    readBatch("application/x-ndjson", data, _LIMITS)


def _lines(data: bytes) -> None:
    whole, pieces = LineDecoder(40), LineDecoder(40)
    expected = [*whole.feed(data), *whole.end()]
    found = [line for piece in halves(data) for line in pieces.feed(piece)]
    if [*found, *pieces.end()] != expected:
        raise AssertionError("the lines depend on how they are cut")


def _names(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    found = []
    for parse in (parseName, parseEvent):
        try:
            found.append(parse(text))
        except CometError:
            pass
    names = parsePath(data.split(b"/"), 100)
    table: PatternTable[str] = PatternTable()
    for name in names:
        table.add(name, name)
        if not covers(name, name) and "$" not in name:
            raise AssertionError(f"{name!r} does not cover itself")
    for name in names:
        table.remove(name)


def _cursor(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    parseStartPosition(text)
    cursor = parseCursor(text)
    if str(cursor) != text or entityTag(cursor) != (b"ETag", b'"%b"' % data):
        raise AssertionError(f"{cursor!r} is not {text!r}")


def headOf(data: bytes) -> RequestHead:
    """
    Read a request head in the simplest way, also if it is not valid.
    """
    first, *lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b" ")[0].partition(b"?")
    pairs = [line.partition(b":")[::2] for line in lines]

    def headers(name: bytes) -> Sequence[bytes]:
        return [value for key, value in pairs if key.lower() == name.lower()]

    return RequestHead(method, tuple(path.split(b"/")[2:]), query, (1, 1), headers, False)


def _head(data: bytes) -> None:
    """
    Ask for each part of a request: a part that cannot be read must not keep the
    others from being read, or raise anything else.
    """
    head = headOf(data)
    beginsHead(data)
    isBrokenHead(data)
    origins = Origins(["https://friend.example"], ["http://b\u00fccher.example"])

    def values(name: str) -> str | None:
        return head.header(name)

    def parts() -> Sequence[Callable[[], object]]:
        return (
            lambda: parseReadRequest(head, parsePath(head.segments, 10), _EPOCH),
            lambda: readStarts(head, _EPOCH),
            lambda: readAccount(head),
            lambda: checkHeaderValues([(b"a", data)], resplit=True),
            lambda: answerHandshake(head),
            lambda: checkCallback(head.parameters.get("callback", "")),
            lambda: origins.checkHost(values("Host"), (1, 1)),
            lambda: origins.headers(origins.verdict(values("Origin"), values("Host"), False)),
            lambda: origins.allowsScript(
                values("Sec-Fetch-Site"), values("Referer"), values("Host"), False
            ),
        )

    for part in parts():
        try:
            part()
        except CometError:
            pass


def _origin(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    origins = Origins(["*"])
    origins.allowsScript(None, text, text, False)
    origins.headers(Origins(["null"]).verdict(text, text, True))
    origins.checkHost(text, (1, 1))


def _makeLean() -> Callable[[bytes], None]:
    clock = Clock()
    hub = Hub(MemoryBus(clock, wallClock=clock.seconds), clock)
    routes = findRoutes(CometSite(CometResource(hub), 65536, reactor=clock))
    assert routes is not None
    cache = RequestCache(hub, routes.makePlan)

    def feed(data: bytes) -> None:
        head, end, _ = data.partition(b"\r\n\r\n")
        if end:
            cache.parse(head + end)

    return feed


def _http2Frames(data: bytes) -> None:
    streams: set[int] = set()
    receiver = FrameReceiver(8192, streams, 0.0)
    receiver.states.begin()
    for piece in halves(corpus.PREFACE + corpus.SETTINGS + data):
        for event in receiver.feed(piece, 0.0):
            if isinstance(event, RequestBegun):
                streams.add(event.ident)


def _fields(data: bytes) -> None:
    decoder = FieldDecoder(65536)
    decoder.decode(data)
    fields = decoder.take()
    checks: Sequence[Callable[[], object]] = (
        lambda: refusalOf(readRequest(fields), 8192),
        lambda: checkTrailers(fields),
    )
    for check in checks:
        try:
            check()
        except Malformed:
            pass


_PUBLICATIONS: Final = [Publication(("open/a",), b"1")]

_READERS: Final[Mapping[str, Callable[[Any], object]]] = {
    "attach": upkeepreplies.readAttached,
    "sweep": upkeepreplies.readMore,
    "find": channelreplies.readFoundChannels,
    "tails": lambda reply: channelreplies.readTails(reply, ["open/a"]),
    "read": lambda reply: messagereplies.readLogPage(reply, ["open/a"]),
    "publish": lambda reply: storedreplies.readStored(reply, [_PUBLICATIONS]),
}


def _replies(data: bytes) -> None:
    reader = Reader(notEnoughData=Ellipsis)
    reader.feed(data)
    while True:
        try:
            item = reader.gets()
        except TypeError:
            # A map whose key is a list: the connection is given up.
            return
        if item is Ellipsis:
            return
        for read in _READERS.values():
            try:
                read(item)
            except (BadReply, NoLog, Overdue, NotOurs):
                pass


def _stored(data: bytes) -> None:
    bodies.readBody("open/a", _EPOCH, 1, data)


def _pushed(data: bytes) -> None:
    pushes.readPushed(b"open/a", data)


def _moved(data: bytes) -> None:
    pushes.readEndMoved(data)


def makeParsers() -> list[Parser]:
    """
    Make all of them.
    """
    server = MemoryServer()
    bodies = [kind + b"\n" + body for kind in corpus.CONTENT_TYPES for body in corpus.BODIES]
    streams = (*corpus.REQUESTS, *corpus.KEYED_REQUESTS)
    proxied = [header + each for header in corpus.PROXY_HEADERS for each in streams[:5]]
    commands = (*corpus.COMMANDS, *corpus.KEYED_COMMANDS)
    lines = (*corpus.LINES, *(each + b"\n" for each in corpus.KEYED_COMMANDS))
    return [
        Parser("json", _json, (*corpus.BODIES, *commands)),
        Parser("command", _command, commands, (CommandError,)),
        Parser("body", _body, bodies),
        Parser("batch", _batch, corpus.BATCHES),
        Parser("gzip", lambda data: undoCoding("gzip", data, 65536), corpus.BODIES[-1:]),
        Parser("type", lambda data: parseContentType(data.decode("latin-1")), corpus.CONTENT_TYPES),
        Parser("lines", _lines, lines),
        Parser("names", _names, corpus.NAMES),
        Parser("cursor", _cursor, corpus.CURSORS),
        Parser("head", _head, streams, ()),
        Parser("origin", _origin, corpus.ORIGINS),
        Parser("lean", _makeLean(), streams),
        Parser("frames", _http2Frames, corpus.CONVERSATIONS, (ConnectionFault, H2ProtocolError)),
        Parser("fields", _fields, corpus.BLOCKS, (H2ProtocolError, OversizedHeaderListError)),
        Parser("proxy", parseProxyHeader, corpus.PROXY_HEADERS, (BadProxyHeader,)),
        Parser("redis", _replies, corpus.REPLIES, (RedisProtocolError,)),
        Parser("stored", _stored, corpus.STORED, (NotOurs,)),
        Parser("pushed", _pushed, corpus.PUSHED, (NotOurs,)),
        Parser("moved", _moved, corpus.MOVES, (BadReply,)),
        Parser("tls", makeShaking(halves), hellos(), (OSError,)),
        Parser("http1", lambda data: server.http1(halves(data)), streams, ()),
        Parser("http2", lambda data: server.http2(halves(data)), corpus.CONVERSATIONS, ()),
        Parser("websocket", lambda data: server.webSocket(halves(data)), corpus.FRAMES, ()),
        Parser("proxied", lambda data: server.proxied(halves(data)), proxied, ()),
        Parser("resp", lambda data: server.redis(halves(data)), corpus.REPLIES, ()),
        Parser("tcp", lambda data: server.tcp(halves(data)), lines, ()),
    ]
