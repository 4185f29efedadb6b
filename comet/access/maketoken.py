"""
Making a token, with the secret or the private key that the server verifies tokens of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from comet.access.claims import MAX_DEPTH, ClaimRules, readClaims
from comet.access.jwtform import MAX_TOKEN
from comet.access.tokenkeys import MAX_KEY_FILE, MIN_SECRET
from comet.errors import BadMessage
from comet.framing.strictjson import encode


@frozen
class TokenRequest:
    """
    What a token is to say.

    @ivar seconds: How long it counts.

    @ivar granted: Its claim C{comet}: C{subscribe}, C{publish} and C{presence}, each a list
        of patterns, and C{info}.

    @ivar subject: The name of the client, or L{None} for rights without a name.

    @ivar issuer: The claim C{iss}, if there is to be one.

    @ivar audience: The claim C{aud}, if there is to be one.

    @ivar identifier: What revokes this token alone, C{jti}, if there is to be one.

    @ivar keyID: The name of the key in a key set, C{kid}, if it has one.
    """

    seconds: int
    granted: Mapping[str, Any] = field(factory=dict)
    subject: str | None = None
    issuer: str | None = None
    audience: str | None = None
    identifier: str | None = None
    keyID: str | None = None


def makeToken(content: bytes, asked: TokenRequest, now: float) -> str:
    """
    Make a token.

    @param content: The content of the file of a secret, or of a private key in PEM.

    @param now: The time in seconds since 1970.

    @raise ValueError: If the key, or what the token is to say, is not allowed.

    @raise BadCredential: If a server would not take the token.
    """
    from jwt import PyJWS

    key, algorithm = _signingKey(content)
    claims = _claims(asked, now)
    # A mistake is told here, rather than by a server.
    rules = ClaimRules(asked.issuer, asked.audience, lifetime=asked.seconds)
    readClaims(claims, rules, claims["iat"])
    try:
        payload = encode(claims, MAX_DEPTH)
    except BadMessage as error:
        raise ValueError(f"what the token says is no JSON for a server: {error.detail}") from None
    header = {"typ": "JWT"} if asked.keyID is None else {"typ": "JWT", "kid": asked.keyID}
    token = PyJWS().encode(payload, key, algorithm, header)
    if len(token) > MAX_TOKEN:
        raise ValueError(f"the token has {len(token)} characters; {MAX_TOKEN} are allowed")
    return token


def _claims(asked: TokenRequest, now: float) -> dict[str, Any]:
    texts = {
        "sub": asked.subject,
        "jti": asked.identifier,
        "iss": asked.issuer,
        "aud": asked.audience,
    }
    return {
        **{name: text for name, text in texts.items() if text is not None},
        "iat": int(now),
        "exp": int(now + asked.seconds),
        "comet": dict(asked.granted),
    }


def _signingKey(content: bytes) -> tuple[Any, str]:
    """
    Read a secret, or a private key in PEM, and choose its algorithm.
    """
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if len(content) > MAX_KEY_FILE:
        raise ValueError(f"the file of the key has more than {MAX_KEY_FILE} bytes")
    if b"-----BEGIN" not in content:
        secret = content.removesuffix(b"\n").removesuffix(b"\r")
        if len(secret) < MIN_SECRET:
            raise ValueError(
                f"a secret has at least {MIN_SECRET} bytes, and that of the key has {len(secret)}"
            )
        return secret, "HS256"
    try:
        key = load_pem_private_key(content, None)
    except (ValueError, TypeError):
        raise ValueError("the key is no private key in PEM without a password") from None
    if isinstance(key, RSAPrivateKey):
        return key, "RS256"
    if isinstance(key, Ed25519PrivateKey):
        return key, "EdDSA"
    if isinstance(key, EllipticCurvePrivateKey):
        return key, "ES256" if isinstance(key.curve, SECP256R1) else "ES384"
    raise ValueError("the key is of another kind than RSA, EC and Ed25519 are")
