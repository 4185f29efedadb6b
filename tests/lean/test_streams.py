"""
Tests of the streams of the lean edge: whatever one client does, the other clients
get every message.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zope.interface import implementer

from comet.fanout.application import ApplicationReader
from comet.fanout.logquestions import READ_BYTES
from comet.fanout.polls import HALF_CLOSED
from comet.fanout.states import State
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from tests.lean.case import UPGRADE, LeanTestCase, Peer, request

SIZE = 5000
STREAMS = ("stream", "sse", "multipart", "iframe", "websocket", "tcp")


@implementer(IReceiver)
class Echo:
    """
    A receiver that publishes a further message for each that it gets, up to a
    number.
    """

    def __init__(self, case: LeanTestCase, most: int) -> None:
        self._case = case
        self._most = most

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Publish the next message, in the middle of a flush.
        """
        number = int(message.payload)
        if number < self._most:
            self._case.hub.publish("c", number + 1)

    def gapFound(self, cursor: Cursor, names: object) -> None:
        """
        Fail: there is no gap.
        """
        raise AssertionError(names)

    def subscriptionClosed(self, close: Close) -> None:
        """
        See L{IReceiver.subscriptionClosed}.
        """


class BehindTests(LeanTestCase):
    """
    Clients that take nothing for a while.
    """

    def setUp(self) -> None:
        """
        Let the kernel buffer little.
        """
        super().setUp()
        self.keepLittle()

    def behind(self, peer: Peer) -> int:
        """
        Publish large messages until a reader is behind.

        @return: The number of messages.
        """
        for number in range(1, 400):
            self.publish(number, filler="x" * SIZE)
            readers: Iterable[Any] = self.hub.fanout.readers
            states = [reader.state for reader in readers]
            if State.BEHIND in states:
                return number
        raise AssertionError("the client takes everything")

    def test_catchesUp(self) -> None:
        """
        A client that takes nothing gets behind, and the server keeps no more
        for it than was under way.  Once the client reads again it gets every
        message, once and in order.
        """
        for transport in STREAMS:
            slow, quick = self.reader(transport, 4096), self.reader(transport)
            count = self.behind(slow)
            last = count + 40
            for number in range(count + 1, last + 1):
                self.publish(number, filler="x" * SIZE)
                quick.take()
            connections: list[Any] = [
                *self.port._edge.connections.values(),
                *self.tcpPort._edge.connections.values(),
            ]
            self.assertLess(max(len(each.unsent) for each in connections), 2 * READ_BYTES)
            self.assertEqual(quick.upTo(last), list(range(1, last + 1)), transport)
            self.assertEqual(slow.upTo(last), list(range(1, last + 1)), transport)
            slow.socket.close()
            quick.socket.close()
            self.untilReaders(0)
            self.successResultOf(self.bus.forget("c"))

    def test_resetWhileBehind(self) -> None:
        """
        A client that is reset while data waits for it is forgotten, and its
        descriptor is not watched any more.
        """
        for transport in STREAMS:
            slow = self.reader(transport, 4096)
            self.behind(slow)
            slow.cut()
            self.untilReaders(0)
            self.reactor.settle()
            self.assertEqual((self.connections, len(self.tcpPort._edge)), (0, 0))
            self.successResultOf(self.bus.forget("c"))

    def test_cutsOffStalledClient(self) -> None:
        """
        A client that takes nothing for minutes is cut off.
        """
        slow = self.reader("stream", 4096)
        self.behind(slow)
        for _ in range(16):
            self.reactor.advance(25)
        self.reactor.until(lambda: not self.connections)
        self.assertEqual(list(self.hub.fanout.readers), [])


class OthersTests(LeanTestCase):
    """
    Clients that come and leave while others are written to.
    """

    def test_resetsBesideOthers(self) -> None:
        """
        Clients that were reset keep nothing from those beside them, and are
        forgotten.
        """
        for transport in STREAMS:
            peers = [self.reader(transport) for _ in range(12)]
            broken = [0, 3, 4, 11]
            for index in broken:
                peers[index].cut()
            # The server has not seen the resets yet.
            self.publish(1, 2)
            self.publish(3)
            whole = [each for index, each in enumerate(peers) if index not in broken]
            for peer in whole:
                self.assertEqual(peer.upTo(3), [1, 2, 3], transport)
            self.untilReaders(len(whole))
            for peer in whole:
                peer.socket.close()
            self.untilReaders(0)

    def test_joiningAndLeaving(self) -> None:
        """
        While clients come and leave, each gets every message from its beginning
        on, once.
        """
        stays = [self.reader(transport) for transport in STREAMS]
        came: list[tuple[int, Peer]] = []
        for number in range(1, 41):
            transport = STREAMS[number % len(STREAMS)]
            came.append((number, self.reader(transport)))
            self.publish(number)
            if number % 3 == 0:
                came.pop(0)[1].cut()
        for peer in stays:
            self.assertEqual(peer.upTo(40), list(range(1, 41)))
        for first, peer in came:
            self.assertEqual(peer.upTo(40), list(range(first, 41)))

    def test_joinPublishAndLeaveInOneTurn(self) -> None:
        """
        When a client joins, a message is published and a client leaves in the
        same turn, the new client gets the message or begins behind it.
        """
        stays = self.reader("stream")
        for number in range(1, 30):
            leaves = self.reader("stream")
            leaves.cut()
            new = self.peer(b"GET /channels/c?transport=stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.publish(number)
            new.hears(b'{"cursor"')
            self.publish(1000 + number)
            self.assertIn(new.upTo(1000 + number), ([number, 1000 + number], [1000 + number]))
            new.cut()
        expected = [each for n in range(1, 30) for each in (n, 1000 + n)]
        self.reactor.until(lambda: len(stays.numbers) == len(expected))
        self.assertEqual(stays.numbers, expected)

    def test_publishingWithinFlush(self) -> None:
        """
        When a receiver publishes from within a flush, all readers get all
        messages in the same order.
        """
        before = [self.reader(transport) for transport in STREAMS]
        self.successResultOf(self.hub.subscribe("c", "now", Echo(self, 20)))
        after = [self.reader(transport) for transport in STREAMS]
        self.publish(1)
        for peer in (*before, *after):
            self.assertEqual(peer.upTo(20), list(range(1, 21)))

    def test_closingAllWithinFlush(self) -> None:
        """
        When a receiver closes all readers from within a flush, each is written
        its reason as the last thing, and all connections end.
        """
        peers = [self.reader(transport) for transport in STREAMS * 2]

        class Closer(Echo):
            def messageReceived(self, message: Message, replay: bool) -> None:
                for reader in list(self._case.hub.fanout.readers):
                    if not isinstance(reader, ApplicationReader):
                        reader.close(Close("draining", "enough", 1.0))

        self.successResultOf(self.hub.subscribe("c", "now", Closer(self, 0)))
        self.publish(1)
        for peer in peers[:2]:
            self.assertIn(b"draining", peer.ends())
        self.reactor.until(lambda: all(b"draining" in peer.take() for peer in peers))


class HeartbeatTests(LeanTestCase):
    """
    Heartbeats of clients that read no channel.
    """

    def test_writesHeartbeat(self) -> None:
        """
        C{/socket} gets heartbeats from the start, and raw TCP from the first line
        on.
        """
        plain = self.peer(b'{"ping":1}\n', isTCP=True)
        plain.hears(b'"pong"')
        bare = self.peer(request("/socket", UPGRADE))
        bare.hears(b"\r\n\r\n")
        for times in (1, 2):
            self.reactor.advance(25.2)
            self.assertEqual(plain.hears(b'{"cursor":"', times).count(b'"cursor"'), times)
            self.assertEqual(bare.hears(b'{"cursor":"', times).count(b'"cursor"'), times)


class EndTests(LeanTestCase):
    """
    The end of connections.
    """

    def test_noticesEveryEnd(self) -> None:
        """
        A reset and an orderly close are noticed at once, of every kind of
        reader.  An orderly close of a client that waits for a response looks like
        that of its writing side, and is noticed a little later.
        """
        for transport in (*STREAMS, "longpoll"):
            for leave in (Peer.cut, lambda peer: peer.socket.close()):
                peer = self.reader(transport)
                leave(peer)
                if transport == "longpoll":
                    self.reactor.settle()
                    self.reactor.advance(HALF_CLOSED + 0.2)
                self.untilReaders(0)
        self.reactor.settle()
        self.assertEqual((self.connections, len(self.tcpPort._edge)), (0, 0))

    def test_dropsInput(self) -> None:
        """
        The input of a client on a stream is dropped.
        """
        peer = self.reader("stream")
        for _ in range(50):
            peer.send(b"x" * 10_000)
            self.reactor.turn(1)
        self.publish(1)
        self.reactor.until(lambda: peer.numbers == [1])
