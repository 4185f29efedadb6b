"""
How many readers there are, by their kind and by what they do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

from comet.fanout.application import ApplicationReader
from comet.fanout.polls import PollReader
from comet.fanout.states import State

_stateOf: Final = attrgetter("state")


def countReaders(readers: Mapping[Any, object]) -> dict[tuple[str, str], int]:
    """
    Count readers by their kind and state; without a call for each.
    """
    counted = Counter(zip(map(type, readers), map(_stateOf, readers), strict=True))
    found: Counter[tuple[str, str]] = Counter()
    for (kind, state), count in counted.items():
        found[kindOf(kind), state.value] += count
    # Those of which there are none are told, too: a rule would wait for them.
    for name in ("stream", "poll"):
        for state in State:
            if state is not State.CLOSED:
                found.setdefault((name, state.value), 0)
    return found


def kindOf(kind: type[Any]) -> str:
    """
    Return the kind of a class of readers: C{stream}, C{poll}, or C{application} for
    those that the server or the application reads with itself.
    """
    if issubclass(kind, PollReader):
        return "poll"
    return "application" if issubclass(kind, ApplicationReader) else "stream"
