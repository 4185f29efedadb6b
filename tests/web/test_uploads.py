"""
Tests of requests whose body is still to come, on Twisted's edge: what is refused
at the head, while the body arrives, and for want of room.
"""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Awaitable
from typing import Any

from twisted.web.resource import IResource, Resource

from comet.access.rights import Access
from comet.errors import Forbidden, Unauthorized
from comet.http.credentials import Credentials
from comet.hub.hub import Hub
from comet.model.clients import ANONYMOUS, Client
from comet.transports.channel import ChannelResource, PublishResource
from comet.transports.exchange import Exchange
from comet.web.heads import LINGER_TIME
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.batches import LINE, refusedLines
from tests.transports.case import AUTH, KEY, HubTestCase, Response, readResponse
from tests.transports.wire import Wire

NDJSON = "Content-Type: application/x-ndjson"


def head(path: str, length: int, *headers: str, method: str = "POST") -> bytes:
    """
    Make the head of a request with a body.
    """
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("ascii")


class UploadCase(HubTestCase):
    """
    The base class of these tests.

    @cvar opens: The channels that any client may publish to.
    """

    opens: tuple[str, ...] = ()

    def setUp(self) -> None:
        """
        Make a hub with such rights.
        """
        super().setUp()
        self.hub.access = Access(KEY, self.opens)

    def begin(self, *said: bytes) -> Wire:
        """
        Connect a client that sends some bytes, in pieces.
        """
        wire = self.connect()
        wire.send(*said)
        self.turn()
        return wire

    def assertRefused(self, wire: Wire, status: int, code: str) -> Response:
        """
        Assert that a client was told an error as its last response, and is given
        up soon, however much it sends.
        """
        response = readResponse(wire.take())
        self.assertProblem(response, status, code)
        self.assertEqual((response.header("Connection"), response.rest), ("close", b""))
        for _ in range(3):
            wire.send(b"x" * 5000)
            self.turn(LINGER_TIME / 3 - 0.1)
            self.assertTrue(wire.isOpen)
        self.turn(1)
        self.assertEqual((wire.isOpen, wire.take()), (False, b""))
        return response


class HeadTests(UploadCase):
    """
    What is refused at the head.
    """

    def test_refusesWithoutRight(self) -> None:
        """
        A client that may publish nowhere, or not to the channel in the path, is
        refused before its body comes.
        """
        for method, path in (("POST", "/publish"), ("POST", "/channels/a"), ("PUT", "/channels/a")):
            wire = self.begin(head(path, 60000, method=method))
            self.assertRefused(wire, 401, "unauthorized")
        wire = self.begin(head("/publish", 60000, "Authorization: Bearer wrong"))
        self.assertRefused(wire, 401, "unauthorized")

    def test_refusesChunked(self) -> None:
        """
        A body without a declared length is not waited for, either.
        """
        said = b"POST /publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertRefused(self.begin(said), 401, "unauthorized")

    def test_refusesWhatIsNotThere(self) -> None:
        """
        A request for nothing, with a method that is not allowed, from a page of
        another origin, or for another host, is refused before its body comes.
        """
        for said, status, code in (
            (head("/nothing", 60000), 404, "notFound"),
            (head("/publish/x", 60000), 404, "notFound"),
            (head("/health/x", 60000), 404, "notFound"),
            (head("/health", 60000), 405, "methodNotAllowed"),
            (head("/publish", 60000, method="PUT"), 405, "methodNotAllowed"),
            (head("/publish", 60000, "Origin: https://evil.example"), 403, "forbidden"),
            (head("/publish", 60000).replace(b"localhost", b"evil.example"), 421, "wrongHost"),
            (head("/channels/*", 60000), 400, "badChannel"),
        ):
            self.assertRefused(self.begin(said), status, code)

    def test_sendsNoContinue(self) -> None:
        """
        A client that expects 100 is told the error instead.
        """
        wire = self.begin(head("/publish", 60000, "Expect: 100-continue"))
        self.assertRefused(wire, 401, "unauthorized")

    def test_servesOnAfterSmallBody(self) -> None:
        """
        Where the body came together with its head, the connection goes on.
        """
        said = head("/publish", len(LINE), NDJSON) + LINE
        wire = self.begin(said + said)
        response = readResponse(wire.take())
        self.assertProblem(response, 401, "unauthorized")
        self.assertProblem(readResponse(response.rest), 401, "unauthorized")

    def test_keepsNothingWithoutRight(self) -> None:
        """
        Clients without a right cost no more memory than their connections.
        """
        most = self.site.maxBody
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for path in ("/publish", "/channels/a", "/nothing", "/health"):
            for _ in range(5):
                self.begin(head(path, most), *[b"x" * 8000] * (most // 8000))
        # A body of a request that reads is discarded.
        for _ in range(5):
            said = head("/channels/a?transport=poll", most, method="GET")
            self.begin(said, *[b"x" * 8000] * (most // 8000))
        kept, _ = tracemalloc.get_traced_memory()
        self.assertLess(kept, 6 * most)
        self.assertEqual(self.hub.uploads.kept, 0)

    def test_discardsBodyOfGet(self) -> None:
        """
        A request that reads is answered once its body has been discarded.
        """
        said = head("/channels/a?transport=poll", 9000, method="GET")
        wire = self.begin(said, b"x" * 8000)
        self.assertEqual(wire.take(), b"")
        wire.send(b"x" * 1000)
        self.turn()
        self.assertEqual(readResponse(wire.take()).status, 200)


class LineTests(UploadCase):
    """
    A batch is read while it arrives.
    """

    opens = ("open/**",)

    def test_refusesEachLine(self) -> None:
        """
        A line for a channel that is not the client's, one that is not valid, and
        one that is too long, end the request as soon as they have arrived.
        """
        for line, status, code in refusedLines(self.settings.limits):
            wire = self.begin(head("/publish", 60000, NDJSON), LINE, line)
            self.assertRefused(wire, status, code)
        self.assertEqual(self.hub.end.position, 0)

    def test_refusesType(self) -> None:
        """
        A body that is no batch is refused with its first byte.
        """
        wire = self.begin(head("/publish", 60000), b"x")
        self.assertRefused(wire, 400, "badRequest")

    def test_publishesWhole(self) -> None:
        """
        Nothing is published before the last byte has come; then all lines are.
        """
        body = LINE * 300
        wire = self.begin(head("/publish", len(body), NDJSON), *map(bytes, zip(body[:-1])))
        self.assertEqual((wire.take(), self.hub.end.position), (b"", 0))
        self.assertEqual(self.hub.uploads.kept, len(body) - 1)
        wire.send(body[-1:])
        self.turn()
        response = readResponse(wire.take())
        self.assertEqual((response.status, len(response.json["cursors"])), (201, 300))
        self.assertEqual(self.hub.uploads.kept, 0)

    def test_readsCompressedWhenWhole(self) -> None:
        """
        A body that is compressed is not read as lines before its coding is undone.
        """
        body = gzip.compress(LINE)
        said = head("/publish", len(body), NDJSON, "Content-Encoding: gzip")
        wire = self.begin(said, body[:10], body[10:])
        self.assertEqual(readResponse(wire.take()).status, 201)


class RoomTests(UploadCase):
    """
    The room for all bodies together.
    """

    opens = ("open/**",)

    def setUp(self) -> None:
        """
        Leave room for one batch and a half.
        """
        super().setUp()
        self.hub.uploads.most = self.site.maxBody * 3 // 2

    def test_refusesBeyond(self) -> None:
        """
        A body for which there is no room is refused, with the time to come again,
        at its head or when it is too much; and taken once there is room.
        """
        most = self.site.maxBody
        said = head("/publish", most, NDJSON)
        piece = LINE.ljust(most // 100, b" ") * 99
        first = self.begin(said, piece)
        second = self.begin(said)
        response = readResponse(second.take())
        self.assertProblem(response, 503, "unavailable")
        self.assertEqual(response.header("Retry-After"), "1")
        chunked = b"POST /publish HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        third = self.begin(chunked + NDJSON.encode() + b"\r\n\r\n", b"%x\r\n" % most, piece)
        self.assertProblem(readResponse(third.take()), 503, "unavailable")
        self.assertEqual(self.hub.uploads.kept, len(piece))
        # What comes together with its head is taken all the same.
        small = self.begin(head("/publish", len(LINE), NDJSON) + LINE)
        self.assertEqual(readResponse(small.take()).status, 201)
        first.leave()
        self.assertEqual(self.hub.uploads.kept, 0)
        third = self.begin(said, piece, b" " * (most - len(piece)))
        self.assertEqual(readResponse(third.take()).status, 201)

    def test_countsForApplications(self) -> None:
        """
        The bodies for an application's own resources are counted, too.
        """

        class Own(Resource):
            isLeaf = True

            def render_POST(self, request: Any) -> bytes:
                return b"%d" % len(request.content.read())

        for root in (CometResource(self.hub), Resource()):
            root.putChild(b"own", Own())
            self.site = CometSite(root, 1000, reactor=self.clock)
            self.site.uploads.most = 1500
            first = self.begin(head("/own", 900), b"x" * 800)
            second = self.begin(head("/own", 900))
            self.assertProblem(readResponse(second.take()), 503, "unavailable")
            first.send(b"x" * 100)
            self.turn()
            self.assertEqual(readResponse(first.take()).body, b"900")
            self.assertEqual(self.site.uploads.kept, 0)

    def test_strangersLeaveRoom(self) -> None:
        """
        Clients without the publish key may fill their part of the room with bodies
        that do not end; its holder's bodies are taken.
        """
        self.hub.uploads.most = most = 16000
        for size in (6000, 2000, 100, 10):
            for _ in range(3):
                self.begin(head("/channels/open/a", size), b"x" * (size - 1))
        self.assertGreater(self.hub.uploads.kept, most // 2 - 100)
        late = self.begin(head("/channels/open/a", 4000))
        self.assertProblem(readResponse(late.take()), 503, "unavailable")
        holder = AUTH.decode().strip()
        for path in ("/channels/news", "/channels/open/a", "/publish"):
            said = head(path, len(LINE) * 30, holder, NDJSON)
            wire = self.begin(said, LINE * 29, LINE)
            self.assertEqual(readResponse(wire.take()).status, 201)

    def test_namesHaveTheirOwn(self) -> None:
        """
        Where a resource can tell its client by the head, that client's body is
        counted for it, and is taken although strangers fill their part.
        """

        class Members(Access):
            def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
                if credentials.header("X-Member") is None:
                    return super().identify(credentials)
                return Client("ada")

        self.hub.access = Members(KEY, ["open/**", "chat/**"])
        self.hub.uploads.most = most = 16000
        for size in (6000, 2000, 100, 10):
            for _ in range(3):
                self.begin(head("/channels/open/a", size), b"x" * (size - 1))
        said = head("/publish", len(LINE) * 100, NDJSON, "X-Member: ada")
        wire = self.begin(said, LINE * 99)
        self.assertGreater(self.hub.uploads.kept, most // 2)
        wire.send(LINE)
        self.turn()
        self.assertEqual(readResponse(wire.take()).status, 201)

    def test_givesBackOnRefusal(self) -> None:
        """
        What is refused while it arrives is not counted any longer.
        """
        self.begin(head("/publish", 60000, NDJSON), LINE, b"{\n")
        self.begin(head("/channels/open/a", 60000), b"x" * 50000)
        chunked = b"POST /channels/open/a HTTP/1.1\r\nHost: localhost\r\n"
        most = self.site.maxBody
        self.begin(chunked + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % (2 * most))
        wire = self.begin(head("/channels/open/a", 2 * most), b"x" * (most + 1))
        wire.leave()
        self.assertLess(self.hub.uploads.kept, 60001)


class Sessions(ChannelResource):
    """
    An application's resource, whose channel is known by the body alone.
    """

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        Believe the body.
        """
        return ("open/a" if exchange.body() == b"trust me" * 100 else "closed",)


class Unknowing(Access):
    """
    An application's access that decides by the channel alone.
    """

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Let every client publish.
        """


class ApplicationTests(UploadCase):
    """
    An application's own resources and access, which may know less at the head.
    """

    def publishLate(self, resource: IResource, path: str, body: bytes, *headers: str) -> Response:
        """
        Publish with a body that comes behind its head.
        """
        self.site = self.makeSite(resource)
        return readResponse(self.begin(head(path, len(body), *headers), body).take())

    def test_resourceThatNeedsTheBody(self) -> None:
        """
        A resource that overrides C{names} is not asked before the body is here.
        """
        tree = CometResource(self.hub)
        tree.putChild(b"channels", Sessions(self.hub))
        self.hub.access = Access(KEY, ["open/**"])
        response = self.publishLate(tree, "/channels/a", b"trust me" * 100)
        self.assertEqual(response.status, 201)
        response = self.publishLate(tree, "/channels/a", b"do not")
        self.assertProblem(response, 401, "unauthorized")

    def test_accessThatDoesNotKnow(self) -> None:
        """
        An access that overrides C{checkPublish} alone is asked for each channel.
        """
        self.hub.access = Unknowing(KEY)
        tree = CometResource(self.hub)
        response = self.publishLate(tree, "/publish", LINE * 200, NDJSON)
        self.assertEqual(response.status, 201)
        self.hub.checkPublisher(ANONYMOUS)

    def test_resourceThatKnows(self) -> None:
        """
        A resource that overrides C{admit_POST}, too, is asked at the head.
        """

        class Known(PublishResource):
            def answer_POST(self, exchange: Exchange) -> None:
                super().answer_POST(exchange)

            def admit_POST(self, exchange: Exchange) -> Any:
                return super().admit_POST(exchange)

        tree = CometResource(self.hub)
        tree.putChild(b"publish", Known(self.hub))
        self.site = self.makeSite(tree)
        self.assertRefused(self.begin(head("/publish", 60000)), 401, "unauthorized")

    def test_resourceThatFailsEarly(self) -> None:
        """
        A resource that fails at the head is asked again with the body.
        """

        class Failing(PublishResource):
            def admit_POST(self, exchange: Exchange) -> Any:
                raise RuntimeError("no session yet")

        tree = CometResource(self.hub)
        tree.putChild(b"publish", Failing(self.hub))
        response = self.publishLate(tree, "/publish", LINE, NDJSON, AUTH.decode().strip())
        self.assertEqual(response.status, 201)

    def test_halfClosedWithinBody(self) -> None:
        """
        A client that closes its writing side within a body is given up at once.
        """
        wire = self.begin(head("/publish", 60000, NDJSON, AUTH.decode().strip()), LINE)
        wire.halfClose()
        self.turn()
        self.assertFalse(wire.isOpen)
        self.assertEqual(self.hub.uploads.kept, 0)


class PublisherTests(HubTestCase):
    """
    L{Hub.checkPublisher}.
    """

    def test_asksWhatKnows(self) -> None:
        """
        The right to publish anywhere is asked of an access that knows.
        """
        hub = Hub(self.bus, self.clock, access=Access(KEY))
        self.assertRaises(Unauthorized, hub.checkPublisher, ANONYMOUS)
        self.assertRaises(Forbidden, hub.checkPublisher, Client("ada", False))
        hub.checkPublisher(Client("", True))
        hub.access = Access(KEY, ["lab/*"])
        hub.checkPublisher(ANONYMOUS)
