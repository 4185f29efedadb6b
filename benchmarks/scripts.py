"""
The scripts by which the load generator speaks a server's protocol.

A L{Reading} is a way to read, a L{Publishing} a way to publish, and a L{Layout}
says which reader reads which channels.  Texts to send may hold C{%N} (the names
that a reader reads),
C{%C} (the channel of a message), C{%M} (the message), C{%B} (a batch of
lines), C{%R} (the number of the reader), C{%L} (the length of the body) and
C{%0} to C{%3} (what was taken from an answer).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import frozen

# How many channels one pattern matches.
FAMILY: Final = 10

_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


def get(target: str, *headers: str) -> str:
    """
    Write a C{GET} request.
    """
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""))


def post(target: str, body: str, contentType: str = "text/plain") -> str:
    """
    Write a C{POST} request with its body.
    """
    return "\r\n".join(
        (
            f"POST {target} HTTP/1.1",
            "Host: 127.0.0.1",
            f"Content-Type: {contentType}",
            "Content-Length: %L",
            "",
            body,
        )
    )


def upgrade(target: str, *headers: str) -> str:
    """
    Write the request that opens a WebSocket.
    """
    return get(
        target,
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {_KEY}",
        "Sec-WebSocket-Version: 13",
        *headers,
    )


def withCommas(names: Sequence[str]) -> str:
    """
    Join names as a path has them.
    """
    return ",".join(names)


def asJSON(names: Sequence[str]) -> str:
    """
    Join names as a JSON array has them, without its brackets.
    """
    return json.dumps(list(names))[1:-1]


@frozen
class Reading:
    """
    A way to read.

    @ivar framing: C{"ws"}, C{"http"}, or C{"raw"} for plain bytes.

    @ivar steps: What the client sends and awaits until it reads:
        C{("send", bytes)}, C{("text", WebSocket message)}, C{("await", bytes
        from the server)}, C{("end",)} of an answer, C{("take", slot, text
        before, text behind)}.

    @ivar next: The next request of a poll, sent when an answer has ended.

    @ivar cursors: The headers of an answer that fill C{%0} to C{%3}.

    @ivar replies: Messages that need a reply: how each begins, and the reply.

    @ivar names: Joins the names that a reader reads.

    @ivar second: Whether the server listens for it on the second port.
    """

    framing: str
    steps: Sequence[Sequence[str]]
    next: str = ""
    cursors: Sequence[str] = ()
    replies: Sequence[tuple[str, str]] = ()
    names: Callable[[Sequence[str]], str] = withCommas
    second: bool = False


@frozen
class Publishing:
    """
    A way to publish.

    @ivar publish: The request that publishes one message.

    @ivar batch: The request that publishes several, as C{line}s with
        C{between} between them; without it several requests are sent at once.

    @ivar ack: What each answer contains, where answers are WebSocket messages.
    """

    publish: str
    framing: str = "http"
    steps: Sequence[Sequence[str]] = ()
    batch: str = ""
    line: str = ""
    between: str = ""
    ack: str = ""
    second: bool = False


# The channel of the bystander: no reader reads it.
_BYSTANDING: Final = "bench/bystander"


def bystander(publishing: Publishing) -> str:
    """
    Write the request with which a bystander publishes: 100 bytes, as all do.

    @param publishing: The way to publish by HTTP.
    """
    head, _, body = publishing.publish.partition("\r\n\r\n")
    body = body.replace("%C", _BYSTANDING).replace("%M", "b" * 100)
    head = head.replace("%C", _BYSTANDING).replace("%L", str(len(body)))
    return f"{head}\r\n\r\n{body}"


@frozen
class Layout:
    """
    Which reader reads which channels.

    @ivar channels: The number of channels.

    @ivar span: The number of channels that one reader reads.

    @ivar isPattern: Whether readers name their channels by one pattern.

    @ivar isApart: Whether different kinds of readers have no channel in common.
    """

    channels: int = 1
    span: int = 1
    isPattern: bool = False
    isApart: bool = False

    def name(self, index: int) -> str:
        """
        Return the name of a channel.
        """
        return f"bench/{index // FAMILY}/{index}"

    def groups(self) -> Iterator[tuple[int, list[str]]]:
        """
        Yield, for each kind of reader, its first channel and the names that it
        asks for.
        """
        if self.isPattern:
            for family in range(self.channels // FAMILY):
                yield family * FAMILY, [f"bench/{family}/*"]
            return
        for first in range(0, self.channels, self.span if self.isApart else 1):
            members = ((first + index) % self.channels for index in range(self.span))
            yield first, [self.name(index) for index in members]


def _line(*words: str) -> str:
    escapes = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    return "\t".join("".join(escapes.get(c, c) for c in word) for word in words) + "\n"


def script(
    reading: Reading, publishing: Publishing, layout: Layout, byHTTP: Publishing | None = None
) -> str:
    """
    Write the script of one run.

    @param byHTTP: How a bystander publishes, if there is one.
    """
    lines: list[Sequence[str]] = [
        ("framing", reading.framing),
        ("publisher", publishing.framing),
    ]
    lines += [("step", *step) for step in reading.steps]
    lines += [("reply", *reply) for reply in reading.replies]
    lines += [("cursor", str(slot), header) for slot, header in enumerate(reading.cursors)]
    lines += [("next", reading.next)] if reading.next else []
    lines += [("pstep", *step) for step in publishing.steps]
    lines += [
        (word, value)
        for word in ("publish", "batch", "line", "between", "ack")
        if (value := getattr(publishing, word))
    ]
    lines += [("bystander", bystander(byHTTP))] if byHTTP is not None else []
    lines += [("channel", layout.name(index)) for index in range(layout.channels)]
    lines += [
        ("group", str(first), str(layout.span), reading.names(names))
        for first, names in layout.groups()
    ]
    return "".join(_line(*words) for words in lines)
