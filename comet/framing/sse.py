"""
Server-Sent Events: C{text/event-stream}, as an C{EventSource} reads it.
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
    encodeEnvelope,
    encodeGap,
    encodeStanding,
    rawText,
)
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

# WHATWG HTML 9.2.5: each of these ends a line, and nothing else does.
_LINE_END: Final = re.compile("\r\n|\r|\n")


def encodeEvent(cursor: Cursor, data: str | None, event: str | None = None) -> bytes:
    """
    One event, with the blank line that ends it.

    @param cursor: The event's id: what an C{EventSource} comes back with.

    @param data: Its data, or L{None} for an event that only sets the id, and
        that no listener hears.  Each CR, LF and CRLF begins a new line, so
        that no line of the data can be read as another field.

    @param event: The name of the event, without a control character, or
        L{None} for the name that all have that have none.
    """
    # WHATWG HTML 9.2.6: one space behind the colon is not of the value, so it
    # is always there, and a second is safe.
    lines = [f"id: {cursor}\n"]
    if event is not None:
        lines.append(f"event: {event}\n")
    if data is not None:
        lines += [f"data: {line}\n" for line in _LINE_END.split(data)]
    lines.append("\n")
    return "".join(lines).encode("utf-8")


def encodeRetry(seconds: float) -> bytes:
    """
    The line that says when to come back.  It is of the event that follows, or
    stands alone before a blank line.
    """
    # WHATWG HTML 9.2.6: only ASCII digits; the unit is the millisecond.
    return b"retry: %d\n" % max(0, round(seconds * 1000))


@frozen(cache_hash=True)
class SSEShape:
    """
    One event a message.

    @ivar time: As in L{encodeEnvelope}; it only shows where C{envelope} is
        true.

    @ivar chunked: Whether the body is in the chunked coding.

    @ivar channelEvents: Whether a message that is no event of its own has its
        channel as the name of its event.

    @ivar envelope: Whether the data are envelopes, instead of what was
        published; then a heartbeat has data, too.

    @ivar unnamed: Whether events have no names, gaps and the end included: an
        C{EventSource} only hears the names that it was told to listen for, and
        those of messages may be any.

    @ivar retry: How long an C{EventSource} waits before it comes back, in
        milliseconds.
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
        How long to wait before coming back; ready to be written.
        """
        return frameBody([encodeRetry(self.retry / 1000), b"\n"], self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, where there are chunks.
        """
        return endBody(self.chunked)

    @property
    def adoptsReplay(self) -> bool:
        """
        Yes: an C{EventSource} comes back with the id of the last event,
        whatever it was.
        """
        return True

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        An event with what was published, or with the envelope.
        """
        event = message.event
        if event is None and self.channelEvents:
            event = message.channel
        if self.envelope:
            data = encodeEnvelope(message, self.time, replay).decode("utf-8")
        else:
            data = rawText(message)
        return self._event(message.cursor, data, event)

    def standing(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        An event of only the id, or with the envelope.
        """
        data = encodeStanding(cursor).decode("utf-8") if self.envelope else None
        return encodeEvent(resume or cursor, data)

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        The event C{$gap}, with the names or with the envelope.
        """
        data = encodeGap(cursor, names) if self.envelope else strictjson.encode(list(names))
        return self._event(resume or cursor, data.decode("utf-8"), "$gap")

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        The event C{$close}, with the reason or with the envelope, and when to
        come back, unless that is never.
        """
        value = closeValue(close)
        data = encodeClose(cursor, close) if self.envelope else strictjson.encode(value)
        event = self._event(resume or cursor, data.decode("utf-8"), "$close")
        return event if close.retry is None else encodeRetry(close.retry) + event

    def _event(self, cursor: Cursor, data: str, event: str | None) -> bytes:
        return encodeEvent(cursor, data, None if self.unnamed else event)

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        All events, in one chunk.
        """
        return frameBody(pieces, self.chunked)
