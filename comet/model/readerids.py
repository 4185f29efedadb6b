"""
The ids that clients give their readers, so that these are spared what the client itself
publishes.
"""

from __future__ import annotations

import re
from typing import Any, Final

from comet.errors import BadRequest

_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}", re.ASCII)


def isReaderID(value: Any) -> bool:
    """
    Tell whether a value is the id of readers.
    """
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def checkReaderID(value: Any) -> str:
    """
    Check the id of readers.

    @raise BadRequest: If it is none.
    """
    if not isReaderID(value):
        shown = repr(value[:64]) if isinstance(value, str) else f"a {type(value).__name__}"
        raise BadRequest(
            f"{shown} is not the id of a reader; 8 to 64 letters, digits, hyphens and underscores "
            "are"
        )
    checked: str = value
    return checked
