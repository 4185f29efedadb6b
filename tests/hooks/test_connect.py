"""
Asking the backend which client sends a request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from comet.errors import BadRequest, Forbidden, Unauthorized, Unavailable
from comet.hooks.connect import Connect
from comet.hooks.hookclients import UnaskedClient
from comet.http.credentials import Credentials
from comet.model.clients import ANONYMOUS, Client, Known
from tests.hooks.case import NOW, HookTestCase, showing

SESSION = ("Cookie", "sessionid=5a")


def named(name: str) -> Callable[[Client], bool]:
    """
    Make what matches the clients of a name.
    """
    return lambda client: client.name == name


def nothingOpen(name: str, isPublishing: bool) -> bool:
    """
    Tell that not every client may do what is asked.
    """
    return False


class ConnectTests(HookTestCase):
    """
    Questions to a backend that answers when a test does.
    """

    def setUp(self) -> None:
        """
        Show the backend cookies, and one header more.
        """
        super().setUp()
        self.makeSender(headers=("cookie", "x-team"))
        self.moved = 0.0
        self.connect = Connect(self.sender, self.wheel, self.now, self.clock.seconds)

    def now(self) -> float:
        """
        Return the time of day, which a test may set.
        """
        return self.clock.seconds() + self.moved

    def ask(self, *headers: tuple[str, str], **shown: Any) -> Deferred[Client]:
        """
        Ask who sends a request, which is not known yet.
        """
        found = self.connect.identify(showing(*headers, **shown), nothingOpen)
        assert isinstance(found, Deferred)
        return found

    def known(self, *headers: tuple[str, str], **shown: Any) -> Client:
        """
        Ask who sends a request, which is remembered.
        """
        found = self.connect.identify(showing(*headers, **shown), nothingOpen)
        assert isinstance(found, Client)
        return found

    def learn(self, answer: object, *headers: tuple[str, str], **shown: Any) -> Client:
        """
        Ask, and answer.
        """
        asked = self.ask(*headers, **shown)
        self.sent[-1].reply(answer)
        return self.successResultOf(asked)

    def test_question(self) -> None:
        """
        The backend is shown the headers that are listed and there, the credential and the
        address.
        """
        self.ask(SESSION, ("X-Other", "no"), ("Authorization", "Bearer abc"))
        self.assertEqual(
            self.sent[0].json,
            {
                "type": "connect",
                "time": NOW,
                "client": None,
                "headers": {"cookie": "sessionid=5a"},
                "credential": "abc",
                "address": "192.0.2.1",
            },
        )
        self.ask()
        self.assertEqual(self.sent[1].json["headers"], {})
        self.assertIsNone(self.sent[1].json["credential"])

    def test_client(self) -> None:
        """
        The answer is the client, until its time is over.
        """
        answer = {"client": "ada", "subscribe": ["inbox/{sub}"], "info": 5, "expires": 600}
        client = self.learn(answer, SESSION)
        self.assertEqual((client.name, client.info), ("ada", 5))
        self.assertEqual(client.rights.subscribe, ("inbox/ada",))
        self.assertEqual((client.known, client.until), (Known.HOOK, NOW + 600))
        self.assertFalse(client.isAnonymous)
        self.assertNotIn("5a", repr(client))
        self.clock.advance(599.9)
        self.assertIs(self.known(SESSION), client)
        self.clock.advance(0.1)
        self.ask(SESSION)
        self.assertEqual(len(self.sent), 2)

    def test_nobody(self) -> None:
        """
        Nobody is remembered, too.
        """
        self.assertIs(self.learn({}, SESSION), ANONYMOUS)
        self.clock.advance(59)
        self.assertIs(self.known(SESSION), ANONYMOUS)

    def test_refusal(self) -> None:
        """
        A refusal is remembered for two seconds.
        """
        asked = self.ask(SESSION)
        self.sent[0].reply({"error": {"code": "forbidden", "message": "banned"}})
        self.assertEqual(self.failureResultOf(asked, Forbidden).value.detail, "banned")
        self.clock.advance(1.9)
        for _ in range(2):
            error = self.assertRaises(
                Forbidden, self.connect.identify, showing(SESSION), nothingOpen
            )
            self.assertEqual(error.detail, "banned")
        self.clock.advance(0.1)
        self.ask(SESSION)

    def test_failure(self) -> None:
        """
        A failure is not remembered.
        """
        for reply in ({"client": 5}, b"nonsense"):
            asked = self.ask(SESSION)
            self.sent[-1].reply(reply)
            self.failureResultOf(asked, Unavailable)
        asked = self.ask(SESSION)
        self.sent[-1].reply(b"", 500)
        self.failureResultOf(asked, Unavailable)
        self.assertEqual(self.learn({"client": "ada"}, SESSION).name, "ada")
        count = self.sender.counts.of["connect"]
        self.assertEqual((count.asked, count.answered, count.failed), (4, 1, 3))

    def test_askedOnce(self) -> None:
        """
        Equal questions under way are asked once; each that waits may leave, and the last
        ends the request.
        """
        first, second, other = self.ask(SESSION), self.ask(SESSION), self.ask()
        self.assertEqual(len(self.sent), 2)
        first.cancel()
        self.failureResultOf(first)
        self.assertFalse(self.sent[0].isCancelled)
        self.sent[0].reply({"client": "ada"})
        self.assertEqual(self.successResultOf(second).name, "ada")
        other.cancel()
        self.failureResultOf(other)
        self.assertTrue(self.sent[1].isCancelled)
        again = self.ask()
        self.assertEqual(len(self.sent), 3)
        again.cancel()
        self.failureResultOf(again)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noOtherClientsRights(self) -> None:
        """
        No client gets what was told of another: whatever the backend is shown that
        differs makes another question, also where texts that are joined are equal.
        """
        self.learn({"client": "ada"}, ("Cookie", "a=b"), ("X-Team", "c"))
        others: tuple[tuple[tuple[str, str], ...], ...] = (
            (("Cookie", "a=b"),),
            (("Cookie", "a=bc"),),
            (("Cookie", "a=b"), ("X-Team", "C")),
            (("X-Team", "c"),),
            (("X-Team", "a=b"), ("Cookie", "c")),
            (("Cookie", "a=b"), ("X-Team", "c"), ("Authorization", "Bearer a")),
            (("Cookie", "a=b', 'x-team"), ("X-Team", "c")),
        )
        for headers in others:
            self.ask(*headers)
        self.ask(("Cookie", "a=b"), ("X-Team", "c"), address="192.0.2.2")
        self.assertEqual(len(self.sent), 2 + len(others))
        self.known(("Cookie", "a=b"), ("X-Team", "c"), ("X-Other", "d"))

    def test_cookiesThatDoNotCount(self) -> None:
        """
        Cookies that do not count are as if absent, and what is told without them is not
        told of those with them.
        """
        self.learn({"client": "ada"}, SESSION)
        asked = self.ask(SESSION, cookies=False)
        self.assertEqual(self.sent[1].json["headers"], {})
        self.sent[1].reply({})
        self.assertIs(self.successResultOf(asked), ANONYMOUS)
        self.assertEqual(self.known(SESSION).name, "ada")

    def test_badRequests(self) -> None:
        """
        What is malformed is refused before the backend is asked.
        """
        bad = showing(("Authorization", "Basic abc"))
        self.assertRaises(Unauthorized, self.connect.identify, bad, nothingOpen)
        self.assertEqual(self.sent, [])

    def test_withoutHead(self) -> None:
        """
        A command shows only the address.
        """
        shown = Credentials("command", getAddress=lambda: "192.0.2.7")
        self.connect.identify(shown, nothingOpen)
        self.assertEqual(self.sent[0].json["address"], "192.0.2.7")

    # -- Forgetting

    def test_forget(self) -> None:
        """
        A client that is forgotten is asked about again, and no other.
        """
        self.learn({"client": "ada"}, SESSION)
        self.learn({"client": "bob"})
        self.connect.forget(named("ada"))
        self.assertEqual(self.known().name, "bob")
        self.ask(SESSION)
        self.connect.clear()
        self.ask()

    def test_clockIsSet(self) -> None:
        """
        Where the time of day was set since, the backend is asked again: by that time the client
        would last for an hour too long, or be over.  A clock that is adjusted changes nothing.
        """
        for moved, isAsked in ((-3600.0, True), (3600.0, True), (-3.0, False), (3.0, False)):
            self.moved = 0.0
            self.connect.clear()
            client = self.learn({"client": "ada", "expires": 60}, SESSION)
            self.moved = moved
            self.clock.advance(1)
            if isAsked:
                again = self.learn({"client": "ada", "expires": 60}, SESSION)
                self.assertEqual(again.until, self.clock.seconds() + moved + 60)
            else:
                again = client
            self.assertIs(self.known(SESSION), again)

    def test_forgetUnderWay(self) -> None:
        """
        What a backend answers to a question that began before the client was forgotten
        may be as old: it is asked again, while others are told.
        """
        ada, bob = self.ask(SESSION), self.ask()
        self.connect.forget(named("ada"))
        self.sent[0].reply({"client": "ada"})
        self.sent[1].reply({"client": "bob"})
        self.assertEqual(self.successResultOf(bob).name, "bob")
        self.assertNoResult(ada)
        self.sent[2].reply({})
        self.assertIs(self.successResultOf(ada), ANONYMOUS)
        self.assertEqual(len(self.sent), 3)

    # -- Asking again

    def renewing(self, client: Client) -> Deferred[Client]:
        """
        Ask again about a client.
        """
        renewed = self.connect.renew(client)
        assert renewed is not None
        return renewed

    def test_renew(self) -> None:
        """
        When its time is over the backend is asked again, with what it was shown.
        """
        client = self.learn({"client": "ada", "subscribe": ["a"]}, SESSION)
        self.clock.advance(59.99)
        renewed = self.renewing(client)
        self.assertEqual(self.sent[1].json["headers"], {"cookie": "sessionid=5a"})
        self.sent[1].reply({"client": "ada"})
        found = self.successResultOf(renewed)
        self.assertEqual((found.name, found.rights.subscribe), ("ada", ()))
        self.assertIs(self.known(SESSION), found)
        # Another reader of the same client need not ask.
        self.assertIs(self.successResultOf(self.renewing(client)), found)
        self.assertIsNone(self.connect.renew(Client("ada", known=Known.TOKEN)))

    def test_replaced(self) -> None:
        """
        Once another decides, what began before is asked of it: a connection that names its
        first channel, and a client whose time is over.  If none does, both are nobody's.
        """
        client = self.learn({"client": "ada", "subscribe": ["a"]}, SESSION)
        credentials = showing(SESSION)
        credentials.transport, credentials.names = "tcp", ()
        unasked = self.connect.identify(credentials, nothingOpen)
        assert isinstance(unasked, UnaskedClient)
        seconds = self.clock.seconds
        others = [Connect(self.sender, self.wheel, seconds, seconds) for _ in "ab"]
        self.connect.replacedBy(others[0])
        others[0].replacedBy(others[1])
        asked = unasked.ask(["a"], False)
        assert isinstance(asked, Deferred)
        self.sent[-1].reply({"client": "eve"})
        self.assertEqual(self.successResultOf(asked).name, "eve")
        self.assertEqual(self.successResultOf(self.renewing(client)), ANONYMOUS)
        self.assertEqual(len(self.sent), 2)
        others[1].replacedBy(None)
        self.assertEqual(unasked.ask(["a"], False), ANONYMOUS)
        self.assertEqual(self.successResultOf(self.renewing(client)), ANONYMOUS)
        self.assertEqual(len(self.sent), 2)

    def test_renewOther(self) -> None:
        """
        A session that is now another's, that has ended or is refused, is nobody's.
        """
        answers: tuple[object, ...] = (
            {"client": "bob", "subscribe": ["a"]},
            {},
            {"subscribe": ["a"]},
            {"error": {"code": "unauthorized"}},
        )
        for answer in answers:
            client = self.learn({"client": "ada"}, SESSION)
            self.clock.advance(60)
            renewed = self.renewing(client)
            self.sent[-1].reply(answer)
            self.assertIs(self.successResultOf(renewed), ANONYMOUS)
            self.connect.clear()
            self.clock.advance(3)

    def test_renewNameless(self) -> None:
        """
        A client without a name may get one.
        """
        client = self.learn({"subscribe": ["a"]}, SESSION)
        self.clock.advance(60)
        renewed = self.renewing(client)
        self.sent[-1].reply({"client": "bob"})
        self.assertEqual(self.successResultOf(renewed).name, "bob")

    def test_silence(self) -> None:
        """
        While the backend gives no answer, the client goes on, and is asked about every ten
        seconds.
        """
        client = self.learn({"client": "ada"}, SESSION)
        self.clock.advance(60)
        renewed = self.renewing(client)
        self.sent[1].reply(b"", 500)
        self.clock.advance(9.9)
        self.assertEqual(len(self.sent), 2)
        self.clock.advance(0.2)
        self.sent[2].reply({"error": {"code": "unavailable"}})
        self.assertNoResult(renewed)
        self.clock.advance(10.1)
        self.sent[3].reply({"client": "ada"})
        self.assertEqual(self.successResultOf(renewed).name, "ada")

    def test_renewalIsGivenUp(self) -> None:
        """
        Where no reader is left, nothing is asked any more: neither a request under way
        nor a timer is left.
        """
        client = self.learn({"client": "ada"}, SESSION)
        self.clock.advance(60)
        renewed = self.renewing(client)
        renewed.cancel()
        self.failureResultOf(renewed)
        self.assertTrue(self.sent[1].isCancelled)
        renewed = self.renewing(client)
        self.sent[2].reply(b"", 500)
        renewed.cancel()
        self.failureResultOf(renewed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_twice(self) -> None:
        """
        A header that no request may have twice is refused.
        """
        twice = (("Origin", "a"), ("Origin", "b"))
        self.makeSender(headers=("origin",))
        connect = Connect(self.sender, self.wheel, self.clock.seconds, self.clock.seconds)
        self.assertRaises(BadRequest, connect.identify, showing(*twice), nothingOpen)
