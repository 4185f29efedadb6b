"""
Requests that are odd, but to which every server has some answer.  Both edges must
give the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_HOST: Final = "Host: localhost\r\n"
_UPGRADE: Final = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)

_LINES: Final = (
    "GET {} HTTP/1.0",
    "HEAD {} HTTP/1.1",
    "OPTIONS {} HTTP/1.1",
    "DELETE {} HTTP/1.1",
    "PATCH {} HTTP/1.1",
    "get {} HTTP/1.1",
    "GET {} HTTP/1.2",
    "GET {} HTTP/3.0",
    "GET {} http/1.1",
    "GET {}",
    "GET  {} HTTP/1.1",
    "GET {} x HTTP/1.1",
    "GET http://localhost{} HTTP/1.1",
    "GET http://elsewhere.example{} HTTP/1.1",
    "GET {}#x HTTP/1.1",
    "GET /{} HTTP/1.1",
    " GET {} HTTP/1.1",
)

_PATHS: Final = (
    "/channels/",
    "/channels",
    "/channels/a//b",
    "/channels/a,",
    "/channels/a?since=never",
    "/channels/a?transport=teleport",
    "/channels/a?transport=poll&limit=0",
    "/channels/a?transport=poll&wait=-1",
    "/channels/a?transport=poll&time=2",
    "/channels/a?transport=poll&x=%ff",
    "/channels/a?transport=poll&x=%zz",
    "/channels/a?transport=poll&sinse=now&limit%0d%0aX:%20y=1",
    "/channels/a?transport=sse&Since=now",
    "/channels/a?sinse=now&transprot=jsonp&wait=-1",
    "/channels/a?transport=jsonp",
    "/channels/a?transport=poll&before=zzzzzz-1",
    "/channels/a?before=zzzzzz-1&limit=3",
    "/channels/a?transport=poll&before=",
    "/channels/a?transport=poll&before=now",
    "/channels/a?transport=poll&before=zzzzzz-1&since=zzzzzz-1",
    "/channels/a,b?transport=poll&before=zzzzzz-1",
    "/channels/a/*?transport=poll&before=zzzzzz-1",
    "/channels/a?transport=longpoll&before=zzzzzz-1",
    "/socket?before=zzzzzz-1",
    "/channels/a%2Fb?transport=poll",
    "/channels/a%?transport=poll",
    "/channels/%ff?transport=poll",
    "/channels/..?transport=poll",
    "/chan%6Eels/a?transport=poll",
    "/channels/a?transport=websocket",
    "/channels/a?transport=poll&account=a%20b",
    "/publish",
    "/publish/a",
    "/socket",
    "/socket/a",
    "/health",
    "/",
    "/chat",
    "/comet.js",
    "/nothing",
    "//channels/a?transport=poll",
)

_HEADERS: Final = (
    "",
    "Host: elsewhere.example\r\n",
    _HOST + _HOST,
    _HOST + "X : y\r\n",
    _HOST + " folded\r\n",
    _HOST + "X: y\r\n\tz\r\n",
    _HOST + "X\r\n",
    _HOST + ": x\r\n",
    _HOST + "X: \x01\r\n",
    _HOST + "X: \x7f\r\n",
    _HOST + "X: \x85\r\n",
    _HOST + "X: \xe4\r\n",
    _HOST + "X: a\nY: b\r\n",
    _HOST + "X: a\rY: b\r\n",
    _HOST + "Origin: http://elsewhere.example\r\n",
    _HOST + "Origin: http://localhost\r\n",
    _HOST + "Origin: null\r\n",
    _HOST + "Origin: http://localhost\r\nOrigin: http://localhost\r\n",
    _HOST + "Authorization: Bearer wrong-wrong-wrong\r\n",
    _HOST + "Authorization: Basic eDp5\r\n",
    _HOST + "Connection: close\r\n",
    _HOST + "Connection: Keep-Alive\r\n",
    _HOST + "Connection: x\r\n",
    _HOST + "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n",
    _HOST + "Upgrade: websocket\r\n",
    _HOST + _UPGRADE.replace("13", "12"),
    _HOST + _UPGRADE.replace("AA==", "=="),
    _HOST + _UPGRADE + "Origin: http://elsewhere.example\r\n",
    _HOST + "Cookie: a=b; c=d\r\n",
    _HOST + "Expect: 100-continue\r\n",
    _HOST + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    _HOST + "Content-Length: x\r\n",
    _HOST + "Content-Length: -1\r\n",
    _HOST + "Content-Length: 0\r\n",
    _HOST + "Content-Length: 0\r\nContent-Length: 0\r\n",
    _HOST + "If-None-Match: *\r\n",
    _HOST + 'If-None-Match: "zzzzzz-1", W/"x"\r\n',
    _HOST + "Last-Event-ID: what\r\n",
    _HOST + "Prefer: wait=0\r\n",
    _HOST + f"X: {'y' * 9000}\r\n",
    _HOST + f"X: {'y' * 17000}\r\n",
    _HOST + "".join(f"X{n}: y\r\n" for n in range(600)),
)

# Requests for a page's own scripts and frames: what follows the path of a channel, and
# the headers.
_PAGES: Final = (
    *(
        ("?transport=jsonp&wait=0&callback=a.b$_1", header)
        for header in (
            "",
            "Sec-Fetch-Site: same-origin\r\n",
            "Sec-Fetch-Site: same-site\r\n",
            "Sec-Fetch-Site: cross-site\r\n",
            "Sec-Fetch-Site: none\r\n",
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n",
            "Referer: http://localhost/page?x=http://elsewhere.example\r\n",
            "Referer: http://localhost:80\r\n",
            "Referer: https://localhost/\r\n",
            "Referer: http://elsewhere.example/?http://localhost/\r\n",
            "Referer: http://localhost@elsewhere.example/\r\n",
            "Referer: http://localhost.elsewhere.example/\r\n",
            "Referer: http://friend.example/\r\n",
            "Referer: http://localhost/\r\nReferer: http://elsewhere.example/\r\n",
            "Authorization: Bearer wrong-wrong-wrong\r\n",
            "Authorization: Bearer {key}\r\n",
            "Authorization: Basic eDp5\r\n",
            "Sec-Fetch-Site: same-origin\r\nOrigin: http://elsewhere.example\r\n",
            "Sec-Fetch-Site: same-origin\r\nOrigin: http://friend.example\r\n",
        )
    ),
    *(
        (f"?transport=jsonp&wait=0{more}", "Sec-Fetch-Site: same-origin\r\n")
        for more in (
            "",
            "&callback=",
            "&callback=1a",
            "&callback=alert(1)",
            "&callback=a%2Eb",
            "&callback=a..b",
            f"&callback={'a' * 128}",
            f"&callback={'a' * 129}",
            "&callback=f&callback=g()",
            "&callback=f&since=earliest",
            "&callback=f&since=zzzzzz-1",
            "&callback=f&since=never",
            "&callback=f&time=1&limit=1&since=earliest",
            "&callback=%3C/script%3E",
        )
    ),
    ("?transport=jsonp&wait=0&callback=f", "Sec-Fetch-Site: none\r\nIf-None-Match: *\r\n"),
    *(
        (f"?transport=iframe{more}", "")
        for more in (
            "",
            "&callback=f",
            "&callback=",
            "&callback=f()",
            "&origin=",
            "&origin=http://localhost",
            "&origin=HTTP://LOCALHOST:80",
            "&origin=http://friend.example",
            "&origin=http://elsewhere.example",
            "&origin=*",
            "&origin=null",
            "&origin=http://[::1]",
            '&origin=");alert(1)//',
            "&origin=http://friend.example&callback=f",
            "&time=1&since=earliest",
            "&account=a%20b",
        )
    ),
    ("?transport=iframe", "Origin: http://friend.example\r\n"),
    ("?transport=iframe", "Origin: http://elsewhere.example\r\n"),
    ("", "Accept: multipart/x-mixed-replace\r\n"),
    ("?transport=multipart", "Origin: http://friend.example\r\n"),
    ("?transport=multipart&time=1&since=earliest", ""),
    ("?transport=multipart&limit=x", ""),
)

_BODIES: Final = (
    ("/channels/open/o", "Content-Length: 2\r\n", "hi"),
    ("/channels/open/o", "Content-Length: 2\r\nContent-Type: application/json\r\n", "{}"),
    ("/channels/open/o", "Content-Length: 1\r\nContent-Type: application/json\r\n", "{"),
    ("/channels/open/o", "Content-Length: +2\r\n", "hi"),
    ("/channels/open/o", "Content-Length: 0x2\r\n", "hi"),
    ("/channels/open/o", "Content-Length: 2\r\nComet-Event: open\r\n", "hi"),
    ("/channels/open/o", "Content-Length: 2\r\nIdempotency-Key: \r\n", "hi"),
    ("/channels/open/o", "Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("/channels/open/o", "Content-Length: 0\r\n", ""),
    ("/channels/open/o", "", ""),
    ("/channels/open/o?acount=1", "Content-Length: 2\r\n", "hi"),
    ("/channels/open/o", "Content-Length: 99999999999\r\n", "hi"),
    ("/channels/open/*", "Content-Length: 2\r\n", "hi"),
    ("/channels/shut", "Content-Length: 2\r\n", "hi"),
    ("/channels/$own", "Content-Length: 2\r\n", "hi"),
    ("/publish", "Content-Length: 2\r\n", "hi"),
    ("/publish", "Content-Length: 2\r\nContent-Type: application/x-ndjson\r\n", "{}"),
    ("/publish", "Content-Length: 0\r\nContent-Type: application/x-ndjson\r\n", ""),
    ("/socket", "Content-Length: 0\r\n", ""),
)

_POLL: Final = "/channels/a?transport=poll"


def oddities() -> Iterator[bytes]:
    """
    Yield all of them.  Behind each is an ordinary request that ends the
    connection and shows where the server took the next request to begin.
    """
    last = f"GET /health HTTP/1.1\r\n{_HOST}Connection: close\r\n\r\n"
    requests = [f"{line.format(_POLL)}\r\n{_HOST}\r\n" for line in _LINES]
    requests += [f"GET {path} HTTP/1.1\r\n{_HOST}\r\n" for path in _PATHS]
    requests += [f"GET {_POLL} HTTP/1.1\r\n{headers}\r\n" for headers in _HEADERS]
    requests.append(f"GET /socket?sinse=now HTTP/1.1\r\n{_HOST}{_UPGRADE}\r\n")
    for method in ("POST", "PUT"):
        requests += [
            f"{method} {path} HTTP/1.1\r\n{_HOST}{headers}\r\n{body}"
            for path, headers, body in _BODIES
        ]
    for request in requests:
        yield (request + last).encode("latin-1")


def pages(key: str) -> Iterator[bytes]:
    """
    Yield requests for what a page loads or frames: JSONP, forever frames, and
    multipart.  The first publishes what they read.

    @param key: The key to publish.
    """
    body = b'{"<&\xe2\x80\xa8>":"_comet-next-part"}'
    head = f"POST /channels/open/p HTTP/1.1\r\n{_HOST}Content-Type: application/json\r\n"
    yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode("ascii") + body
    for query, headers in _PAGES:
        line = f"GET /channels/open/p{query} HTTP/1.1"
        # What is behind it is answered where the response is no stream.
        last = f"GET /health HTTP/1.1\r\n{_HOST}Connection: close\r\n\r\n"
        said = f"{line}\r\n{_HOST}{headers.replace('{key}', key)}\r\n{last}"
        yield said.encode("latin-1")
