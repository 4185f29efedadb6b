"""
Signed requests, as the specification Standard Webhooks 1 describes them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

# How a secret begins in its file.
PREFIX: Final = "whsec_"

# Standard Webhooks: "between 24 bytes and 64 bytes".
LEAST_BYTES: Final = 24
MOST_BYTES: Final = 64


def readSecret(text: str) -> bytes:
    """
    Read a secret: C{whsec_} and base64.

    @raise ValueError: If it has another form.  The text does not tell the secret.
    """
    if not text.startswith(PREFIX):
        raise ValueError(f"a secret begins with {PREFIX!r}")
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ValueError(f"what follows {PREFIX!r} in a secret is base64") from None
    if not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise ValueError(
            f"a secret has {len(secret)} bytes; {LEAST_BYTES} to {MOST_BYTES} are allowed"
        )
    return secret


def writeSecret(secret: bytes) -> str:
    """
    Write a secret as L{readSecret} reads it.
    """
    return PREFIX + base64.b64encode(secret).decode("ascii")


def sign(secrets: Sequence[bytes], id: str, timestamp: int, body: bytes) -> str:
    """
    Make the value of C{webhook-signature}: a signature by each secret, so that the
    receiver needs to know one of them.

    @param id: What C{webhook-id} says; it has no full stop.

    @param timestamp: What C{webhook-timestamp} says, in seconds since 1970.
    """
    content = b"%b.%d.%b" % (id.encode("ascii"), timestamp, body)
    made = (hmac.new(secret, content, hashlib.sha256).digest() for secret in secrets)
    return " ".join("v1," + base64.b64encode(each).decode("ascii") for each in made)
