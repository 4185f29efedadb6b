"""
Tests of L{comet.server.wsgipace}: the response of a WSGI application by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.server import wsgipace
from comet.server.wsgi import Application
from comet.server.wsgipace import Gone, Pace, Room
from tests.server.wsgicase import PATIENCE, Asked, Calls, OnConnection, Slow


class PaceTests(SynchronousTestCase):
    """
    A pace by itself.
    """

    def test_gone(self) -> None:
        """
        For a client that is gone, nothing more is produced; what its application
        holds is closed, and no producer is taken from a request that has ended.
        """
        reactor = Calls()
        request = Asked()
        pace = Pace(reactor, request)
        request.processingFailed(Failure(ConnectionError()))
        self.assertRaises(Gone, pace.wait)
        closed: list[int] = []

        class _Chunks:
            def __iter__(self) -> Iterator[bytes]:
                yield b"one"
                raise AssertionError("it was asked for more")

            def close(self) -> None:
                closed.append(1)

        def inner(environ: dict[str, Any], startResponse: Any) -> _Chunks:
            return _Chunks()

        application = Application(inner, print, pace)
        self.assertEqual(list(application({}, None)), [])
        self.assertEqual(closed, [1])
        for late in (lambda: pace.write(b"x"), pace.finish, pace.loseConnection):
            late()
        self.assertEqual(request.body, b"")

    def test_pieces(self) -> None:
        """
        A large chunk is written in pieces, as its client takes them, and takes its room
        until its last byte is written.
        """
        request = Asked()
        pace = Pace(Calls(), request)
        written: list[int] = []

        def write(data: bytes) -> None:
            written.append(len(data))
            pace.pauseProducing()

        request.write = write  # type: ignore[method-assign]
        size = 2 * wsgipace.PIECE + 1
        pace.write(bytes(size))
        pace.write(b"x")
        pace.finish()
        for left in (size + 1, size + 1, 1):
            self.assertEqual(pace._room.kept, left)
            self.assertFalse(request.finished)
            pace.resumeProducing()
        self.assertEqual(pace._room.kept, 0)
        self.assertEqual(written, [wsgipace.PIECE, wsgipace.PIECE, 1, 1])
        self.assertTrue(request.finished)

    def test_roomOfOthers(self) -> None:
        """
        An application that waits for room goes on when another response leaves some, also
        if its own client takes nothing.
        """
        looked, gone = threading.Event(), threading.Event()

        class _Watched(Room):
            @property
            def isFull(self) -> bool:
                looked.set()
                return super().isFull

        room = _Watched(8)
        own, other = (Pace(Calls(), Asked(), room) for _ in range(2))
        for each in (own, other):
            each.pauseProducing()
            each.write(b"four")

        def wait() -> None:
            own.wait()
            gone.set()

        threading.Thread(target=wait, daemon=True).start()
        self.assertTrue(looked.wait(PATIENCE))
        self.assertFalse(gone.is_set())
        other.stopProducing()
        self.assertTrue(gone.wait(PATIENCE))

    def _behind(self, left: int) -> tuple[Calls, Pace, Slow]:
        reactor, request, transport = Calls(), Asked(), Slow(left)
        request.channel = OnConnection(transport)
        pace = Pace(reactor, request)
        pace.pauseProducing()
        return reactor, pace, transport

    def test_takesNothing(self) -> None:
        """
        The connection of a client that takes nothing for a minute is cut: it would hold
        a thread for as long as it likes.
        """
        reactor, _, transport = self._behind(5000)
        reactor.advance(59.9)
        self.assertFalse(transport.disconnected)
        reactor.advance(0.1)
        self.assertTrue(transport.disconnected)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_takesSome(self) -> None:
        """
        A client has the time that it needs to take a thousand bytes a second.
        """
        reactor, _, transport = self._behind(100_000)
        reactor.advance(50)
        transport.dataBuffer = bytes(90_000)
        reactor.advance(10)
        self.assertFalse(transport.disconnected)
        reactor.advance(9.9)
        self.assertFalse(transport.disconnected)
        reactor.advance(0.1)
        self.assertTrue(transport.disconnected)

    def test_catchesUp(self) -> None:
        """
        A client that has taken all is not waited for, nor is one that has left.
        """
        reactor, pace, transport = self._behind(5000)
        pace.resumeProducing()
        self.assertEqual(reactor.getDelayedCalls(), [])
        pace.pauseProducing()
        pace.stopProducing()
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.assertFalse(transport.disconnected)

    def test_http2(self) -> None:
        """
        A connection of HTTP/2 cuts slow clients itself.
        """
        reactor = Calls()
        Pace(reactor, Asked()).pauseProducing()
        self.assertEqual(reactor.getDelayedCalls(), [])
