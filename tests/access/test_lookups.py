"""
Tests of L{comet.access.lookups}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.access.lookups import Lookup, byCredential, hasPublishKey, identifyClient
from comet.access.rights import Access
from comet.errors import CometError, Forbidden, Internal, Unavailable
from comet.http.credentials import Credentials
from comet.model.clients import ADMIN, ANONYMOUS, Client
from comet.reactor.timers import TimerWheel
from tests.access.case import bearer, showing
from tests.fanout.doubles import AllAccess

ADA = Client("ada")


class Answering(Access):
    """
    An access object that answers as a test says.
    """

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__("k" * 16)
        self.answer = answer

    def identify(self, credentials: Credentials) -> Any:
        """
        Answer.
        """
        return self.answer()


class LookupTests(SynchronousTestCase):
    """
    L{identifyClient} and L{Lookup}.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock)
        self.told: list[Client | CometError] = []
        self.cancelled: list[object] = []

    def ask(self, answer: Callable[[], Any]) -> Client | Lookup:
        """
        Ask an access object.
        """
        return identifyClient(Answering(answer), showing(None), self.wheel, 10.0)

    def wait(self) -> tuple[Deferred[Any], Lookup]:
        """
        Begin a lookup that is told about.
        """
        asked: Deferred[Any] = Deferred(self.cancelled.append)
        lookup = self.ask(lambda: asked)
        assert isinstance(lookup, Lookup)
        self.assertIsNone(lookup.result())
        lookup.then(self.told.append, self.told.append)
        return asked, lookup

    def assertOver(self) -> None:
        """
        Assert that nothing is left.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answersAtOnce(self) -> None:
        """
        A client, also in a Deferred or of a coroutine that waits for nothing, is
        there at once.
        """

        async def coroutine() -> Client:
            return ADA

        for answer in (lambda: ADA, lambda: succeed(ADA), coroutine):
            self.assertIs(self.ask(answer), ADA)
        self.assertOver()

    def test_refusesAtOnce(self) -> None:
        """
        An error of comet's is raised as it is.
        """
        error = Forbidden("no")

        def fail() -> None:
            raise error

        async def failLater() -> None:
            raise error

        for answer in (fail, failLater):
            self.assertIs(self.assertRaises(Forbidden, self.ask, answer), error)
        self.assertOver()

    def test_hidesOtherErrors(self) -> None:
        """
        Another exception, or what is no client, is logged, and told as an internal
        error: the client must not pass as anonymous.
        """

        def fail() -> None:
            raise ZeroDivisionError

        async def failLater() -> None:
            raise ZeroDivisionError

        for answer in (fail, failLater):
            self.assertRaises(Internal, self.ask, answer)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        for nothing in (None, "ada", True):
            self.assertRaises(Internal, self.ask, lambda nothing=nothing: nothing)
            self.assertRaises(Internal, self.ask, lambda nothing=nothing: succeed(nothing))

    def test_answersLater(self) -> None:
        """
        A client, or an error, that comes later is told once.
        """
        asked, lookup = self.wait()
        asked.callback(ADA)
        self.assertEqual((self.told, lookup.result()), ([ADA], ADA))
        error = Forbidden("no")
        asked, lookup = self.wait()
        asked.errback(error)
        self.assertEqual(self.told, [ADA, error])
        self.assertRaises(Forbidden, lookup.result)
        lookup.then(self.told.append, self.told.append)
        self.assertEqual(self.told, [ADA, error, error])
        asked, _ = self.wait()
        asked.callback(None)
        self.assertIsInstance(self.told[-1], Internal)
        self.assertOver()

    def test_hasLimit(self) -> None:
        """
        An answer that takes too long is cancelled, and the client told to come
        again; what comes too late tells nothing.
        """
        asked, _ = self.wait()
        self.clock.advance(9.8)
        self.assertEqual(self.told, [])
        self.clock.advance(0.4)
        (error,) = self.told
        assert isinstance(error, Unavailable)
        self.assertIsNotNone(error.retryAfter)
        self.assertEqual(self.cancelled, [asked])
        self.assertOver()

    def test_cannotBeCancelled(self) -> None:
        """
        An access object that fails when a question is cancelled keeps no client
        waiting, and no connection from being given up.
        """

        def fail(asked: object) -> None:
            raise ZeroDivisionError

        for leaves in (False, True):
            asked: Deferred[Any] = Deferred(fail)
            lookup = Lookup(self.wheel, asked, 10.0)
            lookup.then(self.told.append, self.told.append)
            if leaves:
                lookup.abandon()
            else:
                self.clock.advance(10.2)
                self.assertIsInstance(self.told.pop(), Unavailable)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(self.told, [])
            self.assertOver()

    def test_hurries(self) -> None:
        """
        A lookup can be given less time, not more.
        """
        _, lookup = self.wait()
        lookup.hurry(1.0)
        self.clock.advance(1.2)
        self.assertEqual(len(self.told), 1)
        lookup.hurry(1.0)
        _, lookup = self.wait()
        lookup.hurry(100.0)
        self.clock.advance(10.2)
        self.assertEqual(len(self.told), 2)
        _, lookup = self.wait()
        self.clock.advance(8.0)
        lookup.hurry(5.0)
        self.clock.advance(2.2)
        self.assertEqual(len(self.told), 3)
        self.assertOver()

    def test_isAbandoned(self) -> None:
        """
        An abandoned lookup is cancelled, and tells nothing.
        """
        asked, lookup = self.wait()
        lookup.abandon()
        lookup.abandon()
        self.assertEqual((self.told, self.cancelled), ([], [asked]))
        self.assertOver()

    def test_logsWhatFails(self) -> None:
        """
        A function that fails has that logged.
        """
        asked, lookup = self.wait()

        def fail(client: object) -> None:
            raise ZeroDivisionError

        lookup.then(fail, fail)
        asked.callback(ADA)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CredentialAccessTests(SynchronousTestCase):
    """
    What access objects know by the credential alone.
    """

    def test_byCredential(self) -> None:
        """
        Comet's own access knows clients by the credential alone; one that
        overrides C{identify}, or has no C{clientOf}, does not.
        """

        class Rights(Access):
            """
            Overrides what a client may do.
            """

            def checkSubscribe(self, client: Client, name: str) -> None:
                """
                Allow it.
                """

        for access in (Access("k" * 16), Rights("k" * 16)):
            clientOf = byCredential(access)
            assert clientOf is not None
            self.assertEqual(clientOf(bearer("k" * 16)), ADMIN)
            self.assertIs(clientOf(None), ANONYMOUS)
        self.assertIsNone(byCredential(Answering(lambda: ADA)))
        self.assertIsNone(byCredential(AllAccess()))

    def test_hasPublishKey(self) -> None:
        """
        The publish key is known as long as the access object knows it, whatever
        else identifies clients.
        """
        for access in (Access("k" * 16), Answering(lambda: ADMIN)):
            self.assertTrue(hasPublishKey(access, bearer("k" * 16)))
            self.assertFalse(hasPublishKey(access, bearer("x" * 16)))
            self.assertFalse(hasPublishKey(access, None))
        self.assertFalse(hasPublishKey(AllAccess(), bearer("k" * 16)))
