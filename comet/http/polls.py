"""
The responses to polls: the values in them, and their shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, Protocol, TypeVar

from attrs import frozen

from comet.framing.budget import CompressionBudget
from comet.framing.compression import Compression
from comet.framing.deflate import gzipFile
from comet.framing.envelope import encodeEnvelope
from comet.framing.jsonp import encodeCall
from comet.framing.pollbody import encodeAround, encodePollBody
from comet.http.contentcoding import GZIP
from comet.http.http1 import TEMPLATE_CACHE_SIZE, ResponseTemplate
from comet.http.responses import COMMON, JSON, SCRIPT, Headers, Response, endLine
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@frozen
class Outcome:
    """
    What a poll is answered with.

    @ivar cursor: The cursor of the reader after the response.

    @ivar messages: Each message with whether it is replayed.

    @ivar gap: The names that lost messages, each once, however often it did.

    @ivar more: Whether the next poll gets more messages at once.

    @ivar close: Why the reader is closed, or L{None}.
    """

    cursor: Cursor
    messages: Sequence[tuple[Message, bool]] = ()
    gap: Sequence[str] = ()
    more: bool = False
    close: Close | None = None


class RespondsToPolls(Protocol[R_co]):
    """
    Makes the responses to polls.
    """

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> R_co:
        """
        Make the whole response for an outcome.

        @param budget: How much of it may be compressed that was not in another one;
            L{None} for L{MOST_NEW}.
        """

    def notModified(self, cursor: Cursor) -> R_co:
        """
        Make the response of status 304.
        """


def respondEmpty(shape: RespondsToPolls[R], tags: frozenset[str], cursor: Cursor) -> R:
    """
    Make the response to a poll that has no messages: 304 if the client named
    the cursor in C{If-None-Match}, an empty poll body otherwise.

    @param tags: What the client has, as L{ReadRequest.tags
        <comet.http.reads.ReadRequest>}.
    """
    # RFC 9110 13.1.2
    return shape.notModified(cursor) if str(cursor) in tags else shape.respond(Outcome(cursor))


def entityTag(cursor: Cursor) -> tuple[bytes, bytes]:
    """
    Make the header C{ETag} of a cursor.
    """
    return (b"ETag", b'"%s"' % str(cursor).encode("ascii"))


def _compressedTag(cursor: Cursor) -> bytes:
    """
    Make the entity tag, without its quotes, of a body that is compressed: RFC 9110 8.8.3
    has another one for other bytes.  Where clients send it, the ending is ignored.
    """
    return b"%b-gzip" % str(cursor).encode("ascii")


@frozen(cache_hash=True)
class PollResponseShape:
    """
    The shape of a response to a poll that is a L{Response}, framed later.

    @ivar limit: How many messages a response has at most.

    @ivar time: Whether envelopes tell the time.

    @ivar compression: Which messages are compressed; L{None} if the client takes none
        that are.
    """

    limit: int
    time: bool
    compression: Compression | None = None

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> Response:
        """
        See L{RespondsToPolls.respond}.
        """
        compressed = self.compressedBody(outcome, budget)
        if compressed is None:
            return Response(200, (entityTag(outcome.cursor), *JSON), endLine(self.body(outcome)))
        tag = (b"ETag", b'"%b"' % _compressedTag(outcome.cursor))
        return Response(200, (tag, *JSON, *GZIP), compressed)

    def notModified(self, cursor: Cursor) -> Response:
        """
        See L{RespondsToPolls.notModified}.
        """
        return Response(304, (entityTag(cursor), *COMMON), b"")

    def body(self, outcome: Outcome) -> bytes:
        """
        Make the poll body alone, without the end of its line.
        """
        return encodePollBody(
            outcome.cursor,
            [encodeEnvelope(message, self.time, replay) for message, replay in outcome.messages],
            outcome.gap,
            outcome.more,
            outcome.close,
        )

    def compressedBody(
        self, outcome: Outcome, budget: CompressionBudget | None = None
    ) -> bytes | None:
        """
        Make the poll body, with the end of its line, compressed.

        @param budget: As for L{RespondsToPolls.respond}.

        @return: L{None} if none of the messages is compressed.
        """
        compression = self.compression
        if compression is None:
            return None
        budget = budget or CompressionBudget(MOST_NEW)
        if budget.isSpent:
            # To look for what is known, and to sum up a body that has little of it, takes as
            # long as to make the body, and there may be very many bodies in this moment.
            given = outcome.messages
            budget.unaffordable += sum([compression.takes(message) for message, _ in given])
            return None
        parts: list[tuple[bytes, bytes | None]] = []
        for message, replay in outcome.messages:
            envelope, blocks = encodeEnvelope(message, self.time, replay), None
            if compression.takes(message):
                blocks = _deflated.known(envelope)
                if blocks is None:
                    blocks = _deflated.make(envelope, budget)
            parts += ((b",", None), (envelope, blocks or None))
        if not any(blocks for _, blocks in parts):
            return None
        before, after = encodeAround(outcome.cursor, outcome.gap, outcome.more, outcome.close)
        return gzipFile([(before, None), *parts[1:], (endLine(after), None)])


# How many bytes of a body are compressed at most that were not in another one: these take
# 3 ms.  A client that reads all that is held shall not hold up others.
MOST_NEW: Final = 131072


class _Deflated:
    """
    The envelopes that were compressed last.  Polls that catch up come with the same
    messages again and again.
    """

    def __init__(self) -> None:
        self._blocks: dict[bytes, bytes] = {}
        self._bytes = 0

    def known(self, envelope: bytes) -> bytes | None:
        """
        Return what L{make} made of an envelope, or L{None} if that is not kept.
        """
        return self._blocks.get(envelope)

    def make(self, envelope: bytes, budget: CompressionBudget) -> bytes:
        """
        Compress an envelope.

        @return: Blocks; empty if that does not make it shorter, or there is no budget for
            it.
        """
        blocks = budget.deflate(envelope) or b""
        if budget.isSpent:
            # Another body may have the budget for it.
            return blocks
        size = len(envelope) + len(blocks)
        if size <= _MOST_KEPT // 4:
            if self._bytes + size > _MOST_KEPT:
                self._blocks.clear()
                self._bytes = 0
            self._bytes += size
            self._blocks[envelope] = blocks
        return blocks


_deflated: Final = _Deflated()


@frozen(cache_hash=True)
class HTTP1PollShape:
    """
    The shape of a response to a poll that is all bytes of an HTTP/1 response,
    which the readers of a group share.

    @ivar framed: The shape of the same response without its framing.

    @ivar version: The HTTP version of the request.

    @ivar persistent: Whether the connection stays open.

    @ivar headers: Headers besides those of every poll.
    """

    framed: PollResponseShape
    version: tuple[int, int]
    persistent: bool
    headers: Headers

    @property
    def limit(self) -> int:
        """
        How many messages a response has at most.
        """
        return self.framed.limit

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> bytes:
        """
        See L{RespondsToPolls.respond}.
        """
        if self.framed.compression is not None:
            compressed = self.framed.compressedBody(outcome, budget)
            if compressed is not None:
                tag = _compressedTag(outcome.cursor)
                return _compressedTemplate(self).fill(compressed, tag)
        body = endLine(self.framed.body(outcome))
        return _template(self, 200).fill(body, str(outcome.cursor).encode("ascii"))

    def notModified(self, cursor: Cursor) -> bytes:
        """
        See L{RespondsToPolls.notModified}.
        """
        return _template(self, 304).fill(b"", str(cursor).encode("ascii"))


class _LastBody:
    """
    The poll body that was made last.  Readers of the same names whose scripts call
    different functions are in different groups, which get the same messages one right
    after the other.
    """

    def __init__(self) -> None:
        self._made: tuple[PollResponseShape, Outcome, bytes] | None = None

    def of(self, shape: PollResponseShape, outcome: Outcome) -> bytes:
        """
        Make the body of an outcome, or return the last one if it is the same.
        """
        made = self._made
        if made is not None and made[0] == shape and made[1] == outcome:
            return made[2]
        body = shape.body(outcome)
        self._made = (shape, outcome, body) if len(body) <= _MOST_KEPT else None
        return body


# How many bytes a body may have that is kept for the next group.
_MOST_KEPT: Final = 1024 * 1024

_lastBody: Final = _LastBody()


@frozen(cache_hash=True)
class HTTP1CallShape:
    """
    The shape of a response to a poll that is all bytes of an HTTP/1.1 response with a
    script: it calls a function with the poll body.  The readers of a group share it.
    The connection stays open.

    @ivar framed: The shape of the poll body.

    @ivar callback: The name of the function, which
        L{checkCallback<comet.framing.jsonp.checkCallback>} let pass.

    @ivar headers: Headers besides those of every script.
    """

    framed: PollResponseShape
    callback: str
    headers: Headers

    @property
    def limit(self) -> int:
        """
        How many messages a response has at most.
        """
        return self.framed.limit

    def respond(self, outcome: Outcome, budget: CompressionBudget | None = None) -> bytes:
        """
        See L{RespondsToPolls.respond}.  A script is not compressed.
        """
        body = encodeCall(self.callback, _lastBody.of(self.framed, outcome))
        return _callTemplate(self.headers).fill(body, str(outcome.cursor).encode("ascii"))

    def notModified(self, cursor: Cursor) -> bytes:
        """
        See L{RespondsToPolls.notModified}: its status is 200 here, since a browser
        does not run a script again that was not modified.
        """
        return self.respond(Outcome(cursor))


@lru_cache(TEMPLATE_CACHE_SIZE)
def _callTemplate(headers: Headers) -> ResponseTemplate:
    return ResponseTemplate.complete((1, 1), 200, (*SCRIPT, *headers), True, isTagged=True)


@lru_cache(TEMPLATE_CACHE_SIZE)
def _compressedTemplate(shape: HTTP1PollShape) -> ResponseTemplate:
    headers = (*JSON, *GZIP, *shape.headers)
    return ResponseTemplate.complete(shape.version, 200, headers, shape.persistent, isTagged=True)


@lru_cache(TEMPLATE_CACHE_SIZE)
def _template(shape: HTTP1PollShape, status: int) -> ResponseTemplate:
    headers = JSON if status == 200 else COMMON
    return ResponseTemplate.complete(
        shape.version, status, (*headers, *shape.headers), shape.persistent, isTagged=True
    )
