"""
The format of Server-Sent Events: C{text/event-stream}, as an C{EventSource}
reads it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from comet.framing import strictjson
from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import (
    closeValue,
    encodeClose,
    encodeCursor,
    encodeEnded,
    encodeEnvelope,
    encodeGap,
    rawText,
)
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

# WHATWG HTML 9.2.5: these end a line, and no others.
_LINE_END: Final = re.compile("\r\n|\r|\n")


def encodeEvent(cursor: Cursor | None, data: str | None, event: str | None = None) -> bytes:
    """
    Encode one event, with the blank line that ends it.

    @param cursor: The id of the event, with which an C{EventSource}
        reconnects, or L{None} to leave the client the id that it has.

    @param data: The data of the event, or L{None} for a C{data} field without a
        value.  Each CR, LF and CRLF starts a new C{data} field, so that no line
        of the data can be read as another field.

    @param event: The name of the event, without control characters, or L{None}
        for an event without a name.
    """
    # WHATWG HTML 9.2.6: one space after the colon does not belong to the value.
    # It is always written, so that a space at the start of the value is kept.
    lines = []
    if cursor is not None:
        lines.append(f"id: {cursor}\n")
    if event is not None:
        lines.append(f"event: {event}\n")
    if data is not None:
        lines += [f"data: {line}\n" for line in _LINE_END.split(data)]
    else:
        # WHATWG HTML 9.2.6 keeps the id of an event without data.  Firefox and
        # npm's eventsource forget it, unless there is a data field.
        lines.append("data:\n")
    lines.append("\n")
    return "".join(lines).encode("utf-8")


def encodeRetry(seconds: float) -> bytes:
    """
    Encode the field C{retry}, which says when to reconnect.  It belongs to the
    event that follows, or stands alone before a blank line.
    """
    # WHATWG HTML 9.2.6: ASCII digits only, in milliseconds.
    return b"retry: %d\n" % max(0, round(seconds * 1000))


@frozen(cache_hash=True)
class SSEShape:
    """
    One event a message.

    @ivar time: As in L{encodeEnvelope}; it matters only if C{envelope} is true.

    @ivar chunked: Whether the body has the chunked coding of HTTP/1.1.

    @ivar channelEvents: Whether the event of a message without an event name is
        named after its channel.

    @ivar envelope: Whether the data of an event is an envelope, rather than the
        data that was published.  Then heartbeats have data, too.

    @ivar unnamed: Whether no event has a name, cursors, gaps and the end
        included.  An C{EventSource} dispatches only the names that the page
        listens for, and messages may have any names.

    @ivar retry: After how many milliseconds an C{EventSource} reconnects.
    """

    time: bool = False
    chunked: bool = True
    channelEvents: bool = False
    envelope: bool = False
    unnamed: bool = False
    retry: int = 2000

    @property
    def prelude(self) -> bytes:
        """
        The field C{retry}.
        """
        return frameBody([encodeRetry(self.retry / 1000), b"\n"], self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, if the body is chunked.
        """
        return endBody(self.chunked)

    @property
    def adoptsReplay(self) -> bool:
        """
        Yes: an C{EventSource} reconnects with the id of the last event of any
        kind.
        """
        return True

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Make an event with the data of a message, or with its envelope.
        """
        event = message.event
        if event is None and self.channelEvents:
            event = message.channel
        if self.envelope:
            data = encodeEnvelope(message, self.time, replay).decode("utf-8")
        else:
            data = rawText(message)
        return self._event(message.cursor, data, event)

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Make the event C{$at}, with nothing but the id, or with the envelope.
        Its name keeps it from C{onmessage}.
        """
        data = encodeCursor(cursor).decode("utf-8") if self.envelope else None
        return self._event(resume or cursor, data, "$at")

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Make the event C{$gap}, with the names or with the envelope.
        """
        data = encodeGap(cursor, names) if self.envelope else strictjson.encode(list(names))
        return self._event(resume or cursor, data.decode("utf-8"), "$gap")

    def ended(
        self, cursor: Cursor, names: Sequence[str], code: str, resume: Cursor | None = None
    ) -> bytes:
        """
        Make the event C{$ended}, with the names and the reason, or with the envelope.
        """
        value = {"names": list(names), "code": code}
        data = encodeEnded(cursor, names, code) if self.envelope else strictjson.encode(value)
        return self._event(resume or cursor, data.decode("utf-8"), "$ended")

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Make the event C{$close}, with the reason or with the envelope, and the
        field C{retry} if the client should reconnect.
        """
        return self._close(cursor, close, resume or cursor)

    def refusal(self, cursor: Cursor, close: Close, setsID: bool) -> bytes:
        """
        Make the event C{$close} for a client whose request was refused.

        @param cursor: The cursor in the envelope.

        @param setsID: Whether that is also the id of the event.  It must not be
            for a client that has said where it starts: an C{EventSource} would
            come back with it in the place of its own id.
        """
        return self._close(cursor, close, cursor if setsID else None)

    def _close(self, cursor: Cursor, close: Close, id: Cursor | None) -> bytes:
        value = closeValue(close)
        data = encodeClose(cursor, close) if self.envelope else strictjson.encode(value)
        event = self._event(id, data.decode("utf-8"), "$close")
        return event if close.retry is None else encodeRetry(close.retry) + event

    def _event(self, id: Cursor | None, data: str | None, event: str | None) -> bytes:
        return encodeEvent(id, data, None if self.unnamed else event)

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Join the events, in one chunk.
        """
        return frameBody(pieces, self.chunked)
