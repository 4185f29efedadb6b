"""
Which channels the backend or the application is asked about, and for what.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from comet.errors import BadChannel
from comet.http.outgoing import BY_CHANNEL
from comet.model.channels import NAME_CACHE_SIZE, isPattern, parseName
from comet.model.patterns import matches, overlaps


class HookTable:
    """
    Tells of a name whether to ask about it.

    For a channel the first pattern counts that matches it.  A pattern, which is only
    read, is asked about where any channel may be asked about that it reaches.
    """

    def __init__(self, tables: Sequence[tuple[str, Collection[str]]]) -> None:
        """
        @param tables: Channels or patterns, and the kinds of questions, of
            L{BY_CHANNEL}, about each.

        @raise ValueError: If a name or a kind is not valid.
        """
        for pattern, kinds in tables:
            try:
                parseName(pattern)
            except BadChannel as error:
                raise ValueError(f"a channel to ask about is not valid: {error.detail}") from None
            if isinstance(kinds, str) or not set(kinds) <= set(BY_CHANNEL):
                raise ValueError(f"{kinds!r} is not allowed; a list of {', '.join(BY_CHANNEL)} is")
        self._tables = [(pattern, frozenset(kinds)) for pattern, kinds in tables]
        # Each message asks for it.
        self.asks = lru_cache(NAME_CACHE_SIZE)(self._asks)

    def asksAbout(self, kind: str) -> bool:
        """
        Tell whether to ask about any name.
        """
        return any(kind in kinds for _, kinds in self._tables)

    def _asks(self, kind: str, name: str) -> bool:
        """
        Tell whether to ask about a name.
        """
        if isPattern(name):
            return any(kind in kinds and overlaps(each, name) for each, kinds in self._tables)
        for pattern, kinds in self._tables:
            if matches(pattern, name):
                return kind in kinds
        return False
