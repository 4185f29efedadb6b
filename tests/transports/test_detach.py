"""
Tests of L{comet.transports.detach}: connections taken from under Twisted's
HTTP.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from twisted.web.test.requesthelper import DummyChannel
from zope.interface import implementer

from comet.interfaces.sinks import ISinkOwner
from comet.transports.detach import (
    MAX_HELD_INPUT,
    DetachedStream,
    HeldRequest,
    detach,
    isDetachable,
    setProtocol,
)
from comet.transports.sinks import makeSink
from comet.web.resources import CometResource
from tests.transports.case import HubTestCase, get, readResponse
from tests.transports.frames import UPGRADE
from tests.transports.wire import Wire


class Recorder(Protocol):
    """
    A protocol that keeps what it is given.
    """

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.reasons: list[object] = []

    def dataReceived(self, data: bytes) -> None:
        """
        Keep the data.
        """
        self.data.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        """
        Keep the reason.
        """
        self.reasons.append(reason)


class Keeper(Resource):
    """
    A resource that keeps its requests, unanswered.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []

    def render(self, request: Request) -> int:
        """
        Keep the request.
        """
        self.requests.append(request)
        return NOT_DONE_YET


class DetachTests(HubTestCase):
    """
    Detaching a connection for good.
    """

    def setUp(self) -> None:
        """
        Make a site whose requests wait to be detached.
        """
        super().setUp()
        self.keeper = Keeper()
        self.site = self.makeSite(self.keeper)

    def detachNewest(self, wire: Wire) -> Recorder:
        """
        Detach the connection of the newest request.
        """
        recorder = Recorder()
        detach(self.keeper.requests[-1], recorder)
        return recorder

    def test_givesDataToProtocol(self) -> None:
        """
        The new protocol gets all later data and the end, and its transport is
        the connection.
        """
        wire = self.connect()
        wire.send(get("/"))
        recorder = self.detachNewest(wire)
        self.assertIs(recorder.transport, wire.transport)
        wire.send(b"a", b"b")
        self.assertEqual(recorder.data, [b"a", b"b"])
        wire.leave()
        self.assertEqual(len(recorder.reasons), 1)

    def test_givesRestOfPacket(self) -> None:
        """
        The new protocol gets what came in the same packet after the request.
        """
        recorder = Recorder()

        class Taker(Resource):
            isLeaf = True

            def render(self, request: Request) -> int:
                detach(request, recorder)
                return NOT_DONE_YET

        wire = self.connect(self.makeSite(Taker()))
        wire.send(get("/") + b"x" * (2 * MAX_HELD_INPUT))
        self.assertEqual(b"".join(recorder.data), b"x" * (2 * MAX_HELD_INPUT))
        self.assertTrue(wire.transport.isReading)

    def test_logsOnce(self) -> None:
        """
        A site with an access log writes one line for each detached request,
        whatever happens to its connection later.
        """
        site = Site(CometResource(self.hub), reactor=self.clock)
        lines = site.logFile = StringIO()
        self.patch(site, "_logFile", lines)
        site._updateLogDateTime()
        for path, headers, status in (
            ("/channels/a?transport=sse", (), 200),
            ("/channels/a?transport=stream", (), 200),
            ("/channels/a", UPGRADE, 101),
        ):
            lines.seek(0)
            lines.truncate()
            wire = self.connect(site)
            wire.send(get(path, *headers))
            self.publish("a", 1)
            wire.leave()
            (line,) = lines.getvalue().splitlines()
            self.assertIn(f'"GET {path} HTTP/1.1" {status} ', line)

    def test_leavesNothingBehind(self) -> None:
        """
        Detaching leaves no producer, timer or pause behind.
        """
        wire = self.connect()
        wire.send(get("/"))
        wire.send(b"x" * (2 * MAX_HELD_INPUT))
        self.assertFalse(wire.transport.isReading)
        self.detachNewest(wire)
        self.assertIsNone(wire.transport.producer)
        self.assertTrue(wire.transport.keepsAlive)
        self.assertTrue(wire.transport.isReading)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_doesNotNotify(self) -> None:
        """
        C{notifyFinish} does not fire for a detached request.
        """
        wire = self.connect()
        wire.send(get("/"))
        told: list[object] = []
        self.keeper.requests[-1].notifyFinish().addBoth(told.append)
        self.detachNewest(wire)
        wire.leave()
        self.assertEqual(told, [])

    def test_keepsWrapper(self) -> None:
        """
        A wrapper round the protocol of the connection, such as TLS, stays in
        place.
        """
        inner = self.site

        class Shouting(ProtocolWrapper):
            def dataReceived(self, data: bytes) -> None:
                ProtocolWrapper.dataReceived(self, data.replace(b"shh", b"SHH"))

        class ShoutingFactory(WrappingFactory):
            protocol = Shouting

        wire = self.connect(ShoutingFactory(inner))
        wire.send(get("/"))
        recorder = self.detachNewest(wire)
        wire.send(b"shh")
        self.assertEqual(recorder.data, [b"SHH"])
        wire.leave()
        self.assertEqual(len(recorder.reasons), 1)

    def test_startTLS(self) -> None:
        """
        After C{startTLS} the protocol that decrypts stays in between.
        """
        decrypts = ProtocolWrapper(WrappingFactory(Factory()), Recorder())

        class Transport:
            TLS = True
            protocol = decrypts

        recorder = Recorder()
        transport = Transport()
        setProtocol(transport, recorder)
        self.assertIs(transport.protocol, decrypts)
        self.assertIs(decrypts.wrappedProtocol, recorder)

    def test_isDetachable(self) -> None:
        """
        Only a request on a connection of HTTP/1 can be detached.
        """
        wire = self.connect()
        wire.send(get("/"))
        request = self.keeper.requests[-1]
        self.assertTrue(isDetachable(request))
        request.channel.transport = None
        self.assertFalse(isDetachable(request))
        self.assertFalse(
            isDetachable(Request(DummyChannel(), False, parsePOSTFormSubmission=False))
        )


class EndlessProtocolTests(HubTestCase):
    """
    The protocol of a response that never ends.
    """

    def test_discardsAndTellsOfEnd(self) -> None:
        """
        The protocol discards data, and tells the sink of the end once.
        """
        told = []

        @implementer(ISinkOwner)
        class Owner:
            def sinkReady(self) -> None:
                told.append("ready")

            def sinkLost(self) -> None:
                told.append("lost")

            def inputEnded(self) -> None:
                told.append("ended")

        protocol = DetachedStream()

        class Serves:
            def buildProtocol(self, addr: object) -> DetachedStream:
                return protocol

        wire = self.connect(Serves())
        protocol.connectionMade()
        sink = makeSink(wire.transport)
        sink.attach(Owner())
        protocol.attach(sink)
        wire.send(b"x" * 100000)
        wire.halfClose()
        self.assertEqual(told, ["ended"])
        wire.transport.lose(ConnectionDone())
        self.assertEqual(told, ["ended", "lost"])
        self.assertEqual(protocol.logPrefix(), "comet")


class HoldTests(HubTestCase):
    """
    Requests on hold.
    """

    def setUp(self) -> None:
        """
        Make a site whose requests wait.
        """
        super().setUp()
        self.keeper = Keeper()
        self.site = self.makeSite(self.keeper)
        self.hurried: list[int] = []

    def hold(self) -> tuple[Wire, HeldRequest]:
        """
        Put a request on hold.
        """
        wire = self.connect()
        wire.send(get("/"))
        return wire, HeldRequest(self.keeper.requests[-1], lambda: self.hurried.append(1))

    def test_endsAtTooMuchInput(self) -> None:
        """
        The hold ends with the first byte that is too much.
        """
        for size in (1, 1000, MAX_HELD_INPUT):
            self.hurried.clear()
            wire, _ = self.hold()
            wire.sendIn(size, b"x" * MAX_HELD_INPUT)
            self.assertEqual(self.hurried, [])
            wire.send(b"y")
            self.assertEqual(self.hurried, [1])

    def test_releasesChannel(self) -> None:
        """
        After the hold nothing is counted, and Twisted parses what came.
        """
        wire, hold = self.hold()
        wire.send(get("/second"))
        hold.release()
        hold.release()
        request = self.keeper.requests[0]
        request.setHeader(b"Content-Length", b"0")
        request.finish()
        self.assertEqual(readResponse(wire.take()).status, 200)
        self.turn()
        self.assertEqual(self.keeper.requests[1].uri, b"/second")
        wire.send(b"x" * 2 * MAX_HELD_INPUT)
        self.assertEqual(self.hurried, [])
