"""
The responses to polls: the values in them, and their shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from attrs import frozen

from comet.framing.envelope import encodeEnvelope
from comet.framing.pollbody import encodePollBody
from comet.http.http1 import TEMPLATE_CACHE_SIZE, ResponseTemplate
from comet.http.responses import COMMON, JSON, Headers, Response, endLine
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

    @ivar gap: The names that lost messages.

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

    def respond(self, outcome: Outcome) -> R_co:
        """
        Make the whole response for an outcome.
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


@frozen(cache_hash=True)
class PollResponseShape:
    """
    The shape of a response to a poll that is a L{Response}, framed later.

    @ivar limit: How many messages a response has at most.

    @ivar time: Whether envelopes tell the time.
    """

    limit: int
    time: bool

    def respond(self, outcome: Outcome) -> Response:
        """
        See L{RespondsToPolls.respond}.
        """
        return Response(200, (entityTag(outcome.cursor), *JSON), endLine(self.body(outcome)))

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

    def respond(self, outcome: Outcome) -> bytes:
        """
        See L{RespondsToPolls.respond}.
        """
        body = endLine(self.framed.body(outcome))
        return _template(self, 200).fill(body, str(outcome.cursor).encode("ascii"))

    def notModified(self, cursor: Cursor) -> bytes:
        """
        See L{RespondsToPolls.notModified}.
        """
        return _template(self, 304).fill(b"", str(cursor).encode("ascii"))


@lru_cache(TEMPLATE_CACHE_SIZE)
def _template(shape: HTTP1PollShape, status: int) -> ResponseTemplate:
    headers = JSON if status == 200 else COMMON
    return ResponseTemplate.complete(
        shape.version, status, (*headers, *shape.headers), shape.persistent, isTagged=True
    )
