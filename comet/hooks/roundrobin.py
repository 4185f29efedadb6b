"""
Lines in which things wait, one for each client; they are taken from each line in turn.

Unlike those of L{comet.reactor.fairqueue}, all things cost the same, and what waits may leave at
any time, without a trace.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class RoundRobin(Generic[T]):
    """
    Things that wait.
    """

    def __init__(self) -> None:
        # The line whose turn is next is the first; none is empty.
        self._lines: OrderedDict[Hashable, OrderedDict[T, None]] = OrderedDict()

    def __bool__(self) -> bool:
        """
        Tell whether anything waits.
        """
        return bool(self._lines)

    def add(self, holder: Hashable, thing: T) -> None:
        """
        Add a thing to the end of a client's line.
        """
        line = self._lines.get(holder)
        if line is None:
            line = self._lines[holder] = OrderedDict()
        line[thing] = None

    def take(self) -> T:
        """
        Take the next thing.  There must be one.
        """
        holder, line = next(iter(self._lines.items()))
        thing, _ = line.popitem(last=False)
        if line:
            self._lines.move_to_end(holder)
        else:
            del self._lines[holder]
        return thing

    def remove(self, holder: Hashable, thing: T) -> None:
        """
        Take a thing out of its line, in which it must be.
        """
        line = self._lines[holder]
        del line[thing]
        if not line:
            del self._lines[holder]
