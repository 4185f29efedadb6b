"""
Tests of L{comet.nodes}: what nodes tell an admin, by hubs in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides

from comet.errors import BadRequest, TooMany, Unavailable
from comet.framing.strictjson import encode
from comet.hub.hub import Hub
from comet.interfaces.busabilities import INodesBus
from comet.metrics.traffic import COUNTED
from comet.model.channels import CONTROL, NODES
from comet.model.clients import ANONYMOUS
from comet.model.messages import Publication
from comet.nodes.asking import ASK, LATE, MOST_ASKED, PATIENCE, TOLD, Found
from comet.nodes.nodemessages import (
    MOST_BYTES,
    MOST_ROWS,
    Answer,
    Question,
    What,
    encodeAnswer,
    encodeQuestion,
    readAnswer,
    readQuestion,
)
from comet.nodes.survey import MOST_NAMES
from tests.control.test_control import ControlCase, holder

NAMES = Question(What.NAMES)

# A row of each kind, as a node tells it.
NAME: Any = {"channel": "a", "readers": 1}
READER: Any = {
    **{"client": "ada", "token": "phone", "known": "token", "kind": "stream"},
    **{"state": "live", "names": 1, "channels": ["a"]},
}
FIGURES: Any = {
    **{"time": 1.5, "ready": False, "reason": "bus", "readers": {"stream": 2}, "behind": 0},
    **{"unsent": 0, "published": 1, "delivered": 2, "gaps": 0, "refused": 0},
    "transports": {"stream": dict.fromkeys(COUNTED, 0)},
    "lateness": {"calls": 1, "seconds": 0.5, "late": 1},
}
ROWS = {What.FIGURES: FIGURES, What.NAMES: NAME, What.READERS: READER}


class NodesCase(ControlCase):
    """
    Two nodes with one bus, which counts them.
    """

    def setUp(self) -> None:
        """
        Start both.
        """
        super().setUp()
        self.bus_: Any = self.bus
        directlyProvides(self.bus, INodesBus)
        self.listening(2)

    def listening(self, count: int) -> None:
        """
        Have the bus count so many nodes.
        """
        self.bus_.countListening = lambda channel: succeed(count)

    def ask(self, question: Question, hub: Hub | None = None, seconds: float = 0.0) -> Found:
        """
        Ask all nodes, and wait for the answer.
        """
        asked = (hub or self.hub).nodes.ask(question)
        self.turn()
        if seconds:
            self.assertNoResult(asked)
            self.turn(seconds)
        return self.successResultOf(asked)


class AskingTests(NodesCase):
    """
    L{comet.nodes.asking}.
    """

    def test_figures(self) -> None:
        """
        Each node tells its own figures.
        """
        self.stream(self.other, holder(), "chat/a")
        for hub in (self.hub, self.other):
            found = self.ask(Question(What.FIGURES), hub)
            self.assertTrue(found.isComplete)
            rows = {row["node"]: row for row in found.rows}
            self.assertEqual(set(rows), {self.hub.nodes.name, self.other.nodes.name})
            for each, streams in ((self.hub, 0), (self.other, 1)):
                self.assertEqual(rows[each.nodes.name]["readers"]["stream"], streams)
            self.assertEqual([row["ready"] for row in found.rows], [True, True])

    def test_notDelivered(self) -> None:
        """
        To ask is not counted as published or delivered.
        """
        rows = [*self.ask(Question(What.FIGURES)).rows, *self.ask(Question(What.FIGURES)).rows]
        self.assertEqual([(row["published"], row["delivered"]) for row in rows], [(0, 0)] * 4)

    def test_names(self) -> None:
        """
        Readers are added up over the nodes, by the names that they read; those with most
        come first, and names of the server's own are told only if they are asked for.
        """
        for hub in (self.hub, self.other, self.other):
            self.stream(hub, holder(), "chat/a")
        self.stream(self.other, holder(), "chat/b", "chat/*")
        found = self.ask(NAMES)
        counted = [(row["channel"], row["readers"]) for row in found.rows]
        self.assertEqual(counted, [("chat/a", 3), ("chat/*", 1), ("chat/b", 1)])
        self.assertEqual((found.count, found.isComplete), (3, True))
        found = self.ask(Question(What.NAMES, limit=1))
        self.assertEqual((found.count, len(found.rows)), (3, 1))
        found = self.ask(Question(What.NAMES, "chat/b"))
        self.assertEqual([row["channel"] for row in found.rows], ["chat/*", "chat/b"])
        found = self.ask(Question(What.NAMES, CONTROL))
        self.assertEqual(list(found.rows), [{"channel": CONTROL, "readers": 2}])

    def test_readers(self) -> None:
        """
        The readers of a client or of a channel are told, with the node that has them.
        """
        self.stream(self.hub, holder("ada", token="phone"), "chat/a")
        self.stream(self.other, holder("bob"), *(f"chat/{number}" for number in range(20)))
        found = self.ask(Question(What.READERS, client="ada"))
        self.assertEqual(
            list(found.rows),
            [
                {
                    "node": self.hub.nodes.name,
                    "client": "ada",
                    "token": "phone",
                    "known": "token",
                    "kind": "stream",
                    "state": "live",
                    "names": 1,
                    "channels": ["chat/a"],
                }
            ],
        )
        [row] = self.ask(Question(What.READERS, "chat/7")).rows
        self.assertEqual((row["client"], row["names"]), ("bob", 20))
        self.assertEqual(row["node"], self.other.nodes.name)
        self.assertEqual(len(row["channels"]), MOST_NAMES)
        self.stream(self.hub, ANONYMOUS, "news")
        [row] = self.ask(Question(What.READERS, "news")).rows
        self.assertNotIn("client", row)
        found = self.ask(Question(What.READERS, limit=1))
        self.assertEqual((found.count, len(found.rows)), (3, 1))

    def test_incomplete(self) -> None:
        """
        A node that does not answer is waited for no longer than a second; if the others
        cannot be asked, the node tells what it knows, and that this is not all.
        """
        self.listening(3)
        found = self.ask(Question(What.FIGURES), seconds=PATIENCE)
        self.assertEqual((len(found.rows), found.isComplete), (2, False))
        self.bus_.countListening = lambda channel: fail(Unavailable("down"))
        found = self.ask(Question(What.FIGURES))
        self.assertEqual((len(found.rows), found.isComplete), (1, False))
        self.listening(2)
        self.patch(self.bus, "publish", lambda publications: fail(Unavailable("down")))
        found = self.ask(Question(What.FIGURES))
        self.assertEqual((len(found.rows), found.isComplete), (1, False))
        self.hub.control.stop()
        found = self.ask(Question(What.FIGURES))
        self.assertEqual((len(found.rows), found.isComplete), (1, False))

    def test_alone(self) -> None:
        """
        The only node asks nobody, and so does one whose bus has no others.
        """
        end = self.bus.end
        self.listening(1)
        self.assertTrue(self.ask(NAMES).isComplete)
        directlyProvides(self.bus)
        self.assertTrue(self.ask(NAMES).isComplete)
        self.assertEqual(self.bus.end, end)

    def test_nothingLeft(self) -> None:
        """
        The channel of the answers is read only while a node waits for them.
        """
        self.ask(NAMES)
        self.assertFalse(self.hub.fanout.registry.isRead(NODES))
        self.assertEqual(len(self.hub.fanout.readers), 1)

    def test_late(self) -> None:
        """
        Nobody waits for the answer to a question that is old; what is no question is not
        answered, and what is no answer, or to another question, is not heard.
        """
        told: list[object] = []
        self.successResultOf(self.hub.subscribe(NODES, "now", told.append))
        asked = Publication((CONTROL,), encodeQuestion(NAMES, "x"), ASK)
        self.bus.publish([asked])
        self.turn()
        self.assertEqual(len(told), 2)
        message = self.successResultOf(self.hub.history(NODES)).messages[-1]
        self.assertEqual(message.event, TOLD)
        self.clock.advance(LATE + 1)
        self.bus.publish([Publication((CONTROL,), b'{"id":"x","what":"names"}', ASK)])
        late = self.successResultOf(self.bus.publish([asked]))
        self.assertEqual(len(late), 1)
        for hub in (self.hub, self.other):
            hub.leases.now = lambda: self.clock.seconds() + LATE + 1
        self.turn()
        self.assertEqual(len(told), 2)
        self.listening(3)
        waited = self.hub.nodes.ask(NAMES)
        for payload in (b"{}", encodeAnswer(Answer("n", 0, []), "other")):
            self.bus.publish([Publication((NODES,), payload, TOLD)])
        self.turn()
        self.assertNoResult(waited)
        self.turn(PATIENCE)
        self.assertFalse(self.successResultOf(waited).isComplete)

    def test_tooMany(self) -> None:
        """
        A node asks so many questions at a time, and then others again.
        """
        self.listening(3)
        waiting = [self.hub.nodes.ask(NAMES) for _ in range(MOST_ASKED)]
        self.failureResultOf(self.hub.nodes.ask(NAMES), TooMany)
        self.turn()
        self.turn(PATIENCE)
        for each in waiting:
            self.successResultOf(each)
        self.ask(NAMES, seconds=PATIENCE)

    def test_shares(self) -> None:
        """
        Many readers are looked at in several turns, and so are their names, of which those
        with most readers are told.
        """
        for number in range(200):
            for _ in range(1 + number // 190):
                self.stream(self.hub, holder(), f"chat/{number:03}")
        self.listening(1)
        turns = self.hub.fanout.turns
        clock = iter(range(10**9))
        self.patch(turns, "seconds", lambda: next(clock))
        later, waited = turns.later, []

        def countLater(call: Callable[[], object]) -> None:
            waited.append(call)
            later(call)

        self.patch(turns, "later", countLater)
        for limit in (1, 7, 15, MOST_ROWS):
            waited.clear()
            asked: Deferred[Found] = self.hub.nodes.ask(Question(What.NAMES, limit=limit))
            self.assertNoResult(asked)
            self.turn()
            found = self.successResultOf(asked)
            names = [f"chat/{number:03}" for number in (*range(190, 200), *range(190))]
            self.assertEqual([row["channel"] for row in found.rows], names[:limit])
            self.assertEqual(found.count, 200)
            self.assertEqual(len(waited), 2 * (200 // 64))


class QuestionTests(SynchronousTestCase):
    """
    L{comet.nodes.nodemessages}.
    """

    def test_roundTrip(self) -> None:
        """
        Questions and answers are read as they were written.
        """
        for what in What:
            question = Question(what, "chat/*", "ada", 7)
            self.assertEqual(readQuestion(encodeQuestion(question, "1")), ("1", question))
            answer = Answer("node", 3, [ROWS[what]])
            self.assertEqual(readAnswer(encodeAnswer(answer, "1"), what), ("1", answer))

    def test_room(self) -> None:
        """
        Rows that have no room are left out, and counted.
        """
        rows = [{"channel": "a" * 255, "readers": 1}] * MOST_ROWS
        payload = encodeAnswer(Answer("node", MOST_ROWS, rows), "1")
        self.assertLessEqual(len(payload), MOST_BYTES)
        _, answer = readAnswer(payload, What.NAMES)
        self.assertGreater(len(answer.rows), 400)
        self.assertEqual(answer.count, MOST_ROWS)

    def test_refuses(self) -> None:
        """
        What no node has written is refused.
        """
        question = {"id": "1", "what": "names", "channel": "", "client": "", "limit": 1}
        answer = {"id": "1", "node": "n", "count": 1, "rows": [NAME]}
        wrong: dict[Callable[[bytes], object], list[dict[str, Any]]] = {
            readQuestion: [
                {"what": "else"},
                {"what": None},
                {"channel": 1},
                {"channel": "a//b"},
                {"channel": "a/" * 1000},
                {"client": None},
                {"limit": 0},
                {"limit": True},
                {"limit": MOST_ROWS + 1},
            ],
            lambda payload: readAnswer(payload, What.NAMES): [
                {"id": 1},
                {"node": ""},
                {"node": "n" * 65},
                {"count": -1},
                {"count": True},
                {"rows": {}},
                {"rows": [1]},
                {"rows": [{"channel": "a"}]},
                {"rows": [{"channel": 1, "readers": 1}]},
                {"rows": [{"channel": "a", "readers": -1}]},
                {"rows": [NAME] * (MOST_ROWS + 1)},
            ],
        }
        for (read, changes), right in zip(wrong.items(), (question, answer), strict=True):
            read(encode(right))
            for change in changes:
                self.assertRaises(BadRequest, read, encode({**right, **change}))
            for payload in (b"", b"[]", b"null", b"x" * (MOST_BYTES + 1)):
                self.assertRaises(BadRequest, read, payload)

    def test_refusesRows(self) -> None:
        """
        Rows that no node tells are refused, and rows in the name of another node.
        """

        def read(what: What, row: object) -> None:
            readAnswer(encode({"id": "1", "node": "n", "count": 1, "rows": [row]}), what)

        wrong: dict[What, list[dict[str, Any]]] = {
            What.FIGURES: [
                *({name: "1"} for name in FIGURES if name != "reason"),
                *({"reason": 1}, {"time": True}, {"readers": {"stream": None}}),
                *({"transports": {"stream": {}}}, {"lateness": {}}),
            ],
            What.NAMES: [{"channel": None}, {"readers": 1.5}],
            What.READERS: [*({name: 1.5} for name in READER), {"channels": [1]}, {"names": -1}],
        }
        for what, changes in wrong.items():
            read(what, {**ROWS[what], "more": []})
            for change in (*changes, {"node": "other"}):
                self.assertRaises(BadRequest, read, what, {**ROWS[what], **change})
            for name in ROWS[what].keys() - {"reason", "client", "token"}:
                row = {each: value for each, value in ROWS[what].items() if each != name}
                self.assertRaises(BadRequest, read, what, row)
