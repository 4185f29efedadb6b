"""
The channels of which presence is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from comet.model.channels import isPattern, isReserved, parseName
from comet.model.patterns import matches
from comet.model.presence import presenceChannel

# How many names are remembered: clients read the same ones again and again.
_REMEMBERED: Final = 4096


class KeptChannels:
    """
    Tells of which channels presence is kept.

    @ivar isEmpty: Whether it is kept of none.
    """

    def __init__(self, rules: Iterable[tuple[str, bool]]) -> None:
        """
        @param rules: Channels and patterns, each with whether presence is kept.  For a
            channel the first counts that matches it; where none does, it is not kept.

        @raise BadChannel: If one of them is neither a channel nor a pattern.
        """
        parsed = [(parseName(pattern), isKept) for pattern, isKept in rules]
        self.isEmpty = not any(isKept for _, isKept in parsed)

        @lru_cache(_REMEMBERED)
        def isKept(name: str) -> bool:
            if isPattern(name) or isReserved(name) or not presenceChannel(name):
                return False
            return next((kept for pattern, kept in parsed if matches(pattern, name)), False)

        self._isKept = isKept

    def __contains__(self, name: object) -> bool:
        """
        Whether presence is kept of a channel.  It is not of patterns, of the server's own
        channels, and of those whose name is so long that none is left to tell of it.
        """
        return isinstance(name, str) and self._isKept(name)

    def of(self, names: Sequence[str]) -> tuple[str, ...]:
        """
        Return those of some names of which presence is kept.
        """
        return tuple(name for name in names if self._isKept(name))
