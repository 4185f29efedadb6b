"""
Tests of L{comet.transports.session}: commands, sent over TCP.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.rights import Access
from comet.access.tokens import TokenVerifier
from comet.framing.publications import Limits
from comet.http.credentials import Credentials
from comet.hub.hubsettings import Settings
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client, Known
from comet.model.grants import Rights
from comet.transports.commandflow import MAX_PENDING_BYTES, MAX_PENDING_COMMANDS
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.transports.case import KEY, HubTestCase, cursors
from tests.transports.wire import FULL, Wire

# Knows no token: only who has a right reads.
VERIFIER = TokenVerifier([], ClaimRules(), lambda: 0.0)


class SessionTestCase(HubTestCase):
    """
    A client that sends commands.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        super().setUp()
        self.wire = self.connect(CometFactory(self.hub))

    def say(self, *values: Any, wire: Wire | None = None) -> list[Any]:
        """
        Send commands in one packet, and return the answers.
        """
        wire = wire or self.wire
        wire.send(b"".join(json.dumps(value).encode() + b"\n" for value in values))
        self.turn()
        return self.read(wire)

    def read(self, wire: Wire | None = None) -> list[Any]:
        """
        Return what has arrived.
        """
        lines = LinesReader()
        lines.feed((wire or self.wire).take())
        return lines.values

    def hold(self, name: str) -> list[Deferred[Any]]:
        """
        Let a method of the bus wait.

        @return: What each call waits for.
        """
        waiting: list[Deferred[Any]] = []
        method = getattr(self.bus, name)

        def slowly(*given: Any) -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: method(*given))

        self.patch(self.bus, name, slowly)
        return waiting

    def goOn(self, waiting: list[Deferred[Any]]) -> list[Any]:
        """
        Let what waits in the bus go on, and return what the client is told.
        """
        told = []
        while waiting:
            waiting.pop(0).callback(None)
            self.turn()
            told += self.read()
        return told

    def error(self, *values: Any) -> str:
        """
        Return the code of the error with which a command is answered.
        """
        (answer,) = self.say(*values)
        self.assertTrue(answer["error"]["message"])
        code: str = answer["error"]["code"]
        return code


class CommandTests(SessionTestCase):
    """
    Each command, and its answer.
    """

    def test_answersPing(self) -> None:
        """
        The answer to a ping carries the same value and id.
        """
        for id in (1, 0, -5, "x", ""):
            for value in (None, "x", [1, {"a": "\u2028"}], 1.5):
                answer = self.say({"id": id, "ping": value})
                self.assertEqual(answer, [{"id": id, "ok": {"pong": value}}])
        self.assertEqual(self.say({"ping": 1}), [{"ok": {"pong": 1}}])

    def test_tokenGivesRights(self) -> None:
        """
        The publish key gives its rights to what follows, on this connection alone.
        """
        publish = {"publish": "secret", "data": 1}
        self.assertEqual(self.error(publish), "unauthorized")
        answers = self.say({"id": 1, "token": KEY}, publish)
        self.assertEqual(answers[0], {"id": 1, "ok": {"expires": None}})
        self.assertEqual(list(answers[1]["ok"]), ["cursor"])
        other = self.connect(CometFactory(self.hub))
        (answer,) = self.say(publish, wire=other)
        self.assertEqual(answer["error"]["code"], "unauthorized")

    def test_badTokenChangesNothing(self) -> None:
        """
        A bad token is refused and not repeated, and the client keeps its rights.
        """
        for bad in ("wrong", KEY + "x", f"Bearer {KEY}", " ", f"{KEY} x"):
            self.assertEqual(self.error({"token": bad}), "unauthorized")
        self.say({"token": KEY})
        for other in (None, "", 1, [KEY], {"a": "wrong"}):
            (answer,) = self.say({"token": other})
            self.assertEqual(answer["error"]["code"], "badRequest")
            self.assertNotIn(KEY, answer["error"]["message"])
        self.assertEqual(self.error({"token": "wrong"}), "unauthorized")
        self.assertIn("ok", self.say({"publish": "secret", "data": 1})[0])

    def test_newTokenIsJudged(self) -> None:
        """
        Names that a new token does not permit end, and the others go on; if none is
        left, so does the connection.  Names that are open stay.
        """

        class Tokens(Access):
            def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
                credential = credentials.credential
                names = [] if credential is None else credential.text.split("+")
                return Client("ada", rights=Rights(names), known=Known.TOKEN)

        settings = AccessSettings(openReadPatterns=("hall",), tokens=VERIFIER)
        access = Tokens(settings=settings)
        self.patch(self.hub, "access", access)
        self.say({"token": "news+secret+b/*"}, {"subscribe": ["news", "secret", "hall", "b/*"]})
        answers = self.say({"id": 1, "token": "news"})
        ended = {"names": ["secret", "b/*"], "code": "forbidden"}
        self.assertEqual([each["ended"] for each in answers if "ended" in each], [ended])
        self.assertIn({"id": 1, "ok": {"expires": None}}, answers)
        for name in ("secret", "b/c", "hall", "news"):
            self.hub.publish(name, name)
        self.turn()
        heard = [each["channel"] for each in self.say({"ping": 1}) if "channel" in each]
        self.assertEqual(heard, ["hall", "news"])
        # The same rights again end nothing, and fewer only what is gone.
        self.assertEqual([list(each) for each in self.say({"token": "news"})], [["ok"]])
        answers = self.say({"token": "x"})
        self.assertEqual(answers[-1]["ended"]["names"], ["news"])
        access.configure(AccessSettings(tokens=VERIFIER))
        last = self.say({"token": "x"})[-1]
        self.assertEqual((last["close"]["code"], last["close"]["retry"]), ("forbidden", None))

    def test_revoked(self) -> None:
        """
        Names that are revoked end, also those that are being added, and are refused from
        then on, as is publishing; so does the connection when all is, and its token is
        refused on another one.
        """

        class Tokens(Access):
            def identify(self, credentials: Credentials) -> Client:
                if credentials.credential is None:
                    return ANONYMOUS
                rights = Rights(("a", "b", "c"), ("a", "b"))
                return Client("ada", rights=rights, known=Known.TOKEN, issued=500.0)

        settings = AccessSettings(openReadPatterns=("hall",), tokens=VERIFIER)
        self.patch(self.hub, "access", Tokens(settings=settings))
        self.addCleanup(self.hub.control.stop)
        self.say({"token": "x"}, {"subscribe": ["a", "hall"]})
        self.wire.send(b'{"id":1,"subscribe":["b","c"]}\n')
        self.hub.revoke("ada", channels=["b", "a"])
        self.turn()
        answers = self.read()
        ended = [name for each in answers for name in each.get("ended", {}).get("names", ())]
        codes = {each["ended"]["code"] for each in answers if "ended" in each}
        self.assertEqual((sorted(ended), codes), (["a", "b"], {"revoked"}))
        answers = self.say(*({"subscribe": [name]} for name in ("a", "b", "c", "hall")))
        told = [each.get("error", {}).get("code") for each in answers]
        self.assertEqual(told[:4], ["forbidden", "forbidden", None, None])
        answers = self.say({"publish": "a", "data": 1}, {"token": "x"})
        self.assertEqual([next(iter(each)) for each in answers], ["error", "ok"])
        for name in ("a", "b", "c", "hall"):
            self.hub.publish(name, 1)
        self.turn()
        heard = [each["channel"] for each in self.read() if "channel" in each]
        self.assertEqual(heard, ["c", "hall"])
        self.hub.revoke("ada")
        self.turn()
        last = self.read()[-1]["close"]
        self.assertEqual((last["code"], last["retry"]), ("revoked", None))
        again = self.connect(CometFactory(self.hub))
        [answer] = self.say({"token": "x"}, wire=again)
        self.assertEqual(answer["error"]["code"], "unauthorized")
        self.assertEqual(self.say({"ping": 1}, wire=again), [{"ok": {"pong": 1}}])

    def test_newTokenWithoutNames(self) -> None:
        """
        A connection that reads nothing is not closed, whatever its token permits.
        """
        settings = AccessSettings((KEY,), tokens=VERIFIER)
        self.patch(self.hub, "access", Access(settings=settings))
        self.assertEqual(self.say({"token": KEY}), [{"ok": {"expires": None}}])
        self.assertEqual(self.say({"ping": 1}), [{"ok": {"pong": 1}}])

    def test_tokenOfAnotherClient(self) -> None:
        """
        A connection that has a client takes no token of another one, but the key.  One
        with the key has no name, and takes any token.
        """

        class Accounts(Access):
            def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
                credential = credentials.credential
                if credential is None or credential.text == KEY:
                    return super().identify(credentials)
                shown.append((credentials.transport, credentials.address))
                return Client(credential.text)

        shown: list[tuple[str, str]] = []

        self.patch(self.hub, "access", Accounts(KEY))
        answers = self.say(*({"token": token} for token in ("ada", "bob", "ada", KEY, "ada")))
        codes = [answer.get("error", {}).get("code") for answer in answers]
        self.assertEqual(codes, [None, "forbidden", None, None, None])
        self.assertEqual(set(shown), {("command", "127.0.0.1")})

    def test_tokenOfClientKnownLater(self) -> None:
        """
        Commands behind a token wait until its client is known, and have its rights.
        A question that is not answered in time changes nothing; one about a client
        that has left is cancelled.
        """
        asked: list[Deferred[Client]] = []
        cancelled: list[object] = []

        class Later(Access):
            def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
                if credentials.credential is None:
                    return super().identify(credentials)
                asked.append(Deferred(cancelled.append))
                return asked[-1]

        self.patch(self.hub, "access", Later(KEY))
        publish = {"publish": "news", "data": 1}
        self.assertEqual(self.say({"token": "x"}, publish, {"ping": 0}), [])
        asked[0].callback(KEY_HOLDER)
        self.turn()
        kinds = [kind for each in self.read() for kind in each["ok"]]
        self.assertEqual(sorted(kinds), ["cursor", "expires", "pong"])
        self.assertEqual(self.say({"token": "x"}), [])
        self.turn(10.2)
        (answer,) = self.read()
        self.assertEqual(answer["error"]["code"], "unavailable")
        self.assertEqual(self.say({"token": "x"}), [])
        self.wire.transport.lose(ConnectionDone())
        self.assertEqual(len(cancelled), 2)

    def test_subscribesBeforeMessages(self) -> None:
        """
        The answer says the reader's cursor, and new messages follow.
        """
        start = str(self.hub.end)
        answers = self.say({"id": 1, "subscribe": ["news", "chat/*"]})
        self.assertEqual(answers, [{"id": 1, "ok": {"cursor": start}}])
        known = self.publish("news", 1) + self.publish("chat/a", 2)
        self.publish("other", 3)
        self.assertEqual(cursors(self.read()), known)

    def test_subscribeSince(self) -> None:
        """
        The answer comes before the held messages.
        """
        start = str(self.hub.end)
        known = self.publish("news", 1, 2)
        answer, *messages = self.say({"id": 1, "subscribe": ["news"], "since": start})
        self.assertEqual(answer, {"id": 1, "ok": {"cursor": start}})
        self.assertEqual(cursors(messages), known)
        self.assertNotIn("replay", messages[0])

    def test_subscribeGap(self) -> None:
        """
        The answer reports a gap at the start position.
        """
        known = self.publish("news", 1)
        answer, *messages = self.say({"subscribe": ["news"], "since": "zzzzzz-7"})
        self.assertEqual(answer["ok"]["gap"], ["news"])
        self.assertEqual(cursors(messages), known)

    def test_subscribeLate(self) -> None:
        """
        A name that is added behind the others is replayed; then the reader is
        told that it has caught up.
        """
        start = str(self.hub.end)
        self.say({"subscribe": ["a"]})
        own = self.publish("a", 1)
        held = self.publish("b", 2, 3)
        self.assertEqual(cursors(self.read()), own)
        answer, *messages, caught = self.say({"id": 2, "subscribe": ["b"], "since": start})
        self.assertEqual(list(answer["ok"]), ["cursor"])
        self.assertEqual(cursors(messages), held)
        self.assertEqual([m["replay"] for m in messages], [True, True])
        self.assertEqual(caught, {"cursor": str(self.hub.end)})
        live = self.publish("b", 4)
        self.assertEqual(cursors(self.read()), live)

    def test_subscribeLateGap(self) -> None:
        """
        The answer reports a gap of a name that is added later.
        """
        self.say({"subscribe": ["a"]})
        self.publish("b", 2)
        answer, *_ = self.say({"subscribe": ["b"], "since": {"b": "zzzzzz-1"}})
        self.assertEqual(answer["ok"]["gap"], ["b"])

    def test_subscribeHeld(self) -> None:
        """
        A name that is read already is accepted, and delivers nothing again.
        """
        self.publish("news", 1)
        self.say({"subscribe": ["news"], "since": "earliest"})
        answers = self.say({"subscribe": ["news"], "since": "earliest"})
        self.assertEqual(answers, [{"ok": {"cursor": str(self.hub.end)}}])

    def test_subscribeSinceEach(self) -> None:
        """
        Each name may have a start position of its own.
        """
        known = self.publish("a", 1, 2) + self.publish("b", 3)
        since = {"a": known[0], "b": "now", "other": "now"}
        answer, *messages = self.say({"subscribe": ["a", "b"], "since": since})
        self.assertIn("ok", answer)
        self.assertEqual([m["cursor"] for m in messages if "data" in m], known[1:2])

    def test_allOrNone(self) -> None:
        """
        If one name is bad, none is subscribed to.
        """
        self.assertEqual(self.error({"subscribe": ["news", "a//b"]}), "badChannel")
        self.publish("news", 1)
        self.assertEqual(self.read(), [])

    def test_tooManyNames(self) -> None:
        """
        No more names than allowed can be read, also if they are added one by
        one.
        """
        most = self.settings.limits.maxChannels
        self.say({"subscribe": [f"c{n}" for n in range(most)]})
        self.assertEqual(self.error({"subscribe": ["one-more"]}), "badRequest")
        self.say({"unsubscribe": ["c1"]})
        self.assertIn("ok", self.say({"subscribe": ["one-more"]})[0])

    def test_removesExactNames(self) -> None:
        """
        Names are removed exactly as they are written.
        """
        self.say({"subscribe": ["a", "b", "*"]})
        self.assertEqual(self.say({"id": 2, "unsubscribe": ["a", "c"]}), [{"id": 2, "ok": {}}])
        known = self.publish("a", 1)
        self.assertEqual(cursors(self.read()), known)
        self.say({"unsubscribe": ["*"]})
        self.publish("a", 1)
        known = self.publish("b", 1)
        self.assertEqual(cursors(self.read()), known)

    def test_subscribeAgain(self) -> None:
        """
        After all names are removed, the reader can subscribe again.
        """
        self.say({"subscribe": ["a"]}, {"unsubscribe": ["a"]})
        self.publish("a", 1)
        self.assertIn("ok", self.say({"subscribe": ["a"]})[0])
        known = self.publish("a", 2)
        self.assertEqual(cursors(self.read()), known)

    def test_publishesToOpenChannel(self) -> None:
        """
        All clients may publish to an open channel.  The answer comes after the
        message was written to the readers, the publisher's own among them.
        """
        self.say({"subscribe": ["open/a"]})
        message, answer = self.say({"id": 3, "publish": "open/a", "data": {"x": 1}, "event": "e"})
        self.assertEqual(answer, {"id": 3, "ok": {"cursor": message["cursor"]}})
        self.assertEqual((message["data"], message["event"]), ({"x": 1}, "e"))

    def test_publishRefused(self) -> None:
        """
        Publishing to closed channels, reserved channels and patterns is
        refused.
        """
        for channel, code in (
            ("news", "unauthorized"),
            ("open/$a", "forbidden"),
            ("$stats", "forbidden"),
            ("open/*", "badChannel"),
            ("", "badChannel"),
            (5, "badChannel"),
        ):
            self.assertEqual(self.error({"publish": channel, "data": 1}), code)
        self.assertEqual(self.hub.end.position, 0)

    def test_publishTooLarge(self) -> None:
        """
        A message that is too large is refused, and the connection stays.
        """
        self.assertEqual(self.error({"publish": "open/a", "data": "x" * 1100}), "tooLarge")
        self.assertEqual(self.say({"ping": 1}), [{"ok": {"pong": 1}}])

    def test_publishKey(self) -> None:
        """
        The same key publishes once; with another message it is refused.
        """
        command = {"publish": "open/a", "data": 1, "key": "k"}
        first, second = self.say(command, command)
        self.assertEqual(first, second)
        self.assertEqual(self.error({**command, "data": 2}), "keyReused")

    def test_refusesMalformedCommand(self) -> None:
        """
        A malformed command is answered with an error, and the connection stays.
        """
        # A first line that is no object would end it.
        self.say({"ping": 1})
        for value, code in (
            ([], "badMessage"),
            ("x", "badMessage"),
            ({}, "badRequest"),
            ({"subscribe": "news"}, "badRequest"),
            ({"subscribe": []}, "badRequest"),
            ({"subscribe": ["a"], "since": "x"}, "badCursor"),
            ({"ping": 1, "publish": "a"}, "badRequest"),
            ({"id": [], "ping": 1}, "badRequest"),
            ({"dance": 1}, "badRequest"),
        ):
            self.assertEqual(self.error(value), code)
        (answer,) = self.say({"id": "mine", "dance": 1})
        self.assertEqual(answer["id"], "mine")
        for raw in (b"{", b"\xff", b"NaN", b'{"ping":1e999}'):
            self.wire.send(raw + b"\n")
            self.assertEqual(self.read()[0]["error"]["code"], "badMessage")
        self.assertEqual(self.say({"ping": 1}), [{"ok": {"pong": 1}}])

    def test_hidesCauseOfFailure(self) -> None:
        """
        An unexpected exception is logged, and the client is told nothing of its
        cause.
        """

        def publish(publications: object) -> Deferred[Any]:
            raise ZeroDivisionError("a secret")

        self.patch(self.bus, "publish", publish)
        (answer,) = self.say({"id": 1, "publish": "open/a", "data": 1})
        self.assertEqual((answer["id"], answer["error"]["code"]), (1, "internal"))
        self.assertNotIn("secret", str(answer))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_changesNamesInOrder(self) -> None:
        """
        Commands change the names one after the other, however long the bus
        takes.
        """
        waiting: list[Deferred[None]] = []
        listen = self.bus.listen

        def slowly(listener: Any, names: Any) -> Deferred[None]:
            listen(listener, names)
            waiting.append(Deferred())
            return waiting[-1]

        self.say({"ping": 1})
        self.patch(self.bus, "listen", slowly)
        self.assertEqual(
            self.say({"id": 1, "subscribe": ["a"]}, {"id": 2, "unsubscribe": ["a"]}), []
        )
        waiting.pop().callback(None)
        self.turn()
        self.assertEqual([answer["id"] for answer in self.read()], [1, 2])
        self.publish("a", 1)
        self.assertEqual(self.read(), [])


class FlowTests(SessionTestCase):
    """
    A client that sends too much, or does not read.
    """

    settings = Settings(limits=Limits(maxMessage=16384))

    def test_answersManyInOrder(self) -> None:
        """
        Ten thousand commands in one packet are all answered, in order.
        """
        count = 10000
        answers = self.say(*({"id": n, "ping": n} for n in range(count)))
        self.assertEqual([answer["id"] for answer in answers], list(range(count)))
        self.assertTrue(self.wire.transport.isReading)

    def test_answersEachKindInOrder(self) -> None:
        """
        A command waits for the answers to those before it, whatever takes long;
        publications go together.
        """
        self.say({"id": 0, "ping": 0})
        stored, listened = self.hold("publish"), self.hold("listen")
        commands: list[dict[str, Any]] = [
            {"publish": "open/a", "data": 1},
            {"publish": "open/b", "data": 2},
            {"ping": 1},
            {"subscribe": ["open/a"], "since": "earliest"},
            {"publish": "open/a", "data": 3},
            {"nonsense": True},
            {"subscribe": ["open/b"]},
            {"unsubscribe": ["open/a"]},
            {"ping": 2},
            {"publish": "open/c", "data": 4},
        ]
        numbered = [{"id": n, **command} for n, command in enumerate(commands, start=1)]
        answers = self.say(*numbered)
        self.assertEqual((len(answers), len(stored), len(listened)), (0, 2, 0))
        while stored or listened:
            answers += self.goOn(stored) + self.goOn(listened)
        ids = [answer["id"] for answer in answers if "id" in answer]
        self.assertEqual(ids, list(range(1, len(commands) + 1)))
        data = [answer["data"] for answer in answers if "data" in answer]
        self.assertEqual(data, [1, 3])

    def test_refusesInOrder(self) -> None:
        """
        What is refused at once is answered after what came before, whether it is a
        publication or no command at all.
        """
        self.say({"id": 0, "ping": 0})
        most = self.hub.settings.limits.maxCommandBytes
        stored: list[Deferred[Any]] = []
        for isSlow in (False, True):
            if isSlow:
                stored = self.hold("publish")
            self.wire.send(
                b'{"id":1,"publish":"open/a","data":1}\n'
                b'{"id":2,"publish":"closed","data":2}\n'
                b'{"id":3,"publish":"open/a","data":3}\n'
                + b"x" * (most + 1)
                + b"\n[]\n"
                + b'{"id":4,"publish":"open/a","data":4}\n'
            )
            self.turn()
            answers = self.read() + self.goOn(stored)
            self.assertEqual(
                [each.get("id") or each["error"]["code"] for each in answers],
                [1, 2, 3, "tooLarge", "badMessage", 4],
            )

    def test_holdsWhatIsNotTaken(self) -> None:
        """
        Commands that wait go on only while the client takes the answers; when it reads, it
        gets them all.
        """
        self.say({"ping": 1})
        stored = self.hold("publish")
        self.say({"publish": "open/a", "data": 1})
        pings = [{"id": n, "ping": "x" * 5000} for n in range(180)]
        self.say(*pings)
        self.wire.transport.isStuck = True
        self.goOn(stored)
        self.assertLess(len(self.wire.transport.unsent), 2 * FULL)
        self.assertFalse(self.wire.transport.isReading)
        self.wire.transport.isStuck = False
        answers = []
        for _ in range(40):
            self.turn()
            answers += self.read()
        self.assertEqual([each["id"] for each in answers if "id" in each], list(range(180)))
        self.assertTrue(self.wire.transport.isReading)

    def test_carriesOutWhatWaits(self) -> None:
        """
        A client that left without taking its answers has published what it had sent.
        """
        self.say({"ping": 1})
        stored = self.hold("publish")
        self.say({"publish": "open/a", "data": 1})
        self.say(*({"ping": "x" * 5000} for n in range(100)), {"publish": "open/a", "data": 2})
        self.wire.transport.isStuck = True
        self.goOn(stored)
        self.assertEqual(self.hub.end.position, 1)
        # It is not read from: what is written to it fails.
        self.wire.transport.lose(ConnectionDone())
        self.turn()
        self.goOn(stored)
        self.assertEqual(self.hub.end.position, 2)
        self.assertNothingLeft()

    def test_holdsFewBytes(self) -> None:
        """
        The bytes of commands that wait are bounded, too.
        """
        self.say({"ping": 1})
        stored = self.hold("publish")
        self.say({"publish": "open/a", "data": 1})
        size = len(json.dumps({"id": 100, "ping": "x" * 10000}))
        for n in range(MAX_PENDING_COMMANDS):
            self.say({"id": 100 + n, "ping": "x" * 10000})
            if not self.wire.transport.isReading:
                break
        self.assertEqual(n, MAX_PENDING_BYTES // size)
        self.assertEqual(len(self.goOn(stored)), 2 + n)
        self.assertTrue(self.wire.transport.isReading)

    def test_holdsFewCommands(self) -> None:
        """
        Commands that wait for others count like those under way.
        """
        self.say({"ping": 1})
        self.patch(self.bus, "publish", lambda publications: Deferred())
        self.say({"publish": "open/a", "data": 1})
        for n in range(MAX_PENDING_COMMANDS + 20):
            self.say({"id": n, "ping": n})
            if not self.wire.transport.isReading:
                break
        self.assertEqual(n, MAX_PENDING_COMMANDS - 2)

    def test_pausesWhileManyUnderWay(self) -> None:
        """
        While many commands are under way, no more is read, and none is lost.
        """
        publish = self.bus.publish
        waiting: list[tuple[Deferred[Any], Any]] = []

        def slowly(publications: Any) -> Deferred[Any]:
            waiting.append((Deferred(), publications))
            return waiting[-1][0]

        self.patch(self.bus, "publish", slowly)
        for n in range(MAX_PENDING_COMMANDS + 20):
            self.say({"id": n, "publish": "open/a", "data": n})
        self.assertFalse(self.wire.transport.isReading)
        self.assertEqual(len(waiting), MAX_PENDING_COMMANDS)
        ids = []
        while waiting:
            stored, publications = waiting.pop(0)
            publish(publications).chainDeferred(stored)
            self.turn()
            ids += [answer["id"] for answer in self.read()]
        self.assertEqual(ids, list(range(MAX_PENDING_COMMANDS + 20)))
        self.assertTrue(self.wire.transport.isReading)

    def test_pausesClientThatDoesNotRead(self) -> None:
        """
        A client that does not read its answers is not read from, so they take
        no more memory than was read at once.  When it reads, it gets them all.
        """
        self.say({"ping": 1})
        self.wire.transport.isStuck = True
        packet = b"".join(b'{"id":%d,"ping":"%s"}\n' % (n, b"x" * 900) for n in range(20))
        for _ in range(100):
            self.wire.send(packet)
        self.assertFalse(self.wire.transport.isReading)
        self.assertLess(len(self.wire.transport.unsent), FULL + 2 * len(packet))
        self.wire.transport.isStuck = False
        answers = []
        for _ in range(100):
            self.turn()
            answers += self.read()
        self.assertEqual(len(answers), 100 * 20)
        self.assertTrue(self.wire.transport.isReading)

    def test_resumesReaderThatCaughtUp(self) -> None:
        """
        A client that subscribes and does not read is not read from, and read
        from again when it has caught up.
        """
        self.say({"subscribe": ["news"]})
        self.wire.transport.isStuck = True
        for _ in range(200):
            self.publish("news", "x" * 900)
        for _ in range(3):
            self.wire.send(b'{"ping":1}\n')
        self.assertFalse(self.wire.transport.isReading)
        self.wire.transport.isStuck = False
        values = []
        for _ in range(20):
            self.turn()
            values += self.read()
        self.assertEqual(len([v for v in values if "data" in v]), 200)
        self.assertEqual(len([v for v in values if "ok" in v]), 3)
        self.assertTrue(self.wire.transport.isReading)

    def test_carriesOutAfterClientLeft(self) -> None:
        """
        Commands of a client that has left are carried out, and not answered.
        """
        asked: list[Any] = []
        stored: Deferred[Any] = Deferred()
        publish = self.bus.publish

        def slowly(publications: object) -> Deferred[Any]:
            asked.append(publications)
            return stored

        self.patch(self.bus, "publish", slowly)
        self.say({"publish": "open/a", "data": 1}, {"subscribe": ["open/a"]})
        self.wire.leave()
        publish(*asked).chainDeferred(stored)
        self.turn()
        self.assertEqual(self.hub.end.position, 1)
        self.assertNothingLeft()

    def test_dropsChangeOfNamesAfterClientLeft(self) -> None:
        """
        A change of names that waits for another is dropped when the client
        leaves.
        """
        waiting: list[Deferred[None]] = []

        def never(listener: Any, names: Any) -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        self.say({"ping": 1})
        self.patch(self.bus, "listen", never)
        self.say({"subscribe": ["a"]}, {"subscribe": ["b"]}, {"unsubscribe": ["a"]})
        self.wire.leave()
        waiting.pop(0).callback(None)
        self.assertEqual(waiting, [])
        self.assertNothingLeft()

    def test_ignoresClientSentAway(self) -> None:
        """
        What a client sends after it was sent away is not carried out.
        """
        self.say({"subscribe": ["open/a"]})
        self.patch(self.wire.transport, "loseConnection", lambda: None)
        self.hub.drain(10)
        self.hub.isDraining = False
        self.wire.take()
        answers = self.say({"publish": "open/a", "data": 1}, {"ping": 1}, [], {"subscribe": ["b"]})
        self.assertEqual(answers, [])
        self.assertEqual(self.hub.end.position, 0)
