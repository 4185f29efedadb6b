"""
Tests of L{comet.transports.polling}: what polling and long polling share.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from comet.fanout.polls import PollReader
from comet.fanout.unsent import POLL_BYTES
from comet.http.pace import UNSENT_TIMEOUT
from comet.http.polls import HTTP1PollShape, Outcome, PollResponseShape
from comet.reactor.returning import RETURNING
from comet.transports.longpoll import LongPollResource
from comet.transports.polling import HeldPoll
from comet.transports.sinks import PIECE
from tests.transports.case import (
    COMMON,
    HubTestCase,
    Response,
    cursors,
    get,
    post,
    readResponse,
)


class AnswerTests(HubTestCase):
    """
    The response to a poll.
    """

    def poll(self, query: str, *headers: str, name: str = "news") -> Response:
        """
        Poll a channel.
        """
        return self.ask(get(f"/channels/{name}?transport=poll&{query}", *headers))

    def test_answersWithMessages(self) -> None:
        """
        The response has the messages after a cursor, in order, the cursor to go
        on from, and that cursor as its tag.
        """
        start = str(self.hub.end)
        known = self.publish("news", {"a": 1}, "zwei", 3)
        self.publish("other", "not asked for")
        response = self.poll(f"since={start}")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header("Content-Type"), "application/json")
        for name, values in COMMON.items():
            self.assertEqual(response.headers[name], values)
        self.assertEqual(cursors(response.json["messages"]), known)
        first = {"channel": "news", "cursor": known[0], "data": {"a": 1}}
        self.assertEqual(response.json["messages"][0], first)
        self.assertEqual(response.header("ETag"), f'"{response.json["cursor"]}"')
        self.assertEqual(list(response.json), ["cursor", "messages"])
        again = self.poll(f"since={response.json['cursor']}")
        self.assertEqual(again.json, {"cursor": response.json["cursor"], "messages": []})

    def test_leavesNothing(self) -> None:
        """
        Nothing of a poll that is answered, or whose client has left, is left to the
        garbage collector: it runs so seldom over what is old that this grew without end.
        """
        start = str(self.hub.end)
        gc.collect()
        self.addCleanup(gc.enable)
        gc.disable()
        wires = [self.connect() for _ in range(3)]
        for wire in wires:
            wire.send(get(f"/channels/news?wait=9&since={start}"))
        self.assertEqual(len(self.hub.fanout.readers), 3)
        wires[0].leave()
        self.publish("news", 1)
        for wire in wires[1:]:
            self.assertIn(b'"data":1', wire.take())
        left = [each for each in gc.get_objects() if isinstance(each, HeldPoll | PollReader)]
        self.assertEqual(left, [])

    def test_saysMore(self) -> None:
        """
        A response that is cut at the limit says so, and the rest follows from
        its cursor.
        """
        start = str(self.hub.end)
        known = self.publish("news", *range(5))
        seen = []
        for more in (True, True, None):
            response = self.poll(f"since={start}&limit=2")
            self.assertEqual(response.json.get("more"), more)
            seen += cursors(response.json["messages"])
            start = response.json["cursor"]
        self.assertEqual(seen, known)

    def test_tellsTime(self) -> None:
        """
        Envelopes tell the time if the request asks for it.
        """
        self.publish("news", 1)
        response = self.poll("since=-1&time=1")
        self.assertEqual(response.json["messages"][0]["time"], 1000)

    def test_reportsGapOfOtherEpoch(self) -> None:
        """
        A cursor of another epoch is a gap, and the response has all that is
        held.
        """
        known = self.publish("news", 1)
        response = self.poll("since=zzzzzz-5")
        self.assertEqual(response.json["gap"], ["news"])
        self.assertEqual(cursors(response.json["messages"]), known)

    def test_replaysName(self) -> None:
        """
        A name that begins behind the others is replayed.
        """
        start = str(self.hub.end)
        known = self.publish("a", 1)
        response = self.poll(f"since=now&since.a={start}", name="a,b")
        self.assertEqual(cursors(response.json["messages"]), known)
        self.assertTrue(response.json["messages"][0]["replay"])

    def test_notModified(self) -> None:
        """
        A client that names the tag of the log end gets 304, with the tag and
        without a body; other clients get the messages.
        """
        cursor = self.publish("news", 1)[0]
        for tag in (f'"{cursor}"', f'W/"{cursor}"', f'"{cursor}-gzip"', f'"x", "{cursor}"'):
            response = self.poll("", f"If-None-Match: {tag}")
            self.assertEqual((response.status, response.rest), (304, b""), tag)
            self.assertEqual(response.header("ETag"), f'"{cursor}"')
            self.assertEqual(response.header("Content-Length"), None)
            self.assertEqual(response.header("Content-Type"), None)
            for name, values in COMMON.items():
                self.assertEqual(response.headers[name], values)
        newer = self.publish("news", 2)
        response = self.poll("", f'If-None-Match: "{cursor}"')
        self.assertEqual((response.status, cursors(response.json["messages"])), (200, newer))

    def test_notModifiedKeepsConnection(self) -> None:
        """
        A second request on the same connection is answered after a 304.
        """
        tag = f'If-None-Match: "{self.hub.end}"'
        wire = self.connect()
        wire.send(get("/channels/news?transport=poll", tag) * 2)
        first = readResponse(wire.take())
        second = readResponse(first.rest)
        self.assertEqual((first.status, second.status, second.rest), (304, 304, b""))

    def test_refusesBadParameters(self) -> None:
        """
        A malformed parameter is refused, and the error says what is allowed.
        """
        self.assertProblem(self.poll("since=rubbish"), 400, "badCursor")
        self.assertProblem(self.poll("limit=0"), 400, "badRequest")
        self.assertProblem(self.poll("time=maybe"), 400, "badRequest")
        self.assertProblem(self.poll("", name="a//b"), 400, "badChannel")
        names = ",".join(f"c{n}" for n in range(101))
        self.assertProblem(self.poll("", name=names), 400, "badRequest")

    def test_refusesWhileDraining(self) -> None:
        """
        A server that drains begins no poll.
        """
        self.hub.drain(10)
        response = self.poll("")
        self.assertProblem(response, 503, "unavailable")
        self.assertIsNotNone(response.header("Retry-After"))

    def test_closesHTTP10(self) -> None:
        """
        A client of HTTP/1.0 gets a response with a length, and the connection
        ends.
        """
        wire = self.connect()
        wire.send(get("/channels/news?transport=poll", version="1.0"))
        response = readResponse(wire.take())
        self.assertEqual((response.status, response.header("Connection")), (200, "close"))
        self.assertFalse(wire.isOpen)

    def test_closesOnRequest(self) -> None:
        """
        The connection ends after the response if the client asks for it.
        """
        wire = self.connect()
        wire.send(get("/channels/news?transport=poll", "Connection: close"))
        response = readResponse(wire.take())
        self.assertEqual((response.status, response.headers["connection"]), (200, ["close"]))
        self.assertFalse(wire.isOpen)

    def test_anySplit(self) -> None:
        """
        The response does not depend on how TCP cuts the request.
        """
        self.publish("news", 1)
        request = get("/channels/news?transport=poll&since=-1", "Accept: */*")
        whole = self.ask(request)
        for size in range(1, len(request)):
            wire = self.connect()
            wire.sendIn(size, request)
            response = readResponse(wire.take())
            # Another second may have begun.
            response.headers["date"] = whole.headers["date"]
            self.assertEqual(response, whole)

    def test_worksOnPlainSite(self) -> None:
        """
        Polls work on an application's own site.
        """
        site = self.makePlainSite(LongPollResource(self.hub))
        known = self.publish("a/b", 1)
        response = self.ask(get("/a/b?since=-1"), site)
        self.assertEqual(cursors(response.json["messages"]), known)


class SharingTests(HubTestCase):
    """
    Readers of one group share the whole response.
    """

    def hold(self, *headers: str, query: str = "", version: str = "1.1") -> object:
        """
        Hold a poll, and return its shape.
        """
        before = set(self.hub.fanout.readers)
        self.connect().send(get(f"/channels/news?{query}", *headers, version=version))
        (reader,) = set(self.hub.fanout.readers) - before
        return reader.shape

    def test_equalRequestsShareShape(self) -> None:
        """
        Equal requests have equal shapes; parameters without effect make no
        difference.
        """
        first = self.hold()
        self.assertEqual(first, self.hold("User-Agent: x", query="wait=30"))
        self.assertEqual(hash(first), hash(self.hold()))

    def test_differentBytesDifferInShape(self) -> None:
        """
        Each difference in the bytes is one in the shapes.
        """
        shapes = [
            self.hold(),
            self.hold("Origin: https://friend.example"),
            self.hold("Origin: http://localhost"),
            self.hold("Connection: close"),
            self.hold(version="1.0"),
            self.hold(query="time=1"),
            self.hold(query="limit=7"),
        ]
        self.assertEqual(len(set(shapes)), len(shapes))

    def test_makesResponseOnce(self) -> None:
        """
        The whole response is made once for the group.
        """
        made: list[Outcome] = []
        original = HTTP1PollShape.respond

        def respond(shape: HTTP1PollShape, outcome: Outcome, *given: Any) -> bytes:
            made.append(outcome)
            return original(shape, outcome, *given)

        self.patch(HTTP1PollShape, "respond", respond)
        for _ in range(20):
            self.hold()
        self.hold("Origin: https://friend.example")
        known = self.publish("news", "hello")
        answers = {wire.take() for wire in self.wires}
        self.assertEqual(len(made), 2)
        self.assertEqual(len(answers), 2)
        for answer in answers:
            self.assertEqual(cursors(readResponse(answer).json["messages"]), known)

    def test_shapesAgree(self) -> None:
        """
        The response that Twisted frames and the one for a group say the same.
        """
        shape = PollResponseShape(7, False)
        raw = HTTP1PollShape(shape, (1, 1), True, ((b"X-A", b"b"),))
        self.assertEqual(raw.limit, 7)
        outcome = Outcome(self.hub.end, gap=("news",), more=True)
        answer, response = shape.respond(outcome), readResponse(raw.respond(outcome))
        self.assertEqual((response.status, response.body), (answer.status, answer.body))
        for name, value in (*answer.headers, (b"X-A", b"b")):
            self.assertEqual(response.header(name.decode()), value.decode())


class SlowTests(HubTestCase):
    """
    A client that does not read its responses.
    """

    def setUp(self) -> None:
        """
        Have the bus hold a little more than the transport's high-water mark.
        """
        super().setUp()
        for n in range(100):
            self.publish("news", f"{n} " + "x" * 900)

    def test_deliversWholeResponse(self) -> None:
        """
        A response that is not taken at once arrives whole.
        """
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(get("/channels/news?transport=poll&since=earliest"))
        self.clock.advance(0)
        wire.transport.isStuck = False
        response = readResponse(wire.take())
        self.assertEqual(len(response.json["messages"]), 100)
        wire.send(get("/health"))
        self.assertEqual(readResponse(wire.take()).status, 200)

    def test_boundsMemoryOfPipelining(self) -> None:
        """
        A client that sends requests and does not read takes no more memory than
        one response; when it reads, all are answered.
        """
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(get("/channels/news?transport=poll&since=earliest") * 100)
        self.clock.advance(0)
        self.assertGreater(len(wire.transport.unsent), 60000)
        self.assertLess(len(wire.transport.unsent), 200000)
        wire.transport.isStuck = False
        self.turn()
        raw = wire.take()
        for _ in range(100):
            response = readResponse(raw)
            self.assertEqual(len(response.json["messages"]), 100)
            raw = response.rest
        self.assertEqual(raw, b"")

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves in the middle of a response is forgotten.
        """
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(get("/channels/news?transport=poll&since=earliest") * 2)
        self.clock.advance(0)
        self.assertGreater(self.hub.fanout.unsent.kept, 0)
        wire.leave()
        self.assertEqual(self.hub.fanout.unsent.kept, 0)
        self.assertNothingLeft()

    def test_countsAndCuts(self) -> None:
        """
        What waits for clients that do not read is counted until it is taken, or
        the client cut off.  While it is too much, responses are cut, and say that
        there is more.
        """
        unsent = self.hub.fanout.unsent
        unsent.most = POLL_BYTES + 50_000
        wanted = get("/channels/news?transport=poll&since=earliest")
        for leaves in (False, True):
            wire = self.connect()
            wire.transport.isStuck = True
            wire.send(wanted * 8)
            self.clock.advance(0)
            self.assertGreater(unsent.kept, 90_000)
            response = self.ask(wanted)
            self.assertEqual((len(response.json["messages"]), response.json["more"]), (9, True))
            if leaves:
                self.turn(UNSENT_TIMEOUT + 0.1)
                self.assertFalse(wire.isOpen)
            else:
                wire.transport.isStuck = False
                said = wire.take()
                self.turn()
                self.assertEqual((said + wire.take()).count(b"HTTP/1.1 200"), 8)
            self.assertEqual(unsent.kept, 0)

    def test_givesTransportPieces(self) -> None:
        """
        The transport, which copies what it is given, has a piece of a large
        response at a time.
        """
        self.publish("large", *["x" * 1000] * 900)
        wire = self.connect()
        wire.transport.isStuck = True
        wire.send(get("/channels/large?transport=poll&since=earliest"))
        self.clock.advance(0)
        self.assertTrue(wire.transport.unsent)
        self.assertLessEqual(len(wire.transport.unsent), PIECE)
        wire.transport.isStuck = False
        self.assertEqual(len(readResponse(wire.take()).json["messages"]), 900)


class OtherChannelTests(HubTestCase):
    """
    Where a request has no connection to itself, Twisted frames the response.
    """

    def test_twistedFramesResponse(self) -> None:
        """
        The response is that of any other poll.
        """
        channel = DummyChannel()
        request = Request(channel, False, parsePOSTFormSubmission=False)
        request.site = self.site
        request.requestHeaders.setRawHeaders(b"Host", [b"localhost"])
        request.gotLength(0)
        request.prepath = []
        request.method, request.uri = b"GET", b"/news"
        request.clientproto = b"HTTP/2"
        LongPollResource(self.hub).render(request)
        known = self.publish("news", 1)
        written = channel.transport.written.getvalue().replace(b"HTTP/2 ", b"HTTP/1.1 ")
        response = readResponse(written)
        self.assertEqual(cursors(response.json["messages"]), known)
        self.assertEqual(response.header("ETag"), f'"{known[0]}"')
        self.assertNothingLeft()


class ReturningTests(HubTestCase):
    """
    Which clients come back together with others.
    """

    HELD = get("/channels/news?transport=longpoll&wait=9")

    def test_held(self) -> None:
        """
        A client whose poll is held comes back, until it has asked for something else.
        """
        wire = self.connect()
        self.assertFalse(RETURNING.isSet(wire.transport))
        wire.send(self.HELD)
        self.assertTrue(RETURNING.isSet(wire.transport))
        self.publish("news", 1)
        self.assertIn(b'"data":1', wire.take())
        self.assertTrue(RETURNING.isSet(wire.transport))
        wire.send(self.HELD)
        self.publish("news", 2)
        self.assertIn(b'"data":2', wire.take())
        self.assertTrue(RETURNING.isSet(wire.transport))
        wire.send(post("/channels/news", b"3"))
        self.turn()
        self.assertFalse(RETURNING.isSet(wire.transport))

    def test_answeredAtOnce(self) -> None:
        """
        A client whose poll need not wait does not come back with others.
        """
        self.publish("news", 1)
        for query in ("longpoll&since=earliest", "longpoll&wait=0", "poll"):
            wire = self.connect()
            wire.send(get(f"/channels/news?transport={query}"))
            self.assertIn(b"HTTP/1.1 200", wire.take())
            self.assertFalse(RETURNING.isSet(wire.transport), query)

    def test_inPieces(self) -> None:
        """
        A client is behind others from the first piece of its request on, of the head or
        of the body, until the request is answered.
        """
        for data in (get("/channels/news?transport=poll"), post("/channels/news", b"[1,2]")):
            wire = self.connect()
            for _ in range(2):
                for at in range(len(data) - 1):
                    wire.send(data[at : at + 1])
                    self.assertTrue(RETURNING.isSet(wire.transport), data[:at])
                wire.send(data[-1:])
                self.turn()
                self.assertIn(b"HTTP/1.1 20", wire.take())
                self.assertFalse(RETURNING.isSet(wire.transport))

    def test_detached(self) -> None:
        """
        A client does not come back once its connection is that of a stream.
        """
        wire = self.connect()
        wire.send(self.HELD)
        self.publish("news", 1)
        self.assertTrue(RETURNING.isSet(wire.transport))
        wire.send(get("/channels/news?transport=sse"))
        self.assertFalse(RETURNING.isSet(wire.transport))
