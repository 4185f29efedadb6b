"""
Tests of the endless answers of the lean edge: whatever one client does, the
others get everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zope.interface import implementer

from comet.fanout.core import READ_BYTES
from comet.fanout.states import State
from comet.interfaces import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from tests.lean.case import LeanTestCase, Peer

SIZE = 5000
ENDLESS = ("stream", "sse", "websocket", "tcp")


@implementer(IReceiver)
class Echo:
    """
    Publishes one more message for each that it gets, up to a number.
    """

    def __init__(self, case: LeanTestCase, most: int) -> None:
        self._case = case
        self._most = most

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Publish the next one, while others may not have been written to yet.
        """
        number = int(message.payload)
        if number < self._most:
            self._case.hub.publish("c", number + 1)

    def gapFound(self, cursor: Cursor, names: object) -> None:
        """
        It does not come to that.
        """
        raise AssertionError(names)

    def subscriptionClosed(self, close: Close) -> None:
        """
        Nothing to do.
        """


class BehindTests(LeanTestCase):
    """
    Clients that do not read for a while.
    """

    def setUp(self) -> None:
        """
        Let the kernel keep little.
        """
        super().setUp()
        self.keepLittle()

    def behind(self, peer: Peer) -> int:
        """
        Publish large messages until there is a reader that is behind.

        @return: How many.
        """
        for number in range(1, 400):
            self.publish(number, filler="x" * SIZE)
            readers: Iterable[Any] = self.hub.fanout.readers
            states = [reader.state for reader in readers]
            if State.BEHIND in states:
                return number
        raise AssertionError("it takes everything")

    def test_catchesUp(self) -> None:
        """
        A client that takes nothing gets behind; the server keeps no more for it
        than was under way, and when it reads again it gets everything, once
        and in order.
        """
        for transport in ENDLESS:
            slow, quick = self.reader(transport, 4096), self.reader(transport)
            count = self.behind(slow)
            last = count + 40
            for number in range(count + 1, last + 1):
                self.publish(number, filler="x" * SIZE)
                quick.take()
            wires: list[Any] = [
                *self.port._edge.connections.values(),
                *self.tcpPort._edge.connections.values(),
            ]
            self.assertLess(max(len(wire.unsent) for wire in wires), 2 * READ_BYTES)
            self.assertEqual(quick.upTo(last), list(range(1, last + 1)), transport)
            self.assertEqual(slow.upTo(last), list(range(1, last + 1)), transport)
            slow.socket.close()
            quick.socket.close()
            self.untilReaders(0)
            self.successResultOf(self.bus.forget("c"))

    def test_leavesBehind(self) -> None:
        """
        A client that is reset while something waits for it is forgotten, and no
        descriptor is watched in vain.
        """
        for transport in ENDLESS:
            slow = self.reader(transport, 4096)
            self.behind(slow)
            slow.cut()
            self.untilReaders(0)
            self.reactor.settle()
            self.assertEqual((self.connections, len(self.tcpPort._edge)), (0, 0))
            self.successResultOf(self.bus.forget("c"))

    def test_stalled(self) -> None:
        """
        One that takes nothing for minutes is cut off.
        """
        slow = self.reader("stream", 4096)
        self.behind(slow)
        for _ in range(16):
            self.reactor.advance(25)
        self.reactor.until(lambda: not self.connections)
        self.assertEqual(list(self.hub.fanout.readers), [])


class OthersTests(LeanTestCase):
    """
    Clients that go and come while others are written to.
    """

    def test_resets(self) -> None:
        """
        Those that were reset, wherever they are in the row, keep nothing from
        those around them, and are forgotten.
        """
        for transport in ENDLESS:
            peers = [self.reader(transport) for _ in range(12)]
            broken = [0, 3, 4, 11]
            for index in broken:
                peers[index].cut()
            # The server has not heard of it yet.
            self.publish(1, 2)
            self.publish(3)
            whole = [each for index, each in enumerate(peers) if index not in broken]
            for peer in whole:
                self.assertEqual(peer.upTo(3), [1, 2, 3], transport)
            self.untilReaders(len(whole))
            for peer in whole:
                peer.socket.close()
            self.untilReaders(0)

    def test_joinAndLeave(self) -> None:
        """
        Who begins gets what is published from then on, who stays gets all of
        it, and each once, while others leave all the time.
        """
        stays = [self.reader(transport) for transport in ENDLESS]
        came: list[tuple[int, Peer]] = []
        for number in range(1, 41):
            transport = ENDLESS[number % len(ENDLESS)]
            came.append((number, self.reader(transport)))
            self.publish(number)
            if number % 3 == 0:
                came.pop(0)[1].cut()
        for peer in stays:
            self.assertEqual(peer.upTo(40), list(range(1, 41)))
        for first, peer in came:
            self.assertEqual(peer.upTo(40), list(range(first, 41)))

    def test_inOneTurn(self) -> None:
        """
        What begins, what is published and what leaves in one and the same turn
        do each other no harm: who begins gets the message or begins behind it.
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

    def test_reentrant(self) -> None:
        """
        An application that publishes while it is given a message: everybody
        gets all of them, in the same order.
        """
        before = [self.reader(transport) for transport in ENDLESS]
        self.successResultOf(self.hub.subscribe("c", "now", Echo(self, 20)))
        after = [self.reader(transport) for transport in ENDLESS]
        self.publish(1)
        for peer in (*before, *after):
            self.assertEqual(peer.upTo(20), list(range(1, 21)))

    def test_leavesWhileWritten(self) -> None:
        """
        An application that sends everybody away while it is given a message:
        nobody is written to after the reason, and all connections end.
        """
        peers = [self.reader(transport) for transport in ENDLESS * 2]

        class Closer(Echo):
            def messageReceived(self, message: Message, replay: bool) -> None:
                for reader in list(self._case.hub.fanout.readers):
                    if type(reader).__name__ != "ObjectReader":
                        reader.close(Close("draining", "enough", 1.0))

        self.successResultOf(self.hub.subscribe("c", "now", Closer(self, 0)))
        self.publish(1)
        for peer in peers[:2]:
            self.assertIn(b"draining", peer.ends())
        self.reactor.until(lambda: all(b"draining" in peer.take() for peer in peers))


class EndTests(LeanTestCase):
    """
    How connections end.
    """

    def test_halfClosed(self) -> None:
        """
        A client that says that it sends nothing more is taken to have left.
        """
        for transport in (*ENDLESS, "longpoll"):
            peer = self.reader(transport)
            peer.halfClose()
            peer.ends()
            self.assertEqual(list(self.hub.fanout.readers), [], transport)
        self.assertEqual(self.connections, 0)

    def test_hangsUp(self) -> None:
        """
        A reset and an ordinary end are noticed at once, of all that wait.
        """
        for transport in (*ENDLESS, "longpoll"):
            for leave in (Peer.cut, lambda peer: peer.socket.close()):
                peer = self.reader(transport)
                leave(peer)
                self.untilReaders(0)
        self.reactor.settle()
        self.assertEqual((self.connections, len(self.tcpPort._edge)), (0, 0))

    def test_nothingHeld(self) -> None:
        """
        What clients say on an endless answer is thrown away.
        """
        peer = self.reader("stream")
        for _ in range(50):
            peer.send(b"x" * 10_000)
            self.reactor.turn(1)
        self.publish(1)
        self.reactor.until(lambda: peer.numbers == [1])
