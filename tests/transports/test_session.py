"""
Tests of L{comet.transports.session}: commands, sent over TCP.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone

from comet.access.rights import Access
from comet.http.credentials import Credentials
from comet.model.clients import KEY_HOLDER, Client
from comet.transports.session import MAX_PENDING_COMMANDS
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.transports.case import KEY, HubTestCase, cursors
from tests.transports.wire import FULL, Wire


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

    def test_tokenOfAnotherClient(self) -> None:
        """
        A connection that has a client takes no token of another one, but the key.
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
        self.assertEqual(codes, [None, "forbidden", None, None, "forbidden"])
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

    def test_answersManyInOrder(self) -> None:
        """
        Ten thousand commands in one packet are all answered, in order.
        """
        count = 10000
        answers = self.say(*({"id": n, "ping": n} for n in range(count)))
        self.assertEqual([answer["id"] for answer in answers], list(range(count)))
        self.assertTrue(self.wire.transport.isReading)

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
