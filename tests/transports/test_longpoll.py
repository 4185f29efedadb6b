"""
Tests of L{comet.transports.longpoll}.
"""

from __future__ import annotations

from comet.transports.detach import MAX_HELD_INPUT
from comet.transports.longpoll import LongPollResource
from tests.transports.case import HubTestCase, cursors, get, post, readResponse
from tests.transports.wire import Wire


class LongPollTests(HubTestCase):
    """
    A long poll is held until there is a message.
    """

    def hold(self, query: str = "", *headers: str) -> Wire:
        """
        Send a request, and assert that it is held.
        """
        wire = self.connect()
        wire.send(get(f"/channels/news?{query}", *headers))
        self.assertEqual(wire.take(), b"")
        return wire

    def test_messageEndsHold(self) -> None:
        """
        A message ends the hold, and the connection serves the next request.
        """
        wire = self.hold()
        for _ in range(3):
            known = self.publish("news", {"a": 1})
            response = readResponse(wire.take())
            self.assertEqual((response.status, response.rest), (200, b""))
            self.assertEqual(cursors(response.json["messages"]), known)
            wire.send(get(f"/channels/news?since={response.json['cursor']}"))
            self.assertEqual(wire.take(), b"")
        self.assertNothingLeft()

    def test_answersTurnAtOnce(self) -> None:
        """
        Messages published in one turn come in one response.
        """
        wire = self.hold()
        known = self.publish("news", 1, 2, 3)
        self.assertEqual(cursors(readResponse(wire.take()).json["messages"]), known)

    def test_answersAtEndOfHold(self) -> None:
        """
        Just before the hold ends there is no response; at its end there is an
        empty one with the cursor of the log end, and no timer is left.
        """
        for query, headers, seconds in (
            ("", [], 25),
            ("wait=3", [], 3),
            ("wait=2.5", ["Prefer: wait=9"], 2.5),
            ("", ["Prefer: respond-async, wait=9"], 9),
            ("", ["Prefer: wait=100000"], 300),
        ):
            wire = self.hold(query, *headers)
            self.turn(seconds - 0.2)
            self.assertEqual(wire.take(), b"", query)
            self.publish("other", "moves the head")
            self.turn(0.4)
            response = readResponse(wire.take())
            expected = {"cursor": str(self.hub.end), "messages": []}
            self.assertEqual((response.status, response.json), (200, expected))
            wire.leave()
        self.assertNothingLeft()

    def test_doesNotHold(self) -> None:
        """
        A request with C{wait=0} is answered at once.
        """
        self.assertEqual(self.ask(get("/channels/news?wait=0")).json["messages"], [])

    def test_refusesBadWait(self) -> None:
        """
        A malformed C{wait} is refused.
        """
        for wait in ("-1", "301", "x", "nan", "1e3"):
            response = self.ask(get(f"/channels/news?wait={wait}"))
            self.assertProblem(response, 400, "badRequest")

    def test_notModified(self) -> None:
        """
        A client that names the tag of the log end gets 304 at the end of the
        hold, or a message before.
        """
        cursor = self.publish("news", 1)[0]
        wire = self.hold("wait=5", f'If-None-Match: "{cursor}"')
        self.turn(5.1)
        self.assertEqual(readResponse(wire.take()).status, 304)
        wire.send(get("/channels/news", f'If-None-Match: "{cursor}"'))
        known = self.publish("news", 2)
        self.assertEqual(cursors(readResponse(wire.take()).json["messages"]), known)

    def test_answersOldTag(self) -> None:
        """
        A client whose tag is older than the log end gets a response with the
        new one.
        """
        wire = self.hold("wait=5", f'If-None-Match: "{self.hub.end}"')
        self.publish("other", 1)
        self.turn(5.1)
        response = readResponse(wire.take())
        self.assertEqual((response.status, response.json["cursor"]), (200, str(self.hub.end)))

    def test_gapEndsHold(self) -> None:
        """
        A gap ends the hold at once.
        """
        response = self.ask(get("/channels/news?since=zzzzzz-5"))
        self.assertEqual((response.json["gap"], response.json["messages"]), (["news"], []))

    def test_drainEndsHold(self) -> None:
        """
        A held client is told when to come back, and its cursor, when the server
        drains.
        """
        wire = self.hold()
        done = self.hub.drain(10)
        response = readResponse(wire.take())
        self.assertEqual(response.json["close"]["code"], "draining")
        self.assertEqual(response.json["cursor"], str(self.hub.end))
        self.assertTrue(0 < response.json["close"]["retry"] <= 10)
        self.successResultOf(done)

    def test_refusesHoldWhenFull(self) -> None:
        """
        When there are as many polls as are allowed, the next one is told to
        come later.  A poll that is not held is still answered.
        """
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        self.hold()
        response = self.ask(get("/channels/news"))
        self.assertProblem(response, 429, "tooMany")
        self.assertEqual(response.header("Retry-After"), "5")
        self.assertEqual(self.ask(get("/channels/news?wait=0")).status, 200)


class ClientTests(HubTestCase):
    """
    What a client does while its request is on hold.
    """

    def hold(self) -> Wire:
        """
        Put a request on hold.
        """
        wire = self.connect()
        wire.send(get("/channels/news"))
        self.assertEqual(len(self.hub.fanout.readers), 1)
        return wire

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves is forgotten.
        """
        self.hold().leave()
        self.assertNothingLeft()

    def test_answersPipelinedRequestsInOrder(self) -> None:
        """
        Requests that arrive during the hold are answered after it, in order.
        """
        wire = self.hold()
        wire.send(get("/health"))
        wire.send(get("/channels/news?wait=0"))
        self.assertEqual(wire.take(), b"")
        known = self.publish("news", 1)
        first = readResponse(wire.take())
        second = readResponse(first.rest)
        third = readResponse(second.rest)
        self.assertEqual(cursors(first.json["messages"]), known)
        self.assertEqual(second.json, {"ready": True})
        self.assertEqual((third.json["messages"], third.rest), ([], b""))
        self.assertNothingLeft()

    def test_holdsPipelinedRequest(self) -> None:
        """
        A second hold begins when the first one ends.
        """
        wire = self.hold()
        wire.send(get("/channels/news"))
        for n in range(2):
            known = self.publish("news", n)
            response = readResponse(wire.take())
            self.assertEqual((cursors(response.json["messages"]), response.rest), (known, b""))
        self.assertNothingLeft()

    def flood(self, wire: Wire, size: int) -> bytes:
        """
        Make requests to publish, more than Twisted reads ahead.
        """
        request = post("/channels/open/a", b"x" * 1000)
        return request * (size // len(request) + 1)

    def test_muchInputEndsHold(self) -> None:
        """
        A client that sends more than is read ahead ends its hold.  It is
        answered, its further requests are, too, and it can leave.
        """
        wire = self.hold()
        flood = self.flood(wire, MAX_HELD_INPUT)
        count = flood.count(b"POST")
        wire.sendIn(4096, flood)
        self.turn()
        response = readResponse(wire.take())
        self.assertEqual(response.json["messages"], [])
        for _ in range(count):
            response = readResponse(response.rest)
            self.assertEqual(response.status, 201)
        self.assertEqual(response.rest, b"")
        self.assertTrue(wire.transport.isReading)
        self.assertNothingLeft()

    def test_muchInputAtOnceEndsHold(self) -> None:
        """
        A client that sends too much together with its request ends the hold,
        too.
        """
        wire = self.connect()
        wire.send(get("/channels/news") + self.flood(wire, MAX_HELD_INPUT))
        self.turn()
        self.assertEqual(readResponse(wire.take()).json["messages"], [])
        self.assertTrue(wire.transport.isReading)
        self.assertNothingLeft()

    def test_forgetsClientThatSendsMuchAndLeaves(self) -> None:
        """
        A client that sends half a request of any size and leaves is forgotten.
        """
        wire = self.hold()
        wire.sendIn(1000, b"GET /" + b"x" * (MAX_HELD_INPUT + 4000))
        wire.leave()
        self.assertNothingLeft()

    def test_littleInputKeepsHold(self) -> None:
        """
        A client that sends no more than is read ahead stays on hold, and can
        leave.
        """
        wire = self.hold()
        wire.sendIn(1024, b"GET /" + b"x" * (MAX_HELD_INPUT - 5))
        self.assertEqual(wire.take(), b"")
        self.assertTrue(wire.transport.isReading)
        self.assertEqual(len(self.hub.fanout.readers), 1)
        wire.leave()
        self.assertNothingLeft()

    def test_keepsResponseForSlowClient(self) -> None:
        """
        The response to a client that does not read waits in its transport.
        """
        wire = self.hold()
        wire.transport.isStuck = True
        known = self.publish("news", 1)
        self.assertEqual(wire.take(), b"")
        wire.transport.isStuck = False
        self.assertEqual(cursors(readResponse(wire.take()).json["messages"]), known)

    def test_answersAlikeOnTwoSites(self) -> None:
        """
        Two resources over one hub give the same responses.
        """
        wires = [
            self.connect(self.makeSite(LongPollResource(self.hub))),
            self.connect(self.makePlainSite(LongPollResource(self.hub))),
        ]
        for wire in wires:
            wire.send(get("/news"))
        self.publish("news", 1)
        first, second = (wire.take() for wire in wires)
        self.assertEqual(first, second)
