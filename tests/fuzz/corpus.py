"""
What well-behaved clients, proxies and stores send, in each format that is parsed.
"""

from __future__ import annotations

import gzip
from struct import pack
from typing import Final

from hpack import Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

_UPGRADE: Final = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

# Readable without a start position, so that they end at once.
TARGETS: Final = (
    *(b"/channels/open/a?transport=poll", b"/channels/open/a,open/b?transport=poll&since=earliest"),
    *(b"/channels/open/**?transport=poll&since=-3&limit=2&time=1", b"/channels/a/*?wait=0"),
    *(
        b"/channels/open/a?since=k3f9a2-1&wait=0",
        b"/channels/open/%C3%A4?transport=longpoll&wait=0",
    ),
    *(b"/channels/open/a?transport=sse&since=earliest", b"/channels/open/a?transport=stream"),
    *(b"/channels/open/a?callback=f.g&wait=0", b"/channels/open/a?transport=iframe&callback=f"),
    *(
        b"/channels/open/a?transport=multipart",
        b"/channels/open/a?transport=sse&envelope=1&probe=1",
    ),
    *(b"/channels/open/a?transport=poll&since.open/a=-1", b"/channels/$stats?transport=poll"),
    *(
        b"/channels/open/a?transport=poll&account=me",
        b"/channels/open/a?lastEventId=k3f9a2-0&wait=0",
    ),
    *(b"/health", b"/health/ready", b"/comet.js", b"/", b"/lab/state", b"/nothing", b"/socket"),
)


def _request(line: bytes, headers: bytes = b"", body: bytes | None = None) -> bytes:
    if body is not None:
        headers += b"Content-Length: %d\r\n" % len(body)
    return line + b" HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + (body or b"")


# Opens a WebSocket without names.
UPGRADE_REQUEST: Final = _request(b"GET /socket", _UPGRADE)

_BATCH: Final = b'{"channel":"open/a","data":1}\n{"channel":"open/b","data":{"x":[1.5]}}\n'

BATCHES: Final = (
    _BATCH,
    _BATCH[:-2] + b',"key":"k"}\n' + _BATCH,
    b'\n{"channel":"$x","data":1}\n\n',
    b'{"channel":"a"}',
)

BODIES: Final = (
    *(b"text", b'{"a":[1,2.5,null,true,"x"]}', b"", b"\xff\xfe", b'"\\ud83d\\ude00"', b"[[[[]]]]"),
    *(
        b"-1e10",
        b"18446744073709551615",
        "schöne Grüße".encode(),
        b" 1 ",
        gzip.compress(b"x", mtime=0),
    ),
)

REQUESTS: Final = (
    *(_request(b"GET " + target) for target in TARGETS),
    *(
        _request(method + b" /channels/open/a")
        for method in (b"HEAD", b"OPTIONS", b"DELETE", b"PATCH")
    ),
    *(_request(b"POST /channels/open/a", b"", body) for body in BODIES),
    _request(b"POST /channels/open/a,open/b", b"Content-Type: application/json\r\n", b'{"x":1}'),
    _request(b"PUT /channels/open/a", b"Content-Type: text/plain; charset=utf-8\r\n", b"x"),
    _request(b"POST /channels/open/a", b"Content-Encoding: gzip\r\n", BODIES[-1]),
    _request(b"POST /channels/open/a", b"Comet-Event: e\r\n", b"x"),
    _request(b"POST /channels/open/a?since=k3f9a2-1&b=1", b"", b"x"),
    _request(b"POST /channels/open/a?since=k3f9a2-1&b=%ff", b"", b"x"),
    _request(b"POST /channels/closed", b"Authorization: Bearer 0123456789abcdef\r\n", b"x"),
    _request(b"POST /channels/open/a", b"Transfer-Encoding: chunked\r\n")
    + b"3\r\nabc\r\n0\r\n\r\n",
    _request(b"POST /channels/open/a", b"Expect: 100-continue\r\n", b"x"),
    _request(b"POST /publish", b"Content-Type: application/x-ndjson\r\n", _BATCH),
    _request(b"GET /channels/open/a?wait=0", b"Origin: http://localhost\r\nAccept: */*\r\n"),
    _request(b"GET /channels/open/a", b'Prefer: wait=0\r\nIf-None-Match: W/"k3f9a2-1", "x"\r\n'),
    _request(b"GET /channels/open/a?transport=sse", b"Last-Event-ID: k3f9a2-1\r\n"),
    _request(b"GET /channels/open/a?transport=jsonp&callback=f", b"Sec-Fetch-Site: none\r\n"),
    _request(b"GET /channels/open/a", b"Accept: text/event-stream;q=0.5, application/json\r\n"),
    _request(b"GET http://localhost/health"),
    b"GET /health HTTP/1.0\r\n\r\n",
    _request(b"GET /channels/open/a", _UPGRADE),
    UPGRADE_REQUEST,
    _request(b"GET /channels/open/a?transport=poll") * 3,
    _request(b"POST /channels/open/a", b"", b"x") + _request(b"GET /channels/open/a?wait=0"),
)

COMMANDS: Final = (
    *(
        b'{"ping":1}',
        b'{"token":"secret"}',
        b'{"id":1,"subscribe":["open/a"]}',
        b'{"subscribe":["open/*"],"since":"earliest"}',
    ),
    *(b'{"id":"x","unsubscribe":["open/a"]}', b'{"id":2,"publish":"open/a","data":{"x":1}}'),
    *(b'{"publish":"open/a","data":"eA==","encoding":"base64","event":"e"}', b"{}"),
    *(
        b'{"subscribe":["open/a","open/b"],"since":{"open/a":"-2","open/b":"k3f9a2-1"}}',
        b"[]",
        b"1",
    ),
)

# With idempotency keys.  Whether a server takes one depends on who came before, so
# that two servers may answer differently.
KEYED_REQUESTS: Final = (
    _request(b"POST /channels/open/a", b"Idempotency-Key: k\r\n", b"x") * 2,
    _request(b"POST /channels/open/a", b"Idempotency-Key: \r\n", b"x"),
)
KEYED_COMMANDS: Final = (b'{"id":1,"publish":"open/a","data":1,"key":"k"}',)

LINES: Final = (
    *(each + b"\n" for each in COMMANDS),
    b"\n".join(COMMANDS) + b"\r\n",
    b"\0".join(COMMANDS) + b"\0",
    b"<policy-file-request/>\0",
)


def webSocketFrame(opcode: int, payload: bytes, isLast: bool = True) -> bytes:
    """
    Make a frame of a client.
    """
    size = len(payload)
    head = bytes((0x80 * isLast | opcode,))
    if size < 126:
        head += bytes((0x80 | size,))
    else:
        head += b"\xfe" + pack("!H", size) if size < 65536 else b"\xff" + pack("!Q", size)
    # A mask of zeros leaves the payload as it is.
    return head + bytes(4) + payload


FRAMES: Final = (
    *(webSocketFrame(1, each) for each in COMMANDS),
    *(webSocketFrame(opcode, b"x") for opcode in (2, 9, 10)),
    *(webSocketFrame(8, each) for each in (b"", b"\x03\xe8bye", b"\x03", b"\x13\x88\xff")),
    webSocketFrame(1, b'{"pi', False) + webSocketFrame(9, b"") + webSocketFrame(0, b'ng":1}'),
    webSocketFrame(1, b'{"ping":"%b"}' % (b"x" * 500)),
    webSocketFrame(1, b'{"ping":1}') * 20,
)

# RFC 9113 3.4
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def headersFrame(
    encoder: Encoder,
    ident: int,
    method: bytes,
    path: bytes,
    *more: tuple[bytes, bytes],
    isEnd: bool = True,
) -> Frame:
    """
    Make the frame that begins a request of HTTP/2.
    """
    fields = [
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"localhost"),
        (b":path", path),
        *more,
    ]
    made = HeadersFrame(ident, encoder.encode(fields), flags=("END_HEADERS",))
    if isEnd:
        made.flags.add("END_STREAM")
    return made


def _reset(ident: int, code: int = 8) -> Frame:
    return RstStreamFrame(ident, error_code=code)


def _conversations() -> list[bytes]:
    """
    Make what clients of HTTP/2 send after the preface.
    """
    made: list[list[Frame]] = [[headersFrame(Encoder(), 1, b"GET", target)] for target in TARGETS]
    made += [[headersFrame(Encoder(), 1, b"GET", TARGETS[0]), _reset(1, code)] for code in (0, 8)]
    encoder = Encoder()
    length = (b"content-length", b"4")
    post = headersFrame(encoder, 1, b"POST", b"/channels/open/a", length, isEnd=False)
    ending = ("END_HEADERS", "END_STREAM")
    made.append([post, DataFrame(1, b"text", flags=("END_STREAM",))])
    made.append([post, DataFrame(1, b"te"), _reset(1)])
    trailers = HeadersFrame(1, encoder.encode([(b"a", b"b")]), flags=ending)
    made.append([post, DataFrame(1, b"text"), trailers])
    encoder = Encoder()
    many: list[Frame] = [
        headersFrame(encoder, 2 * n + 1, b"GET", TARGETS[n % len(TARGETS)]) for n in range(120)
    ]
    made.append(many)
    made.append([*many[:50], *(_reset(2 * n + 1) for n in range(50))])
    made.append([each for n in range(50) for each in (many[n], _reset(2 * n + 1))])
    made.append([PingFrame(0, b"12345678"), PriorityFrame(3, depends_on=1), *many[:1]])
    made.append([SettingsFrame(0, {4: 0}), *many[:2], WindowUpdateFrame(1, window_increment=9)])
    made.append([*many[:2], SettingsFrame(0, {1: 0, 3: 1, 4: 65536, 5: 16384, 6: 100})])
    made.append([*many[:2], GoAwayFrame(0, error_code=0), *many[2:3]])
    return [b"".join(frame.serialize() for frame in frames) for frames in made]


SETTINGS: Final = SettingsFrame(0).serialize()
CONVERSATIONS: Final = tuple(_conversations())

_GET: Final = ((b":method", b"GET"), (b":scheme", b"https"), (b":path", b"/"))
_MORE: Final = ((b"content-length", b"3"), (b"cookie", b"a=b"), (b"cookie", b"c"))

BLOCKS: Final = (
    Encoder().encode([*_GET, (b":authority", b"a")]),
    Encoder().encode([*_GET, (b"host", b"a:80"), *_MORE]),
    Encoder().encode([(b":method", b"CONNECT"), (b":authority", b"a:1")], huffman=False),
)

PROXY_HEADERS: Final = (
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65535\r\nGET",
    b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n",
    b"PROXY UNKNOWN x\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12) + b"GET",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24" + bytes(36),
    b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + b"/a".ljust(216, b"\0"),
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
)

# What comes to a port of TLS: a client that greets, and what has come to the wrong
# port.
TLS: Final = (
    b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03" + bytes(34) + b"\x00\x02\x13\x01\x01\x00",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x17\x03\x03\x00\x10" + bytes(16),
    REQUESTS[0],
    PREFACE,
)

# What Redis sends, in RESP3.
REPLIES: Final = (
    *(
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":5\r\n",
        b"$3\r\nabc\r\n",
        b"$-1\r\n",
        b"*0\r\n",
        b"_\r\n",
        b"#t\r\n",
    ),
    b"*6\r\n$2\r\nOK\r\n$6\r\nk3f9a2\r\n:3\r\n:0\r\n:0\r\n:-1\r\n",
    b"*10\r\n$2\r\nOK\r\n$6\r\nk3f9a2\r\n:3\r\n:0\r\n:0\r\n:0\r\n:3\r\n:0\r\n:0\r\n:0\r\n",
    b"*5\r\n$2\r\nOK\r\n$6\r\nk3f9a2\r\n:3\r\n$0\r\n\r\n:0\r\n",
    b"*4\r\n$2\r\nOK\r\n$6\r\nk3f9a2\r\n:0\r\n:7\r\n",
    b">3\r\n$7\r\nmessage\r\n$6\r\nopen/a\r\n$15\r\nk3f9a2 1\n1\n\n\n1\r\n",
    b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n",
    b"%1\r\n$1\r\na\r\n:1\r\n",
)

STORED: Final = (
    b"1700000000.25\n\n\n1",
    b"1.5\ne\n\n" + b'{"a":"x"}',
    b'0\n\nbase64\n"eA=="',
    b"nan\n\n\n1",
)

PUSHED: Final = tuple(b"k3f9a2 %d\n%b" % (n, each) for n, each in enumerate(STORED))
MOVES: Final = (b"k3f9a2 0 3", b"k3f9a2 9007199254740991 9007199254740992")

NAMES: Final = (
    *(b"a", b"chat/room", b"chat/*", b"news/**", b"$stats/x", "schön/言葉".encode(), b"a" * 255),
    *(b"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/*", b"%C3%A4", b"a,b", b".", b"*/**"),
)

CURSORS: Final = (
    *(b"k3f9a2-1", b"k3f9a2-9999999999999999999", b"now", b"earliest", b"-3", b"", b"a-0"),
)

ORIGINS: Final = (
    *(
        b"http://localhost",
        b"https://[::1]:8443",
        "http://bücher.example:80".encode(),
        b"null",
        b"file://",
    ),
    *(
        b"http://a.example/path",
        b"*",
        b"http://127.0.0.1:0",
        b"localhost:8080",
        b"[::1]",
        b"1.2.3.4:5",
    ),
)

CONTENT_TYPES: Final = (
    *(
        b"text/plain",
        b'text/plain; charset="utf-8"',
        b"application/json;charset=us-ascii",
        b"a/b;;c=d",
    ),
    *(
        b'application/x-ndjson; x="\\""',
        b"text/html; charset=latin-1; charset=latin-1",
        b"image/svg+xml",
    ),
)

HEADER_LISTS: Final = (
    *(
        b'W/"k3f9a2-1", "x-gzip", *',
        b"wait=5; a=b, wait",
        b"text/*;q=0.5, */*",
        b'"\\"", "a,b"',
        b",,",
    ),
)
