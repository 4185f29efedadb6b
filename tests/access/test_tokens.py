"""
Tests of L{comet.access.tokens}.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_encode
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from comet.access.accesssettings import AccessSettings, ITokenVerifier
from comet.access.claims import ClaimRules
from comet.access.rights import Access
from comet.access.tokenkeys import TokenKey, readKeySet, readTokenKeys
from comet.access.tokens import MAX_TRIED, TokenVerifier
from comet.errors import BadCredential, Forbidden, Unauthorized
from comet.http.credentials import Credential, CredentialSource
from comet.model.clients import ADMIN, ANONYMOUS, Client
from tests.access.case import bearer, showing
from tests.access.tokencase import (
    NOW,
    SECRET,
    credentialOf,
    privateKey,
    publicJWK,
    publicPEM,
    sign,
)

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")


def known(verifier: TokenVerifier, token: str) -> Client | None:
    """
    Return the client of a token.
    """
    return verifier.clientOf(credentialOf(token))


class VerifierCase(SynchronousTestCase):
    """
    A check of verifiers.
    """

    def setUp(self) -> None:
        """
        Set the clock.
        """
        self.clock = Clock()
        self.clock.advance(NOW)

    def verifier(self, *contents: bytes, isEndless: bool = False) -> TokenVerifier:
        """
        Make a verifier with the keys of some files.
        """
        keys: list[TokenKey] = [key for each in contents for key in readTokenKeys(each)]
        return TokenVerifier(keys, ClaimRules(isEndless=isEndless), self.clock.seconds)

    def assertRefused(self, verifier: TokenVerifier, token: str) -> None:
        """
        Assert that a token is bad.
        """
        error = self.assertRaises(BadCredential, known, verifier, token)
        self.assertEqual(error.challenge, 'Bearer error="invalid_token"')
        self.assertNotIn(token, str(error.detail))


class VerifierTests(VerifierCase):
    """
    L{TokenVerifier}.
    """

    def test_provides(self) -> None:
        """
        It provides the interface.
        """
        self.assertTrue(verifyObject(ITokenVerifier, self.verifier(SECRET)))

    def test_eachAlgorithm(self) -> None:
        """
        Each algorithm verifies what it has signed, and nothing else does.
        """
        pems = {name: publicPEM(privateKey(name)) for name in ALGORITHMS}
        for name in ALGORITHMS:
            token = sign({"sub": "ada"}, privateKey(name), name)
            client = known(self.verifier(pems[name]), token)
            self.assertEqual(client and client.name, "ada")
            others = [pem for each, pem in pems.items() if pem != pems[name]]
            self.assertRefused(self.verifier(SECRET, *others), token)
            self.assertIsNotNone(known(self.verifier(SECRET, *others, pems[name]), token))

    def test_algorithmOfTheKey(self) -> None:
        """
        RFC 8725 2.1: the algorithm that a token names does not make another thing of a
        key.
        """
        pem = publicPEM(privateKey("RS256"))
        verifier = self.verifier(pem)
        # PyJWT refuses to sign with a public key, so this is done by hand.
        for secret in (pem, pem.strip(), pem + b"\n"):
            head = base64url_encode(b'{"alg":"HS256","typ":"JWT"}')
            body = head + b"." + base64url_encode(json.dumps({"exp": NOW + 60}).encode())
            mac = base64url_encode(hmac.digest(secret, body, "sha256"))
            self.assertRefused(verifier, (body + b"." + mac).decode())
        long = SECRET * 2
        for algorithm in ("HS384", "HS512"):
            self.assertRefused(self.verifier(long), sign({}, long, algorithm))
        self.assertRefused(verifier, sign({}, privateKey("RS256"), "RS512"))

    def test_unsigned(self) -> None:
        """
        A token without a signature, or with another, is refused, in whatever case its
        algorithm is written.
        """
        verifier = self.verifier(SECRET, publicPEM(privateKey("RS256")))
        head, claims, mac = sign({"sub": "ada"}).split(".")
        for name in ("none", "None", "NONE", "", None, 5, ["HS256"], {"a": 1}):
            other = base64url_encode(json.dumps({"alg": name}).encode()).decode()
            for end in ("", mac):
                self.assertRefused(verifier, f"{other}.{claims}.{end}")
        forged = base64url_encode(json.dumps({"sub": "bob", "exp": NOW + 60}).encode()).decode()
        for token in (
            *(f"{head}.{claims}.", f"{head}.{forged}.{mac}", f"{head}.{claims}.{mac[:-4]}"),
            *(f"{head}.{claims}", f"{head}.{claims}.{mac}.{mac}", "..", "a.b.c"),
        ):
            self.assertRefused(verifier, token)
        self.assertRefused(verifier, sign({}, b"another secret of 32 bytes, or so"))

    def test_keysOfTheToken(self) -> None:
        """
        RFC 8725 3.10: a key that the token itself brings or names by a URL is ignored.
        """
        mine = privateKey("ES256")
        header = {"jwk": publicJWK(mine, "ES256"), "jku": "https://evil.example", "x5u": "x"}
        self.assertRefused(self.verifier(SECRET), sign({}, mine, "ES256", header))
        self.assertIsNotNone(known(self.verifier(SECRET), sign({}, header=header)))

    def test_kid(self) -> None:
        """
        A token that names its key is tried with that one, and with those without a
        name.
        """
        first, second = privateKey("RS256"), privateKey("ES256")
        keys = readKeySet(
            json.dumps(
                {
                    "keys": [
                        publicJWK(first, "RS256", kid="a"),
                        publicJWK(second, "ES256", kid="b"),
                    ]
                }
            ).encode()
        )
        verifier = TokenVerifier([*keys, *readTokenKeys(SECRET)], ClaimRules(), lambda: NOW)
        for key, name, ident in ((first, "RS256", "a"), (second, "ES256", "b")):
            self.assertIsNotNone(known(verifier, sign({}, key, name, {"kid": ident})))
            self.assertIsNotNone(known(verifier, sign({}, key, name)))
        self.assertIsNotNone(known(verifier, sign({}, header={"kid": "other"})))
        for ident in ("b", "c", ""):
            self.assertRefused(verifier, sign({}, first, "RS256", {"kid": ident}))

    def test_triedKeys(self) -> None:
        """
        A token that names no key is tried with so many; one that names its key finds it
        behind any number.
        """
        secrets = [b"%032d" % number for number in range(MAX_TRIED + 1)]
        verifier = self.verifier(*secrets)
        self.assertIsNotNone(known(verifier, sign({"jti": "a"}, secrets[MAX_TRIED - 1])))
        self.assertRefused(verifier, sign({"jti": "b"}, secrets[MAX_TRIED]))
        keys = [publicJWK(privateKey("ES256"), "ES256", kid=str(n)) for n in range(MAX_TRIED)]
        last = ec.generate_private_key(ec.SECP256R1())
        keys.append(publicJWK(last, "ES256", kid="last"))
        verifier = self.verifier(json.dumps({"keys": keys}).encode())
        self.assertIsNotNone(known(verifier, sign({}, last, "ES256", {"kid": "last"})))
        self.assertRefused(verifier, sign({"jti": "c"}, last, "ES256"))

    def test_strictClaims(self) -> None:
        """
        Claims that are no strict JSON are refused, though they are signed.
        """
        for claims in (
            b'{"exp":1e999}',
            b'{"exp":9999999999,"comet":{"info":NaN}}',
            b'{"comet":{"info":"\\ud800"}}',
            b"[" * 2000,
            b"\xff",
            b"",
        ):
            token = jwt.PyJWS().encode(claims, SECRET, "HS256")
            self.assertRefused(self.verifier(SECRET, isEndless=True), token)

    def test_verifiesOnce(self) -> None:
        """
        A token is verified once, and again when it was forgotten; it is refused when it
        ends.
        """
        verifier = self.verifier(SECRET)
        token = sign({"sub": "ada"})
        verified: list[Any] = []
        jws: Any = verifier._jws
        decode = jws.decode_complete

        def counted(*given: Any) -> Any:
            verified.append(given)
            return decode(*given)

        jws.decode_complete = counted
        client = known(verifier, token)
        self.assertIs(known(verifier, token), client)
        self.assertEqual(len(verified), 1)
        verifier.forget(lambda client: client.name == "ada")
        self.assertEqual(known(verifier, token), client)
        self.assertEqual(len(verified), 2)
        self.clock.advance(64.9)
        self.assertIsNotNone(known(verifier, token))
        self.clock.advance(0.1)
        self.assertRefused(verifier, token)

    def test_identify(self) -> None:
        """
        Without keys that are served, what is told later is what is told at once.
        """
        verifier = self.verifier(SECRET)
        self.assertEqual(
            self.successResultOf(verifier.identify(credentialOf(sign({"sub": "ada"})))).name, "ada"
        )
        self.failureResultOf(verifier.identify(credentialOf("a.b.c")), BadCredential)


class AccessTests(VerifierCase):
    """
    L{Access} with tokens.
    """

    def test_rights(self) -> None:
        """
        What a token permits is permitted beside what is open, and nothing else is:
        nobody is asked for a credential, and a client without the right refused.
        """
        access = Access(
            settings=AccessSettings(
                ("the-key-of-the-publisher",),
                openPatterns=("wall/*",),
                openReadPatterns=("pub/*",),
                tokens=self.verifier(SECRET),
            )
        )
        token = sign(
            {
                "sub": "ada",
                "comet": {
                    "subscribe": ["chat/*", "$stats", "$presence/**", "**"],
                    "publish": ["chat/a", "$x"],
                    "presence": ["chat/*"],
                },
            }
        )
        ada = access.clientOf(bearer(token))
        assert ada is not None
        self.assertEqual(access.identify(showing(f"Bearer {token}")), ada)
        for name in ("chat/a", "chat/*", "pub/a", "pub/*", "$presence/chat/a", "any/thing", "**"):
            access.checkSubscribe(ada, name)
        for name in ("$stats", "$presence/news", "$events", "$control", "$presence/**"):
            self.assertRaises(Forbidden, access.checkSubscribe, ada, name)
            self.assertRaises(
                Forbidden if name == "$control" else Unauthorized,
                access.checkSubscribe,
                ANONYMOUS,
                name,
            )
        for name in ("chat/a", "wall/b"):
            access.checkPublish(ada, name)
        for name in ("chat/b", "$x", "pub/a"):
            self.assertRaises(Forbidden, access.checkPublish, ada, name)
        self.assertRaises(Forbidden, access.checkDelete, ada, "chat/a")
        for name in ("chat/a", "pub/**", "**"):
            error = self.assertRaises(Unauthorized, access.checkSubscribe, ANONYMOUS, name)
            self.assertEqual(error.challenge, "Bearer")
        access.checkSubscribe(ANONYMOUS, "pub/a")
        access.checkPublish(ANONYMOUS, "wall/a")

    def test_places(self) -> None:
        """
        A token counts wherever it stands; a key does only in C{Authorization} and in a
        command.  One that is bad is never taken as anonymous.
        """
        key = "the-key-of-the-publisher"
        settings = AccessSettings((key,), tokens=self.verifier(SECRET))
        access = Access(settings=settings)
        token = sign({"sub": "ada"})
        for source in CredentialSource:
            client = access.clientOf(Credential(token, source))
            self.assertEqual(client and client.name, "ada")
            counts = source in (CredentialSource.AUTHORIZATION, CredentialSource.COMMAND)
            if counts:
                self.assertEqual(access.clientOf(Credential(key, source)), ADMIN)
            for bad in (key,) * (not counts) + (key + "x", token + "x", "x", "a.b.c"):
                self.assertRaises(BadCredential, access.clientOf, Credential(bad, source))
