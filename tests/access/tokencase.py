"""
What the test cases of tokens share.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from comet.http.credentials import Credential, CredentialSource

# The time of day in these tests.
NOW: Final = 1_700_000_000.0

SECRET: Final = b"0123456789abcdef0123456789abcdef"


@lru_cache(None)
def rsaKey(bits: int = 2048) -> rsa.RSAPrivateKey:
    """
    Make a key of RSA.
    """
    return rsa.generate_private_key(65537, bits)


@lru_cache(None)
def privateKey(algorithm: str) -> Any:
    """
    Make a key that signs with an algorithm.
    """
    if algorithm in ("RS256", "PS256"):
        return rsaKey()
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if algorithm == "ES384" else ec.SECP256R1())


def publicPEM(private: Any) -> bytes:
    """
    Return the public key of a key, in PEM.
    """
    made: bytes = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return made


def publicJWK(private: Any, algorithm: str, **more: object) -> dict[str, Any]:
    """
    Return the public key of a key, as a JSON Web Key.
    """
    kind = jwt.get_algorithm_by_name(algorithm)
    return {**json.loads(kind.to_jwk(private.public_key())), **more}


def sign(
    claims: object = None,
    key: Any = SECRET,
    algorithm: str = "HS256",
    header: dict[str, Any] | None = None,
) -> str:
    """
    Make a token, whatever its claims are.

    @param claims: What it says; if it is an object, beside an end in a minute.
    """
    if claims is None or isinstance(claims, dict):
        claims = {"exp": NOW + 60, **(claims or {})}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm, headers=header)


def credentialOf(token: str) -> Credential:
    """
    Return the credential that a token is.
    """
    return Credential(token, CredentialSource.AUTHORIZATION)
