"""
Which channels a pattern reaches, and a table that finds the patterns that reach
a channel.

The C{*} of a pattern stands for exactly one segment.  Its C{**}, which is always
the last segment, stands for one or more.  Neither stands for a segment that
begins with C{$}: reserved channels are reached only by names that spell these
segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from comet.model.channels import isPattern

T = TypeVar("T")


def covers(pattern: str, name: str) -> bool:
    """
    Whether C{pattern} reaches every channel that C{name} can reach.

    @param pattern: A channel or a pattern.

    @param name: A channel or a pattern.
    """
    held = pattern.split("/")
    asked = name.split("/")
    if held[-1] == "**":
        del held[-1]
        # '**' stands for at least one segment, none of them reserved.
        tail = asked[len(held) :]
        if not tail or any(segment.startswith("$") for segment in tail):
            return False
        del asked[len(held) :]
    return len(held) == len(asked) and all(map(_coversSegment, held, asked))


def matches(pattern: str, channel: str) -> bool:
    """
    Whether a channel or pattern reaches a channel.  A channel reaches only
    itself.
    """
    return covers(pattern, channel) if isPattern(pattern) else pattern == channel


def matchesAny(patterns: Iterable[str], channel: str) -> bool:
    """
    Whether at least one channel or pattern reaches a channel.
    """
    return any(matches(pattern, channel) for pattern in patterns)


class _Node:
    """
    A node in the trie of patterns.

    @ivar children: The nodes below, by the next segment.

    @ivar name: The pattern that ends here, or L{None}.
    """

    __slots__ = ("children", "name")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.name: str | None = None


class PatternTable(Generic[T]):
    """
    A mapping of channels and patterns to values, which finds the values of all
    names that reach a channel.

    Channels are in a dictionary, and patterns in a trie by segments, so that
    the cost of a search depends on the depth of the channel and on the number
    of names found, not on the number of names in the table.
    """

    __slots__ = ("_root", "_values")

    def __init__(self) -> None:
        self._root = _Node()
        self._values: dict[str, T] = {}

    def __len__(self) -> int:
        """
        How many names the table has.
        """
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        """
        The names in the order in which they were added.  The table must not
        change during the iteration.
        """
        return iter(self._values)

    def __contains__(self, name: object) -> bool:
        """
        Whether the table has exactly this name.
        """
        return name in self._values

    def get(self, name: str) -> T | None:
        """
        The value of exactly this name, or L{None} if the table does not have
        it.
        """
        return self._values.get(name)

    def add(self, name: str, value: T) -> None:
        """
        Set the value of a parsed name, in place of the value that it may have.
        """
        self._values[name] = value
        if not isPattern(name):
            return
        node = self._root
        for segment in name.split("/"):
            below = node.children.get(segment)
            if below is None:
                below = node.children[segment] = _Node()
            node = below
        node.name = name

    def remove(self, name: str) -> None:
        """
        Remove a name, and the nodes that only this name needs.

        @raise KeyError: If the table does not have the name.
        """
        del self._values[name]
        if not isPattern(name):
            return
        segments = name.split("/")
        path = [self._root]
        for segment in segments:
            path.append(path[-1].children[segment])
        path[-1].name = None
        for segment in reversed(segments):
            node = path.pop()
            if node.children or node.name is not None:
                return
            del path[-1].children[segment]

    def matching(self, channel: str) -> list[T]:
        """
        Find the values of all names that reach a channel.

        @return: A new list with the value of each name once, in no particular
            order.
        """
        names = [channel] if channel in self._values else []
        if self._root.children:
            names += self._patternsOf(channel.split("/"))
        return [self._values[name] for name in names]

    def _patternsOf(self, segments: list[str]) -> Iterator[str]:
        # '**' stands for all segments that are left, none of which may be
        # reserved.
        free = 1 + max((at for at, segment in enumerate(segments) if segment[0] == "$"), default=-1)
        level = [self._root]
        for depth, segment in enumerate(segments):
            if depth >= free:
                yield from _namesOf(level, "**")
            keys = (segment,) if segment[0] == "$" else (segment, "*")
            level = [node.children[key] for node in level for key in keys if key in node.children]
        for node in level:
            if node.name is not None:
                yield node.name


def _namesOf(level: list[_Node], key: str) -> Iterator[str]:
    for node in level:
        below = node.children.get(key)
        if below is not None and below.name is not None:
            yield below.name


def _coversSegment(held: str, asked: str) -> bool:
    if held == "*":
        return asked != "**" and not asked.startswith("$")
    return held == asked
