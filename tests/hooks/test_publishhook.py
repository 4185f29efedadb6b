"""
Tests of L{comet.hooks.publishhook}: what is asked before messages are stored, on the
transports of Twisted's edge.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from comet.errors import CometError, Forbidden, TooMany, Unavailable
from comet.interfaces.hooks import IHooks
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.hookanswers import Rewritten
from comet.model.messages import Publication, Published
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.hooks.hookcase import Hooks
from tests.transports.case import HubTestCase, post, readResponse, request
from tests.transports.wire import Wire

ADA, BEN = Client("ada"), Client("ben")
NDJSON = "Content-Type: application/x-ndjson"


@frozen
class Where:
    """
    Where a client is.
    """

    address: str


def message(*channels: str, data: Any = 1, key: str | None = None, by: Client = ADA) -> Publication:
    """
    Make a publication.
    """
    return Publication(channels, json.dumps(data).encode(), None, None, by.publisher, key)


class PublishHookTests(HubTestCase):
    """
    Messages to C{open/a} and the like are asked about, and the others are not.
    """

    def setUp(self) -> None:
        """
        Use hooks.
        """
        super().setUp()
        self.hooks = Hooks()
        self.hub.useHooks(self.hooks, [("open/free", []), ("open/*", ["publish"])])
        assert self.hub.publishHook is not None
        self.places = self.hub.publishHook.places
        self.got: list[Any] = []
        self.successResultOf(self.hub.subscribe("**", None, self._heard))

    def _heard(self, heard: Any) -> None:
        self.got.append((heard.channel, heard.data))

    def store(self, *publications: Publication, by: Client = ADA) -> Deferred[Any]:
        """
        Publish, within the turn.
        """
        stored = self.hub.store(by, publications)
        self.turn()
        return stored

    def reply(self, index: int, answer: Any = None) -> None:
        """
        Answer a question.
        """
        self.hooks.reply(index, answer)
        self.turn()

    def refused(self, stored: Deferred[Any]) -> str:
        """
        Return the code of the error.
        """
        error = self.failureResultOf(stored, CometError).value
        assert isinstance(error, CometError)
        return error.code

    def test_interface(self) -> None:
        """
        The hooks of the tests are what an application gives.
        """
        verifyObject(IHooks, self.hooks)

    def test_storedOnceAllowed(self) -> None:
        """
        A message is stored once it is allowed; what is not asked about goes on.
        """
        stored = self.store(message("open/a", data="x"))
        self.assertNoResult(stored)
        self.successResultOf(self.store(message("open/free")))
        self.assertEqual(self.got, [("open/free", 1)])
        self.reply(0)
        self.successResultOf(stored)
        self.assertEqual(self.hooks.questions, [("ada", "open/a", None, "x")])
        self.assertEqual(self.got[1:], [("open/a", "x")])

    def test_atOnce(self) -> None:
        """
        Hooks that answer at once, or with a coroutine, hold nothing up.
        """

        async def answer() -> Rewritten:
            return Rewritten("better")

        for answered in (None, Rewritten("better"), answer()):
            self.hooks.answer = answered
            self.successResultOf(self.store(message("open/a")))
        self.assertEqual([data for _, data in self.got], [1, "better", "better"])

    def test_keyHoldersAndServerAreNotAsked(self) -> None:
        """
        What a key holder and the application publish is not asked about.
        """
        self.successResultOf(self.store(message("open/a"), by=KEY_HOLDER))
        published = self.hub.publish("open/a", 1)
        self.turn()
        self.successResultOf(published)
        self.assertEqual(self.hooks.asked, [])

    def test_refused(self) -> None:
        """
        An error of the hooks refuses the request; another exception is logged, and the
        client is told of an internal error.  Nothing is stored.
        """
        told = []
        for error in (TooMany("slow down"), Forbidden("no"), ZeroDivisionError()):
            self.hooks.answer = Deferred()
            later = self.store(message("open/a"))
            self.reply(-1, error)
            self.hooks.answer = error
            told.append((self.refused(later), self.refused(self.store(message("open/a")))))
        self.assertEqual(told, [(each, each) for each in ("tooMany", "forbidden", "internal")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.got, [])

    def test_rewrites(self) -> None:
        """
        Data and event are taken from the answer, bytes too; C{None} takes the event off.
        """
        raw = Publication(("open/a",), b'"AA=="', "old", "base64", "client:ada")
        seen: list[Any] = []
        self.successResultOf(self.hub.subscribe("open/a", None, seen.append))
        for changes in (
            Rewritten(),
            Rewritten({"a": 1}),
            Rewritten(b"\1"),
            Rewritten(event=None),
            Rewritten("x", "new"),
        ):
            self.hooks.answer = changes
            self.successResultOf(self.store(raw))
        self.assertEqual(
            [(each.data, each.encoding, each.event) for each in seen],
            [
                (b"\0", "base64", "old"),
                ({"a": 1}, None, "old"),
                (b"\1", "base64", "old"),
                (b"\0", "base64", None),
                ("x", None, "new"),
            ],
        )

    def test_excludesTheSame(self) -> None:
        """
        What is rewritten excludes the same readers, with a key, too.
        """
        self.hooks.answer = Rewritten("better")
        for key in (None, "k"):
            sent = Publication(("open/a",), b"1", None, None, "client:ada", key, "reader-01")
            self.successResultOf(self.store(sent))
        [last] = self.successResultOf(self.hub.history("open/a", limit=1)).messages
        self.assertEqual((last.data, last.exclude), ("better", "reader-01"))

    def test_answersThatAreNotAllowed(self) -> None:
        """
        What an answer changes is checked as if the client had said it.
        """
        bad = (
            Rewritten("x" * 2000),
            Rewritten(object()),
            Rewritten(float("nan")),
            Rewritten("\ud800"),
            Rewritten(event="$x"),
            Rewritten(event=5),  # type: ignore[arg-type]
            {"data": 1},
            True,
        )
        for answer in bad:
            self.hooks.answer = answer
            self.assertEqual(self.refused(self.store(message("open/a"))), "unavailable", answer)
            self.hooks.answer = Deferred()
            later = self.store(message("open/a"))
            self.reply(-1, answer)
            self.assertEqual(self.refused(later), "unavailable", answer)
        self.assertEqual(self.got, [])

    def test_oneRefusesAll(self) -> None:
        """
        All messages of a request are asked about before the first is stored; one that is
        refused refuses all, and the other questions are cancelled.
        """
        stored = self.store(message("open/a", "open/b"), message("open/free"), message("open/c"))
        asked = [question[1] for question in self.hooks.questions]
        self.assertEqual(asked, ["open/a", "open/b", "open/c"])
        self.reply(0)
        self.assertNoResult(stored)
        self.reply(1, Forbidden("no"))
        self.assertEqual(self.refused(stored), "forbidden")
        self.assertEqual([question[1] for question in self.hooks.cancelled], ["open/c"])
        self.assertEqual(self.got, [])

    def test_channelsThatDiffer(self) -> None:
        """
        Where the answers differ by channel, so does what is stored, and the client gets
        one answer.
        """
        stored = self.store(message("open/a", "open/free", "open/b"), message("open/c"))
        self.reply(2)
        self.reply(1, Rewritten("b"))
        self.reply(0, Rewritten("a"))
        first, second = self.successResultOf(stored)
        self.assertEqual(
            self.got, [("open/a", "a"), ("open/free", 1), ("open/b", "b"), ("open/c", 1)]
        )
        self.assertEqual(list(first.positions.values()), [1, 2, 3])
        self.assertEqual(dict(second.positions), {"open/c": 4})

    def test_orderOfClientAndChannel(self) -> None:
        """
        What a client publishes to a channel is stored in order, however late an answer is,
        also behind what is refused; other clients and channels do not wait.
        """
        first, second = self.store(message("open/a")), self.store(message("open/a", data=2))
        third = self.store(message("open/a", data=3))
        other, ben = self.store(message("open/b")), self.store(message("open/a", data=9), by=BEN)
        for index in (1, 3, 4):
            self.reply(index)
        self.successResultOf(other)
        self.successResultOf(ben)
        self.assertNoResult(second)
        self.reply(0, Forbidden("no"))
        self.assertEqual(self.refused(first), "forbidden")
        self.successResultOf(second)
        self.reply(2)
        self.successResultOf(third)
        self.assertEqual([data for _, data in self.got], [1, 9, 2, 3])

    def test_lateAnswer(self) -> None:
        """
        An answer that takes too long is not waited for, and the question is cancelled.
        """
        stored = self.store(message("open/a"))
        self.turn(self.hub.settings.identifySeconds + 0.2)
        self.assertEqual(self.refused(stored), "unavailable")
        self.assertEqual(len(self.hooks.cancelled), 1)

    def test_bounded(self) -> None:
        """
        Beyond the bounds nothing waits for an answer, and what waits is not forgotten.
        """
        self.places.most = 3
        waits = [self.store(message("open/a")), self.store(message("open/b"))]
        self.assertEqual(self.refused(self.store(message("open/c"))), "unavailable")
        self.reply(0)
        self.successResultOf(waits[0])
        self.places.mostBytes = 5
        self.assertEqual(self.refused(self.store(message("open/d", data="12345"))), "unavailable")
        self.reply(1)
        self.successResultOf(waits[1])

    def test_share(self) -> None:
        """
        A client that sends without end is refused alone, and told when to come again; what
        others publish is asked about, and the order of each stays.
        """
        self.places.most = 10
        sent = [self.store(message("open/a", data=number)) for number in range(7)]
        for each in sent[5:]:
            error = self.failureResultOf(each, Unavailable).value
            self.assertEqual(error.retryAfter, 2.0)
        bens = [self.store(message("open/a", data=name), by=BEN) for name in "xy"]
        for index in (6, 4, 3, 2, 1, 5, 0):
            self.reply(index)
        for each in (*sent[:5], *bens):
            self.successResultOf(each)
        self.assertEqual([data for _, data in self.got], ["x", "y", 0, 1, 2, 3, 4])
        self.successResultOf(self.store(message("open/free")))

    def test_sharesByAddress(self) -> None:
        """
        Connections of one address without a name have the places of one client.
        """
        self.places.most = 4
        peers = [
            Where("2001:db8::1"),
            Where("2001:db8::2"),
            Where("2001:db8::3"),
            Where("192.0.2.1"),
        ]
        stored = [
            self.hub.store(ANONYMOUS, [message("open/a", by=ANONYMOUS)], peer=peer)
            for peer in peers
        ]
        self.assertEqual(self.refused(stored[2]), "unavailable")
        for index in (0, 1, 3):
            self.reply(index)
        for each in (stored[0], stored[1], stored[3]):
            self.successResultOf(each)

    def test_boundsWhatWaitsForOthers(self) -> None:
        """
        What waits for the messages before it, or for the first with its key, is bounded
        like what is asked about.
        """
        self.places.most = 5
        batch = self.store(message("open/a"), message("open/free"))
        waits = [self.store(message("open/free"))]
        self.assertEqual(self.places.waiting, 3)
        self.assertEqual(self.refused(self.store(message("open/free"))), "unavailable")
        self.reply(0)
        for each in (batch, *waits):
            self.successResultOf(each)
        repeats = [self.store(message("open/a", key="k")) for _ in range(4)]
        self.assertEqual(self.refused(repeats.pop()), "unavailable")
        self.reply(1)
        for each in repeats:
            self.successResultOf(each)
        self.assertEqual((self.places.waiting, self.places.bytes), (0, 0))
        self.assertEqual(len(self.hooks.asked), 2)

    def test_admitsAnyRequestAlone(self) -> None:
        """
        A request of more messages than may wait is asked about where no other waits.
        """
        self.places.most = 1
        batch = self.store(message("open/a"), message("open/b"))
        self.assertEqual(self.refused(self.store(message("open/c"))), "unavailable")
        self.reply(0)
        self.reply(1)
        self.assertEqual(len(self.successResultOf(batch)), 2)

    def test_rightsAreCheckedAgain(self) -> None:
        """
        A client that has lost its right while it was asked about stores nothing.
        """
        stored = self.store(message("open/a"))
        access: Any = self.hub.access
        self.patch(access, "checkPublish", lambda client, channel: 1 // 0)
        self.reply(0)
        self.failureResultOf(stored, ZeroDivisionError)
        self.assertEqual(self.got, [])

    def test_drainWaits(self) -> None:
        """
        A draining server waits for what is asked about.
        """
        stored = self.store(message("open/a"))
        drained = self.hub.drain(5)
        self.turn()
        self.assertNoResult(drained)
        self.reply(0)
        self.successResultOf(stored)
        self.successResultOf(drained)

    # -- Idempotency keys

    def test_repeatIsNotAsked(self) -> None:
        """
        A message that was stored is answered by its key without asking, compared as it
        came; also while the first is under way.
        """
        sent = message("open/a", data="rude", key="k")
        first, again = self.store(sent), self.store(sent)
        self.assertEqual(len(self.hooks.asked), 1)
        self.reply(0, Rewritten("***"))
        answer = self.successResultOf(first)
        self.assertEqual(self.successResultOf(again), answer)
        self.assertEqual(self.successResultOf(self.store(sent)), answer)
        other = message("open/a", data="***", key="k")
        self.assertEqual(self.refused(self.store(other)), "keyReused")
        self.assertEqual((len(self.hooks.asked), len(self.got)), (1, 1))
        # The bus of another node knows it, too.
        self.hub.useHooks(None)
        self.assertEqual(self.successResultOf(self.store(sent)), answer)

    def test_refusedIsAskedAgain(self) -> None:
        """
        What was not stored is asked about when it comes again, also what has waited for it.
        """
        sent = message("open/a", key="k")
        first, again = self.store(sent), self.store(sent)
        self.reply(0, Forbidden("no"))
        self.assertEqual(self.refused(first), "forbidden")
        self.assertNoResult(again)
        self.reply(1)
        self.successResultOf(again)

    def test_repeatInBatch(self) -> None:
        """
        Of a batch only what was not stored is asked about and stored.
        """
        sent = message("open/a", key="k")
        stored = self.store(sent)
        self.reply(0)
        (first,) = self.successResultOf(stored)
        batch = self.store(message("open/b", key="l"), sent, message("open/c", "open/d", key="m"))
        self.assertEqual(len(self.hooks.asked), 4)
        for index in (1, 2):
            self.reply(index)
        self.reply(3, Rewritten("d"))
        answers = self.successResultOf(batch)
        self.assertEqual(answers[1], first)
        self.assertEqual(
            [dict(each.positions) for each in answers[::2]],
            [{"open/b": 2}, {"open/c": 3, "open/d": 4}],
        )
        again = self.store(message("open/c", "open/d", key="m"))
        self.assertEqual(self.successResultOf(again), [answers[2]])
        self.assertIsInstance(answers[2], Published)
        self.assertEqual(len(self.got), 4)

    # -- On the transports

    def test_session(self) -> None:
        """
        Commands of one connection are answered in their order, also while one is asked
        about, and nothing more is read meanwhile.
        """
        wire = self.connect(CometFactory(self.hub))

        def say(*values: Any) -> list[Any]:
            wire.send(b"".join(json.dumps(value).encode() + b"\n" for value in values))
            self.turn()
            return read(wire)

        def read(wire: Wire) -> list[Any]:
            lines = LinesReader()
            lines.feed(wire.take())
            return lines.values

        asked = {"id": 1, "publish": "open/a", "data": 1}
        told = say(asked, {"id": 2, "ping": 1}, {**asked, "id": 3}, {"id": 4, "ping": 1})
        self.assertEqual((told, wire.transport.isReading), ([], False))
        self.reply(0, Forbidden("no"))
        self.turn()
        first = read(wire)
        self.assertEqual([each["id"] for each in first], [1, 2])
        self.assertEqual(first[0]["error"], {"code": "forbidden", "message": "no"})
        self.reply(1)
        self.turn()
        self.assertEqual([each["id"] for each in read(wire)], [3, 4])
        self.assertTrue(wire.transport.isReading)
        self.assertEqual(say({**asked, "id": 5}, {**asked, "id": 6, "publish": "free/a"}), [])
        self.reply(2)
        self.turn()
        self.assertEqual([each["id"] for each in read(wire)], [5, 6])
        self.hooks.answer = None
        several = [{**asked, "id": n} for n in range(50)]
        self.assertEqual([each["id"] for each in say(*several)], list(range(50)))

    def test_http(self) -> None:
        """
        A request, and a batch, are answered once they are allowed.
        """
        line = b'{"channel":"open/a","data":1}'
        for said in (
            request("POST", "/channels/open/a", body=b"x"),
            request("POST", "/publish", NDJSON, body=line),
        ):
            for error, status in ((None, 201), (Forbidden("no"), 403)):
                wire = self.connect()
                wire.send(said)
                self.turn()
                self.assertEqual(wire.take(), b"")
                self.reply(-1, error)
                self.turn()
                self.assertEqual(readResponse(wire.take()).status, status)
        wire = self.connect()
        wire.send(post("/channels/open/a", b"x"))
        self.turn()
        self.assertEqual(readResponse(wire.take()).status, 201)
        self.assertEqual(len(self.hooks.asked), 4)

    def test_leavesNothing(self) -> None:
        """
        Nothing is kept of what is over.
        """
        stored = [
            self.store(message("open/a", "open/b", key="k")),
            self.store(message("open/a")),
            self.store(message("open/a"), by=ANONYMOUS),
        ]
        for index, error in ((0, Forbidden("no")), (2, None), (3, None)):
            self.reply(index, error)
        for each in stored:
            each.addErrback(lambda _: None)
        hook: Any = self.hub.publishHook
        self.assertEqual(len(hook._lanes), 0)
        self.assertEqual((self.places.waiting, self.places.bytes), (0, 0))
        self.assertEqual(hook.keys._underWay, {})
