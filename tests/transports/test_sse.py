"""
Tests of L{comet.transports.sse}.
"""

from __future__ import annotations

import json

from twisted.web.resource import Resource

from comet.errors import TooMany
from comet.transports.exchange import Exchange
from comet.transports.sse import EventSourceResource
from tests.framing.readers import ChunkReader, Event, EventReader
from tests.transports.case import COMMON, HubTestCase, get, readHead, readResponse
from tests.transports.wire import Wire


class EventSourceTests(HubTestCase):
    """
    What an C{EventSource} receives.
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
        Return what has arrived since the last call.
        """
        chunks.feed(wire.take())
        events.feed(chunks.body)
        chunks.body = b""
        heard, events.events = events.events, []
        return heard

    def follow(self, wire: Wire, events: EventReader, chunks: ChunkReader) -> list[Event]:
        """
        Return what has arrived after the first event, which tells the cursor.
        """
        first, *heard = self.read(wire, events, chunks)
        self.assertEqual((first.type, first.data), ("$at", ""))
        return heard

    def test_beginsWithRetryAndCursor(self) -> None:
        """
        The stream begins with the reconnection time and the reader's cursor,
        which comes again with every heartbeat.
        """
        wire, events, chunks = self.open("/channels/news")
        at = Event("$at", "", str(self.hub.end))
        self.assertEqual((events.events, events.retry), ([at], 2000))
        self.publish("other", 1)
        self.turn(25.2)
        first, beat = self.read(wire, events, chunks)
        self.assertEqual(first, at)
        self.assertEqual(beat, Event("$at", "", str(self.hub.end)))
        self.assertNotEqual(beat, at)

    def test_resumesBeforeFirstMessage(self) -> None:
        """
        A client that is cut off before its first message, and forgets the ids of
        events without data, comes back with a cursor, and misses nothing.
        """
        wire = self.connect()
        wire.send(get("/channels/news?transport=sse"))
        chunks, events = ChunkReader(), EventReader(isForgetful=True)
        chunks.feed(readHead(wire.take()).body)
        events.feed(chunks.body)
        known = self.publish("news", 1, 2)
        opened = self.open("/channels/news", f"Last-Event-ID: {events.lastEventID}")
        self.assertEqual([e.lastEventID for e in self.follow(*opened)], known)

    def test_writesEvents(self) -> None:
        """
        A string is sent unchanged, any other payload as JSON; the event has the
        message's name, or none.
        """
        opened = self.open("/channels/news")
        self.hub.publish("news", "a\r\nb", "alarm")
        first, second = self.publish("news", {"a": 1}, "x")
        heard = self.follow(*opened)
        self.assertEqual([e.type for e in heard], ["alarm", "message", "message"])
        self.assertEqual([e.data for e in heard], ["a\nb", '{"a":1}', "x"])
        self.assertEqual([e.lastEventID for e in heard[1:]], [first, second])

    def test_namesEventsAfterChannel(self) -> None:
        """
        If several channels or a pattern are read, events are named after the
        channel.
        """
        for path in ("/channels/a,b", "/channels/*"):
            opened = self.open(path)
            self.publish("a", 1)
            self.publish("b", 2)
            self.assertEqual([e.type for e in self.follow(*opened)], ["a", "b"])

    def test_resumesAfterLastEventId(self) -> None:
        """
        The last event id overrides the start position in the URL.
        """
        known = self.publish("news", 1, 2, 3)
        opened = self.open("/channels/news?since=now", f"Last-Event-ID: {known[0]}")
        heard = self.follow(*opened)
        self.assertEqual([e.lastEventID for e in heard], known[1:])

    def test_reportsGapOfBadId(self) -> None:
        """
        An id that cannot be read is a gap.
        """
        known = self.publish("news", 1)
        opened = self.open("/channels/news", "Last-Event-ID: what?")
        gap, message = self.read(*opened)
        self.assertEqual((gap.type, json.loads(gap.data)), ("$gap", ["news"]))
        self.assertEqual(message.lastEventID, known[0])

    def test_writesEnvelopes(self) -> None:
        """
        With C{envelope} the data are envelopes, also in heartbeats.
        """
        opened = self.open("/channels/news?envelope=1&time=1")
        self.publish("news", 1)
        self.turn(25.2)
        begun, message, beat = (json.loads(e.data) for e in self.read(*opened))
        self.assertEqual(list(begun), ["cursor"])
        self.assertEqual((message["data"], message["time"]), (1, 1000))
        self.assertEqual(beat, {"cursor": str(self.hub.end)})

    def test_writesUnnamedEvents(self) -> None:
        """
        With C{unnamed} no event has a name.
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

    def test_writesLastWords(self) -> None:
        """
        The last words are an event, with the reconnection time.
        """
        opened = self.open("/channels/news")
        self.hub.drain(10)
        (event,) = self.follow(*opened)
        close = json.loads(event.data)
        self.assertEqual((event.type, close["code"]), ("$close", "draining"))
        self.assertEqual(opened[1].retry, round(close["retry"] * 1000))
        self.assertTrue(opened[2].ended)
        self.assertFalse(opened[0].isOpen)


class TemporaryTests(HubTestCase):
    """
    Temporary errors: an C{EventSource} reconnects only after status 200.
    """

    def assertClosed(self, raw: bytes, code: str, wire: Wire, isLast: bool = False) -> None:
        """
        Assert that a response has status 200, says why the stream ends, and
        ends; the connection stays.

        @param isLast: Whether the connection ends instead.
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
        self.assertIs(wire.isOpen, not isLast)

    def test_endsStreamWhileDraining(self) -> None:
        """
        While the server drains, the response is a stream that ends.
        """
        self.hub.drain(10)
        wire = self.connect()
        wire.send(get("/channels/news?transport=sse", "Origin: https://friend.example"))
        raw = wire.take()
        self.assertClosed(raw, "draining", wire, isLast=True)
        self.assertIn(b"Access-Control-Allow-Origin: https://friend.example\r\n", raw)

    def test_endsStreamWhenFull(self) -> None:
        """
        When there are as many readers as allowed, the response is a stream that
        ends.
        """
        self.connect().send(get("/channels/news?transport=sse"))
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        wire = self.connect()
        wire.send(get("/channels/news?transport=sse"))
        self.assertClosed(wire.take(), "tooMany", wire)

    def test_leavesCursorOfClient(self) -> None:
        """
        A client that says where it starts keeps its own id when it is refused,
        or what was published since would be lost.  A client that starts now gets
        the cursor of the log end as its id.
        """
        known, *_ = self.publish("news", 1, 2)
        self.hub.drain(10)
        lost, none = f"{known[:-2]}-0", ""
        for query, header, ident, standing in (
            ("", "", str(self.hub.end), str(self.hub.end)),
            ("&since=now&since.news=", "", str(self.hub.end), str(self.hub.end)),
            ("", f"Last-Event-ID: {known}", none, known),
            ("&since=now", f"Last-Event-ID: {known}", none, known),
            (f"&since={known}", "", none, known),
            (f"&since.news={known}", "", none, known),
            ("", f'If-None-Match: "{known}"', none, known),
            ("&since=-1", "", none, lost),
            ("&since=earliest", "", none, lost),
            ("", "Last-Event-ID: what?", none, lost),
        ):
            for more in ("", "&envelope=1"):
                path = f"/channels/news?transport=sse{query}{more}"
                response = self.ask(get(path, *([header] if header else [])))
                events = EventReader()
                events.feed(response.body)
                (event,) = events.events
                self.assertEqual((event.type, event.lastEventID), ("$close", ident), path)
                if more:
                    self.assertEqual(json.loads(event.data)["cursor"], standing, path)

    def test_endsStreamInFormAskedFor(self) -> None:
        """
        The last words have the form that the request asks for.
        """
        self.hub.drain(10)
        response = self.ask(get("/channels/news?transport=sse&envelope=1&unnamed=1"))
        events = EventReader()
        events.feed(response.body)
        (event,) = events.events
        envelope = json.loads(event.data)
        self.assertEqual((event.type, envelope["close"]["code"]), ("message", "draining"))

    def test_reportsLastingError(self) -> None:
        """
        A lasting error has an error's status, so that the client does not
        reconnect.
        """
        for path, headers, status, code in (
            ("/channels/a//b?transport=sse", [], 400, "badChannel"),
            ("/channels/a?transport=sse&since=x", [], 400, "badCursor"),
            ("/channels/a?transport=sse", ["Authorization: Bearer x"], 401, "unauthorized"),
        ):
            self.assertProblem(self.ask(get(path, *headers)), status, code)


class AloneTests(HubTestCase):
    """
    The resource in an application's tree.
    """

    def test_worksAtAnyPath(self) -> None:
        """
        The resource works below any path, on any site, twice over one hub, and
        reports its own errors.
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

    def test_refusalThatCannotBeTold(self) -> None:
        """
        A request that is refused before it is parsed, and whose start position
        cannot be read, gets that error; the log says nothing.
        """

        class FullResource(EventSourceResource):
            def names(self, exchange: Exchange) -> tuple[str, ...]:
                raise TooMany("the application has enough readers")

        root = Resource()
        root.putChild(b"events", FullResource(self.hub))
        for site in (self.makeSite(root), self.makePlainSite(root)):
            twice = ("Last-Event-ID: a-1", "Last-Event-ID: a-2")
            self.assertProblem(self.ask(get("/events", *twice), site), 400, "badRequest")
            self.assertEqual(self.ask(get("/events"), site).status, 200)
        self.assertEqual(self.flushLoggedErrors(), [])
