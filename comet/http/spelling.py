"""
The known word that an unknown one is probably meant for.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

# The share of equal letters, of both words, from which they are alike: enough for
# a letter too many, too few, wrong or out of its place.
_LIKENESS: Final = 0.75

# No option or parameter is longer: longer words are not compared, which takes time
# by the square of their lengths.
_LONGEST: Final = 32


def closest(word: str, known: Iterable[str]) -> str | None:
    """
    Find the known word that is most like an unknown one.  C{_} counts as C{-},
    and capitals as small letters.

    @return: The known word, or L{None} if none is much like it.
    """
    if len(word) > _LONGEST:
        return None
    words = {_plain(each): each for each in known}
    found = get_close_matches(_plain(word), words, 1, _LIKENESS)
    return words[found[0]] if found else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")
