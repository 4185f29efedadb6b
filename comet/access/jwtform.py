"""
The form of a JSON Web Token (RFC 7519), by which it is told from other credentials.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import urlsafe_b64decode
from typing import Final

# RFC 7515 3.1: three parts of base64url; an unsigned one has nothing in the last.
_JWT: Final = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

# How many characters a token may have.
MAX_TOKEN: Final = 16384


def isJWTForm(text: str) -> bool:
    """
    Tell whether a credential has the form of a JWT: three parts of base64url, of
    which the first is a JSON object with C{alg}.
    """
    found = _JWT.fullmatch(text)
    # RFC 7515 2: without padding.
    if found is None or len(found[1]) % 4 == 1:
        return False
    if len(text) > MAX_TOKEN:
        # The verifier refuses a token of this length before it reads its header.
        return True
    try:
        header = json.loads(urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header
