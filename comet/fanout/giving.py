"""
Messages are given to readers such that a failure harms no other reader.

What is prepared may be wrong for one group, and a write to one reader may fail.  It is
logged here, and the readers that it concerns are closed, so that their clients come back.
A tick goes on with all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from comet.fanout.delivery import Delivery, Member
from comet.logging.clientlog import ClientLogger
from comet.model.cursors import Cursor
from comet.model.messages import Message

_log: Final = ClientLogger()

# Stands for messages that could not be prepared.
FAILED: Final = object()


class Given(Protocol):
    """
    What is needed here of a group.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """
        The names that its readers read.
        """

    @property
    def delivery(self) -> Delivery[Any]:
        """
        How messages reach its readers.
        """

    def __len__(self) -> int:
        """
        How many readers are live.
        """


def prepare(group: Given, messages: Sequence[Message], end: Cursor) -> Any:
    """
    Prepare messages for the readers of a group: see
    L{Delivery.prepare<comet.fanout.delivery.Delivery.prepare>}.

    @return: L{FAILED} if that failed.
    """
    try:
        return group.delivery.prepare(messages, end)
    except Exception:
        _log.failure(
            "Preparing {count} messages for {readers} readers of {names} failed",
            count=len(messages),
            readers=len(group),
            names=group.names,
        )
        return FAILED


class Tails:
    """
    What readers get that have read some messages of a flush: the rest of them, prepared once
    for readers behind one another that have read the same.
    """

    __slots__ = ("_end", "_group", "_messages", "_position", "_prepared")

    def __init__(self, group: Given, messages: Sequence[Message], end: Cursor) -> None:
        """
        @param messages: Those of the flush, and all there are up to C{end}.
        """
        self._group = group
        self._messages = messages
        self._end = end
        self._position: int | None = None
        self._prepared: Any = None

    def after(self, position: int) -> Any:
        """
        Return what is prepared of the messages after this position, of which there is one at
        least.
        """
        if position != self._position:
            tail = [message for message in self._messages if message.position > position]
            self._position, self._prepared = position, prepare(self._group, tail, self._end)
        return self._prepared


def give(reader: Member, prepared: Any, names: Sequence[str]) -> None:
    """
    Let one reader take what was prepared.

    @param prepared: As L{prepare} returns it.

    @param names: The names of its group.
    """
    if prepared is FAILED:
        reader.failed()
        return
    try:
        reader.take(prepared)
    except Exception:
        _log.failure("Writing to {reader} of {names} failed", reader=reader, names=names)
        reader.failed()


def failAll(readers: Sequence[Member], names: Sequence[str]) -> None:
    """
    Close readers to which a delivery has failed to write.  It is not known what each
    of them was sent, so all come back, from where they stood before.

    @param names: The names of their group.
    """
    _log.failure(
        "Writing to {readers} direct readers of {names} failed", readers=len(readers), names=names
    )
    for each in readers:
        each.failed()
