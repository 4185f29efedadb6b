"""
Tests of clients that close their writing side: what they have sent before is
carried out and answered, and what they read goes on.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from comet.fanout.polls import HALF_CLOSED
from comet.fanout.probes import PROBE
from comet.transports.commandflow import MAX_PENDING_COMMANDS
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from tests.framing.readers import LinesReader
from tests.transports.case import HubTestCase, cursors, get, post, readHead, readResponse
from tests.transports.frames import CLOSE, TEXT, WebSocketTestCase, frame, text
from tests.transports.wire import Wire


class SlowlyStored:
    """
    A bus whose publications are under way until the test lets them go on.
    """

    def __init__(self, case: HubTestCase) -> None:
        self._waiting: list[tuple[Any, Deferred[Any]]] = []
        self._publish = case.bus.publish
        case.patch(case.bus, "publish", self._slowly)

    def _slowly(self, publications: Any) -> Deferred[Any]:
        stored: Deferred[Any] = Deferred()
        self._waiting.append((publications, stored))
        return stored

    def store(self) -> int:
        """
        Store what is under way.

        @return: How many publications that were.
        """
        waiting, self._waiting = self._waiting, []
        for publications, stored in waiting:
            self._publish(publications).chainDeferred(stored)
        return len(waiting)


class LineTests(HubTestCase):
    """
    Raw TCP.
    """

    def setUp(self) -> None:
        """
        Connect.
        """
        super().setUp()
        self.wire = self.connect(CometFactory(self.hub))

    def read(self) -> list[Any]:
        """
        Return what has arrived.
        """
        lines = LinesReader()
        lines.feed(self.wire.take())
        return lines.values

    def publications(self, count: int) -> bytes:
        """
        Make lines that publish.
        """
        lines = [{"id": n, "publish": "open/a", "data": n} for n in range(count)]
        return b"".join(json.dumps(line).encode() + b"\n" for line in lines)

    def test_answersWhatIsUnderWay(self) -> None:
        """
        A publication that the bus has not stored yet is answered, and then the
        connection is closed.
        """
        slow = SlowlyStored(self)
        self.wire.send(self.publications(1))
        self.wire.halfClose()
        self.turn()
        self.assertTrue(self.wire.isOpen)
        self.assertEqual(slow.store(), 1)
        self.turn()
        self.assertEqual([answer["id"] for answer in self.read()], [0])
        self.assertFalse(self.wire.isOpen)
        self.assertNothingLeft()

    def test_answersMany(self) -> None:
        """
        All of many commands are answered, also where only some of them may be under
        way at once.
        """
        slow = SlowlyStored(self)
        count = 2 * MAX_PENDING_COMMANDS + 20
        self.wire.transport.coming.append(self.publications(count))
        self.wire.halfClose()
        stored = []
        for _ in range(20):
            self.turn()
            stored.append(slow.store())
        self.turn()
        self.assertEqual(sum(stored), count)
        self.assertLess(max(stored), count)
        self.assertEqual([answer["id"] for answer in self.read()], list(range(count)))
        self.assertFalse(self.wire.isOpen)

    def test_takesLineWithoutEnd(self) -> None:
        """
        A last line without a terminator is carried out, also if it is the first.
        """
        for begin in (b"", b'{"ping":0}\n', b'{"ping":0}\0'):
            self.wire = self.connect(CometFactory(self.hub))
            self.wire.send(begin + b'{"id":7,"ping":1}')
            self.wire.halfClose()
            self.assertIn(b'{"id":7,"ok":{"pong":1}}' + (begin[-1:] or b"\n"), self.wire.take())
            self.assertFalse(self.wire.isOpen)

    def test_tellsOfPartOfLine(self) -> None:
        """
        A part of a command is not carried out, and its client is told.
        """
        self.wire.send(b'{"ping":0}\n{"id":7,"publish":"open/a","da')
        self.wire.halfClose()
        _, error = self.read()
        self.assertEqual(error["error"]["code"], "badMessage")
        self.assertFalse(self.wire.isOpen)

    def test_closesWithoutInput(self) -> None:
        """
        A client that has sent nothing is not written to.
        """
        self.wire.halfClose()
        self.assertEqual(self.wire.take(), b"")
        self.assertFalse(self.wire.isOpen)
        self.assertNothingLeft()

    def test_subscriberReadsOn(self) -> None:
        """
        A client that reads a channel goes on being written to.
        """
        self.wire.send(b'{"id":1,"subscribe":["open/a"]}\n')
        self.wire.halfClose()
        self.turn()
        answer, beat = self.read()
        self.assertEqual((answer["id"], beat), (1, {"cursor": str(self.hub.end)}))
        for _ in range(3):
            known = self.publish("open/a", 1)
            self.turn(PROBE + 0.2)
            messages = [each for each in self.read() if "data" in each]
            self.assertEqual(cursors(messages), known)
        self.wire.transport.lose(ConnectionResetError())
        self.assertNothingLeft()

    def test_subscriberIsSlow(self) -> None:
        """
        A client that reads a channel, and does not take what is written at first,
        gets all of it.
        """
        self.wire.send(b'{"subscribe":["open/a"]}\n')
        self.wire.transport.isStuck = True
        known = []
        for _ in range(200):
            known += self.publish("open/a", "x" * 1000)
        self.wire.halfClose()
        self.turn(30)
        self.wire.transport.isStuck = False
        self.turn(1)
        messages = [each for each in self.read() if "data" in each]
        self.assertEqual(cursors(messages), known)
        self.assertTrue(self.wire.isOpen)

    def test_answersSlowClient(self) -> None:
        """
        The connection is closed only after the client has taken all answers.
        """
        self.wire.transport.isStuck = True
        lines = [{"id": n, "ping": "x" * 1000} for n in range(100)]
        self.wire.send(*(json.dumps(line).encode() + b"\n" for line in lines))
        self.turn()
        self.wire.halfClose()
        self.turn(60)
        self.assertTrue(self.wire.isOpen)
        self.wire.transport.isStuck = False
        self.turn()
        self.assertEqual([answer["id"] for answer in self.read()], list(range(100)))
        self.assertFalse(self.wire.isOpen)


class FrameTests(WebSocketTestCase):
    """
    WebSockets.
    """

    def test_answersWhatIsUnderWay(self) -> None:
        """
        A publication that the bus has not stored yet is answered, and then the
        WebSocket is closed.
        """
        slow = SlowlyStored(self)
        wire = self.open("/socket")
        wire.send(text({"id": 1, "publish": "open/a", "data": 1}))
        wire.halfClose()
        self.turn()
        self.assertTrue(wire.isOpen)
        self.assertEqual(slow.store(), 1)
        self.turn()
        answer, end = self.read(wire)
        self.assertEqual((answer.json["id"], end.status), (1, 1000))
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_subscriberReadsOn(self) -> None:
        """
        A client that reads a channel goes on being written to, by whatever way it
        came to read it.
        """
        for path in ("/channels/news", "/socket"):
            wire = self.open(path)
            self.say(wire, text({"subscribe": ["news"]}))
            wire.halfClose()
            (beat,) = self.read(wire)
            self.assertEqual(beat.json, {"cursor": str(self.hub.end)})
            known = self.publish("news", 1)
            self.assertEqual([f.json["cursor"] for f in self.read(wire)], known)

    def test_tellsOfPartOfMessage(self) -> None:
        """
        A client whose last message is not complete is told.
        """
        whole = text({"id": 1, "publish": "open/a", "data": 1})
        for part in (whole[:1], whole[:-1], frame(TEXT, b"{", fin=False)):
            wire = self.open("/socket")
            wire.send(part)
            wire.halfClose()
            error, end = self.read(wire)
            self.assertEqual(error.json["error"]["code"], "badMessage")
            self.assertEqual(end.opcode, CLOSE)
            self.assertFalse(wire.isOpen)

    def test_closesAfterCloseFrame(self) -> None:
        """
        A client that has been sent a close frame needs not answer it.
        """
        wire = self.open("/socket")
        self.assertFailed(self.say(wire, frame(TEXT, b"\xff")), 1007)
        wire.halfClose()
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()


class Patient(Resource):
    """
    An application's resource, which answers never.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.left: list[Any] = []

    def render(self, request: Request) -> int:
        """
        Note when the client leaves.
        """
        request.notifyFinish().addErrback(self.left.append)
        return NOT_DONE_YET


class RequestTests(HubTestCase):
    """
    Requests.
    """

    def ended(self, *requests: bytes) -> Wire:
        """
        Send requests, and close the writing side.
        """
        wire = self.connect()
        wire.send(*requests)
        wire.halfClose()
        self.turn()
        return wire

    def test_answersWhatIsUnderWay(self) -> None:
        """
        Publications that the bus has not stored yet are answered, one after the
        other, and then the connection is closed.
        """
        slow = SlowlyStored(self)
        wire = self.ended(post("/channels/a", b"1"), post("/channels/a", b"2"))
        for _ in range(2):
            self.assertTrue(wire.isOpen)
            self.assertEqual(slow.store(), 1)
            self.turn()
        first = readResponse(wire.take())
        second = readResponse(first.rest)
        self.assertEqual((first.status, second.status, second.rest), (201, 201, b""))
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_pollHearsMessage(self) -> None:
        """
        A held poll is answered with a message that comes soon.
        """
        wire = self.ended(get("/channels/news?transport=longpoll&wait=60"))
        self.turn(HALF_CLOSED - 1)
        known = self.publish("news", 1)
        response = readResponse(wire.take())
        self.assertEqual(cursors(response.json["messages"]), known)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_pollIsHeldForAWhile(self) -> None:
        """
        A held poll is answered after a while, since its client has probably left.
        """
        wire = self.ended(get("/channels/news?transport=longpoll&wait=60"))
        self.turn(HALF_CLOSED - 0.2)
        self.assertEqual(wire.take(), b"")
        self.turn(0.4)
        self.assertEqual(readResponse(wire.take()).json["messages"], [])
        self.assertFalse(wire.isOpen)
        short = self.ended(get("/channels/news?transport=longpoll&wait=1"))
        self.turn(1.2)
        self.assertEqual(readResponse(short.take()).status, 200)
        self.assertNothingLeft()

    def test_streamsGoOn(self) -> None:
        """
        A client of an endless transport goes on being written to.  At once it gets
        a heartbeat, and another: the system of one that has left answers with a
        reset.
        """
        for transport in ("sse", "stream", "multipart", "iframe&callback=f"):
            wire = self.ended(get(f"/channels/news?transport={transport}"))
            cursor = str(self.hub.end).encode()
            self.assertEqual(readHead(wire.take()).body.count(cursor), 2, transport)
            self.turn(PROBE + 0.2)
            self.assertEqual(wire.take().count(cursor), 1, transport)
            (known,) = self.publish("news", 1)
            self.assertIn(known.encode(), wire.take())
            self.turn(60)
            self.assertTrue(wire.isOpen)

    def test_closesIdleConnection(self) -> None:
        """
        A connection without a request under way is closed, also if a part of a
        request has come.
        """
        for said in (b"", get("/health"), b"GET /heal", post("/channels/a", b"1")[:-1]):
            self.assertFalse(self.ended(said).isOpen, said)
        self.assertNothingLeft()

    def test_givesUpRequestOfApplication(self) -> None:
        """
        A request of an application's resource is given up, as Twisted does: it may
        wait for nothing but that its client leaves.
        """
        patient, root = Patient(), CometResource(self.hub)
        root.putChild(b"patient", patient)
        wire = self.connect(self.makeSite(root))
        wire.send(get("/patient"))
        wire.halfClose()
        self.assertFalse(wire.isOpen)
        self.assertEqual(len(patient.left), 1)
