"""
Tests of L{comet.access.tokenkeys}.
"""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.utils import base64url_encode
from twisted.trial.unittest import SynchronousTestCase

from comet.access.tokenkeys import MAX_KEY_FILE, MAX_SET, readKeySet, readTokenKeys
from tests.access.tokencase import SECRET, privateKey, publicJWK, publicPEM, rsaKey


def algorithms(content: bytes) -> list[tuple[str, ...]]:
    """
    Return the algorithms of each key in a file.
    """
    return [key.algorithms for key in readTokenKeys(content)]


def keySet(*keys: object) -> bytes:
    """
    Make a key set.
    """
    return json.dumps({"keys": keys}).encode()


class FileTests(SynchronousTestCase):
    """
    L{readTokenKeys}.
    """

    def assertRefused(self, content: bytes, reason: str) -> None:
        """
        Assert that a file is refused.
        """
        self.assertIn(reason, str(self.assertRaises(ValueError, readTokenKeys, content)))

    def test_secret(self) -> None:
        """
        A secret is the bytes of its file, but for one line end.
        """
        for end in (b"", b"\n", b"\r\n"):
            (key,) = readTokenKeys(SECRET + end)
            self.assertEqual((key.value, key.algorithms, key.ident), (SECRET, ("HS256",), None))
        self.assertEqual(readTokenKeys(SECRET + b"\n\n")[0].value, SECRET + b"\n")
        self.assertNotIn("0123", repr(readTokenKeys(SECRET)))
        self.assertRefused(SECRET[1:] + b"\n", "at least 32 bytes, and it has 31")
        self.assertRefused(b"", "it has 0")
        self.assertRefused(b"x" * (MAX_KEY_FILE + 1), "more than")

    def test_publicKeys(self) -> None:
        """
        The algorithm follows from the kind of key.
        """
        for name, known in (
            ("RS256", ("RS256", "PS256")),
            *((each, (each,)) for each in ("ES256", "ES384", "EdDSA")),
        ):
            self.assertEqual(algorithms(publicPEM(privateKey(name))), [known])
            self.assertEqual(algorithms(keySet(publicJWK(privateKey(name), name))), [known])

    def test_refusesPrivateKeys(self) -> None:
        """
        A private key is refused: the server has no use for it.
        """
        private = privateKey("ES256")
        for kind in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            pem = private.private_bytes(Encoding.PEM, kind, NoEncryption())
            self.assertRefused(pem, "private key")
        der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self.assertRefused(der, "another form than PEM")
        jwk = {**publicJWK(private, "ES256"), "d": "x"}
        self.assertRefused(keySet(jwk), "private key")

    def test_refusesWeakKeys(self) -> None:
        """
        A short key of RSA is refused, as is a curve that no algorithm has.
        """
        self.assertRefused(publicPEM(rsaKey(1024)), "at least 2048 bits, and it has 1024")
        self.assertRefused(publicPEM(ec.generate_private_key(ec.SECP256K1())), "another kind")
        short = {"kty": "oct", "k": base64url_encode(b"x" * 31).decode()}
        self.assertRefused(keySet(short), "at least 32 bytes")

    def test_whatIsPublicIsNoSecret(self) -> None:
        """
        A public key or a certificate whose form is not known is never taken for a
        secret, with which everybody could sign.
        """
        public = privateKey("RS256").public_key()
        pem = publicPEM(privateKey("RS256"))
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        for content in (der, ssh, pem.decode().encode("utf-16"), b"\xef\xbb\xbf" + pem, pem[:90]):
            self.assertRaises(ValueError, readTokenKeys, content)
        self.assertRaises(ValueError, readTokenKeys, pem.decode().encode("utf-16-le"))
        whole = keySet(publicJWK(privateKey("ES256"), "ES256"))
        self.assertRaises(ValueError, readTokenKeys, whole[:-9])
        self.assertRefused(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PEM")


class KeySetTests(SynchronousTestCase):
    """
    L{readKeySet}.
    """

    def test_names(self) -> None:
        """
        Keys have the names that the set gives; what is for another use is left out.
        """
        jwk = publicJWK(privateKey("RS256"), "RS256")
        found = readKeySet(
            keySet(
                {**jwk, "kid": "a"},
                {**jwk, "kid": "b", "alg": "PS256"},
                {**jwk, "kid": "c", "use": "enc"},
                {**jwk, "kid": "d", "key_ops": ["encrypt"]},
                {**jwk, "kid": "e", "alg": "RSA-OAEP"},
                {**jwk, "kid": "f", "n": 5},
                {"kty": "unknown", "kid": "g"},
                {"kid": 5},
            )
        )
        self.assertEqual(
            [(key.ident, key.algorithms) for key in found],
            [("a", ("RS256", "PS256")), ("b", ("PS256",))],
        )

    def test_public(self) -> None:
        """
        A secret or a private key that everybody may read is no key; others of the set
        count.
        """
        jwk = publicJWK(privateKey("ES256"), "ES256")
        secret = {"kty": "oct", "k": base64url_encode(SECRET).decode()}
        content = keySet(secret, {**jwk, "d": "x"}, {**jwk, "kid": "good"})
        self.assertEqual([key.ident for key in readKeySet(content, True)], ["good"])
        self.assertRaises(ValueError, readKeySet, keySet(secret), True)

    def test_refused(self) -> None:
        """
        What is no key set, or has no key that may be used, is refused.
        """
        values: list[Any] = [[], {}, {"keys": []}, {"keys": 5}, {"keys": [5]}, 5, None]
        values.append({"keys": [{}] * (MAX_SET + 1)})
        for value in values:
            self.assertRaises(ValueError, readKeySet, json.dumps(value).encode())
        for content in (b"{", b"{" * 100000, b"[" * 100000, b"\xff{"):
            self.assertRaises(ValueError, readKeySet, content)
