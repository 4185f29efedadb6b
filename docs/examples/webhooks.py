"""
Verifying what comet has sent.
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Any


def verify(headers: Any, body: bytes, secrets: Sequence[str]) -> bool:
    """
    Tell whether comet has sent a request, as Standard Webhooks says.
    """
    id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 300:
        return False
    content = f"{id}.{timestamp}.".encode() + body
    given = headers.get("webhook-signature", "").split(" ")
    for secret in secrets:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        made = "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        if any(hmac.compare_digest(made.encode(), each.encode()) for each in given):
            return True
    return False
