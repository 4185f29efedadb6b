"""
Tests of L{comet.transports.channel}: publish, read by any transport, delete.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from comet.bus.idempotency import KeyBudget, KeyMemory
from comet.errors import Unknown
from comet.http.negotiation import TRANSPORTS
from comet.transports.channel import RESOURCES, ChannelResource
from tests.transports.case import (
    AUTH,
    COMMON,
    KEY,
    HubTestCase,
    Response,
    cursors,
    get,
    post,
    readResponse,
    request,
)

BEARER = f"Authorization: Bearer {KEY}"


def noting(order: list[str], name: str, write: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """
    Wrap a function that writes, so that it notes its name in a list.
    """

    def note(data: bytes) -> None:
        order.append(name)
        write(data)

    return note


class ResourcesTests(HubTestCase):
    """
    The resources that a channel is read by.
    """

    def test_hasEveryTransport(self) -> None:
        """
        There is one resource for each transport that a request can ask for.
        """
        resources = ChannelResource(self.hub).transports
        self.assertEqual(sorted(resources), sorted(TRANSPORTS))
        self.assertEqual(len(RESOURCES), len(TRANSPORTS))


class PublishTests(HubTestCase):
    """
    C{POST} and C{PUT} to a channel.
    """

    def held(self, path: str) -> list[Any]:
        """
        Return what the bus holds of some channels.
        """
        response = self.ask(get(f"/channels/{path}?transport=poll&since=earliest"))
        messages: list[Any] = response.json["messages"]
        return messages

    def test_answersWithCursors(self) -> None:
        """
        The response says the cursor in each channel, and the last of them.
        """
        for method in ("POST", "PUT"):
            raw = request(method, "/channels/a,b", BEARER, body=b"hello")
            response = self.ask(raw)
            self.assertEqual(response.status, 201)
            self.assertEqual(response.header("Content-Type"), "application/json")
            self.assertEqual(list(response.json["channels"]), ["a", "b"])
            self.assertEqual(response.json["cursor"], str(self.hub.end))
            self.assertEqual(response.json["channels"]["b"], str(self.hub.end))
        self.assertEqual([m["channel"] for m in self.held("a,b")], ["a", "b"] * 2)

    def test_storesByContentType(self) -> None:
        """
        JSON is stored as a value, text as a string, any other type as bytes.
        """
        for contentType, body, data in (
            ("application/json", b'{"a": [1, null]}', {"a": [1, None]}),
            ("text/plain; charset=utf-8", "grüße".encode(), "grüße"),
            ("application/x-www-form-urlencoded", b"a=1&b=2", "a=1&b=2"),
            ("", b"", ""),
        ):
            more = [f"Content-Type: {contentType}"] if contentType else []
            self.assertEqual(self.ask(post("/channels/a", body, *more)).status, 201)
            self.assertEqual(self.held("a")[-1]["data"], data)
        raw = bytes(range(256))
        self.ask(post("/channels/a", raw, "Content-Type: image/png"))
        held = self.held("a")[-1]
        self.assertEqual((held["encoding"], base64.b64decode(held["data"])), ("base64", raw))

    def test_publishesFormsAsBytes(self) -> None:
        """
        A form is published as its bytes, also if it is malformed.
        """
        kind = "Content-Type: multipart/form-data"
        for parameter in ("; boundary=x", "", '; boundary=""'):
            for body in (b"--x\r\nnonsense", b"\xff\xfe", b"--x--\r\n"):
                response = self.ask(post("/channels/a", body, kind + parameter))
                self.assertEqual(response.status, 201)
                self.assertEqual(base64.b64decode(self.held("a")[-1]["data"]), body)

    def test_undoesGzip(self) -> None:
        """
        A body that was compressed by gzip is published as what it stands for.
        """
        kind, coding = "Content-Type: application/json", "Content-Encoding: gzip"
        body = gzip.compress(b'{"a":1}')
        self.assertEqual(self.ask(post("/channels/a", body, kind, coding)).status, 201)
        self.assertEqual(self.held("a")[-1]["data"], {"a": 1})
        lines = gzip.compress(b'{"channel":"a","data":2}\n')
        kind = "Content-Type: application/x-ndjson"
        self.assertEqual(self.ask(post("/publish", lines, kind, coding)).status, 201)
        self.assertEqual(self.held("a")[-1]["data"], 2)

    def test_refusesCodings(self) -> None:
        """
        Another coding is not supported, and the response has the one that is.  A
        body that is not in its coding, or is larger than a message once its
        coding is undone, is refused.
        """
        most = self.settings.limits.maxMessage
        for path, large in (
            ("/channels/a", gzip.compress(b" " * (most + 1))),
            ("/publish", gzip.compress(b" " * (self.settings.limits.maxBatchBytes + 1))),
        ):
            kind = "Content-Type: application/x-ndjson"
            response = self.ask(post(path, b"x", kind, "Content-Encoding: br"))
            self.assertProblem(response, 415, "unsupported")
            self.assertEqual(response.header("Accept-Encoding"), "gzip")
            response = self.ask(post(path, b"x", kind, "Content-Encoding: gzip"))
            self.assertProblem(response, 400, "badMessage")
            response = self.ask(post(path, large, kind, "Content-Encoding: gzip"))
            self.assertProblem(response, 413, "tooLarge")
        self.assertEqual(self.held("a"), [])

    def test_refusesCharsets(self) -> None:
        """
        Text in another charset is not supported.  The response has no
        Accept-Encoding, since no coding was the reason.
        """
        response = self.ask(post("/channels/a", b"x", "Content-Type: text/plain; charset=utf-16"))
        self.assertProblem(response, 415, "unsupported")
        self.assertIsNone(response.header("Accept-Encoding"))

    def test_readsEventFromHeader(self) -> None:
        """
        A header names the event.
        """
        self.ask(post("/channels/a", b"x", "Comet-Event: grüße"))
        self.assertEqual(self.held("a")[-1]["event"], "grüße")
        response = self.ask(post("/channels/a", b"x", "Comet-Event: $x"))
        self.assertProblem(response, 400, "badMessage")

    def test_publishesKeyOnce(self) -> None:
        """
        A key that is repeated publishes nothing more; with another body it is
        refused.
        """
        key = "Idempotency-Key: k1"
        first = self.ask(post("/channels/a", b"x", key))
        again = self.ask(post("/channels/a", b"x", key))
        self.assertEqual((again.status, again.json), (201, first.json))
        self.assertEqual(len(self.held("a")), 1)
        self.assertProblem(self.ask(post("/channels/a", b"y", key)), 422, "keyReused")

    def test_strangersPushNoKeyOut(self) -> None:
        """
        Clients without the publish key make the server forget keys of their
        own, and none of its holder's.
        """
        self.patch(self.hub.bus, "_keys", KeyMemory(self.clock.seconds, budget=KeyBudget(4500)))

        def strange(number: int) -> Any:
            header = f"Idempotency-Key: {number}"
            return self.ask(request("POST", "/channels/open/a", header, body=b"x")).json

        own = self.ask(post("/channels/open/a", b"x", "Idempotency-Key: k")).json
        first, second = strange(0), strange(1)
        self.assertEqual(strange(0), first)
        for number in range(2, 12):
            strange(number)
        self.assertEqual(self.ask(post("/channels/open/a", b"x", "Idempotency-Key: k")).json, own)
        self.assertNotEqual(strange(0), first)
        self.assertNotEqual(strange(1), second)

    def test_checksRights(self) -> None:
        """
        Only the holder of the key publishes, except to open channels; reserved
        channels take nothing from any client.
        """
        self.assertProblem(self.ask(request("POST", "/channels/a", body=b"")), 401, "unauthorized")
        self.assertEqual(self.ask(request("POST", "/channels/open/a", body=b"")).status, 201)
        self.assertProblem(self.ask(post("/channels/$stats", b"")), 403, "forbidden")

    def test_refusesPatternsAndBadNames(self) -> None:
        """
        Publishing to patterns and to malformed names is refused.
        """
        for name in ("", "a//b", "a,,b", "*", "news/**", "a%2Fb", "a%2Cb", "%ff", ".", "a/.."):
            response = self.ask(post(f"/channels/{name}", b"x"))
            self.assertProblem(response, 400, "badChannel")
        self.assertEqual(self.ask(post("/channels/a%20b/%c3%bc", b"x")).status, 201)
        self.assertEqual(self.held("a%20b/%C3%BC")[0]["channel"], "a b/ü")

    def test_refusesBadBody(self) -> None:
        """
        A body that is not of its declared type is refused.
        """
        for kind, body in (("application/json", b"{"), ("text/plain", b"\xff")):
            response = self.ask(post("/channels/a", body, f"Content-Type: {kind}"))
            self.assertProblem(response, 400, "badMessage")
        self.assertProblem(self.ask(post("/channels/a", b"x" * 2000)), 413, "tooLarge")

    def test_writesToReadersFirst(self) -> None:
        """
        The publisher is answered after the message was written to the readers.
        """
        reader, publisher = self.connect(), self.connect()
        reader.send(get("/channels/a"))
        publisher.send(post("/channels/a", b"x"))
        self.assertEqual((reader.take(), publisher.take()), (b"", b""))
        order: list[str] = []
        for wire, name in ((publisher, "publisher"), (reader, "reader")):
            self.patch(wire.transport, "write", noting(order, name, wire.transport.write))
        self.turn()
        self.assertEqual(list(dict.fromkeys(order)), ["reader", "publisher"])
        self.assertEqual(readResponse(publisher.take()).status, 201)

    def test_reportsUnknownOutcome(self) -> None:
        """
        If the bus cannot know whether the message was stored, the publisher is
        told so.
        """
        asked: list[Deferred[Any]] = []

        def publish(publications: object) -> Deferred[Any]:
            asked.append(Deferred())
            return asked[-1]

        self.patch(self.bus, "publish", publish)
        wire, gone = self.connect(), self.connect()
        wire.send(post("/channels/a", b"x"))
        gone.send(post("/channels/a", b"x"))
        gone.leave()
        self.turn()
        for stored in asked:
            stored.errback(Unknown("the link to the bus broke"))
        self.assertProblem(readResponse(wire.take()), 504, "unknown")

    def test_finishesWhileDraining(self) -> None:
        """
        A server that drains publishes, tells the client that the connection ends,
        and ends it.
        """
        wire = self.connect()
        request = post("/channels/a", b"x")
        wire.send(request[:-1])
        self.hub.drain(10)
        wire.send(request[-1:])
        self.turn()
        response = readResponse(wire.take())
        self.assertEqual((response.status, response.header("Connection")), (201, "close"))
        self.assertFalse(wire.isOpen)


class BatchTests(HubTestCase):
    """
    C{POST /publish}.
    """

    def batch(self, *lines: Any, kind: str = "application/x-ndjson") -> Response:
        """
        Publish some lines in one request.
        """
        body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return self.ask(post("/publish", body, f"Content-Type: {kind}"))

    def test_answersWithCursors(self) -> None:
        """
        The response has a cursor for each line.
        """
        response = self.batch({"channel": "a", "data": 1}, {"channel": "b", "data": None})
        self.assertEqual(response.status, 201)
        self.assertEqual(response.json["cursor"], response.json["cursors"][-1])
        held = self.ask(get("/channels/a,b?transport=poll&since=earliest")).json["messages"]
        self.assertEqual(cursors(held), response.json["cursors"])

    def test_publishesAllOrNothing(self) -> None:
        """
        If one line is bad, nothing is published.
        """
        good = {"channel": "a", "data": 1}
        for bad, status in (
            ({"channel": "*", "data": 1}, 400),
            ({"channel": "$stats", "data": 1}, 403),
            ([], 400),
        ):
            self.assertEqual(self.batch(good, bad).status, status)
        self.assertProblem(self.batch(good, kind="text/plain"), 400, "badRequest")
        self.assertEqual(self.hub.end.position, 0)

    def test_anonymous(self) -> None:
        """
        Without the key only open channels may be published to.
        """
        body = b'{"channel":"open/a","data":1}\n'
        kind = "Content-Type: application/x-ndjson"
        self.assertEqual(self.ask(request("POST", "/publish", kind, body=body)).status, 201)
        closed = body.replace(b"open", b"shut")
        response = self.ask(request("POST", "/publish", kind, body=closed))
        self.assertProblem(response, 401, "unauthorized")

    def test_hasNoPath(self) -> None:
        """
        A path below the resource leads nowhere.
        """
        self.assertProblem(self.ask(post("/publish/news", b"")), 404, "notFound")


class OtherMethodsTests(HubTestCase):
    """
    C{HEAD}, C{DELETE}, and choosing a transport.
    """

    def test_headSaysCursor(self) -> None:
        """
        C{HEAD} says the cursor of the log end, without a body.
        """
        self.publish("news", 1)
        wire = self.connect()
        wire.send(get("/channels/news", method="HEAD") + get("/health"))
        response = readResponse(wire.take(), isHead=True)
        self.assertEqual((response.status, response.header("ETag")), (200, f'"{self.hub.end}"'))
        for name, values in COMMON.items():
            self.assertEqual(response.headers[name], values)
        self.assertEqual(readResponse(response.rest).json, {"ready": True})

    def test_deletesAndLeavesGap(self) -> None:
        """
        C{DELETE} removes what a channel holds, and a reader with an older
        cursor gets a gap.
        """
        start = str(self.hub.end)
        self.publish("a", 1)
        response = self.ask(request("DELETE", "/channels/a", BEARER))
        self.assertEqual((response.status, response.rest), (204, b""))
        self.assertEqual(response.header("Content-Type"), None)
        gap = self.ask(get(f"/channels/a?transport=poll&since={start}")).json
        self.assertEqual((gap["gap"], gap["messages"]), (["a"], []))

    def test_refusesDelete(self) -> None:
        """
        Only the holder of the key may delete, and only channels, not patterns.
        """
        response = self.ask(request("DELETE", "/channels/open/a"))
        self.assertProblem(response, 401, "unauthorized")
        response = self.ask(request("DELETE", "/channels/*", BEARER))
        self.assertProblem(response, 400, "badChannel")
        response = self.ask(request("DELETE", "/channels/$stats", BEARER))
        self.assertProblem(response, 403, "forbidden")

    def test_choosesTransport(self) -> None:
        """
        The parameter names the transport, else the header C{Accept} does.
        """
        for query, accept, kind in (
            ("transport=sse", "application/json", "text/event-stream"),
            ("transport=stream", "text/event-stream", "application/x-ndjson"),
            ("", "text/event-stream", "text/event-stream"),
            ("", "application/x-ndjson", "application/x-ndjson"),
            ("wait=0", "*/*", "application/json"),
            ("transport=poll", "text/html", "application/json"),
        ):
            wire = self.connect()
            wire.send(get(f"/channels/a?{query}", f"Accept: {accept}"))
            self.assertIn(f"Content-Type: {kind}\r\n".encode(), wire.take())
        response = self.ask(get("/channels/a?transport=pigeon"))
        self.assertProblem(response, 400, "badRequest")

    def test_takesSchemeInAnyCase(self) -> None:
        """
        The scheme in C{Authorization} may be in any case.
        """
        raw = b"PUT /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
        raw += AUTH.replace(b"Bearer", b"bEARER") + b"\r\n"
        self.assertEqual(self.ask(raw).status, 201)
