"""
Tests of L{comet.command.tokencommands} and L{comet.access.maketoken}.
"""

from __future__ import annotations

import io
import json
import sys
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from comet.access.claims import ClaimRules
from comet.access.tokenkeys import MAX_KEY_FILE, readTokenKeys
from comet.access.tokens import TokenVerifier
from comet.model.clients import Client
from comet.model.grants import Rights
from tests.access.tokencase import SECRET, credentialOf, privateKey, publicPEM, sign
from tests.command.running import CommandTestCase

# Other users see the words of a command line: tokens come by other ways, too.
WAYS = ("argument", "file", "variable", "input")


class TokenCase(CommandTestCase):
    """
    Tests with a secret.
    """

    def setUp(self) -> None:
        """
        Write the secret.
        """
        super().setUp()
        self.secret = self.file(SECRET + b"\n")

    def made(self, *words: str) -> str:
        """
        Make a token with the secret.
        """
        done = self.command("token", "make", "--key", self.secret, *words)
        self.assertEqual((done.code, done.err), (0, ""))
        return done.out.strip()

    def known(self, content: bytes, token: str, rules: ClaimRules) -> Client | None:
        """
        Return the client of a token, as a server knows it.
        """
        verifier = TokenVerifier(readTokenKeys(content), rules, time.time)
        return verifier.clientOf(credentialOf(token))

    def by(self, way: str, token: str, *words: str) -> tuple[str, ...]:
        """
        Give a token to a command by one of L{WAYS}.

        @return: The words of the command.
        """
        self.environment.pop("COMET_TOKEN", None)
        standard = io.TextIOWrapper(io.BytesIO(token.encode() if way == "input" else b"{"))
        self.patch(sys, "stdin", standard)
        if way == "argument":
            return (*words, token)
        if way == "file":
            return (*words, "--token-file", self.file(f"{token}\n"))
        if way == "variable":
            self.environment["COMET_TOKEN"] = token
        return words


class MakeTests(TokenCase):
    """
    C{comet token make}.
    """

    def test_makes(self) -> None:
        """
        A server with the key takes the token, with all that it says.
        """
        token = self.made(
            *("--sub", "ada", "--jti", "t1", "--subscribe", "room/{sub}", "--subscribe", "news"),
            *("--publish", "chat/*", "--presence", "news", "--info", '{"x":1}'),
            *("--issuer", "me", "--audience", "us"),
        )
        client = self.known(SECRET, token, ClaimRules("me", "us"))
        assert client is not None
        self.assertEqual((client.name, client.info, client.credentialID), ("ada", {"x": 1}, "t1"))
        self.assertEqual(client.rights, Rights(("room/ada", "news"), ("chat/*",), ("news",)))

    def test_json(self) -> None:
        """
        A program is told when the token ends.
        """
        value = json.loads(self.made("--seconds", "60", "--json"))
        client = self.known(SECRET, value["token"], ClaimRules())
        assert client is not None
        self.assertEqual(client.expires, value["expires"])

    def test_privateKeys(self) -> None:
        """
        A private key signs with its own algorithm.
        """
        for name in ("RS256", "ES256", "ES384", "EdDSA"):
            private = privateKey(name)
            pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            done = self.command("token", "make", "--key", self.file(pem), "--kid", "k")
            self.assertEqual(done.code, 0)
            client = self.known(publicPEM(private), done.out.strip(), ClaimRules())
            self.assertIsNotNone(client)

    def test_mistakes(self) -> None:
        """
        A mistake is told in one line, and gives no token.
        """
        for words in (
            ("--key", self.mktemp()),
            ("--key", self.file(b"short")),
            ("--key", self.file(publicPEM(privateKey("ES256")))),
            ("--key", self.secret, "--subscribe", "a//b"),
            ("--key", self.secret, "--subscribe", "{sub}"),
            ("--key", self.file(b"s" * (MAX_KEY_FILE + 1))),
            # What a server would not read: its JSON is strict, and its tokens are not so long.
            *(("--key", self.secret, "--info", each) for each in ("NaN", "1e999", r'"\ud800"')),
            *(
                ("--key", self.secret, each, "\udcff")
                for each in ("--jti", "--issuer", "--audience")
            ),
            ("--key", self.secret, "--info", "[" * 80 + "]" * 80),
            ("--key", self.secret, *("--subscribe", "c" * 200) * 80),
        ):
            done = self.command("token", "make", *words)
            self.assertEqual((done.code, done.out, done.err.count("\n")), (1, "", 1))

    def test_misuse(self) -> None:
        """
        Words that are wrong in themselves are told of as such.
        """
        for words in ((), ("--key", self.secret, "--info", "{"), ("--key", "k", "--seconds", "0")):
            self.assertEqual(self.command("token", "make", *words).code, 2)


class ReadTests(TokenCase):
    """
    C{comet token read}.
    """

    def test_prints(self) -> None:
        """
        What a token says is printed, by whatever way the token comes, with a warning that it
        is not judged.
        """
        token = self.made("--sub", "ada", "--kid", "k1")
        for way in WAYS:
            done = self.command(*self.by(way, token, "token", "read"))
            self.assertEqual(done.code, 0, done.err)
            self.assertIn('kid: "k1"\n', done.out)
            self.assertIn('sub: "ada"\n', done.out)
            self.assertIn("comet token check", done.err)

    def test_json(self) -> None:
        """
        A program gets it as JSON.
        """
        value = json.loads(self.command("token", "read", "--json", self.made("--sub", "x")).out)
        self.assertEqual(value["header"], {"alg": "HS256", "typ": "JWT"})
        self.assertEqual(value["claims"]["sub"], "x")

    def test_strange(self) -> None:
        """
        What is no token is told of as that; what a token has that is strange is shown, and
        makes no terminal do anything.
        """
        for token in ("x", "a.b.c", "two words", "", "eyJhbGciOiJIUzI1NiJ9.!.x", "\x1b[2J"):
            done = self.command("token", "read", token)
            self.assertEqual((done.code, done.out, done.err.count("\n")), (1, "", 1), token)
            self.assertTrue(done.err.strip().isprintable())
        claims: dict[str, Any] = {"exp": "soon", "iat": 1e300, "nbf": [], "\x1b[2J": "\u202e"}
        done = self.command("token", "read", sign(claims))
        self.assertEqual(done.code, 0)
        self.assertTrue(done.out.replace("\n", "").isprintable())


class CheckTests(TokenCase):
    """
    C{comet token check}.
    """

    def check(self, token: str, *words: str) -> tuple[int, str]:
        """
        Judge a token.

        @return: The exit code, and what was printed, in one.
        """
        done = self.command("token", "check", *words, token)
        return done.code, done.out + done.err

    def test_takes(self) -> None:
        """
        A good token is told with what it gives, by whatever way it comes.
        """
        token = self.made("--sub", "ada", "--subscribe", "room/{sub}", "--info", '"hi"')
        for way in WAYS:
            done = self.command(*self.by(way, token, "token", "check", "--key", self.secret))
            self.assertEqual((done.code, done.err), (0, ""))
            for line in ("client: ada", "subscribe: room/ada", "publish: (nothing)", 'info: "hi"'):
                self.assertIn(f"{line}\n", done.out)
        done = self.command("token", "check", "--json", "--key", self.secret, token)
        value = json.loads(done.out)
        self.assertEqual(
            (value["client"], value["subscribe"], value["publish"]), ("ada", ["room/ada"], [])
        )

    def test_refuses(self) -> None:
        """
        What a server would refuse is refused, with the reason and a code of its own.
        """
        token = self.made("--issuer", "me")
        other = self.file(b"x" * 40)
        for words, given, reason in (
            (("--key", other), token, "no key"),
            (("--key", self.secret, "--issuer", "you"), token, "issuer"),
            (("--key", self.secret, "--audience", "us"), token, "aud"),
            (("--key", self.secret), sign({"exp": 5}), "expired"),
            (("--key", self.secret), sign([]), "object"),
            (("--key", self.secret), f"{token}x", "no key"),
            (("--key", self.secret), "x", "cannot be read"),
        ):
            code, said = self.check(given, *words)
            self.assertEqual(code, 3, said)
            self.assertIn(reason, said)

    def test_configuration(self) -> None:
        """
        The keys and rules may come from the file of the server; what is given beside it
        takes precedence.
        """
        config = self.file(
            f"token-key = {json.dumps([self.secret])}\ntoken-issuer = 'me'\ntoken-endless = true\n"
        )
        endless = jwt.PyJWS().encode(b'{"iss":"me","sub":"ada"}', SECRET)
        code, said = self.check(endless, "--config", config)
        self.assertEqual(code, 0, said)
        self.assertIn("ends: never", said)
        self.assertEqual(self.check(self.made(), "--config", config)[0], 3)
        self.assertEqual(self.check(endless, "--config", config, "--issuer", "you")[0], 3)

    def test_mistakes(self) -> None:
        """
        A key or file that is wrong is told of, and is no refusal.
        """
        token = self.made()
        for words, code in (
            ((), 2),
            (("--key", self.mktemp()), 1),
            (("--key", self.file("short")), 1),
            (("--config", self.mktemp()), 1),
            (("--config", self.file("")), 2),
            (("--config", self.file("heartbeat = 0")), 1),
        ):
            self.assertEqual(self.check(token, *words)[0], code, words)
