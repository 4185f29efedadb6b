"""
Reads a batch: a body with one message a line, while it arrives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from comet.errors import BadChannel, BadMessage, BadRequest, KeyReused, TooLarge
from comet.framing.contenttypes import parseContentType
from comet.framing.publications import Limits, decodeFields, readObject, shown
from comet.framing.strictjson import checkMembers
from comet.model.messages import KeyScope, Publication

_BATCH_TYPE: Final = "application/x-ndjson"
# RFC 8259 2: the white space that may surround a JSON value.
_WHITE_SPACE: Final = b" \t\r\n"


class BatchReader:
    """
    Reads a batch, a body with one message a line, while it arrives.  If one line
    is not valid, the whole batch is refused, with the first such line.

    Blank lines are skipped.  They count as lines, except at the end.  A key may be
    there twice only with the same message to the same channel.

    If a line causes an error, the detail has the number of the line, counted
    from 1.
    """

    __slots__ = (
        "_check",
        "_contentType",
        "_isBegun",
        "_keys",
        "_limits",
        "_line",
        "_number",
        "_publications",
        "_publisher",
    )

    def __init__(
        self,
        contentType: str | None,
        limits: Limits,
        publisher: str = "",
        check: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """
        @param contentType: The value of C{Content-Type}, or L{None}.

        @param check: Called with the channels of each message as soon as it is
            read; raises if the publisher may not publish to them.
        """
        self._contentType = contentType
        self._isBegun = False
        self._limits = limits
        self._publisher = publisher
        self._check = check
        self._publications: list[Publication] = []
        self._keys: dict[KeyScope, tuple[int, bytes]] = {}
        # The line that has begun, as far as it has come, and its number.
        self._line = bytearray()
        self._number = 1

    def received(self, data: bytes) -> None:
        """
        Read a part of the body.

        @raise BadRequest: If the type is not C{application/x-ndjson}, or there are
            too many lines; or as in L{readObject}.

        @raise Unsupported: If the charset is another one than UTF-8.

        @raise TooLarge: If a line, or its message, has more bytes than the
            limit.

        @raise KeyReused: If a key is there twice, with different messages.

        @raise BadChannel: As in L{readObject}.

        @raise BadMessage: As in L{readObject}, or if a line is not a JSON object.
        """
        if not self._isBegun:
            self._begin()
        start, most = 0, self._limits.maxBatch
        while (end := data.find(b"\n", start)) >= 0:
            if self._number > most:
                # Only blank lines may follow, and they need not be told apart.
                break
            line = data[start:end]
            if self._line:
                line = bytes(self._line) + line
                self._line.clear()
            self._readLine(line)
            self._number += 1
            start = end + 1
        rest = data[start:]
        if self._number > most:
            if rest.strip(_WHITE_SPACE):
                raise BadRequest(f"the batch has more than {most} lines, the most that are allowed")
            return
        # White space before a line is not kept.
        self._line += rest if self._line else rest.lstrip(_WHITE_SPACE)
        if len(self._line) > self._limits.maxCommandBytes:
            raise self._lineTooLong()

    def finish(self) -> list[Publication]:
        """
        The body has ended: read its last line.

        @return: The publication of each line, in order.

        @raise CometError: As L{received} does, or if there is no line.
        """
        self._readLine(bytes(self._line))
        self._line.clear()
        if not self._publications:
            raise BadRequest("the batch is empty; it needs at least one line")
        return self._publications

    def _begin(self) -> None:
        self._isBegun = True
        given = self._contentType
        parsed = parseContentType(given or "")
        if parsed.mediaType != _BATCH_TYPE:
            said = "no content type" if given is None else shown(given)
            raise BadRequest(f"{said}: the type of a batch is {_BATCH_TYPE}, one message a line")
        parsed.checkCharset()

    def _readLine(self, line: bytes) -> None:
        line = line.lstrip(_WHITE_SPACE)
        if not line:
            return
        if len(line) > self._limits.maxCommandBytes:
            # The line is not decoded, which alone would take too long.
            raise self._lineTooLong()
        number = self._number
        try:
            publication = _readLine(line, self._limits, self._publisher)
        except (BadChannel, BadMessage, BadRequest, TooLarge) as error:
            raise type(error)(f"line {number}: {error.detail}") from None
        if self._check is not None:
            self._check(publication.channels)
        self._publications.append(publication)
        scope = publication.keyScope
        if scope is None:
            return
        mark = publication.fingerprint()
        first, known = self._keys.setdefault(scope, (number, mark))
        if known != mark:
            raise KeyReused(
                f"line {number}: the key {shown(publication.key)} is that of line {first}, "
                "which has another message; use a different key for each message"
            )

    def _lineTooLong(self) -> TooLarge:
        most = self._limits.maxCommandBytes
        return TooLarge(
            f"line {self._number}: it has more than {most} bytes, the most that a line may have"
        )


def readBatch(
    contentType: str | None,
    body: bytes,
    limits: Limits,
    publisher: str = "",
    check: Callable[[Sequence[str]], None] | None = None,
) -> list[Publication]:
    """
    Read a batch that has arrived whole, as L{BatchReader} does.

    @raise CometError: As L{BatchReader} does, or if the body has more bytes than
        the limit.
    """
    reader = BatchReader(contentType, limits, publisher, check)
    if len(body) > limits.maxBatchBytes:
        raise TooLarge(
            f"the batch has {len(body)} bytes; at most {limits.maxBatchBytes} are allowed"
        )
    reader.received(body)
    return reader.finish()


def _readLine(line: bytes, limits: Limits, publisher: str) -> Publication:
    # The object around the data is one more level.
    fields = decodeFields(line, limits, limits.maxDepth + 1)
    if not isinstance(fields, dict):
        raise BadMessage(f"{shown(fields)} is not an object with 'channel' and 'data'")
    checkMembers(line, fields)
    return readObject(fields, limits, publisher)
