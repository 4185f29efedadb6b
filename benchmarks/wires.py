"""
What the load generator says, as the lines of text that it reads.

A L{Wire} is a way to read, a L{Publishing} a way to publish, and a L{Layout}
who reads what.  What is sent may hold C{%N} (the names that a reader reads),
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
    The head of a C{GET} request.
    """
    return "\r\n".join((f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""))


def post(target: str, body: str, contentType: str = "text/plain") -> str:
    """
    A C{POST} request with its body.
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
    The request that begins a WebSocket.
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
    Names as they stand in a path.
    """
    return ",".join(names)


def asJSON(names: Sequence[str]) -> str:
    """
    Names as they stand in an array of JSON, without its brackets.
    """
    return json.dumps(list(names))[1:-1]


@frozen
class Wire:
    """
    A way to read.

    @ivar framing: C{"ws"}, C{"http"}, or C{"raw"} for plain bytes.

    @ivar steps: What is said and awaited until the server has the reader:
        C{("send", bytes)}, C{("text", WebSocket message)}, C{("await", what is
        to be heard)}, C{("end",)} of an answer, C{("take", slot, before,
        behind)}.

    @ivar next: What is asked when an answer has ended, of polls.

    @ivar cursors: The headers of an answer whose values C{%0} to C{%3} are.

    @ivar replies: How messages begin that must be replied to, and the replies.

    @ivar names: Writes the names that a reader reads.

    @ivar second: Whether it is served on the second port.
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

    @ivar publish: What publishes one message.

    @ivar batch: What publishes several, as C{line}s with C{between} between
        them; without it several requests are sent at once.

    @ivar ack: What is in an answer, where that is a WebSocket message.
    """

    publish: str
    framing: str = "http"
    steps: Sequence[Sequence[str]] = ()
    batch: str = ""
    line: str = ""
    between: str = ""
    ack: str = ""
    second: bool = False


@frozen
class Layout:
    """
    Who reads what.

    @ivar channels: How many channels there are.

    @ivar span: How many of them a reader reads.

    @ivar isPattern: Whether readers ask for them by one pattern.
    """

    channels: int = 1
    span: int = 1
    isPattern: bool = False

    def name(self, index: int) -> str:
        """
        The name of a channel.
        """
        return f"bench/{index // FAMILY}/{index}"

    def groups(self) -> Iterator[tuple[int, list[str]]]:
        """
        The first channel of each kind of reader, and the names that it asks
        for.
        """
        if self.isPattern:
            for family in range(self.channels // FAMILY):
                yield family * FAMILY, [f"bench/{family}/*"]
            return
        for first in range(self.channels):
            members = ((first + index) % self.channels for index in range(self.span))
            yield first, [self.name(index) for index in members]


def _line(*words: str) -> str:
    escapes = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    return "\t".join("".join(escapes.get(c, c) for c in word) for word in words) + "\n"


def script(wire: Wire, publishing: Publishing, layout: Layout) -> str:
    """
    The script of one run.
    """
    lines: list[Sequence[str]] = [
        ("framing", wire.framing),
        ("publisher", publishing.framing),
    ]
    lines += [("step", *step) for step in wire.steps]
    lines += [("reply", *reply) for reply in wire.replies]
    lines += [("cursor", str(slot), header) for slot, header in enumerate(wire.cursors)]
    lines += [("next", wire.next)] if wire.next else []
    lines += [("pstep", *step) for step in publishing.steps]
    lines += [
        (word, value)
        for word in ("publish", "batch", "line", "between", "ack")
        if (value := getattr(publishing, word))
    ]
    lines += [("channel", layout.name(index)) for index in range(layout.channels)]
    lines += [
        ("group", str(first), str(layout.span), wire.names(names))
        for first, names in layout.groups()
    ]
    return "".join(_line(*words) for words in lines)
