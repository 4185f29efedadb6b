"""
The file of the secrets that sign what is sent to the backend: read it, or make one.
"""

from __future__ import annotations

import secrets
from typing import Final

from comet.access.keys import makeSecretFile
from comet.hooks.signing import readSecret, writeSecret

# Where the secret is that is made where none is named.
DEFAULT: Final = "comet.hook"

MAX_SECRETS: Final = 8
_MAX_BYTES: Final = 4096


def loadSecrets(path: str | None, default: str = DEFAULT) -> tuple[tuple[bytes, ...], str]:
    """
    Get the secrets.

    @param path: The file that holds them, or L{None} for the default file, which is
        made if it does not exist.

    @return: The secrets, and the path of their file.

    @raise OSError: If the file cannot be read or made.

    @raise ValueError: If the file does not hold secrets.
    """
    if path is not None:
        return readSecrets(path), path
    try:
        return (_makeSecret(default),), default
    except FileExistsError:
        return readSecrets(default), default


def readSecrets(path: str) -> tuple[bytes, ...]:
    """
    Read the secrets in a file, one a line.  While one is rotated, the file holds the old
    and the new one.

    @raise OSError: If the file cannot be read.

    @raise ValueError: If the file does not hold secrets.
    """
    with open(path, "rb") as file:
        content = file.read(_MAX_BYTES + 1)
    try:
        if len(content) > _MAX_BYTES:
            raise ValueError(f"it is longer than {_MAX_BYTES} bytes")
        lines = [line.strip() for line in content.decode("latin-1").splitlines()]
        given = [line for line in lines if line]
        if not 1 <= len(given) <= MAX_SECRETS:
            raise ValueError(f"it has {len(given)} secrets; 1 to {MAX_SECRETS} are allowed")
        return tuple(readSecret(line) for line in given)
    except ValueError as error:
        raise ValueError(
            f"the file {path!r} does not hold the secrets of the hook, each on a line of its own, "
            f"'whsec_' and base64: {error}"
        ) from None


def _makeSecret(path: str) -> bytes:
    """
    Make a secret of 256 random bits, in a file that only its owner may read.

    @raise FileExistsError: If the file exists; it is not changed.
    """
    secret = secrets.token_bytes(32)
    makeSecretFile(path, writeSecret(secret))
    return secret
