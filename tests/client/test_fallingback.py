"""
Tests of what L{comet.client.clientreading} does when a transport does not get through.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.client.failures import BadAnswer, Refused, Untrusted
from comet.client.received import Closing, Gap, Message
from comet.errors import Forbidden, NotFound
from tests.client.playing import Reply, Script, away, cut, silent


def response(type: str, *events: bytes | Exception) -> Reply:
    """
    Make a response that begins well.
    """
    return Reply(200, {"content-type": type}, events)


def refusal(status: int, code: str | None = None, retryAfter: str | None = None) -> Reply:
    """
    Make a response of comet, or without a code, of a proxy.
    """
    body = b"<html>no</html>" if code is None else json.dumps({"code": code}).encode()
    return Reply(status, {} if retryAfter is None else {"retry-after": retryAfter}, [body])


AT = b'{"cursor":"k3f9a2-7"}'
MESSAGE = b'{"channel":"a","cursor":"k3f9a2-8","data":1}'
EVENTS = b"data: %b\n\ndata: %b\n\n" % (AT, MESSAGE)
LINES = b"%b\n%b\n" % (AT, MESSAGE)
BODY = b'{"cursor":"k3f9a2-8","messages":[%b]}' % MESSAGE
SSE, STREAM, JSON = "text/event-stream", "application/x-ndjson", "application/json"


class FallingBackTests(SynchronousTestCase):
    """
    The transports are tried in their order.
    """

    def read(self, script: Script, **options: Any) -> list[Any]:
        """
        Return what a subscription brings, and keep what it tells.
        """
        self.told: list[Closing] = []
        self.reading = script.core(**options).subscribe("a", onClose=self.told.append)
        return script.data(self.reading)

    def test_next(self) -> None:
        """
        A transport that is not let through is followed by the next, at once.
        """
        for refused in (refusal(400), refusal(403), refusal(502), cut(), silent(), Reply()):
            for number, (transport, works) in enumerate(
                (
                    ("sse", response(SSE, EVENTS, silent())),
                    ("stream", response(STREAM, LINES, silent())),
                    ("longpoll", response(JSON, BODY)),
                )
            ):
                script = Script(refused, *[refusal(404)] * number, works)
                self.assertEqual(self.read(script)[:1], [1], (refused, transport))
                self.assertIn(f"transport={transport}", str(script.asked[number + 1].url))
                self.assertEqual(max(script.slept[: number + 1]), 0.0)

    def test_websocket(self) -> None:
        """
        A handshake that is no WebSocket's falls back, too.
        """
        script = Script(BadAnswer("there is no WebSocket"), response(SSE, EVENTS))
        self.assertEqual(self.read(script), [1])
        self.assertEqual(self.told[0].code, "badAnswer")

    def test_serverIsAway(self) -> None:
        """
        Where there is no connection at all, no other transport is tried.
        """
        script = Script(*[away()] * 5)
        self.assertEqual(self.read(script), [])
        self.assertEqual(self.reading.transport, "websocket")
        self.assertEqual([each.code for each in self.told], ["lost"] * 5)
        for told, slept in zip(self.told, script.slept, strict=True):
            self.assertAlmostEqual(told.retry or 0, slept)
        self.assertLess(script.slept[0], 1)

    def test_refusedByServer(self) -> None:
        """
        What comet refuses is not tried by other transports; what it refuses for now is asked again
        when it says, or after an hour.
        """
        self.assertRaises(Forbidden, self.read, Script(refusal(403, "forbidden")))
        for asked, waited in (("7", 7), ("3600", 3600), ("3601", 3600), ("9" * 99, 3600)):
            script = Script(refusal(503, "unavailable", asked), response(STREAM, LINES))
            self.assertEqual(self.read(script, transport="stream"), [1])
            self.assertAlmostEqual(script.slept[0], waited)

    def test_noServerOfComet(self) -> None:
        """
        A URL where no transport finds comet is told of, rather than tried for ever.
        """
        page = response("text/html", b"<html>hello</html>")
        self.assertRaises(BadAnswer, self.read, Script(*[page] * 4))
        error = self.assertRaises(Refused, self.read, Script(*[refusal(404)] * 4))
        self.assertEqual((error.code, error.status), ("http", 404))
        self.assertRaises(NotFound, self.read, Script(refusal(404, "notFound")))
        self.assertRaises(Untrusted, self.read, Script(Untrusted("self-signed")))

    def test_better(self) -> None:
        """
        After five minutes a better transport is tried again, when the connection is lost.
        """
        begun = response(SSE, b"data: %b\n\n" % AT, silent())
        script = Script(refusal(400), begun, response(STREAM, LINES))
        reading = script.core(transport=("stream", "sse")).subscribe("a")
        self.assertIsNone(reading.take())
        while not any("transport=sse" in str(each.url) for each in script.asked):
            step = reading.step()
            if step is not None:
                reading.done(script.do(step))
        script.now += 301
        self.assertEqual((script.data(reading), reading.transport), ([1], "stream"))

    def test_shortConnections(self) -> None:
        """
        If a proxy cuts several connections in a row before they bring a message, the next transport
        is tried.
        """
        begun = response(SSE, b"data: %b\n\n" % AT)
        script = Script(begun, begun, begun, response(STREAM, LINES))
        self.assertEqual(self.read(script, transport=("sse", "stream")), [1])
        self.assertIn("transport=stream", str(script.asked[3].url))
        self.assertIn("since=k3f9a2-7", str(script.asked[3].url))

    def test_unreadable(self) -> None:
        """
        What cannot be read ends the connection, and what came before it is delivered once.
        """
        for rest in (b"data: {\n\n", b"data: []\n\n", b'data: {"cursor":1}\n\n'):
            script = Script(response(SSE, EVENTS + rest), response(SSE, EVENTS))
            self.assertEqual(self.read(script, transport="sse"), [1])
            self.assertEqual(self.told[0].code, "badAnswer")

    def test_gapFirst(self) -> None:
        """
        A gap where the subscription begins is the first item.
        """
        gap = b'{"cursor":"k3f9a2-5","gap":["a"]}'
        script = Script(response(STREAM, b"%b\n%b\n" % (gap, MESSAGE)))
        self.assertEqual(self.read(script, transport="stream"), [Gap("k3f9a2-5", ("a",)), 1])

    def test_emptyPolls(self) -> None:
        """
        Polls that are answered at once with nothing are made once a second; polls that bring
        messages, at once.
        """
        for fields in ("", ',"more":true'):
            body = b'{"cursor":"k3f9a2-8","messages":[]%b}' % fields.encode()
            empty = response(JSON, body)
            script = Script(response(JSON, BODY), *[empty] * 10)
            self.assertEqual(self.read(script, transport="longpoll"), [1])
            self.assertEqual(script.slept[:10], [1.0] * 10)

    def test_everySplit(self) -> None:
        """
        What is delivered does not depend on how the network cuts a response.
        """
        expected = [Message("a", "k3f9a2-8", 1)]
        for transport, type, stream in (
            ("sse", SSE, EVENTS),
            ("stream", STREAM, LINES),
            ("longpoll", JSON, BODY),
        ):
            for size in range(1, 60):
                pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
                script = Script(response(type, *pieces))
                reading = script.core(transport=transport).subscribe("a")
                self.assertEqual(script.items(reading), expected)
