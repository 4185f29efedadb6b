"""
The table of abuses.

Each is made of scripts: what one connection sends, piece after piece.  A script
yields bytes to send, or a number of seconds to wait; at its end the connection is
reset, and another one begins the script anew.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from tests.bystander.speaking import (
    CONTINUATION,
    DATA,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    UNKNOWN,
    UPGRADE,
    WINDOW_UPDATE,
    Request,
    batch,
    command,
    frame,
    http1,
    http2,
    line,
    poll,
    preface,
    publication,
    streams,
    webSocket,
)

Script: TypeAlias = Callable[[], Iterator["bytes | float"]]

# The ways to reach the server: HTTP/1.1 plain and over TLS, HTTP/2, WebSocket, and
# raw TCP.
WAYS: Final = ("http", "tls", "h2", "ws", "tcp")

# Requests that are begun at once on a connection of HTTP/2: fewer than are allowed.
_AT_ONCE: Final = 97

# How long a connection of HTTP/2 waits for answers, in seconds, and how often it
# asks again.
_ANSWERING: Final = 0.05
_ROUNDS: Final = 20


@frozen
class Part:
    """
    Connections that do the same.

    @ivar clients: How many there are.

    @ivar isRead: Whether they read what they are sent.
    """

    script: Script
    clients: int = 1
    isRead: bool = True


@frozen
class Abuse:
    """
    One kind of abuse.

    @ivar what: What it sends, for people.

    @ivar ways: What is sent, by the way.

    @ivar isOfBus: Whether it makes work for the bus, so that it differs from one bus
        to another.
    """

    name: str
    what: str
    ways: Mapping[str, tuple[Part, ...]]
    isOfBus: bool = False


# -- Scripts


def endless(piece: bytes, first: bytes = b"") -> Script:
    """
    Send the same bytes again and again.
    """

    def script() -> Iterator[bytes | float]:
        yield first
        while True:
            yield piece

    return script


def once(*pieces: bytes | float) -> Script:
    """
    Send these pieces, and leave.
    """
    return lambda: iter(pieces)


def trickling(head: bytes, piece: bytes, seconds: float) -> Script:
    """
    Send some bytes, and then others one by one.
    """

    def script() -> Iterator[bytes | float]:
        yield head
        for start in range(len(piece)):
            yield piece[start : start + 1]
            yield seconds

    return script


def multiplexed(requests: Sequence[Request], seconds: float = _ANSWERING) -> Script:
    """
    Send requests of HTTP/2 at once, and again when most of them are answered.
    """

    def script() -> Iterator[bytes | float]:
        yield preface()
        numbers = streams()
        for _ in range(_ROUNDS):
            yield b"".join(http2(each, next(numbers)) for each in requests)
            yield seconds

    return script


def framed(*frames: bytes, count: int = 200) -> Script:
    """
    Send frames of HTTP/2 again and again.
    """
    return endless(b"".join(frames) * count, preface())


# -- Parts


def asked(
    requests: Sequence[Request], clients: int = 1, isRead: bool = True
) -> dict[str, tuple[Part, ...]]:
    """
    Send requests, pipelined or multiplexed, over each version of HTTP.
    """
    pipelined = Part(endless(b"".join(map(http1, requests))), clients, isRead)
    multi = Part(multiplexed(requests[:_AT_ONCE]), clients, isRead)
    return {"http": (pipelined,), "tls": (pipelined,), "h2": (multi,)}


def commanded(commands: Iterable[bytes], clients: int = 1) -> dict[str, tuple[Part, ...]]:
    """
    Send commands over WebSocket and raw TCP.
    """
    given = list(commands)
    return {
        "ws": (Part(endless(b"".join(map(webSocket, given)), UPGRADE), clients),),
        "tcp": (Part(endless(b"".join(each + b"\n" for each in given)), clients),),
    }


def both(part: Part) -> dict[str, tuple[Part, ...]]:
    """
    Do the same over HTTP/1.1 plain and over TLS.
    """
    return {"http": (part,), "tls": (part,)}


def alongside(
    ways: Mapping[str, tuple[Part, ...]], requests: Sequence[Request], seconds: float
) -> dict[str, tuple[Part, ...]]:
    """
    Let one more client send requests meanwhile.
    """

    def pausing() -> Iterator[bytes | float]:
        for each in itertools.cycle(requests):
            yield seconds
            yield http1(each)

    def multiplexing() -> Iterator[bytes | float]:
        yield preface()
        for number, each in zip(streams(), itertools.cycle(requests), strict=False):
            yield seconds
            yield http2(each, number)

    return {
        way: (*parts, Part(multiplexing if way == "h2" else pausing)) for way, parts in ways.items()
    }


def _mixed(depth: int) -> list[str]:
    """
    Make patterns of so many segments that differ in where they have a wildcard.
    """
    return [
        "/".join("*" if number >> place & 1 else "s" for place in range(depth))
        for number in range(100)
    ]


_EVERYTHING: Final = poll("**", "&since=earliest&limit=1")
_TEXT: Final = "x" * 60000
_SUBSCRIPTIONS: Final = [
    each
    for number in range(100)
    for each in (
        command(id=number, subscribe=["**"], since="earliest"),
        command(id=number, unsubscribe=["**"]),
    )
]
_SHORT: Final = http1(publication("open/z", json.dumps(_TEXT).encode()))[:-1]
_CHUNKED: Final = (
    b"POST /channels/open/z HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
)

# A body of HTTP/2, and a command of WebSocket, in frames of one byte.
_BODY: Final = publication("open/z", b"7" * 20000)
_IN_BYTES: Final = http2(_BODY, 1)[: -len(_BODY.body) - 9 * 2] + frame(DATA, 0, 1, b"7") * 20000
_PING: Final = command(id=1, ping=1)
_FRAGMENTED: Final = (
    webSocket(_PING[:-1], 1, False) + webSocket(b" ", 0, False) * 2000 + webSocket(b"}", 0)
)

ABUSES: Final = (
    Abuse(
        "polls of all",
        "97 polls of ** from the earliest message, pipelined",
        asked([_EVERYTHING] * 97),
        isOfBus=True,
    ),
    Abuse(
        "many that poll all",
        "the same from 50 connections at once",
        asked([_EVERYTHING] * 97, clients=50),
        isOfBus=True,
    ),
    Abuse(
        "small polls",
        "790 polls of a channel without messages",
        asked([poll("open/none")] * 790, clients=20),
    ),
    Abuse(
        "deep patterns",
        "polls of 100 patterns with 16 segments each",
        asked([poll(",".join(_mixed(16)), "&since=earliest&limit=1")] * 20, clients=5),
        isOfBus=True,
    ),
    Abuse(
        "patterns next to none match",
        "polls of patterns that compare all channels and find nothing",
        asked([poll("/".join([*["*"] * n, "zz"])) for n in range(1, 16)], clients=5),
        isOfBus=True,
    ),
    Abuse(
        "large answers",
        "polls that each answer 1 MiB",
        asked([poll("open/big", "&since=earliest&limit=1000")] * 40, clients=5),
        isOfBus=True,
    ),
    Abuse(
        "many messages",
        "polls that each answer 1,000 messages of all channels",
        asked([poll("**", "&since=earliest&limit=1000")] * 40, clients=5),
        isOfBus=True,
    ),
    Abuse(
        "catching up",
        "streams of all channels from the earliest message, begun and left",
        {
            way: (
                Part(once(http1(Request("/channels/**?transport=stream&since=earliest")), 0.2), 20),
            )
            for way in ("http", "tls")
        }
        | {
            "h2": (
                Part(
                    multiplexed([Request("/channels/**?transport=sse&since=earliest")] * 20, 0.2), 5
                ),
            )
        },
        isOfBus=True,
    ),
    Abuse(
        "not found",
        "requests that are answered with an error, pipelined",
        asked([Request("/none")] * 1000, clients=20),
    ),
    Abuse(
        "heads of many fields",
        "requests with 450 fields",
        asked(
            [Request("/health", headers=tuple((f"x-{n}", "y") for n in range(450)))] * 50,
            clients=10,
        ),
    ),
    Abuse(
        "last byte late",
        "bodies one byte short, and 790 polls behind the last byte",
        both(Part(once(_SHORT, 0.1, b'"' + http1(_EVERYTHING) * 790, 1.0), 10)),
    ),
    Abuse(
        "no right",
        "4 MiB to publish, without a right",
        both(
            Part(
                endless(http1(batch([line("closed/a", "x" * 4000)] * 1000))),
                20,
            )
        )
        | asked([publication("closed/a", b"1" * 16000)] * 4, clients=20),
    ),
    Abuse(
        "large batches",
        "batches of 1,000 messages",
        both(Part(endless(http1(batch([line("open/z", "y" * 500)] * 1000))), 10))
        | {"h2": (Part(multiplexed([batch([line("open/z", 1)] * 1000)], 0.1), 10),)},
        isOfBus=True,
    ),
    Abuse(
        "large values",
        "batches of values with thousands of parts",
        both(Part(endless(http1(batch([line("open/z", [1] * 20000)] * 60))), 10)),
    ),
    Abuse(
        "publications",
        "200 publications, pipelined",
        asked([publication("open/z", b"1")] * 200, clients=20),
        isOfBus=True,
    ),
    Abuse(
        "idempotency keys",
        "publications, each with a key of its own",
        asked(
            [publication("open/z", b"1", Idempotency_Key=f"k{n}") for n in range(200)], clients=5
        ),
        isOfBus=True,
    ),
    Abuse(
        "deep JSON",
        "values that are 30,000 levels deep",
        asked([publication("open/z", b"[" * 60000)], clients=10)
        | commanded([b'{"id":1,"publish":"open/z","data":' + b"[" * 60000] * 10, clients=10),
    ),
    Abuse(
        "long numbers",
        "numbers of 60,000 digits",
        asked([publication("open/z", b"1" * 60000)], clients=10)
        | commanded([b'{"id":1,"publish":"open/z","data":' + b"1" * 60000] * 10, clients=10),
    ),
    Abuse(
        "compressed bodies",
        "bodies that are a thousand times larger when they are unpacked",
        asked(
            [publication("open/z", gzip.compress(bytes(2**24)), Content_Encoding="gzip")],
            clients=10,
        ),
    ),
    Abuse(
        "tiny chunks",
        "bodies, messages and lines that come in bytes: in chunks, frames, or packets",
        both(Part(endless(_CHUNKED + b"1\r\n7\r\n" * 20000 + b"0\r\n\r\n"), 10))
        | {
            "h2": (Part(once(preface() + _IN_BYTES, 0.5), 10),),
            "ws": (Part(endless(_FRAGMENTED, UPGRADE), 10),),
            "tcp": (Part(trickling(b"", (_PING + b"\n") * 100, 0.0005), 100),),
        },
    ),
    Abuse(
        "trickled heads",
        "heads and bodies that come byte by byte",
        both(Part(trickling(b"", http1(poll("open/none")) * 10, 0.002), 200))
        | {
            "h2": (
                Part(
                    trickling(
                        preface() + frame(HEADERS, 0, 1),
                        frame(CONTINUATION, 0, 1, b"\x82") * 100,
                        0.002,
                    ),
                    100,
                ),
            )
        },
    ),
    Abuse(
        "answers not read",
        "8 polls of 1 MiB each, and nothing is read",
        {
            way: (Part(script, 50, isRead=False),)
            for way, script in (
                ("http", once(http1(poll("open/big", "&since=earliest&limit=1000")) * 8, 1.0)),
                ("tls", once(http1(poll("open/big", "&since=earliest&limit=1000")) * 8, 1.0)),
                ("h2", multiplexed([poll("open/big", "&since=earliest&limit=1000")] * 8, 1.0)),
            )
        },
    ),
    Abuse(
        "slow readers",
        "200 streams that are not read, and one client that publishes",
        alongside(
            both(
                Part(
                    once(http1(Request("/channels/open/flow?transport=stream")), 5.0),
                    200,
                    isRead=False,
                )
            )
            | {
                "h2": (
                    Part(
                        multiplexed([Request("/channels/open/flow?transport=sse")] * 20, 5.0),
                        10,
                        isRead=False,
                    ),
                )
            },
            [publication("open/flow", json.dumps(_TEXT[:15000]).encode())],
            0.005,
        ),
    ),
    Abuse(
        "held polls that end at once",
        "thousands of polls on hold, and one client that publishes",
        alongside(
            both(
                Part(
                    endless(http1(Request("/channels/open/news?transport=longpoll&wait=30"))), 1000
                )
            )
            | {
                "h2": (
                    Part(
                        multiplexed(
                            [Request("/channels/open/news?transport=longpoll&wait=30")] * 97, 0.5
                        ),
                        100,
                    ),
                )
            },
            [publication("open/news", b"1")],
            0.2,
        ),
    ),
    Abuse(
        "polls that do not wait",
        "long polls with wait=0",
        asked([Request("/channels/open/none?transport=longpoll&wait=0")] * 97, clients=20),
    ),
    Abuse(
        "connections",
        "connections that send a request and are reset",
        {way: (Part(once(http1(poll("open/none")), 0.001), 50),) for way in ("http", "tls")}
        | {
            "h2": (Part(multiplexed([poll("open/none")], 0.001), 50),),
            "ws": (Part(once(UPGRADE, 0.001), 50),),
            "tcp": (Part(once(command(id=1, subscribe=["open/none"]) + b"\n", 0.001), 50),),
        },
    ),
    Abuse(
        "streams reset",
        "streams of HTTP/2 that are begun and reset at once",
        {
            "h2": (
                Part(
                    lambda: iter(
                        (
                            preface(),
                            b"".join(
                                http2(_EVERYTHING, number)
                                + frame(RST_STREAM, 0, number, (8).to_bytes(4, "big"))
                                for number in range(1, 801, 2)
                            ),
                            0.1,
                        )
                    ),
                    10,
                ),
            )
        },
    ),
    Abuse(
        "pings of HTTP/2",
        "PING, without an end",
        {"h2": (Part(framed(frame(PING, 0, 0, bytes(8))), 10),)},
    ),
    Abuse(
        "settings",
        "SETTINGS, without an end",
        {"h2": (Part(framed(frame(SETTINGS, 0, 0)), 10),)},
    ),
    Abuse(
        "windows",
        "WINDOW_UPDATE by one, PRIORITY, and frames that are unknown, without an end",
        {
            "h2": (
                Part(
                    framed(
                        frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4, "big")),
                        frame(PRIORITY, 0, 3, bytes(4) + b"\1"),
                        frame(UNKNOWN, 0, 0, b"x"),
                    ),
                    10,
                ),
            )
        },
    ),
    Abuse(
        "empty bodies",
        "DATA without data, without an end",
        {
            "h2": (
                Part(
                    endless(
                        frame(DATA, 0, 1) * 500,
                        preface() + http2(publication("open/z", b"1"), 1)[:-10],
                    ),
                    10,
                ),
            )
        },
    ),
    Abuse(
        "subscribe and unsubscribe",
        "subscriptions of all channels from the earliest message, begun and ended",
        commanded(_SUBSCRIPTIONS, clients=10),
        isOfBus=True,
    ),
    Abuse(
        "deep subscriptions",
        "subscriptions of 100 patterns with 16 segments, begun and ended",
        commanded(
            [
                command(id=1, subscribe=_mixed(16), since="earliest"),
                command(id=2, unsubscribe=_mixed(16)),
            ]
            * 5,
            clients=10,
        ),
        isOfBus=True,
    ),
    Abuse(
        "commands",
        "commands that publish",
        commanded(
            [command(id=number, publish="open/z", data=1) for number in range(500)], clients=10
        ),
        isOfBus=True,
    ),
    Abuse(
        "bad commands",
        "commands that are none",
        commanded([b'{"id":1,"none":1}'] * 500, clients=20),
    ),
    Abuse(
        "pings of WebSocket",
        "empty PING frames, and messages in frames of one byte",
        {
            "ws": (
                Part(endless(webSocket(b"", 9) * 2000, UPGRADE), 10),
                Part(
                    endless(
                        webSocket(b"{", 1, False)
                        + webSocket(b" ", 0, False) * 500
                        + webSocket(b"}", 0),
                        UPGRADE,
                    ),
                    10,
                ),
            )
        },
    ),
)


def abuse(name: str) -> Abuse:
    """
    Find an abuse by its name.
    """
    for each in ABUSES:
        if each.name == name:
            return each
    raise KeyError(name)
