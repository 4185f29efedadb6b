"""
The poll body: the whole answer to a client that asks again and again.
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
    The body of one answer, as JSON.

    @param cursor: Where the reader stands after all that is in it.

    @param envelopes: The envelopes of its messages, in order.

    @param gap: The names that lost messages before the first of them.  One
        that was found to have lost more meanwhile may come twice, and is told
        once.

    @param more: Whether it was cut, so that asking again brings more at once.

    @param close: Why the reader is sent away, or L{None}.
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
