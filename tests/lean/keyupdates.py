"""
A client of TLS 1.3 that takes other keys again and again, as no library does.
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# A message that says so, and the kind of a record with messages of handshakes.
_MESSAGE = b"\x18\x00\x00\x01\x00"
_KIND = b"\x16"


def expand(secret: bytes, label: bytes, size: int) -> bytes:
    """
    Derive a secret of another one: HKDF-Expand-Label of RFC 8446, up to 48 bytes.
    """
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + b"\x00\x01"
    return hmac.new(secret, info, hashlib.sha384).digest()[:size]


def keyUpdates(keyLog: Path, count: int, sent: int = 0) -> bytes:
    """
    Make records of a client that has negotiated C{TLS_AES_256_GCM_SHA384}.

    @param keyLog: The file in which its secrets are.

    @param count: How many records.

    @param sent: How many it has sent under its present keys.
    """
    lines = [line.split() for line in keyLog.read_text("ascii").splitlines()]
    secret = bytes.fromhex(
        next(line[2] for line in reversed(lines) if line[0] == "CLIENT_TRAFFIC_SECRET_0")
    )
    records = []
    for _ in range(count):
        key, start = expand(secret, b"key", 32), expand(secret, b"iv", 12)
        nonce = (int.from_bytes(start, "big") ^ sent).to_bytes(12, "big")
        head = b"\x17\x03\x03" + (len(_MESSAGE) + 1 + 16).to_bytes(2, "big")
        records.append(head + AESGCM(key).encrypt(nonce, _MESSAGE + _KIND, head))
        secret, sent = expand(secret, b"traffic upd", 48), 0
    return b"".join(records)
