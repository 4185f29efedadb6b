"""
Which channels a pattern reaches; a table that finds the patterns that reach a
channel; and a set of names that is compared with very many channels.

The C{*} of a pattern stands for exactly one segment.  Its C{**}, which is always
the last segment, stands for one or more.  Neither stands for a segment that
begins with C{$}: reserved channels are reached only by names that spell these
segments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from comet.model.channels import isPattern

T = TypeVar("T")
V = TypeVar("V")

# How many segments of the name of a channel a bus indexes.
MOST_INDEXED: Final = 8


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


def overlaps(one: str, other: str) -> bool:
    """
    Whether at least one channel is reached by both names.  Taking a right away asks
    this: a name is lost even if only a part of what it reaches was taken.

    @param one: A channel or a pattern.

    @param other: A channel or a pattern.
    """
    first = one.split("/")
    second = other.split("/")
    for depth, (left, right) in enumerate(zip(first, second, strict=False)):
        # '**' stands for all segments that are left, none of which may be
        # reserved; both names have at least one.
        if left == "**" or right == "**":
            tail = second[depth:] if left == "**" else first[depth:]
            return not any(segment.startswith("$") for segment in tail)
        if not (_coversSegment(left, right) or _coversSegment(right, left)):
            return False
    return len(first) == len(second)


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
        values = self._values
        found = [values[channel]] if channel in values else []
        if self._root.children:
            found += [values[name] for name in self._patternsOf(channel.split("/"))]
        return found

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


class Spelling(NamedTuple):
    """
    What a pattern spells.

    @ivar prefix: What the channels begin with that the pattern reaches: nothing, or
        a text that ends with a slash.

    @ivar segments: The segments that are spelled after a star, each with its
        number in the name; the first segment is 1.  None is beyond
        L{MOST_INDEXED}.
    """

    prefix: str
    segments: Sequence[tuple[int, str]]


def spellingOf(pattern: str) -> Spelling:
    """
    Tell what a pattern spells.
    """
    segments = pattern.split("/")
    stars = [number for number, each in enumerate(segments, 1) if each in ("*", "**")]
    return Spelling(
        "".join(f"{each}/" for each in segments[: stars[0] - 1]),
        [
            (number, each)
            for number, each in enumerate(segments[:MOST_INDEXED], 1)
            if number > stars[0] and number not in stars
        ],
    )


class NameSet:
    """
    The names of one query, which is compared with very many channels.

    A set of names is a whole number with a bit for each, so all names advance
    by one segment with one operation.  The cost of a comparison depends on the
    segments of the channel, and not on how many names there are or how much
    they have in common.

    @ivar names: The names, each once.

    @ivar channels: Those that are channels.

    @ivar prefixes: What the channels begin with that the patterns reach: none
        of these texts begins with another.  Each is empty or ends with a slash.

    @ivar spellings: What each pattern spells, by its bit.

    @ivar patterns: The bits of the patterns.
    """

    __slots__ = (
        "_bits",
        "_deep",
        "_ends",
        "_free",
        "_spelled",
        "channels",
        "names",
        "patterns",
        "prefixes",
        "spellings",
    )

    def __init__(self, names: Iterable[str]) -> None:
        """
        @param names: Parsed names.
        """
        self.names: Sequence[str] = tuple(dict.fromkeys(names))
        self._bits = {name: 1 << at for at, name in enumerate(self.names)}
        self.channels = [name for name in self.names if not isPattern(name)]
        self.patterns = 0
        # By depth: the patterns with a star there; those with two, which end
        # there; and by segment, those that go on with that segment.
        self._free: list[int] = []
        self._deep: list[int] = []
        self._spelled: list[dict[str, int]] = []
        # By the number of segments: the patterns that end after them.
        self._ends: dict[int, int] = {}
        self.spellings: dict[int, Spelling] = {}
        for name in self.names:
            if isPattern(name):
                self._addPattern(name.split("/"), self._bits[name])
                self.spellings[self._bits[name]] = spellingOf(name)
        self.prefixes = outermost(each.prefix for each in self.spellings.values())
        for free, spelled in zip(self._free, self._spelled, strict=True):
            for segment in spelled:
                if not segment.startswith("$"):
                    spelled[segment] |= free

    def _addPattern(self, segments: Sequence[str], bit: int) -> None:
        self.patterns |= bit
        for depth, segment in enumerate(segments):
            if depth == len(self._free):
                self._free.append(0)
                self._deep.append(0)
                self._spelled.append({})
            if segment == "**":
                self._deep[depth] |= bit
                return
            if segment == "*":
                self._free[depth] |= bit
            else:
                self._spelled[depth][segment] = self._spelled[depth].get(segment, 0) | bit
        self._ends[len(segments)] = self._ends.get(len(segments), 0) | bit

    def bitsOf(self, names: Iterable[str]) -> int:
        """
        The bits of some of the names.
        """
        bits = 0
        for name in names:
            bits |= self._bits[name]
        return bits

    def matching(self, channel: str) -> int:
        """
        The bits of the names that reach a channel.

        @param channel: A name, which need not be that of a channel.
        """
        found = self._bits.get(channel, 0)
        alive = self.patterns
        if not alive:
            return found
        segments = channel.split("/")
        # '**' stands for all segments that are left, none of which may be
        # reserved.
        deepFrom = 0
        if "$" in channel:
            for depth, segment in enumerate(segments):
                if segment[:1] == "$":
                    deepFrom = depth + 1
        for depth, segment in enumerate(segments[: len(self._free)]):
            if depth >= deepFrom:
                found |= alive & self._deep[depth]
            going = self._spelled[depth].get(segment)
            if going is None:
                going = 0 if segment[:1] == "$" else self._free[depth]
            alive &= going
            if not alive:
                return found
        return found | (alive & self._ends.get(len(segments), 0))

    def first(self, found: Iterable[tuple[V, int]], wanted: int) -> dict[str, V]:
        """
        For each name: the first of some values that has its bit.

        @param found: Values, with the bits of the names that each is of.  No
            more are taken than are needed.

        @param wanted: The bits of the names to look for.

        @return: Without the names that no value is of.
        """
        values = {}
        if wanted:
            for value, bits in found:
                bits &= wanted
                if bits:
                    wanted ^= bits
                    while bits:
                        lowest = bits & -bits
                        bits ^= lowest
                        values[self.names[lowest.bit_length() - 1]] = value
                    if not wanted:
                        break
        return values


def outermost(prefixes: Iterable[str]) -> list[str]:
    """
    Leave out the texts that begin with another one.
    """
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return kept
