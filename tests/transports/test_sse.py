"""
Tests of L{comet.transports.sse}.
"""

from __future__ import annotations

import json

from twisted.web.resource import Resource

from comet.transports.sse import EventSourceResource
from tests.framing.readers import ChunkReader, Event, EventReader
from tests.transports.case import COMMON, HubTestCase, get, readHead, readResponse
from tests.transports.wire import Wire


class EventSourceTests(HubTestCase):
    """
    What an C{EventSource} hears.
    """

    def open(self, path: str, *headers: str) -> tuple[Wire, EventReader, ChunkReader]:
        """
        Begin to read.
        """
        wire = self.connect()
        wire.send(get(path, "Accept: text/event-stream", *headers))
        self.turn()
        response = readHead(wire.take())
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header("Content-Type"), "text/event-stream")
        chunks, events = ChunkReader(), EventReader()
        chunks.feed(response.body)
        events.feed(chunks.body)
        chunks.body = b""
        return wire, events, chunks

    def read(self, wire: Wire, events: EventReader, chunks: ChunkReader) -> list[Event]:
        """
        What has come since.
        """
        chunks.feed(wire.take())
        events.feed(chunks.body)
        chunks.body = b""
        heard, events.events = events.events, []
        return heard

    def test_beginning(self) -> None:
        """
        It is told when to come back, and where it stands, before it hears
        anything.
        """
        _, events, _ = self.open("/channels/news")
        self.assertEqual((events.events, events.retry), ([], 2000))
        self.assertEqual(events.lastEventID, str(self.hub.end))

    def test_events(self) -> None:
        """
        A string is heard as it is, anything else as JSON; the event is the
        message's own, or none.
        """
        opened = self.open("/channels/news")
        self.hub.publish("news", "a\r\nb", "alarm")
        first, second = self.publish("news", {"a": 1}, "x")
        heard = self.read(*opened)
        self.assertEqual([e.type for e in heard], ["alarm", "message", "message"])
        self.assertEqual([e.data for e in heard], ["a\nb", '{"a":1}', "x"])
        self.assertEqual([e.lastEventID for e in heard[1:]], [first, second])

    def test_several(self) -> None:
        """
        Where several channels or a pattern are read, events are named after
        the channel.
        """
        for path in ("/channels/a,b", "/channels/*"):
            opened = self.open(path)
            self.publish("a", 1)
            self.publish("b", 2)
            self.assertEqual([e.type for e in self.read(*opened)], ["a", "b"])

    def test_resume(self) -> None:
        """
        It comes back with the last id, which goes before what the URL says.
        """
        known = self.publish("news", 1, 2, 3)
        opened = self.open("/channels/news?since=now", f"Last-Event-ID: {known[0]}")
        heard = self.read(*opened)
        self.assertEqual([e.lastEventID for e in heard], known[1:])

    def test_gap(self) -> None:
        """
        An id that cannot be read is a gap.
        """
        known = self.publish("news", 1)
        opened = self.open("/channels/news", "Last-Event-ID: what?")
        gap, message = self.read(*opened)
        self.assertEqual((gap.type, json.loads(gap.data)), ("$gap", ["news"]))
        self.assertEqual(message.lastEventID, known[0])

    def test_envelope(self) -> None:
        """
        With C{envelope} the data are envelopes, heartbeats included.
        """
        opened = self.open("/channels/news?envelope=1&time=1")
        self.publish("news", 1)
        self.turn(25.2)
        begun, message, beat = (json.loads(e.data) for e in self.read(*opened))
        self.assertEqual(list(begun), ["cursor"])
        self.assertEqual((message["data"], message["time"]), (1, 1000))
        self.assertEqual(beat, {"cursor": str(self.hub.end)})

    def test_unnamed(self) -> None:
        """
        With C{unnamed} all is heard by who listens for no name.
        """
        opened = self.open("/channels/news,chat/*?envelope=1&unnamed=1&since=what-1")
        self.publish("news", 1)
        self.hub.drain(1)
        events = self.read(*opened)
        self.assertEqual([event.type for event in events], ["message"] * 3)
        gap, message, close = (json.loads(event.data) for event in events)
        self.assertEqual(gap["gap"], ["news", "chat/*"])
        self.assertEqual(message["channel"], "news")
        self.assertEqual(close["close"]["code"], "draining")

    def test_draining(self) -> None:
        """
        The end is an event, and tells when to come back.
        """
        opened = self.open("/channels/news")
        self.hub.drain(10)
        (event,) = self.read(*opened)
        close = json.loads(event.data)
        self.assertEqual((event.type, close["code"]), ("$close", "draining"))
        self.assertEqual(opened[1].retry, round(close["retry"] * 1000))
        self.assertTrue(opened[2].ended)
        self.assertFalse(opened[0].isOpen)


class TemporaryTests(HubTestCase):
    """
    An C{EventSource} comes back only from C{200}.
    """

    def assertClosed(self, raw: bytes, code: str, wire: Wire) -> None:
        """
        A response is good, tells the end, and ends; the connection stays.
        """
        response = readResponse(raw)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.header("Content-Type"), "text/event-stream")
        for name, values in COMMON.items():
            self.assertEqual(response.headers[name], values)
        events = EventReader()
        events.feed(response.body)
        (event,) = events.events
        self.assertEqual((event.type, json.loads(event.data)["code"]), ("$close", code))
        self.assertIsNotNone(events.retry)
        self.assertEqual(event.lastEventID, str(self.hub.end))
        self.assertTrue(wire.isOpen)

    def test_draining(self) -> None:
        """
        While the server goes down.
        """
        self.hub.drain(10)
        wire = self.connect()
        wire.send(get("/channels/news?transport=sse", "Origin: https://friend.example"))
        raw = wire.take()
        self.assertClosed(raw, "draining", wire)
        self.assertIn(b"Access-Control-Allow-Origin: https://friend.example\r\n", raw)

    def test_full(self) -> None:
        """
        Where there are as many as there may be.
        """
        self.connect().send(get("/channels/news?transport=sse"))
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        wire = self.connect()
        wire.send(get("/channels/news?transport=sse"))
        self.assertClosed(wire.take(), "tooMany", wire)

    def test_envelope(self) -> None:
        """
        In the form that was asked for.
        """
        self.hub.drain(10)
        response = self.ask(get("/channels/news?transport=sse&envelope=1&unnamed=1"))
        events = EventReader()
        events.feed(response.body)
        (event,) = events.events
        envelope = json.loads(event.data)
        self.assertEqual((event.type, envelope["close"]["code"]), ("message", "draining"))

    def test_lasting(self) -> None:
        """
        What does not pass is an error, so that it does not come back.
        """
        for path, headers, status, code in (
            ("/channels/a//b?transport=sse", [], 400, "badChannel"),
            ("/channels/a?transport=sse&since=x", [], 400, "badCursor"),
            ("/channels/a?transport=sse", ["Authorization: Bearer x"], 401, "unauthorized"),
        ):
            self.assertProblem(self.ask(get(path, *headers)), status, code)


class AloneTests(HubTestCase):
    """
    The resource in somebody else's tree.
    """

    def test_putChild(self) -> None:
        """
        Below any path, on any site, twice over one hub; and its errors are
        its own.
        """
        root = Resource()
        root.putChild(b"events", EventSourceResource(self.hub))
        root.putChild(b"more", EventSourceResource(self.hub))
        for site in (self.makeSite(root), self.makePlainSite(root)):
            wires = [self.connect(site), self.connect(site)]
            for wire, path in zip(wires, ("/events/a/b", "/more/a/b"), strict=True):
                wire.send(get(path))
                self.assertEqual(readHead(wire.take()).status, 200)
            self.publish("a/b", "hello")
            first, second = (wire.take() for wire in wires)
            self.assertEqual(first, second)
            self.assertIn(b"data: hello\n", first)
            self.assertProblem(self.ask(get("/events"), site), 400, "badChannel")
            response = self.ask(get("/events/a", method="POST"), site)
            self.assertProblem(response, 405, "methodNotAllowed")
