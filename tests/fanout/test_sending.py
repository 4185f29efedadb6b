"""
Tests of L{comet.fanout.sending}: the same bytes to many sockets.
"""

from __future__ import annotations

import contextlib
import socket

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.fanout.sending import sendAll
from comet.interfaces.sinks import IDirectSink
from comet.interfaces.sockets import DirectSocket
from tests.fanout.case import HubTestCase, Stream
from tests.fanout.doubles import LineShape, MemorySink

DATA = b"x" * 100


class SendAllTests(SynchronousTestCase):
    """
    What becomes of each socket.
    """

    def pair(self) -> tuple[socket.socket, socket.socket]:
        """
        Two ends; the first does not block.
        """
        near, far = socket.socketpair()
        near.setblocking(False)
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        return near, far

    def full(self) -> socket.socket:
        """
        A socket that takes nothing.
        """
        near, _ = self.pair()
        with contextlib.suppress(BlockingIOError):
            while near.send(bytes(65536)):
                pass
        return near

    def test_allSocketsTakeAll(self) -> None:
        """
        If each socket takes all bytes, there is nothing to report.
        """
        pairs = [self.pair() for _ in range(5)]
        self.assertEqual(sendAll([near for near, _ in pairs], DATA), ())
        for _, far in pairs:
            self.assertEqual(far.recv(1000), DATA)

    def test_noSockets(self) -> None:
        """
        Without sockets there is nothing to report.
        """
        self.assertEqual(sendAll([], DATA), ())

    def test_reportsBrokenSocketsAtAnyPlace(self) -> None:
        """
        A full, broken or closed socket is reported, at any place in the list,
        and each other socket gets all bytes once.
        """
        broken, other = self.pair()
        other.close()
        closed, _ = self.pair()
        closed.close()
        for bad in (self.full(), broken, closed):
            for start in range(4):
                pairs = [self.pair() for _ in range(3)]
                sockets = [near for near, _ in pairs]
                sockets.insert(start, bad)
                self.assertEqual(sendAll(sockets, DATA), [(start, 0)])
                for _, far in pairs:
                    self.assertEqual(far.recv(1000), DATA)

    def test_reportsHowMuchWasTaken(self) -> None:
        """
        Of a socket that takes some of the bytes it is reported how many.
        """
        near, far = self.pair()
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        large = bytes(10_000_000)
        ((index, sent),) = sendAll([near], large)
        self.assertEqual(index, 0)
        self.assertTrue(0 < sent < len(large))
        far.setblocking(False)
        self.assertEqual(len(far.recv(len(large))) > 0, True)

    def test_otherSockets(self) -> None:
        """
        Sockets that are not the system's are called, wherever they stand; a full one of
        either kind is reported.
        """
        taken: list[bytes] = []

        class Other:
            """
            A socket that takes everything.
            """

            def send(self, data: bytes | memoryview, /) -> int:
                """
                Take it.
                """
                taken.append(bytes(data))
                return len(data)

        class Full:
            """
            A socket that takes nothing.
            """

            def send(self, data: bytes | memoryview, /) -> int:
                """
                Refuse it.
                """
                raise BlockingIOError

        near, far = self.pair()
        last, lastFar = self.pair()
        sockets: list[DirectSocket] = [near, Other(), Full(), self.full(), Other(), last]
        self.assertEqual(sendAll(sockets, DATA), [(2, 0), (3, 0)])
        self.assertEqual(taken, [DATA, DATA])
        self.assertEqual((far.recv(1000), lastFar.recv(1000)), (DATA, DATA))

    def test_brokenSocket(self) -> None:
        """
        What is wrong with a socket of another kind is not taken for a socket that is full.
        """

        class Broken:
            """
            A socket with a mistake.
            """

            def send(self, data: bytes | memoryview, /) -> int:
                """
                Make it.
                """
                raise TypeError("broken")

        with self.assertRaises(TypeError):
            sendAll([Broken()], DATA)

    def test_manyFullSockets(self) -> None:
        """
        Many full sockets are reported in one pass, and the socket behind them
        gets all.
        """
        bad, (good, far) = self.full(), self.pair()
        short = sendAll([bad] * 1000 + [good], DATA)
        self.assertEqual(short, [(index, 0) for index in range(1000)])
        self.assertEqual(far.recv(1000), DATA)


@implementer(IDirectSink)
class DirectSink(MemorySink):
    """
    A sink over a socket.
    """

    def __init__(self, direct: socket.socket) -> None:
        super().__init__()
        self.direct = direct

    def sent(self, count: int) -> None:
        """
        Fail.
        """
        raise RuntimeError("broken")

    def keep(self, rest: bytes | memoryview) -> None:
        """
        Take the rest.
        """
        self.writes.append(bytes(rest))


class FailingTests(HubTestCase):
    """
    A mistake of the server's own while direct readers are written to.
    """

    def direct(self) -> Stream:
        """
        Make a direct reader.
        """
        near, far = socket.socketpair()
        self.addCleanup(near.close)
        self.addCleanup(far.close)
        return self.stream("a", sink=DirectSink(near))

    def test_closesTheDirectReadersOnly(self) -> None:
        """
        The direct readers of that group are closed, each once; those of other
        groups get the message, and the publisher is answered.
        """
        broken = [self.direct() for _ in range(3)]
        whole = [self.stream("a", shape=LineShape(tag="other")), self.stream("a", "b")]
        published = self.publish("a", "b")
        self.clock.settle()
        self.assertEqual(self.successResultOf(published), [1, 2])
        for stream in broken:
            self.assertEqual(stream.kinds, ["standing", "close"])
            # It comes back from before the message, which it may not have got.
            self.assertEqual(stream.sink.lines[-1][2:4], [0, "internal"])
            self.assertTrue(stream.sink.isFinished)
        self.assertEqual([stream.positions for stream in whole], [[1], [1, 2]])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        group = self.fanout.registry.group(broken[0].reader, ("a",))
        self.assertEqual((group.live, group.members), ([], 0))
