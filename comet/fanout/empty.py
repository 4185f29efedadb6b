"""
The groups that have no reader at this moment: the next long poll of the same
client comes at once, so they are kept for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from comet.timers import TimerWheel

if TYPE_CHECKING:
    from comet.fanout.groups import Group

# For how many seconds a group outlives its last reader.
LINGER: Final = 10.0

# How many groups without a reader are kept at most.
MOST_EMPTY: Final = 1000

# How many characters the names of all these have at most.
MOST_EMPTY_NAMES: Final = 64 * 1024


class EmptyGroups:
    """
    Keeps some groups, the one that became empty last at the end.
    """

    def __init__(self, wheel: TimerWheel) -> None:
        self._wheel = wheel
        self._groups: dict[Group, None] = {}
        self._characters = 0

    def add(self, group: Group) -> None:
        """
        A group has lost its last reader.
        """
        if group not in self._groups:
            self._groups[group] = None
            self._characters += group.size
            self._wheel.set(group, LINGER)

    def discard(self, group: Group) -> None:
        """
        A group has a reader again, or is forgotten.  Does nothing if it was
        not empty.
        """
        if group in self._groups:
            del self._groups[group]
            self._characters -= group.size
            self._wheel.clear(group)

    def surplus(self) -> Group | None:
        """
        The one that is to be forgotten first, if there are too many.
        """
        if len(self._groups) > MOST_EMPTY or self._characters > MOST_EMPTY_NAMES:
            return next(iter(self._groups))
        return None
