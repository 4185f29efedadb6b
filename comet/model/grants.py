"""
What a token or a backend lets a client do, as patterns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import field, frozen

from comet.model.channels import isReserved
from comet.model.patterns import covers


def _several(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(patterns)


@frozen
class Rights:
    """
    What one client may do beyond what is open to every client.  No right reaches a
    channel with a segment that begins with C{$}.

    @ivar subscribe: The channels and patterns that it may read.

    @ivar publish: The channels and patterns to which it may publish.

    @ivar presence: The channels and patterns of which it may know who is there.
    """

    subscribe: tuple[str, ...] = field(default=(), converter=_several)
    publish: tuple[str, ...] = field(default=(), converter=_several)
    presence: tuple[str, ...] = field(default=(), converter=_several)


NO_RIGHTS: Final = Rights()


def permits(patterns: Sequence[str], name: str) -> bool:
    """
    Tell whether one of some permitted patterns covers all of a channel or pattern.
    Several that do so together are not enough.
    """
    return not isReserved(name) and any(covers(pattern, name) for pattern in patterns)
