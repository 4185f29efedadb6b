"""
Tests of L{comet.access.jwks}.
"""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.util import Redirect

from comet.access.claims import ClaimRules
from comet.access.jwks import OLD, PATIENCE, SELDOM, KeySet, checkKeySetURL, fetcher
from comet.access.tokenkeys import MAX_KEY_FILE
from comet.access.tokens import TokenVerifier
from comet.errors import BadCredential, Unavailable
from comet.model.clients import Client
from comet.reactor.timers import TimerWheel
from tests.access.issuer import Issuer
from tests.access.tokencase import NOW, credentialOf, privateKey, publicJWK, sign

URL = "https://issuer.example/keys?of=us"


def served(*idents: str) -> bytes:
    """
    Make a key set with one key under some names.
    """
    keys = [publicJWK(privateKey("ES256"), "ES256", kid=ident) for ident in idents]
    return json.dumps({"keys": keys}).encode()


def token(ident: str | None, **claims: object) -> Any:
    """
    Make a token that an issuer has signed.
    """
    header = {} if ident is None else {"kid": ident}
    return credentialOf(sign({"sub": "ada", **claims}, privateKey("ES256"), "ES256", header))


class URLTests(SynchronousTestCase):
    """
    L{checkKeySetURL}.
    """

    def test_urls(self) -> None:
        """
        Keys come over TLS, or from this machine.
        """
        for url in (URL, "http://127.0.0.1:8/x", "http://[::1]/", "http://localhost/keys"):
            checkKeySetURL(url)
        for url in (
            *("http://issuer.example/", "http://127.0.0.1.evil.example/", "http://localhost.evil/"),
            *("ftp://127.0.0.1/", "file:///etc/keys", "keys", "", "https://", "https://a:b/"),
            *("https://a b/", "https://a/\n", "https://\u00fc.example/", "http://0.0.0.0/"),
            *("https://user:secret@issuer.example/", "https://a@b/"),
        ):
            self.assertRaises(ValueError, checkKeySetURL, url)


class KeySetTests(SynchronousTestCase):
    """
    L{KeySet}, and the verifier that uses it.
    """

    def setUp(self) -> None:
        """
        Make a verifier whose issuer has not answered yet.
        """
        self.clock = Clock()
        self.clock.advance(100)
        self.asked: list[Deferred[bytes]] = []
        self.cancelled = 0
        self.keySet = KeySet(URL, self.fetch, TimerWheel(self.clock), self.clock.seconds)
        self.verifier = TokenVerifier([], ClaimRules(), lambda: NOW, self.keySet)

    def fetch(self, url: str) -> Deferred[bytes]:
        """
        Ask the issuer.
        """
        self.assertEqual(url, URL)

        def cancelled(asked: Deferred[bytes]) -> None:
            self.cancelled += 1

        self.asked.append(Deferred(cancelled))
        return self.asked[-1]

    def know(self, credential: Any) -> Deferred[Client]:
        """
        Ask for the client of a token whose key is not known.
        """
        self.assertIs(self.verifier.clientOf(credential), None)
        return self.verifier.identify(credential)

    def answer(self, content: bytes) -> None:
        """
        Let the issuer answer.
        """
        self.asked[-1].callback(content)

    def test_waits(self) -> None:
        """
        Tokens wait for a fetch that is under way: there is one for all of them.
        """
        found = [self.know(token("a")), self.know(token("a", jti="2")), self.know(token("b"))]
        self.assertEqual(len(self.asked), 1)
        self.answer(served("a"))
        self.assertEqual([self.successResultOf(each).name for each in found[:2]], ["ada"] * 2)
        self.failureResultOf(found[2], BadCredential)
        self.assertIsNotNone(self.verifier.clientOf(token("a", jti="3")))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_seldom(self) -> None:
        """
        For a key that is not known the set is fetched at most once in 10 seconds; until
        then such a token is bad, and those whose key is known notice nothing.
        """
        self.know(token("a"))
        self.answer(served("a"))
        for _ in range(20):
            self.failureResultOf(self.know(token("b")), BadCredential)
        self.assertEqual(len(self.asked), 1)
        self.clock.advance(SELDOM)
        waiting = self.know(token("b"))
        self.assertEqual(len(self.asked), 2)
        self.assertNoResult(waiting)
        self.assertIsNotNone(self.verifier.clientOf(token("a", jti="2")))
        self.answer(served("a", "b"))
        self.assertEqual(self.successResultOf(waiting).name, "ada")

    def test_failing(self) -> None:
        """
        While the set cannot be had, tokens of unknown keys are answered that it is
        unavailable, with when to come back; known keys stay.
        """
        self.know(token("a"))
        self.answer(served("a"))
        self.clock.advance(SELDOM)
        for content in (b"no JSON", b'{"keys":[]}', None):
            waiting = self.know(token("b"))
            if content is None:
                self.asked[-1].errback(OSError("refused"))
            else:
                self.answer(content)
            self.failureResultOf(waiting, Unavailable)
            self.clock.advance(SELDOM / 2)
            error = self.failureResultOf(self.know(token("b")), Unavailable)
            self.assertEqual(error.value.retryAfter, SELDOM / 2)
            self.assertIsNotNone(self.verifier.clientOf(token("a", jti=repr(content))))
            self.clock.advance(SELDOM / 2)
        self.assertEqual(len(self.asked), 4)

    def test_hanging(self) -> None:
        """
        A token waits for 5 seconds; the fetch is given up after 10.
        """
        waiting = self.know(token("a"))
        self.clock.advance(PATIENCE - 0.2)
        self.assertNoResult(waiting)
        late = self.know(token("a", jti="2"))
        self.clock.pump([0.1] * 5)
        self.failureResultOf(waiting, Unavailable)
        self.assertNoResult(late)
        self.assertEqual(self.cancelled, 0)
        self.clock.pump([0.1] * 60)
        self.failureResultOf(late, Unavailable)
        self.assertEqual((self.cancelled, len(self.asked)), (1, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leaves(self) -> None:
        """
        A client that leaves waits no longer; the fetch goes on for others.
        """
        leaving, staying = self.know(token("a")), self.know(token("a", jti="2"))
        leaving.cancel()
        self.failureResultOf(leaving)
        self.answer(served("a"))
        self.successResultOf(staying)
        self.assertEqual(self.cancelled, 0)

    def test_takenOut(self) -> None:
        """
        A key that the issuer has taken out of its set counts no longer once the set was
        fetched again, also for tokens that were verified before.
        """
        self.know(token("a"))
        self.answer(served("a"))
        known = token("a")
        self.assertIsNotNone(self.verifier.clientOf(known))
        self.clock.advance(OLD)
        self.assertIsNotNone(self.verifier.clientOf(known))
        self.assertEqual(len(self.asked), 2)
        self.answer(served("b"))
        self.failureResultOf(self.know(known), BadCredential)

    def test_cannotBeServed(self) -> None:
        """
        For a token that no public key has signed, nothing is fetched.
        """
        self.know(token("a"))
        self.answer(served("a"))
        self.clock.advance(SELDOM)
        self.assertRaises(BadCredential, self.verifier.clientOf, credentialOf(sign({})))
        forged = credentialOf(sign({}, privateKey("RS256"), "RS256", {"kid": "a"}))
        self.assertRaises(BadCredential, self.verifier.clientOf, forged)
        self.assertEqual(len(self.asked), 1)


class _Answer(Resource):
    """
    Answers with a status and a body.
    """

    isLeaf = True

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__()
        self.status, self.body = status, body

    def render_GET(self, request: Request) -> bytes:
        """
        Answer.
        """
        request.setResponseCode(self.status)
        return self.body


class FetchTests(TestCase):
    """
    L{fetcher}, over real sockets.
    """

    async def test_answers(self) -> None:
        """
        Only an answer of 200 counts, within the bound; a redirect is not followed.
        """
        from twisted.internet import reactor

        root = Resource()
        good = served("a")
        for name, answer in (
            ("good", _Answer(200, good)),
            ("failing", _Answer(500, good)),
            ("large", _Answer(200, b" " * (MAX_KEY_FILE + 1))),
            ("huge", _Answer(200, b" " * 10_000_000)),
            ("moved", Redirect(b"/good")),
        ):
            root.putChild(name.encode(), answer)
        tcp: Any = reactor
        port = tcp.listenTCP(0, Site(root), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        fetch = fetcher(reactor)
        url = f"http://127.0.0.1:{port.getHost().port}/"
        self.assertEqual(await fetch(url + "good"), good)
        for name in ("failing", "large", "huge", "moved", "missing"):
            await self.assertFailure(fetch(url + name), Exception)


class IssuerTests(TestCase):
    """
    L{KeySet} with L{fetcher}, and an issuer over real sockets.  The time is the test's.
    """

    def setUp(self) -> None:
        """
        Have the keys of a good issuer.
        """
        from twisted.internet import reactor

        self.issuer = Issuer(served("a"))
        self.addCleanup(self.issuer.stop)
        self.clock = Clock()
        wheel = TimerWheel(self.clock)
        self.keySet = KeySet(self.issuer.url, fetcher(reactor), wheel, self.clock.seconds)
        self.verifier = TokenVerifier([], ClaimRules(), lambda: NOW, self.keySet)
        self.numbers = count()

    def token(self, ident: str) -> Any:
        """
        Make a token that was never seen.
        """
        return token(ident, jti=str(next(self.numbers)))

    def checkKnown(self, why: str) -> None:
        """
        Check that a token of the known key is known at once.
        """
        client = self.verifier.clientOf(self.token("a"))
        self.assertIsNotNone(client, why)

    async def test_badly(self) -> None:
        """
        Whatever the issuer answers, tokens of known keys are known at once.  Others are told
        that it is unavailable, and it is asked once in 10 seconds.
        """
        await self.verifier.identify(self.token("a"))
        for number, manner in enumerate(
            ("failing", "huge", "moved", "empty", "text", "closing"), start=2
        ):
            self.issuer.manner = manner
            self.clock.advance(SELDOM)
            waiting = [self.verifier.identify(self.token("b")) for _ in range(5)]
            self.checkKnown(manner)
            for each in waiting:
                await self.assertFailure(each, Unavailable)
            for _ in range(5):
                await self.assertFailure(self.verifier.identify(self.token("b")), Unavailable)
            self.checkKnown(manner)
            self.assertEqual(self.issuer.asked, number, manner)
        self.issuer.keys = served("a", "b")
        self.issuer.manner = "good"
        self.clock.advance(SELDOM)
        client = await self.verifier.identify(self.token("b"))
        self.assertEqual(client.name, "ada")
        self.checkKnown("good again")

    async def test_hanging(self) -> None:
        """
        A fetch that does not end is given up, and so is its connection.
        """
        await self.verifier.identify(self.token("a"))
        self.issuer.manner = "hanging"
        self.clock.advance(SELDOM)
        waiting = self.verifier.identify(self.token("b"))
        while self.issuer.asked < 2:
            await self.later()
        self.checkKnown("asked")
        self.clock.pump([0.1] * 52)
        await self.assertFailure(waiting, Unavailable)
        self.checkKnown("waited")
        self.assertFalse(self.issuer.left.is_set())
        self.clock.pump([0.1] * 52)
        while not self.issuer.left.is_set():
            await self.later()
        self.checkKnown("given up")
        self.assertEqual(self.issuer.asked, 2)

    def later(self) -> Deferred[None]:
        """
        Let the reactor turn.
        """
        from twisted.internet import reactor

        anyReactor: Any = reactor
        return deferLater(anyReactor, 0.005, lambda: None)
