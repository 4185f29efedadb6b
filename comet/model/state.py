"""
State that a bus keeps beside its log.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from comet.model.cursors import Cursor

# How many characters a key may have.
MAX_KEY: Final = 128


@frozen
class StateEntry:
    """
    A value that is kept under a key.

    @ivar key: The key.

    @ivar payload: The value: the payload of the message that has told of it.

    @ivar time: When it was put there, by the clock of the bus, in seconds since 1970:
        the time of that message.

    @ivar seconds: For how many seconds it is kept from then on, or L{None} if until it
        is taken out.
    """

    key: str
    payload: bytes
    time: float
    seconds: float | None = None

    @property
    def until(self) -> float | None:
        """
        When it is kept no longer, by the clock of the bus.
        """
        return None if self.seconds is None else self.time + self.seconds

    def isOver(self, now: float) -> bool:
        """
        Whether it is kept no longer.
        """
        until = self.until
        return until is not None and until <= now


@frozen
class StatePage:
    """
    A part of what is kept in one table.

    @ivar entries: In the order of their keys; perhaps none, also where there are more.

    @ivar cursor: The log end at which they are what is kept: each later message on the
        table's channel changes them.

    @ivar rest: The key after which to read on, or L{None} if there is nothing behind it.

    @ivar unreadable: The keys of entries that comet cannot have written as they are: what
        they said is not known.  A key that no entry can have is shown with escapes.
    """

    entries: tuple[StateEntry, ...]
    cursor: Cursor
    rest: str | None = None
    unreadable: tuple[str, ...] = ()


def checkKey(key: str) -> None:
    """
    Check a key: printable ASCII characters without spaces, so that every bus has the
    same order.

    @raise ValueError: If it is not one.
    """
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise ValueError(f"{key[:MAX_KEY]!r} is no key of a state")


def shownKey(key: bytes) -> str:
    """
    Return the key of an entry as a text: another program may have put any bytes there.
    """
    return key[:MAX_KEY].decode("ascii", "backslashreplace")
