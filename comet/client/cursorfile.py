"""
A file that holds the place of a subscription, over restarts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from comet.client.standing import Since, decodeSince

# A place has one cursor for each name, whose 255 bytes may be written as escapes.
_MOST_BYTES: Final = 2**18


class CursorFile:
    """
    Reads and writes one place.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        if not self._path.name:
            raise ValueError(f"the cursor file {str(path)!r} is a directory")
        # In the same directory, since a file is replaced at once only within a file system.
        self._new = self._path.with_name(self._path.name + ".new")
        self._written: str | None = None

    def read(self, names: Sequence[str]) -> Since:
        """
        Return where to begin, or L{None} if there is no file.

        @raise ValueError: If it holds something else.

        @raise OSError: If it cannot be read.
        """
        try:
            with open(self._path, encoding="utf-8") as file:
                text = file.read(_MOST_BYTES + 1)
            if len(text) > _MOST_BYTES:
                raise ValueError("it is too long")
            return decodeSince(text, names)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ValueError(f"the cursor file {str(self._path)!r}: {error}") from None

    def write(self, place: str | None) -> None:
        """
        Write a place as a whole, or not at all.  A place that was just written is not written
        again.

        @raise OSError: If it cannot be written.
        """
        if place is None or place == self._written:
            return
        self._new.write_text(place + "\n", encoding="utf-8")
        os.replace(self._new, self._path)
        self._written = place
