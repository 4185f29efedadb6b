"""
The file of the publish key: read it, or make one.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import Final

MIN_KEY_LENGTH: Final = 16
MAX_KEY_LENGTH: Final = 1024

# What a key is made of: printable ASCII characters without spaces.
KEY: Final = re.compile(r"[!-~]+")


def loadPublishKey(path: str | None, default: str = "comet.key") -> tuple[str, str]:
    """
    Get the publish key.

    @param path: The file that holds the key, or L{None} for the default file,
        which is made if it does not exist.

    @return: The key, and the path of its file.

    @raise OSError: If the file cannot be read or made.

    @raise ValueError: If the file does not hold a key.
    """
    if path is not None:
        return readPublishKey(path), path
    try:
        return makePublishKey(default), default
    except FileExistsError:
        return readPublishKey(default), default


def readPublishKey(path: str) -> str:
    """
    Read the publish key from its file.  One line end after it is ignored.

    @raise OSError: If the file cannot be read.

    @raise ValueError: If the file does not hold a key.
    """
    with open(path, "rb") as file:
        # A line end may have two bytes; the last byte shows that the file is
        # too long.
        content = file.read(MAX_KEY_LENGTH + 3)
    key = content.removesuffix(b"\n").removesuffix(b"\r").decode("latin-1")
    if not MIN_KEY_LENGTH <= len(key) <= MAX_KEY_LENGTH:
        fault = f"it has {len(key)} characters" if len(key) < MIN_KEY_LENGTH else "it is longer"
    elif not KEY.fullmatch(key):
        fault = "it has other characters"
    else:
        return key
    raise ValueError(
        f"the file {path!r} holds no publish key, which is {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} "
        f"printable ASCII characters without spaces, on one line: {fault}"
    )


def makePublishKey(path: str) -> str:
    """
    Make a publish key of 256 random bits, in a file that only its owner may
    read.

    @raise FileExistsError: If the file exists; it is not changed.

    @raise OSError: If the file cannot be made.
    """
    key = secrets.token_urlsafe(32)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.encode("ascii") + b"\n")
    return key
