"""
The keys that verify tokens: read from a file, or from a JSON Web Key Set (RFC 7517).

Which algorithm may have signed a token follows from the key, never from the token
(RFC 8725 3.1): the public key of an issuer is no secret with which anyone may sign.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import field, frozen

# The least length of a secret, in bytes (RFC 7518 3.2), and of an RSA key, in bits.
MIN_SECRET: Final = 32
MIN_RSA: Final = 2048

# How many bytes the file of a key may have, and how many keys a set.
MAX_KEY_FILE: Final = 262144
MAX_SET: Final = 100

_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384"}


@frozen
class TokenKey:
    """
    A key that verifies tokens.

    @ivar value: A secret, as bytes, or a public key of cryptography's.

    @ivar algorithms: Those with which a token of this key may be signed.

    @ivar ident: What C{kid} of its tokens is; L{None} if it has no such name.
    """

    value: Any = field(repr=False)
    algorithms: tuple[str, ...]
    ident: str | None = None


def readTokenKeys(content: bytes) -> list[TokenKey]:
    """
    Read the content of a key file: a public key as PEM, a JSON Web Key Set, or else
    a secret.

    @raise ValueError: If it is none that may be used; the text says why.
    """
    if len(content) > MAX_KEY_FILE:
        raise ValueError(f"it has more than {MAX_KEY_FILE} bytes")
    # Some systems write text files in UTF-16, or with a mark in front.  What is
    # public must not count as a secret for that.
    text = content.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf")
    isUTF16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if isUTF16 or (content != text and b"-----BEGIN" in text):
        raise ValueError("it is text in another encoding than UTF-8 without a mark in front")
    if b"-----BEGIN" in content:
        return [_readPEM(content)]
    if text.lstrip()[:1] in (b"{", b"["):
        return readKeySet(content)
    if content.startswith((b"ssh-", b"ecdsa-sha2-")) or _isDER(content):
        raise ValueError("it is a key or certificate in another form than PEM, which is needed")
    secret = content.removesuffix(b"\n").removesuffix(b"\r")
    if len(secret) < MIN_SECRET:
        raise ValueError(f"a secret has at least {MIN_SECRET} bytes, and it has {len(secret)}")
    return [TokenKey(secret, ("HS256",))]


def readKeySet(content: bytes, isPublic: bool = False) -> list[TokenKey]:
    """
    Read a JSON Web Key Set, or a single key.  Keys for another use or of a kind that
    is not known are left out (RFC 7517 5).

    @param isPublic: Whether the set is served to all: then secrets in it are none.

    @raise ValueError: If there is no key that may be used.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it begins as JSON does, and is none") from None
    keys = value.get("keys", [value]) if isinstance(value, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        raise ValueError("it is no JSON Web Key Set")
    if len(keys) > MAX_SET:
        raise ValueError(f"it has more than {MAX_SET} keys")
    found = [key for each in keys if (key := _readJWK(each, isPublic)) is not None]
    if not found:
        raise ValueError("it is a JSON Web Key Set without a key that may verify tokens")
    return found


def _readJWK(value: Mapping[str, Any], isPublic: bool) -> TokenKey | None:
    """
    Read a JSON Web Key.

    @return: L{None} if it is for another use, or of a kind that is not known.

    @raise ValueError: If it is one that should not be there.
    """
    from jwt import PyJWK
    from jwt.exceptions import PyJWTError

    operations = value.get("key_ops")
    isForUse = value.get("use", "sig") == "sig" and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )
    kind = value.get("kty")
    if not isForUse or (kind == "oct" and isPublic) or kind not in ("oct", "RSA", "EC", "OKP"):
        return None
    if kind != "oct" and "d" in value:
        if isPublic:
            # All who read it may sign with it.
            return None
        raise ValueError("it has a private key: comet needs the public one only")
    ident = value.get("kid")
    if ident is not None and not isinstance(ident, str):
        return None
    try:
        key: Any = PyJWK({**value, "alg": _nominal(value)}).key
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    try:
        made = _keyFor(key, ident)
    except ValueError:
        if isPublic:
            return None
        raise
    alg = value.get("alg")
    if alg is None:
        return made
    return TokenKey(key, (alg,), ident) if alg in made.algorithms else None


def _nominal(value: Mapping[str, Any]) -> str:
    """
    Return an algorithm by which PyJWT knows how to read a key.
    """
    kind, curve = value.get("kty"), value.get("crv")
    if kind == "oct":
        return "HS256"
    if kind == "RSA":
        return "RS256"
    if kind == "OKP":
        return "EdDSA"
    return "ES384" if curve == "P-384" else "ES256"


def _readPEM(content: bytes) -> TokenKey:
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    if b"PRIVATE KEY-----" in content:
        raise ValueError("it is a private key: comet needs the public one only")
    try:
        key = load_pem_public_key(content)
    except Exception:
        # Each kind of fault raises its own exceptions.
        raise ValueError("it is no public key in PEM (-----BEGIN PUBLIC KEY-----)") from None
    return _keyFor(key, None)


def _isDER(content: bytes) -> bool:
    """
    Tell whether all of a file is one sequence of ASN.1, as keys and certificates are.
    """
    if len(content) < 2 or content[0] != 0x30:
        return False
    # X.690 8.1.3: the length, or how many bytes it has.
    size, start = content[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(content[2:start], "big")
    return start + size == len(content)


def _keyFor(key: Any, ident: str | None) -> TokenKey:
    """
    Tell which algorithms a key verifies.

    @raise ValueError: If it verifies none, or is too weak.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    algorithms: Sequence[str] = ()
    if isinstance(key, bytes):
        if len(key) < MIN_SECRET:
            raise ValueError(f"a secret has at least {MIN_SECRET} bytes, and it has {len(key)}")
        algorithms = ("HS256",)
    elif isinstance(key, RSAPublicKey):
        if key.key_size < MIN_RSA:
            raise ValueError(f"an RSA key has at least {MIN_RSA} bits, and it has {key.key_size}")
        algorithms = ("RS256", "PS256")
    elif isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CURVES:
        algorithms = (_CURVES[key.curve.name],)
    elif isinstance(key, (Ed25519PublicKey, Ed448PublicKey)):
        algorithms = ("EdDSA",)
    if not algorithms:
        raise ValueError(
            "it is a key of another kind than RSA, EC of P-256 or P-384, and Ed25519 are"
        )
    return TokenKey(key, tuple(algorithms), ident)
