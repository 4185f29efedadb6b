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

    @param gap: The names that lost messages before the first of these.  A name
        may be there twice, if it lost more in the meantime; it is written
        once.

    @param more: Whether the next poll gets more messages at once, since this
        response was cut.

    @param close: Why the reader is closed, or L{None}.
    """
    # Nothing in a cursor needs an escape.
    parts = [b'{"cursor":"', str(cursor).encode("ascii"), b'","messages":[']
    parts.append(b",".join(envelopes))
    parts.append(b"]")
    if gap:
        parts.append(b',"gap":' + strictjson.encode(list(dict.fromkeys(gap))))
    if more:
        parts.append(b',"more":true')
    if close is not None:
        parts.append(b',"close":' + strictjson.encode(closeValue(close)))
    parts.append(b"}")
    return b"".join(parts)
