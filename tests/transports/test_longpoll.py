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
    A long poll is held until there is something to say.
    """

    def hold(self, query: str = "", *headers: str) -> Wire:
        """
        Send a request, and see that it is not answered yet.
        """
        wire = self.connect()
        wire.send(get(f"/channels/news?{query}", *headers))
        self.assertEqual(wire.take(), b"")
        return wire

    def test_message(self) -> None:
        """
        A message ends the hold, and the connection serves the next.
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

    def test_turn(self) -> None:
        """
        What is published in one turn comes in one answer.
        """
        wire = self.hold()
        known = self.publish("news", 1, 2, 3)
        self.assertEqual(cursors(readResponse(wire.take()).json["messages"]), known)

    def test_wait(self) -> None:
        """
        Just before its time there is no answer, at its time there is an empty
        one with the cursor of now, and no timer is left.
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

    def test_noWait(self) -> None:
        """
        C{wait=0} is answered at once.
        """
        self.assertEqual(self.ask(get("/channels/news?wait=0")).json["messages"], [])

    def test_badWait(self) -> None:
        """
        A time that is not one is refused.
        """
        for wait in ("-1", "301", "x", "nan", "1e3"):
            response = self.ask(get(f"/channels/news?wait={wait}"))
            self.assertProblem(response, 400, "badRequest")

    def test_notModified(self) -> None:
        """
        Who holds the tag of now gets 304 at the end of its time, and a message
        before.
        """
        cursor = self.publish("news", 1)[0]
        wire = self.hold("wait=5", f'If-None-Match: "{cursor}"')
        self.turn(5.1)
        self.assertEqual(readResponse(wire.take()).status, 304)
        wire.send(get("/channels/news", f'If-None-Match: "{cursor}"'))
        known = self.publish("news", 2)
        self.assertEqual(cursors(readResponse(wire.take()).json["messages"]), known)

    def test_headMoved(self) -> None:
        """
        A tag that is not the cursor of now any more gets an answer with the
        new one.
        """
        wire = self.hold("wait=5", f'If-None-Match: "{self.hub.end}"')
        self.publish("other", 1)
        self.turn(5.1)
        response = readResponse(wire.take())
        self.assertEqual((response.status, response.json["cursor"]), (200, str(self.hub.end)))

    def test_gap(self) -> None:
        """
        A gap ends the hold at once.
        """
        response = self.ask(get("/channels/news?since=zzzzzz-5"))
        self.assertEqual((response.json["gap"], response.json["messages"]), (["news"], []))

    def test_draining(self) -> None:
        """
        Who waits when the server goes down is told when to come back, and
        where it stands.
        """
        wire = self.hold()
        done = self.hub.drain(10)
        response = readResponse(wire.take())
        self.assertEqual(response.json["close"]["code"], "draining")
        self.assertEqual(response.json["cursor"], str(self.hub.end))
        self.assertTrue(0 < response.json["close"]["retry"] <= 10)
        self.successResultOf(done)

    def test_full(self) -> None:
        """
        Where there are as many as there may be, the next is told to come
        later; a poll that does not wait still is answered.
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
    What the client does while its request is on hold.
    """

    def hold(self) -> Wire:
        """
        A request on hold.
        """
        wire = self.connect()
        wire.send(get("/channels/news"))
        self.assertEqual(len(self.hub.fanout.readers), 1)
        return wire

    def test_leaves(self) -> None:
        """
        A client that leaves is forgotten.
        """
        self.hold().leave()
        self.assertNothingLeft()

    def test_pipelined(self) -> None:
        """
        What comes during the hold is answered after it, in order.
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

    def test_pipelinedHolds(self) -> None:
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
        Requests to publish, more than Twisted reads ahead.
        """
        request = post("/channels/open/a", b"x" * 1000)
        return request * (size // len(request) + 1)

    def test_sendsMuch(self) -> None:
        """
        A client that sends more than is read ahead ends its hold: it is
        answered, what it sent is, too, and it can leave.
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

    def test_sendsMuchAtOnce(self) -> None:
        """
        So does one that sends it all together with its request.
        """
        wire = self.connect()
        wire.send(get("/channels/news") + self.flood(wire, MAX_HELD_INPUT))
        self.turn()
        self.assertEqual(readResponse(wire.take()).json["messages"], [])
        self.assertTrue(wire.transport.isReading)
        self.assertNothingLeft()

    def test_sendsMuchAndLeaves(self) -> None:
        """
        One that sends half a request of any size and leaves is forgotten.
        """
        wire = self.hold()
        wire.sendIn(1000, b"GET /" + b"x" * (MAX_HELD_INPUT + 4000))
        wire.leave()
        self.assertNothingLeft()

    def test_sendsLittle(self) -> None:
        """
        One that sends no more than is read ahead goes on waiting, and leaves
        when it likes.
        """
        wire = self.hold()
        wire.sendIn(1024, b"GET /" + b"x" * (MAX_HELD_INPUT - 5))
        self.assertEqual(wire.take(), b"")
        self.assertTrue(wire.transport.isReading)
        self.assertEqual(len(self.hub.fanout.readers), 1)
        wire.leave()
        self.assertNothingLeft()

    def test_slow(self) -> None:
        """
        The answer of a client that does not read waits in its transport.
        """
        wire = self.hold()
        wire.transport.isStuck = True
        known = self.publish("news", 1)
        self.assertEqual(wire.take(), b"")
        wire.transport.isStuck = False
        self.assertEqual(cursors(readResponse(wire.take()).json["messages"]), known)

    def test_twoSites(self) -> None:
        """
        Two resources over one hub give the same answers.
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
