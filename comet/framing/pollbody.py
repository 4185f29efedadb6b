"""
The poll body: the JSON of one response to a poll.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.framing import strictjson
from comet.framing.envelope import closeValue
from comet.model.cursors import Cursor
from comet.model.messages import Close


def encodePollBody(
    cursor: Cursor,
    envelopes: Sequence[bytes],
    gap: Sequence[str] = (),
    more: bool = False,
    close: Close | None = None,
) -> bytes:
    """
    Encode the body of one response.

    @param cursor: The cursor of the reader after this response.

    @param envelopes: The envelopes of the messages, in order.

    @param gap: The names that lost messages before the first of these, each once.

    @param more: Whether the next poll gets more messages at once, since this
        response was cut.

    @param close: Why the reader is closed, or L{None}.
    """
    before, after = encodeAround(cursor, gap, more, close)
    return b"%b%b%b" % (before, b",".join(envelopes), after)


def encodeAround(
    cursor: Cursor, gap: Sequence[str] = (), more: bool = False, close: Close | None = None
) -> tuple[bytes, bytes]:
    """
    Encode what stands before the envelopes of a body, and what stands behind them.
    Between them are commas.

    @param cursor: This and all else are as in L{encodePollBody}.
    """
    parts = [b"]"]
    if gap:
        parts.append(b',"gap":' + strictjson.encode(list(gap)))
    if more:
        parts.append(b',"more":true')
    if close is not None:
        parts.append(b',"close":' + strictjson.encode(closeValue(close)))
    parts.append(b"}")
    # Nothing in a cursor needs an escape.
    before = b'{"cursor":"%b","messages":[' % str(cursor).encode("ascii")
    return before, b"".join(parts)
