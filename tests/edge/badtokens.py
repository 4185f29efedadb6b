"""
Tokens that a server must not take, beside those that it must: what its keys are, and
what is wrong with each token.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jwt
from attrs import evolve, field, frozen
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SECRET: Final = "a secret that these tests share with nobody"

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "comet.example"

# Those of a good token.  No pattern gives a name of the server's own, even if it spells
# it.
GRANTED: Final = {
    "subscribe": ["rooms/*", "$stats", "$events", "$presence/**", "$control"],
    "publish": ["rooms/*", "$stats"],
}


@frozen
class Keys:
    """
    The keys of a server: a secret, and a public key of RSA.

    @ivar private: The private key, which signs.

    @ivar public: The public key, in PEM, as everybody has it.

    @ivar options: The options of the server.
    """

    private: rsa.RSAPrivateKey
    public: bytes
    options: tuple[str, ...]


def _makeKeys() -> Keys:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    directory = Path(tempfile.mkdtemp(prefix="comet-badtokens-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    (directory / "secret").write_text(SECRET)
    (directory / "public.pem").write_bytes(public)
    files = [str(directory / name) for name in ("secret", "public.pem")]
    return Keys(
        private,
        public,
        (
            *("--token-key", files[0], "--token-key", files[1]),
            *("--token-issuer", ISSUER, "--token-audience", AUDIENCE),
        ),
    )


KEYS: Final = _makeKeys()


@frozen
class Made:
    """
    How a token is made.

    @ivar claims: What it says beside what a good one does; a claim that is L{None} is
        left out.

    @ivar headers: What its header has beside.
    """

    claims: dict[str, Any] = field(factory=dict)
    headers: dict[str, Any] = field(factory=dict)
    algorithm: str = "HS256"
    key: Any = SECRET

    def said(self) -> dict[str, Any]:
        """
        Return all claims.
        """
        good = {"sub": "ada", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600}
        claims = {**good, "comet": GRANTED, **self.claims}
        return {name: value for name, value in claims.items() if value is not None}

    def text(self) -> str:
        """
        Write the token.
        """
        return jwt.encode(self.said(), self.key, self.algorithm, headers=self.headers)


def _piece(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def _signed(algorithm: str, secret: bytes | None) -> str:
    """
    Write a token that no library would: by hand.

    @param secret: That of HMAC; L{None} for no signature at all.
    """
    header = json.dumps({"alg": algorithm, "typ": "JWT"}).encode()
    signed = f"{_piece(header)}.{_piece(json.dumps(Made().said()).encode())}"
    if secret is None:
        return f"{signed}."
    return f"{signed}.{_piece(hmac.digest(secret, signed.encode(), hashlib.sha256))}"


def goodTokens() -> dict[str, str]:
    """
    Make tokens that permit C{rooms/*}, one of each key.
    """
    return {
        "a secret": Made().text(),
        "a public key": Made(algorithm="RS256", key=KEYS.private).text(),
    }


def badTokens() -> Iterator[tuple[str, str]]:
    """
    Yield what is wrong with a token, and the token.
    """
    now, good = time.time(), Made()
    for fault, made in (
        ("expired", evolve(good, claims={"exp": now - 6})),
        ("without an end", evolve(good, claims={"exp": None})),
        ("not yet valid", evolve(good, claims={"nbf": now + 60})),
        ("issued in the future", evolve(good, claims={"iat": now + 60})),
        ("of another issuer", evolve(good, claims={"iss": "https://other.example"})),
        ("of no issuer", evolve(good, claims={"iss": None})),
        ("for another audience", evolve(good, claims={"aud": ["others.example"]})),
        ("for no audience", evolve(good, claims={"aud": None})),
        ("for another purpose", evolve(good, headers={"typ": "dpop+jwt"})),
        ("with what is not known", evolve(good, headers={"crit": ["exp"]})),
        ("forged", evolve(good, key="another secret that is as long as it has to be")),
        ("with rights that are none", evolve(good, claims={"comet": ["rooms/*"]})),
    ):
        yield fault, made.text()
    yield "not signed", _signed("none", None)
    yield "not signed, in other letters", _signed("nOnE", None)
    # RFC 8725 2.1: what verifies is taken for a secret, which it is not.
    yield "signed with the public key", _signed("HS256", KEYS.public)
    yield "signed with the public key, stripped", _signed("HS256", KEYS.public.strip())
    yield "signed with nothing", _signed("HS256", b"")
    head, claims, signature = good.text().split(".")
    other = evolve(good, claims={"sub": "eve"}).text().split(".")[1]
    yield "with the claims of another", f"{head}.{other}.{signature}"
    yield "cut off", f"{head}.{claims}."
