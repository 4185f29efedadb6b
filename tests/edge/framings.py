"""
Requests that mark their end in an odd way, or break off in the middle.  Both
edges must treat them alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

_POLL: Final = "/channels/a?transport=poll"
_OPEN: Final = "/channels/open/o"
_H: Final = "Host: localhost\r\n"
_LAST: Final = f"GET /health HTTP/1.1\r\n{_H}Connection: close\r\n\r\n"
_ASK: Final = f"GET {_POLL} HTTP/1.1\r\n{_H}\r\n"
_CHUNKED: Final = "Transfer-Encoding: chunked\r\n"

# Headers about the length of a body, and the bytes behind them.
_LENGTHS: Final = (
    ("Content-Length:2\r\n", "hi"),
    ("Content-Length:   2   \r\n", "hi"),
    ("Content-Length:\t2\t\r\n", "hi"),
    ("content-length: 2\r\n", "hi"),
    ("Content-Length: 02\r\n", "hi"),
    ("Content-Length: 000000000000000002\r\n", "hi"),
    ("Content-Length: 2, 2\r\n", "hi"),
    ("Content-Length: 2,3\r\n", "hi"),
    ("Content-Length: 2;\r\n", "hi"),
    ("Content-Length: 2 2\r\n", "hi"),
    ("Content-Length: 1_0\r\n", "hi"),
    ("Content-Length: -0\r\n", ""),
    ("Content-Length: -2\r\n", "hi"),
    ("Content-Length: +0\r\n", ""),
    ("Content-Length: 2.0\r\n", "hi"),
    ("Content-Length: 2e0\r\n", "hi"),
    ("Content-Length: \xb2\r\n", "hi"),
    ("Content-Length: \r\n", ""),
    ("Content-Length\r\n", ""),
    ("Content-Length : 2\r\n", "hi"),
    ("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"),
    ("Content-Length: 2\r\nContent-Length: 3\r\n", "hi"),
    ("Content-Length: 1\r\n", "hi"),
    ("Content-Length: 2\r\n 0\r\n", "hi"),
    (f"Content-Length: 2\r\n{_CHUNKED}", "2\r\nhi\r\n0\r\n\r\n"),
    (f"{_CHUNKED}Content-Length: 2\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "2;name=value\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, '2;n="a;b"\r\nhi\r\n0;x\r\n\r\n'),
    (_CHUNKED, "2\r\nhi\r\n0\r\nX: trailer\r\n\r\n"),
    (_CHUNKED, "1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"),
    (_CHUNKED, "02\r\nhi\r\n00\r\n\r\n"),
    (_CHUNKED, "A\r\n0123456789\r\n0\r\n\r\n"),
    (_CHUNKED, "0\r\n\r\n"),
    (_CHUNKED, "x\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "-2\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "+2\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "0x2\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, " 2\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "2 \r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, "2\r\nhi!\r\n0\r\n\r\n"),
    (_CHUNKED, "2\nhi\n0\n\n"),
    (_CHUNKED, f"{'f' * 20}\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, f"2;{'x' * 2000}\r\nhi\r\n0\r\n\r\n"),
    (_CHUNKED, f"2\r\nhi\r\n0\r\nX: {'y' * 70000}\r\n\r\n"),
    ("Transfer-Encoding: CHUNKED\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("transfer-encoding:chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("Transfer-Encoding: identity\r\n", ""),
    ("Transfer-Encoding: identity\r\nContent-Length: 2\r\n", "hi"),
    ("Transfer-Encoding: gzip, chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("Transfer-Encoding: chunked, chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("Transfer-Encoding: xchunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("Transfer-Encoding:\x0bchunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("Transfer-Encoding : chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    ("Transfer-Encoding:\r\n chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"),
    (f"{_CHUNKED}{_CHUNKED}", "2\r\nhi\r\n0\r\n\r\n"),
    ("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"),
    ("Expect: 200-ok\r\nContent-Length: 2\r\n", "hi"),
    ("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "hi"),
    ("Connection: close\r\nContent-Length: 2\r\n", "hi"),
    ("Connection: keep-alive, close\r\nContent-Length: 2\r\n", "hi"),
    ("Connection: Content-Length\r\nContent-Length: 2\r\n", "hi"),
    ("X-HTTP-Method-Override: DELETE\r\nContent-Length: 2\r\n", "hi"),
)

# Whole conversations.
_WHOLE: Final = (
    f"\r\n{_ASK}",
    f"\r\n\r\n{_ASK}",
    f"\n{_ASK}",
    f"{_ASK}\r\n{_ASK}",
    f"{_ASK}\r\n\r\n\r\n{_ASK}",
    f"GET {_POLL} HTTP/1.1\nHost: localhost\n\n",
    f"GET {_POLL} HTTP/1.1\r\nHost: localhost\n\r\n",
    f"GET {_POLL} HTTP/1.1\nHost: localhost\r\n\r\n",
    f"GET {_POLL} HTTP/1.1\r\nHost: localhost\r\n\n",
    f"GET {_POLL} HTTP/1.1\r\r\n{_H}\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}\r\r\n\r\n",
    f"GET {_POLL}\0 HTTP/1.1\r\n{_H}\r\n",
    f"GET\0 {_POLL} HTTP/1.1\r\n{_H}\r\n",
    f"GET {_POLL} HTTP/1.1\0\r\n{_H}\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}X: a\0b\r\n\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}X\0: a\r\n\r\n",
    f"\0{_ASK}",
    f"\x16\x03\x01\x02\x00{_ASK}",
    f"GET\t{_POLL}\tHTTP/1.1\r\n{_H}\r\n",
    f"GET {_POLL} HTTP/1.1 \r\n{_H}\r\n",
    f"GET {_POLL} HTTP/01.1\r\n{_H}\r\n",
    f"GET {_POLL} HTTP/1.10\r\n{_H}\r\n",
    f"GET {_POLL} HTTPS/1.1\r\n{_H}\r\n",
    f"GeT {_POLL} HTTP/1.1\r\n{_H}\r\n",
    f"GET{_POLL} HTTP/1.1\r\n{_H}\r\n",
    f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{_ASK}",
    f"OPTIONS * HTTP/1.1\r\n{_H}\r\n",
    f"CONNECT localhost:80 HTTP/1.1\r\n{_H}\r\n",
    f"TRACE {_POLL} HTTP/1.1\r\n{_H}\r\n",
    f"GET {_POLL}&x={'y' * 7000} HTTP/1.1\r\n{_H}\r\n",
    f"GET {_POLL}&x={'y' * 9000} HTTP/1.1\r\n{_H}\r\n",
    f"GET {_POLL}&x={'y' * 17000} HTTP/1.1\r\n{_H}\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}" + "".join(f"X{n}: y\r\n" for n in range(99)) + "\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}" + "".join(f"X{n}: y\r\n" for n in range(100)) + "\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}" + "".join(f"X{n}: y\r\n" for n in range(499)) + "\r\n",
    f"GET {_POLL} HTTP/1.1\r\n{_H}" + f"X: {'y' * 8000}\r\n" * 3 + "\r\n",
    f"GET {_POLL} HTTP/1.0\r\n{_H}Connection: keep-alive\r\n\r\n",
    f"GET {_POLL} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n{_ASK}",
    f"{_ASK}GET {_POLL} HTTP/1.0\r\n{_H}\r\n{_ASK}",
    f"GET {_POLL} HTTP/1.1\r\n{_H}Connection: close\r\n\r\n{_ASK}",
    f"{_ASK}GET {_POLL} HTTP/1.1\r\n{_H}connection: CLOSE\r\n\r\n{_ASK}",
    f"GET {_POLL} HTTP/1.1\r\n{_H}Connection: keep-alive\r\nConnection: close\r\n\r\n{_ASK}",
    f"GET {_POLL} HTTP/1.1\r\n{_H}Proxy-Connection: close\r\n\r\n{_ASK}",
    f"POST http://localhost{_OPEN} HTTP/1.1\r\n{_H}Content-Length: 2\r\n\r\nhi",
    f"POST http://localhost{_OPEN} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi",
    f"post {_OPEN} HTTP/1.1\r\n{_H}Content-Length: 2\r\n\r\nhi",
    f"POST {_OPEN} HTTP/1.0\r\n{_H}Content-Length: 2\r\n\r\nhi",
    f"POST {_OPEN} HTTP/1.1\r\n{_H}Content-Length: 2\r\n\r\nhi\r\n{_ASK}",
    f"GET {_POLL} HTTP/1.1\r\n{_H}Content-Length: 2\r\n\r\nhi{_ASK}",
    f"GET {_POLL} HTTP/1.1\r\n{_H}{_CHUNKED}\r\n2\r\nhi\r\n0\r\n\r\n{_ASK}",
    f"{_ASK * 30}",
)


def framings() -> Iterator[bytes]:
    """
    Yield all of them.  Behind each is an ordinary request that ends the
    connection and shows where the server took the next request to begin.
    """
    requests = [f"POST {_OPEN} HTTP/1.1\r\n{_H}{headers}\r\n{body}" for headers, body in _LENGTHS]
    for each in (*requests, *_WHOLE):
        yield (each + _LAST).encode("latin-1")


def broken() -> Iterator[bytes]:
    """
    Yield requests, complete or not, behind which the client sends nothing.
    """
    post = f"POST {_OPEN} HTTP/1.1\r\n{_H}Content-Length: 5\r\n\r\n"
    for each in (
        "",
        "GET",
        f"GET {_POLL}",
        _ASK[:-2],
        _ASK,
        _ASK * 3,
        _ASK + _ASK[:20],
        post,
        post + "hi",
        post + "hello",
        post + "hello" + _ASK,
        f"{_ASK}GET /health HTTP/1.1\r\n{_H}\r\n",
        f"POST {_OPEN} HTTP/1.1\r\n{_H}{_CHUNKED}\r\n5\r\nhe",
        "GET /channels/a?wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ):
        yield each.encode("ascii")
