"""
The files of the publish key and the admin key: read them, or make one.
"""

from __future__ import annotations

import os
import re
import secrets
from typing import Final

# The file of the publish key if no other is named, in the working directory.
DEFAULT_FILE: Final = "comet.key"

MIN_KEY_LENGTH: Final = 16
MAX_KEY_LENGTH: Final = 1024

# How many keys a file may hold.
MAX_KEYS: Final = 16

# What a key is made of: printable ASCII characters without spaces.
KEY: Final = re.compile(r"[!-~]+")


def loadPublishKeys(path: str | None, default: str = DEFAULT_FILE) -> tuple[tuple[str, ...], str]:
    """
    Get the publish keys.

    @param path: The file that holds them, or L{None} for the default file, which is
        made if it does not exist.

    @return: The keys, and the path of their file.

    @raise OSError: If the file cannot be read or made.

    @raise ValueError: If the file does not hold keys.
    """
    if path is not None:
        return readKeys(path), path
    try:
        return (makePublishKey(default),), default
    except FileExistsError:
        return readKeys(default), default


def readKeys(path: str, what: str = "publish key") -> tuple[str, ...]:
    """
    Read keys from their file, one a line: while a key is replaced, the old one and
    the new one.

    @param what: The kind of key, for the text of an error.

    @raise OSError: If the file cannot be read.

    @raise ValueError: If the file does not hold keys.
    """
    with open(path, "rb") as file:
        # A line end may have two bytes; the last byte shows that the file is
        # too long.
        content = file.read(MAX_KEYS * (MAX_KEY_LENGTH + 2) + 1)
    text = content.decode("latin-1")
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
    if len(content) > MAX_KEYS * (MAX_KEY_LENGTH + 2) or len(lines) > MAX_KEYS:
        fault = f"it has more than {MAX_KEYS} lines"
    else:
        faults = (_faultOf(number, line) for number, line in enumerate(lines, 1))
        fault = next(filter(None, faults), "")
    if not fault:
        return tuple(lines)
    raise ValueError(
        f"the {what}: the file {path!r} is not allowed: {fault}; each line is a key, which is "
        f"{MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} printable ASCII characters without spaces"
    )


def _faultOf(number: int, line: str) -> str:
    if not line and number == 1:
        return "it is empty, or begins with an empty line"
    if len(line) < MIN_KEY_LENGTH:
        return f"line {number} has {len(line)} characters"
    if len(line) > MAX_KEY_LENGTH:
        return f"line {number} is longer"
    return "" if KEY.fullmatch(line) else f"line {number} has other characters"


def makePublishKey(path: str) -> str:
    """
    Make a publish key of 256 random bits, in a file that only its owner may
    read.

    @raise FileExistsError: If the file exists; it is not changed.

    @raise OSError: If the file cannot be made.
    """
    key = secrets.token_urlsafe(32)
    makeSecretFile(path, key)
    return key


def makeSecretFile(path: str, text: str) -> None:
    """
    Make a file of one line that only its owner may read.

    @raise FileExistsError: If the file exists; it is not changed.

    @raise OSError: If the file cannot be made.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{text}\n")
