"""
The names of channels, patterns and events: which are valid, and how they are
read from a path.

A name has segments, with C{/} between them.  A pattern is a name with a segment
C{*} anywhere or a last segment C{**}; see L{comet.model.patterns}.  A name with a
segment that begins with C{$} is reserved for the server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from comet.errors import BadChannel, BadMessage, BadRequest
from comet.model.percent import isMalformed, unquoted

MAX_NAME_BYTES: Final = 255

# The channel of the nodes' orders and questions, which names the table of what is
# revoked, too; and the channel of their answers.
CONTROL: Final = "$control"
NODES: Final = "$nodes"

# How many times as many names a path may write as it may name: a name that is written
# twice counts once, but each one takes time to read.
MAX_REPEATED: Final = 4

# RFC 3986 2.1: a byte that is percent-encoded takes three.
_MAX_ESCAPED_BYTES: Final = 3 * MAX_NAME_BYTES

# The first segments of the channels that only the nodes themselves use.
NODES_OWN: Final = frozenset({CONTROL, NODES, "$session"})

# Each segment of a pattern takes memory of its own, and time whenever a channel
# that begins alike is looked up.
MAX_PATTERN_SEGMENTS: Final = 16
MAX_EVENT_CHARACTERS: Final = 64

# How many parsed names are remembered: clients ask for the same ones again and
# again.
NAME_CACHE_SIZE: Final = 4096

# Control characters are those of Unicode's category Cc.  A lone surrogate is
# not a character, and has no UTF-8.
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NOT_IN_SEGMENT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff,*?#]")

_ESCAPED_SEPARATOR: Final = re.compile(rb"%2[CFcf]")


def isPattern(name: str) -> bool:
    """
    Whether a parsed name is a pattern rather than a channel.
    """
    return "*" in name


@lru_cache(NAME_CACHE_SIZE)
def isReserved(name: str) -> bool:
    """
    Whether a name is reserved for the server: a segment of it begins with
    C{$}.  No client may publish to it.
    """
    return name.startswith("$") or "/$" in name


@lru_cache(NAME_CACHE_SIZE)
def parseName(text: str) -> str:
    """
    Check that a text is the name of a channel or a pattern.

    @return: C{text} itself.

    @raise BadChannel: If it is neither.
    """
    # No name has more characters than bytes, so this bounds the work that
    # follows.
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


@lru_cache(NAME_CACHE_SIZE)
def parseChannel(text: str) -> str:
    """
    Check that a text is the name of one channel.

    @return: C{text} itself.

    @raise BadChannel: If it is not a valid name, or is a pattern.
    """
    name = parseName(text)
    if isPattern(name):
        raise BadChannel(f"{text[:64]!r} is a pattern; the name of one channel is allowed here")
    return name


def parsePath(segments: Sequence[bytes], most: int) -> tuple[str, ...]:
    """
    Read the names in the path of a URL.

    @param segments: The segments after C{/channels/}, as the client sent them:
        not percent-decoded.

    @param most: How many different names there may be.

    @return: The names and patterns in the order of the path, none twice; at
        least one.

    @raise BadChannel: If one of them is not valid.

    @raise BadRequest: If there are more than C{most}, or more than L{MAX_REPEATED}
        times as many are written.
    """
    path = b"/".join(segments)
    written = path.count(b",") + 1
    if written > MAX_REPEATED * most:
        raise BadRequest(f"the path writes {written} names; at most {most} are allowed")
    names: dict[str, None] = {}
    for raw in path.split(b","):
        names[parseName(_unquote(raw))] = None
        if len(names) > most:
            raise BadRequest(
                f"the path names more than {most} channels; at most {most} are allowed"
            )
    return tuple(names)


def parseEvent(text: str) -> str:
    """
    Check that a text is the name of an event.

    @return: C{text} itself.

    @raise BadMessage: If no event can have this name.
    """
    if not 1 <= len(text) <= MAX_EVENT_CHARACTERS:
        fault = f"it has {len(text)} characters, and 1 to {MAX_EVENT_CHARACTERS} are allowed"
    elif _UNSAFE.search(text) is not None:
        fault = "control characters are not allowed"
    elif text.startswith("$"):
        fault = "names that begin with '$' are reserved for the server"
    elif text in ("open", "error"):
        fault = "an EventSource has its own events 'open' and 'error'"
    else:
        return text
    raise BadMessage(f"{text[:64]!r} is not the name of an event: {fault}")


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
    # Before any of its escapes is undone, each of which takes time.
    if len(raw) > _MAX_ESCAPED_BYTES:
        raise _tooLong(raw[:MAX_NAME_BYTES].decode("latin-1"))
    if isMalformed(raw):
        fault = "two hexadecimal digits must follow a '%'"
    elif _ESCAPED_SEPARATOR.search(raw) is not None:
        fault = "'/' and ',' are separators, so '%2F' and '%2C' are not allowed"
    else:
        try:
            return unquoted(raw).decode("utf-8")
        except UnicodeDecodeError:
            fault = "it is not UTF-8"
    raise BadChannel(f"{raw[:64]!r} is not the name of a channel in a path: {fault}")
