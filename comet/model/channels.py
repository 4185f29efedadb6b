"""
The names of channels, the patterns that reach several of them, and the names
of events.

A pattern's C{*} stands for exactly one segment, its C{**}, which can only be
the last segment, for one or more.  Neither stands for a segment that begins
with C{$}: those are the server's own, and are reached only by names that spell
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Generic, TypeVar
from urllib.parse import unquote_to_bytes

from comet.errors import BadChannel, BadMessage, BadRequest

MAX_NAME_BYTES: Final = 255

# Each segment of a pattern costs memory of its own, and time for each channel
# that begins like it.
MAX_PATTERN_SEGMENTS: Final = 16
MAX_EVENT_CHARACTERS: Final = 64

# How many names are remembered that were good: the same are asked for again and
# again.
MOST_PARSED: Final = 4096

# Control characters are those of Unicode's category Cc.  A lone surrogate is
# no character at all: it has no UTF-8.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_SEGMENT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff,*?#]")

# RFC 3986 2.1: a percent sign begins two hexadecimal digits, and nothing else.
_MALFORMED_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPED_SEPARATOR: Final = re.compile(rb"%2[CFcf]")

T = TypeVar("T")


def isPattern(name: str) -> bool:
    """
    Whether a name that was parsed is a pattern, not one channel's name.
    """
    return "*" in name


def isReserved(name: str) -> bool:
    """
    Whether a segment of a name begins with C{$}: it is the server's own, and
    no client publishes to it.
    """
    return name.startswith("$") or "/$" in name


@lru_cache(MOST_PARSED)
def parseName(text: str) -> str:
    """
    Read the name of a channel, or a pattern.

    @return: C{text} itself.

    @raise BadChannel: If it is neither.
    """
    # No name has more characters than bytes, so this bounds all that follows.
    if len(text) > MAX_NAME_BYTES:
        raise _tooLong(text)
    *upper, last = text.split("/")
    for segment in upper:
        if segment != "*":
            _checkSegment(segment, text)
    if last not in ("*", "**"):
        _checkSegment(last, text)
    if len(text.encode("utf-8")) > MAX_NAME_BYTES:
        raise _tooLong(text)
    if len(upper) >= MAX_PATTERN_SEGMENTS and isPattern(text):
        raise BadChannel(
            f"{text[:64]!r} is a pattern of {len(upper) + 1} segments: {MAX_PATTERN_SEGMENTS} "
            "are allowed"
        )
    return text


@lru_cache(MOST_PARSED)
def parseChannel(text: str) -> str:
    """
    Read the name of one channel.

    @return: C{text} itself.

    @raise BadChannel: If it is not the name of a channel, or is a pattern.
    """
    name = parseName(text)
    if isPattern(name):
        raise BadChannel(f"{text[:64]!r} is a pattern; the name of one channel is allowed here")
    return name


def parsePath(segments: Sequence[bytes], most: int) -> tuple[str, ...]:
    """
    Read the names in the path of a URL.

    @param segments: The segments below the place where channels are, as the
        client sent them: not percent-decoded.

    @param most: How many names there may be, those written twice counted once.

    @return: The names and patterns in the order of the path, none twice; at
        least one.

    @raise BadChannel: If one of them is not a name or pattern.

    @raise BadRequest: If there are more than C{most}.
    """
    names: dict[str, None] = {}
    for raw in b"/".join(segments).split(b","):
        names[parseName(_unquote(raw))] = None
        if len(names) > most:
            raise BadRequest(
                f"the path names more than {most} channels; at most {most} are allowed"
            )
    return tuple(names)


def parseEvent(text: str) -> str:
    """
    Read the name of an event.

    @return: C{text} itself.

    @raise BadMessage: If no event can have this name.
    """
    if not 1 <= len(text) <= MAX_EVENT_CHARACTERS:
        fault = f"it has {len(text)} characters, and 1 to {MAX_EVENT_CHARACTERS} are allowed"
    elif _UNSAFE.search(text) is not None:
        fault = "control characters are not allowed"
    elif text.startswith("$"):
        fault = "those that begin with '$' are the server's own"
    elif text in ("open", "error"):
        fault = "an EventSource has events of its own by the names of 'open' and 'error'"
    else:
        return text
    raise BadMessage(f"{text[:64]!r} is not the name of an event: {fault}")


def covers(pattern: str, name: str) -> bool:
    """
    Whether everything that C{name}, a channel or a pattern, can reach is also
    reached by C{pattern}, likewise a channel or a pattern.
    """
    held = pattern.split("/")
    asked = name.split("/")
    if held[-1] == "**":
        del held[-1]
        # What '**' stands for is at least one segment, and none is reserved.
        tail = asked[len(held) :]
        if not tail or any(segment.startswith("$") for segment in tail):
            return False
        del asked[len(held) :]
    return len(held) == len(asked) and all(map(_coversSegment, held, asked))


def matches(pattern: str, channel: str) -> bool:
    """
    Whether a channel or pattern reaches a channel.  The name of a channel
    reaches that channel only.
    """
    return covers(pattern, channel) if isPattern(pattern) else pattern == channel


def matchesAny(patterns: Iterable[str], channel: str) -> bool:
    """
    Whether one of some channels and patterns reaches a channel.
    """
    return any(matches(pattern, channel) for pattern in patterns)


class _Node:
    """
    A place in the trie of patterns.

    @ivar children: What is below, by the next segment.

    @ivar name: The pattern that ends here, or L{None}.
    """

    __slots__ = ("children", "name")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.name: str | None = None


class PatternTable(Generic[T]):
    """
    Values by names, channels and patterns alike, which finds those whose names
    reach a channel.

    Channels are in a dictionary, patterns in a trie by segments, so that what
    it costs to find depends on how deep the channel is and on what is found,
    not on how many names there are.
    """

    __slots__ = ("_root", "_values")

    def __init__(self) -> None:
        self._root = _Node()
        self._values: dict[str, T] = {}

    def __len__(self) -> int:
        """
        How many names are in the table.
        """
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        """
        The names, in the order in which they were added.  The table must not
        change in between.
        """
        return iter(self._values)

    def __contains__(self, name: object) -> bool:
        """
        Whether exactly this name is in the table.
        """
        return name in self._values

    def get(self, name: str) -> T | None:
        """
        The value of exactly this name, or L{None} where it is not in the
        table.
        """
        return self._values.get(name)

    def add(self, name: str, value: T) -> None:
        """
        Give a name that was parsed a value, in place of the one that it may
        have.
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
        Take a name out of the table, and with it all that was there for it
        alone.

        @raise KeyError: If it is not in the table.
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
        The values of all names that reach a channel, each once, in no
        particular order, in a list of the caller's own.
        """
        names = [channel] if channel in self._values else []
        if self._root.children:
            names += self._patternsOf(channel.split("/"))
        return [self._values[name] for name in names]

    def _patternsOf(self, segments: list[str]) -> Iterator[str]:
        # '**' stands for all that is left, in which nothing may be reserved.
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


def _checkSegment(segment: str, text: str) -> None:
    if segment == "":
        fault = "a segment is empty"
    elif segment in (".", ".."):
        fault = f"a segment is {segment!r}"
    elif segment == "**":
        fault = "'**' is allowed only as the last segment"
    else:
        found = _NOT_IN_SEGMENT.search(segment)
        if found is None:
            return
        fault = (
            "'*' is allowed only as a whole segment"
            if found[0] == "*"
            else f"{found[0]!r} is not allowed: no control character, ',', '*', '?' or '#' is"
        )
    raise BadChannel(f"{text[:64]!r} is not the name of a channel: {fault}")


def _tooLong(text: str) -> BadChannel:
    return BadChannel(
        f"{text[:64]!r}... is not the name of a channel: "
        f"it is longer than {MAX_NAME_BYTES} bytes of UTF-8"
    )


def _unquote(raw: bytes) -> str:
    if _MALFORMED_ESCAPE.search(raw) is not None:
        fault = "a '%' begins two hexadecimal digits"
    elif _ESCAPED_SEPARATOR.search(raw) is not None:
        fault = "'/' and ',' separate, and can be in no name, so '%2F' and '%2C' are not allowed"
    else:
        try:
            return unquote_to_bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            fault = "it is not UTF-8"
    raise BadChannel(f"{raw[:64]!r} is not the name of a channel in a path: {fault}")
