"""
The readers over raw TCP for the lab page, and its visits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis.strategies import binary
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.server.demo.readers import MOST_DATA, MOST_TIMES, PAUSE, RETRY
from comet.server.demo.visits import INTERVAL, MOST_VISITS, PATIENCE, Demo, readCursor
from comet.transports.tcp import CometFactory
from tests.transports.case import HubTestCase
from tests.transports.wire import Wire


class Link:
    """
    One connection of a reader: the transport that it writes to, and the server's
    side.

    @ivar said: The bytes that the reader has sent.
    """

    def __init__(self, factory: CometFactory, client: Any) -> None:
        self.client = client
        self.wire = Wire(factory)
        self.transport = StringTransport()
        self.said: list[Any] = []
        self.isOpen = True
        client.makeConnection(self.transport)

    def settle(self) -> None:
        """
        Carry the bytes that either side has written.
        """
        sent = self.transport.value()
        self.transport.clear()
        self.said += [json.loads(line) for line in sent.splitlines()]
        if sent:
            self.wire.send(sent)
        received = self.wire.take()
        if received and self.isOpen:
            self.client.dataReceived(received)
        if self.isOpen and (self.transport.disconnecting or not self.wire.isOpen):
            self.leave()

    def leave(self) -> None:
        """
        Lose the connection, for both sides.
        """
        self.isOpen = False
        self.wire.leave()
        self.client.connectionLost(Failure(ConnectionDone()))


@implementer(IStreamClientEndpoint)
class Endpoint:
    """
    An endpoint that connects in memory, fails, or takes time.
    """

    def __init__(self, factory: CometFactory) -> None:
        self.factory = factory
        self.isReachable = True
        self.isSlow = False
        self.tried = 0
        self.cancelled = 0
        self.links: list[Link] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.
        """
        self.tried += 1
        if self.isSlow:
            return Deferred(self._cancelled)
        if not self.isReachable:
            return fail(ConnectionRefusedError())
        address: Any = None
        client: Any = protocolFactory.buildProtocol(address)
        self.links.append(Link(self.factory, client))
        return succeed(client)

    def _cancelled(self, connecting: Deferred[IProtocol]) -> None:
        self.cancelled += 1


@implementer(IReceiver)
class Page:
    """
    A receiver that records its messages.
    """

    def __init__(self) -> None:
        self.reports: list[dict[str, Any]] = []

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Record the message.
        """
        self.reports.append(json.loads(message.payload))

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Nothing to do.
        """

    def subscriptionClosed(self, close: Close) -> None:
        """
        Nothing to do.
        """


class DemoTestCase(HubTestCase):
    """
    A demo over a hub, with connections in memory.
    """

    def setUp(self) -> None:
        """
        Start the demo.
        """
        super().setUp()
        self.endpoint = Endpoint(CometFactory(self.hub))
        self.demo = Demo(self.hub, self.endpoint, self.clock.seconds)
        self.demo.start()
        self.page = self.listen("a")
        self.turn()

    def listen(self, visit: str) -> Page:
        """
        Read the reports to a visit.
        """
        page = Page()
        self.successResultOf(self.hub.subscribe(f"$lab/tcp/{visit}", "now", page))
        return page

    def settle(self, seconds: float = 0) -> None:
        """
        Advance the time, and carry all that becomes due.
        """
        for passed in (seconds, PAUSE, PAUSE):
            for link in self.endpoint.links:
                link.settle()
            self.turn(passed)
            for link in self.endpoint.links:
                link.settle()

    def want(self, what: Any = "", visit: str = "a") -> None:
        """
        Publish the cursor of a visit, by default the log's end.
        """
        self.publish(f"lab/{visit}/tcp", str(self.hub.end) if what == "" else what)
        self.settle()

    @property
    def state(self) -> str:
        """
        Return the last state that was reported.
        """
        state: str = self.page.reports[-1]["state"]
        return state

    @property
    def received(self) -> list[Any]:
        """
        Return the data of all messages that the reader has reported.
        """
        return [each["data"] for report in self.page.reports for each in report["messages"]]


class ReaderTests(DemoTestCase):
    """
    The reader of one visit.
    """

    def test_reportsMessagesWithDelay(self) -> None:
        """
        A page that asks for a reader gets reports of the messages that it reads,
        with their delays.
        """
        self.want()
        self.assertEqual(self.state, "open")
        self.publish("lab/a", {"n": 1})
        self.clock.advance(0.25)
        self.settle()
        ((message),) = self.page.reports[-1]["messages"]
        self.assertEqual(message["data"], {"n": 1})
        self.assertAlmostEqual(message["delay"], 0.25, 5)
        self.assertRegex(message["cursor"], r"^\w+-\d+$")

    def test_beginsAtPagesCursor(self) -> None:
        """
        The reader begins at the cursor that the page has published.
        """
        (cursor, _) = self.publish("lab/a", 1, 2)
        self.want(cursor)
        self.assertEqual(self.received, [2])
        self.assertIsNone(self.page.reports[-1]["messages"][0]["delay"])

    def test_countsTrafficAsServerDoes(self) -> None:
        """
        The reader's traffic is what the server counts.
        """
        self.want()
        self.publish("lab/a", "x" * 100)
        self.settle()
        traffic = self.page.reports[-1]["traffic"]
        self.assertEqual(traffic, self.hub.metrics.of("tcp").asDict())
        self.assertEqual((traffic["open"], traffic["requests"]), (1, 1))
        self.assertGreater(traffic["dataOut"], 100)

    def test_readsOwnChannelOnly(self) -> None:
        """
        The reader reads the channel of its visit, and no other.
        """
        self.want()
        self.publish("lab/b", 1)
        self.publish("lab/a/b", 1)
        self.settle()
        self.assertEqual(self.received, [])

    def test_resumesAfterCut(self) -> None:
        """
        A reader that the page cuts resumes when the page lets it, and neither
        loses nor repeats a message.
        """
        begin = str(self.hub.end)
        self.want()
        self.publish("lab/a", 1)
        self.settle()
        self.want(False)
        self.assertEqual(self.state, "cut")
        self.assertFalse(self.endpoint.links[0].wire.isOpen)
        self.assertEqual(self.page.reports[-1]["traffic"]["open"], 0)
        self.publish("lab/a", 2, 3)
        self.settle(10 * RETRY)
        self.assertEqual(self.received, [1])
        self.want(self.page.reports[-2]["messages"][-1]["cursor"])
        self.assertEqual((self.state, self.received), ("open", [1, 2, 3]))
        self.assertEqual(self.endpoint.tried, 2)
        # A page that missed the reports says how far it has come.
        self.want(False)
        self.want(begin)
        self.assertEqual(self.received, [1, 2, 3, 1, 2, 3])

    def test_repeatedRequestChangesNothing(self) -> None:
        """
        A page that publishes again leaves its reader as it is.
        """
        self.want()
        before = len(self.page.reports)
        self.want()
        self.assertEqual(self.endpoint.tried, 1)
        self.assertEqual((self.state, len(self.page.reports)), ("open", before + 1))

    def test_reconnectsAfterLoss(self) -> None:
        """
        A reader whose connection is lost reconnects.
        """
        self.want()
        self.endpoint.links[0].leave()
        self.publish("lab/a", 1)
        self.settle()
        self.assertEqual(self.state, "opening")
        self.settle(RETRY)
        self.assertEqual((self.state, self.received), ("open", [1]))

    def test_retriesUntilConnected(self) -> None:
        """
        A reader that cannot connect tries again.
        """
        self.endpoint.isReachable = False
        self.want()
        self.settle(RETRY)
        self.assertEqual((self.state, self.endpoint.tried), ("opening", 2))
        self.endpoint.isReachable = True
        self.settle(RETRY)
        self.assertEqual(self.state, "open")

    def test_cutsWhileConnecting(self) -> None:
        """
        A reader can be cut before it is connected.
        """
        self.endpoint.isSlow = True
        self.want()
        self.want(False)
        self.assertEqual((self.state, self.endpoint.cancelled), ("cut", 1))
        self.endpoint.isSlow, self.endpoint.isReachable = False, False
        self.want()
        self.want(False)
        self.settle(10 * RETRY)
        self.assertEqual((self.state, self.endpoint.tried), ("cut", 2))

    def test_reportsGapOnce(self) -> None:
        """
        A gap is reported once.
        """
        self.want("other-1")
        self.publish("lab/a", 1)
        self.settle()
        self.assertEqual([report["gap"] for report in self.page.reports].count(True), 1)
        self.assertEqual(self.received, [1])

    def test_leavesOutLongData(self) -> None:
        """
        Long data are not part of a report: the page gets them on its own.
        """
        self.want()
        self.publish("lab/a", "x" * MOST_DATA)
        self.settle()
        self.assertEqual(self.received, [None])

    def test_reportsTogether(self) -> None:
        """
        Events in a short time are reported together.
        """
        self.want()
        before = len(self.page.reports)
        self.publish("lab/a", *range(5))
        self.settle()
        self.assertEqual(self.received, list(range(5)))
        self.assertEqual(len(self.page.reports), before + 1)

    def test_splitsLargeReport(self) -> None:
        """
        Messages that are too many for one report are split over several.
        """
        self.want()
        before = len(self.page.reports)
        self.publish("lab/a", *range(50))
        self.settle()
        self.settle(20 * PAUSE)
        self.assertEqual(self.received, list(range(50)))
        self.assertGreater(len(self.page.reports), before + 2)


class VisitTests(DemoTestCase):
    """
    The visits that have a reader.
    """

    def test_endsVisitOfSilentPage(self) -> None:
        """
        The visit of a page that has published nothing for a while ends, and
        leaves nothing behind.
        """
        self.want()
        self.settle(PATIENCE - INTERVAL)
        self.assertIn("a", self.demo.visits)
        self.settle(INTERVAL)
        self.settle(INTERVAL)
        self.assertEqual(self.demo.visits, {})
        self.assertFalse(self.endpoint.links[0].wire.isOpen)

    def test_refusesTooManyVisits(self) -> None:
        """
        A visit beyond the limit is told that the server is full.
        """
        for number in range(MOST_VISITS):
            self.want(visit=f"v{number}")
        self.want()
        self.assertEqual(self.page.reports, [{"state": "full"}])
        self.assertEqual(len(self.endpoint.links), MOST_VISITS)

    def test_ignoresOtherChannels(self) -> None:
        """
        A channel that is not a visit's gets no reader.
        """
        for channel in ("lab/A/tcp", "lab/%s/tcp" % ("a" * 33), "lab/a/b", "lab/a b/tcp"):
            self.publish(channel, str(self.hub.end))
        self.settle()
        self.assertEqual((self.demo.visits, self.endpoint.tried), ({}, 0))

    def test_reportsToReadersOnly(self) -> None:
        """
        Without a reader of the channel, nothing is reported.
        """
        self.want(visit="b")
        self.assertEqual(self.endpoint.tried, 1)
        self.assertEqual(self.hub.end.position, 1)

    def test_forgetsOldStoringTimes(self) -> None:
        """
        A visit remembers a bounded number of storing times.
        """
        self.want()
        self.want(False)
        for _ in range(11):
            self.publish("lab/a", *range(MOST_TIMES // 10))
        self.assertEqual(len(self.demo.visits["a"]._storedAt), MOST_TIMES)

    def test_endsVisitsWhenHubDrains(self) -> None:
        """
        When the hub drains, all visits end, and no timer is left.
        """
        self.want()
        self.want(visit="b")
        self.publish("lab/a", 1)
        done = self.hub.drain(1)
        self.settle()
        self.successResultOf(done)
        self.assertEqual(self.demo.visits, {})
        self.assertFalse(any(link.wire.isOpen for link in self.endpoint.links))
        self.assertNothingLeft()


class CursorTests(DemoTestCase):
    """
    What a page may publish.
    """

    def test_readCursorTakesCursorsOnly(self) -> None:
        """
        L{readCursor} accepts cursors, and nothing else.
        """
        self.assertEqual(readCursor(b'"k3f9a2-17"'), "k3f9a2-17")
        for payload in (b"false", b"null", b"17", b'"now"', b"[]", b'{"a":1}', b'""', b'"a-01"'):
            self.assertIsNone(readCursor(payload))

    @given(binary())
    def test_survivesAnyPayload(self, data: bytes) -> None:
        """
        No payload breaks the demo.
        """
        self.setUp()
        self.publish("lab/a/tcp", data, data.decode("latin-1"))
        self.settle()
        self.assertIn(self.state, ("cut", "opening", "open"))
