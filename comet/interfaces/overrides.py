"""
Whether a method still speaks for others that a subclass may have overridden.

comet asks some questions early, such as whether a client may publish anywhere.
The early answer of a class follows from its other methods.  A subclass that
overrides one of those, and not the early answer, would have it given wrongly.
"""

from __future__ import annotations

from functools import lru_cache

# How many answers are remembered.
_REMEMBERED = 256


def speaksFor(kind: type, method: str, *others: str) -> bool:
    """
    Tell whether a method of a class was written with these others in view: none
    of them was overridden further down than the method itself.

    @param kind: The class, which has all of these methods.
    """
    return _speaks(kind.__mro__, method, others)


@lru_cache(_REMEMBERED)
def _speaks(order: tuple[type, ...], method: str, others: tuple[str, ...]) -> bool:
    place = _placeOf(order, method)
    return all(_placeOf(order, other) >= place for other in others)


def _placeOf(order: tuple[type, ...], name: str) -> int:
    return next(place for place, kind in enumerate(order) if name in vars(kind))
