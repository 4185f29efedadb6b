"""
Tests of L{comet.hooks.subscribehook}: what is asked before names are read, on the
transports of Twisted's edge.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from comet.errors import CometError, Forbidden, TooMany
from comet.hooks import allowednames
from comet.hooks.allowednames import AllowedNames
from comet.hooks.subscribehook import ReadLookup, SubscribeHook
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.hookanswers import Allowed
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.hooks.hookcase import Hooks, Names
from tests.transports.case import HubTestCase, get, readResponse
from tests.transports.wire import Wire

ADA = Client("ada")


class SubscribeHookTests(HubTestCase):
    """
    Readers of C{asked/*} are asked about.
    """

    def setUp(self) -> None:
        """
        Use hooks.
        """
        super().setUp()
        self.hub.access = Names("k" * 16, ["**"])
        self.hooks = Hooks()
        self.hub.useHooks(self.hooks, [("asked/*", ["subscribe"])])
        for number in range(3):
            self.publish("asked/a", number)

    @property
    def hook(self) -> SubscribeHook:
        """
        The hook of the hub.
        """
        assert self.hub.subscribeHook is not None
        return self.hub.subscribeHook

    def begin(self, *said: bytes) -> Wire:
        """
        Send a request.
        """
        wire = self.connect()
        wire.send(*said)
        self.turn()
        return wire

    def reply(self, index: int, answer: Any = None) -> None:
        """
        Answer a question.
        """
        self.hooks.reply(index, answer)
        self.turn()

    def test_transports(self) -> None:
        """
        On each transport a reader waits for its answer, begins where that says, and is
        refused in the form of the transport.
        """
        for transport in ("poll", "longpoll", "jsonp", "stream", "sse", "multipart", "iframe"):
            path = f"/channels/asked/a,free?transport={transport}&callback=cb&wait=0"
            said = get(path, "Sec-Fetch-Site: same-origin")
            wire = self.begin(said)
            self.assertEqual(wire.take(), b"", transport)
            self.reply(-1, Allowed("-2"))
            got = wire.take()
            self.assertIn(b"200 OK", got)
            self.assertEqual([b"data" in got, got.count(b"asked/a")], [True, 2], transport)
            wire = self.begin(said)
            self.reply(-1, TooMany("later"))
            got = wire.take()
            self.assertIn(b"200 OK" if transport == "sse" else b"429", got[:20])
            self.assertIn(b"tooMany", got)
        self.assertEqual({question for question in self.hooks.questions}, {("", ("asked/a",))})

    def test_webSocket(self) -> None:
        """
        A WebSocket with names in its URL is opened once they may be read.
        """
        upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        said = get("/channels/asked/a", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
        wire = self.begin(said)
        self.assertEqual(wire.take(), b"")
        self.reply(0, Allowed("-1"))
        got = wire.take()
        self.assertIn(b"101 Switching", got)
        self.assertIn(b'"data":2', got)
        wire = self.begin(said)
        self.reply(1, Forbidden("no"))
        self.assertIn(b"403 Forbidden", wire.take())

    def test_whereClientHasSaidIt(self) -> None:
        """
        Where the client says where to begin, the answer does not count; nor where it says
        "now".
        """
        for since, count in (("earliest", 3), ("-1", 1), ("now", 0), ("", 2)):
            wire = self.begin(get(f"/channels/asked/a?transport=poll&since={since}"))
            self.reply(-1, Allowed("-2"))
            self.assertEqual(len(readResponse(wire.take()).json["messages"]), count, since)
        path = "/channels/asked/a,asked/b?transport=poll&since.asked/b=earliest"
        self.publish("asked/b", 1, 2)
        wire = self.begin(get(path))
        self.reply(-1, Allowed({"asked/a": "-1", "other": "-5", "asked/b": "now"}))
        messages = readResponse(wire.take()).json["messages"]
        self.assertEqual([each["data"] for each in messages], [2, 1, 2])

    def test_remembered(self) -> None:
        """
        A client with a name is not asked about again for a time, for this name, on any
        transport; and begins at the answer's position once only.
        """
        said = get("/channels/asked/a?transport=poll", "X-Name: ada")
        wire = self.begin(said)
        self.reply(0, Allowed("-2", expires=5))
        self.assertEqual(len(readResponse(wire.take()).json["messages"]), 2)
        self.assertEqual(readResponse(self.begin(said).take()).json["messages"], [])
        self.assertEqual(len(self.hooks.asked), 1)
        for other in ("X-Name: ben", "X: y"):
            self.begin(get("/channels/asked/a?transport=poll", other))
        self.begin(get("/channels/asked/a,asked/b?transport=poll", "X-Name: ada"))
        self.assertEqual(
            self.hooks.questions[1:],
            [("ben", ("asked/a",)), ("", ("asked/a",)), ("ada", ("asked/b",))],
        )
        self.turn(5.1)
        self.begin(said)
        self.assertEqual(self.hooks.questions[4:], [("ada", ("asked/a",))])
        self.reply(4)
        self.hook.allowed.forget(lambda client: client.name == "ada")
        self.begin(said)
        self.assertEqual(len(self.hooks.asked), 6)

    def test_disconnectedIsAskedAgain(self) -> None:
        """
        What a client was allowed is forgotten when it is disconnected, and that of others
        is not.
        """
        self.hooks.answer = None
        ada, ben = (get("/channels/asked/a?transport=poll", f"X-Name: {n}") for n in ("ada", "ben"))
        for said in (ada, ben):
            self.begin(said)
        self.successResultOf(self.hub.disconnect("ada"))
        self.turn()
        for said in (ada, ben):
            self.begin(said)
        self.assertEqual([name for name, _ in self.hooks.questions], ["ada", "ben", "ada"])

    def test_disconnectedWhileAsked(self) -> None:
        """
        A client that is disconnected while it waits for an answer is asked about again, as
        often as that happens: the answer may be older than the order.  Nothing of an old answer
        is remembered, and it opens no reader.
        """
        ada, ben = (get("/channels/asked/a?transport=poll", f"X-Name: {n}") for n in ("ada", "ben"))
        wires = [self.begin(said) for said in (ada, ben)]
        for index in (0, 2):
            self.successResultOf(self.hub.disconnect("ada"))
            self.reply(index)
            self.assertEqual(wires[0].take(), b"")
        self.reply(1)
        self.assertIn(b"200 OK", wires[1].take())
        self.reply(3, Forbidden("no more"))
        self.assertIn(b"403 Forbidden", wires[0].take())
        for said in (ada, ben):
            self.begin(said)
        asked = [name for name, _ in self.hooks.questions]
        self.assertEqual(asked, ["ada", "ben", "ada", "ada", "ada"])
        self.assertEqual(self.hook.places.waiting, 1)

    def test_disconnectedAnsweredAtOnce(self) -> None:
        """
        What is asked again may be answered at once, or be refused at once.
        """
        for answer, status in ((Allowed("-1"), b"200 OK"), (Forbidden("no"), b"403 Forbidden")):
            wire = self.begin(get("/channels/asked/a?transport=poll", "X-Name: ada"))
            self.successResultOf(self.hub.disconnect("ada"))
            waits, self.hooks.answer = self.hooks.answer, answer
            self.reply(-1)
            self.assertIn(status, wire.take())
            self.hooks.answer = waits
            self.hook.forget(lambda client: True)
        self.assertEqual(self.hook.places.waiting, 0)

    def test_otherSettingsWhileAsked(self) -> None:
        """
        What is asked while the hub is given other hooks is answered by the former ones, and not
        remembered.
        """
        said = get("/channels/asked/a?transport=poll", "X-Name: ada")
        wire = self.begin(said)
        before, self.hooks = self.hooks, Hooks()
        self.hub.useHooks(self.hooks, [("asked/*", ["subscribe"])])
        before.reply(0)
        self.turn()
        self.assertIn(b"200 OK", wire.take())
        self.begin(said)
        self.assertEqual(self.hooks.questions, [("ada", ("asked/a",))])

    def test_rightsComeFirst(self) -> None:
        """
        Nothing is asked about who has no right; nor about a key holder.
        """
        access: Any = self.hub.access
        self.begin(get("/channels/asked/a?transport=poll", "Authorization: Bearer " + "k" * 16))

        def forbid(client: Client, name: str) -> None:
            raise Forbidden("no right")

        self.patch(access, "checkSubscribe", forbid)
        response = readResponse(self.begin(get("/channels/asked/a?transport=poll")).take())
        self.assertEqual((response.status, self.hooks.asked), (403, []))

    def test_patterns(self) -> None:
        """
        A pattern is asked about where it reaches a channel that is.
        """
        self.hooks.answer = None
        for name in ("asked/*", "**", "*/a", "other/*", "asked"):
            self.begin(get(f"/channels/{name}?transport=poll"))
        self.assertEqual(
            [names for _, names in self.hooks.questions], [("asked/*",), ("**",), ("*/a",)]
        )

    def test_answersThatAreNotAllowed(self) -> None:
        """
        An answer that says what is not allowed is unavailable, and nothing is remembered.
        """
        bad: list[Any] = [
            True,
            "now",
            Allowed("yesterday"),
            Allowed(5),  # type: ignore[arg-type]
            Allowed({"asked/a": 5}),  # type: ignore[dict-item]
            Allowed(expires="long"),  # type: ignore[arg-type]
        ]
        said = get("/channels/asked/a?transport=poll", "X-Name: ada")
        for answer in bad:
            self.hooks.answer = answer
            self.assertEqual(readResponse(self.begin(said).take()).status, 503, answer)
        self.assertEqual(len(self.hook.allowed), 0)

    def test_failures(self) -> None:
        """
        A hook that fails is an internal error; one that is late is unavailable.
        """
        said = get("/channels/asked/a?transport=poll")
        wires = [self.begin(said), self.begin(said)]
        self.reply(0, ZeroDivisionError())
        self.flushLoggedErrors(ZeroDivisionError)
        self.turn(self.hub.settings.identifySeconds + 0.2)
        self.assertEqual([readResponse(each.take()).status for each in wires], [500, 503])
        self.assertEqual(len(self.hooks.cancelled), 1)

    def test_whoLeaves(self) -> None:
        """
        The question about a client that leaves is cancelled once that is seen, which is
        when it is read again where commands wait; nothing is kept of it.
        """
        tcp = self.connect(CometFactory(self.hub))
        tcp.send(b'{"id":1,"subscribe":["asked/a"]}\n')
        wire = self.begin(get("/channels/asked/a?transport=stream"))
        for each in (tcp, wire):
            each.leave()
            self.turn()
        self.assertEqual(len(self.hooks.cancelled), 1)
        self.reply(0)
        self.assertEqual(self.hook.places.waiting, 0)
        self.assertNothingLeft()

    def test_bounded(self) -> None:
        """
        Only so many questions wait.
        """
        self.hook.places.most = 1
        said = get("/channels/asked/a?transport=poll")
        waits = self.begin(said)
        response = readResponse(self.begin(said).take())
        self.assertEqual((response.status, response.header("Retry-After")), (503, "2"))
        self.reply(0)
        self.assertEqual(readResponse(waits.take()).status, 200)

    def test_commands(self) -> None:
        """
        Commands of one connection are answered in their order; one name that is refused
        refuses the whole command.
        """
        wire = self.connect(CometFactory(self.hub))

        def read() -> list[Any]:
            lines = LinesReader()
            lines.feed(wire.take())
            return lines.values

        def say(*values: Any) -> list[Any]:
            wire.send(b"".join(json.dumps(value).encode() + b"\n" for value in values))
            self.turn()
            return read()

        both = {"id": 1, "subscribe": ["free", "asked/a"]}
        self.assertEqual(say(both, {"id": 2, "ping": 1}), [])
        self.reply(0, Forbidden("no"))
        told = read()
        self.assertEqual([each["id"] for each in told], [1, 2])
        self.assertEqual(told[0]["error"]["code"], "forbidden")
        self.assertEqual(say({**both, "id": 3}), [])
        self.reply(1, Allowed("-1"))
        told = read()
        self.assertEqual((told[0]["id"], told[1]["data"]), (3, 2))
        self.assertEqual(say({**both, "id": 4})[0]["ok"], {"cursor": told[1]["cursor"]})
        self.assertEqual(len(self.hooks.asked), 2)

    def test_askToRead(self) -> None:
        """
        An answer that is there already is not waited for.
        """
        done: Deferred[Any] = Deferred()
        done.callback(Allowed("-1"))
        self.patch(self.hooks, "subscribe", lambda client, names: done)
        starts = self.hub.askToRead(ADA, ["asked/a"])
        assert not isinstance(starts, ReadLookup)
        self.assertEqual(list(starts), ["asked/a"])
        self.assertRaises(CometError, self.hub.askToRead, ADA, ["a"] * 1000)


class AllowedNamesTests(HubTestCase):
    """
    What is remembered.
    """

    def test_bounded(self) -> None:
        """
        Beyond the bounds those go first that were used least recently.
        """
        self.patch(allowednames, "MOST_NAMES", 2)
        allowed = AllowedNames(self.clock.seconds)
        allowed.add(ADA, "a", 5)
        allowed.add(ADA, "b", 5)
        self.assertTrue(allowed.has(ADA, "a"))
        allowed.add(ADA, "c", 5)
        self.assertEqual([allowed.has(ADA, name) for name in "abc"], [True, False, True])
        self.patch(allowednames, "MOST_SIZE", 100)
        allowed.add(ADA, "d", 5)
        self.assertEqual((len(allowed), allowed._size), (0, 0))

    def test_nobody(self) -> None:
        """
        Nothing is remembered of who has no name.
        """
        allowed = AllowedNames(self.clock.seconds)
        for client in (ANONYMOUS, KEY_HOLDER):
            allowed.add(client, "a", 5)
        self.assertEqual(len(allowed), 0)
