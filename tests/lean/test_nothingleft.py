"""
Nothing of a connection that is over is left to the garbage collector.

The collector looks at what is old so seldom that objects which keep one another grow
without end: see L{comet.server.interpreter}.
"""

from __future__ import annotations

import gc
from collections import Counter

from twisted.web.http import Request

from comet.fanout.reader import Reader
from comet.lean.answers import Answers
from comet.lean.connection import Connection
from comet.transports.streaming import RequestSink
from comet.web.site import IDLE_TIMEOUT
from tests.lean.case import UPGRADE, LeanTestCase, read, request

_TRANSPORTS = (
    *("poll", "longpoll", "jsonp", "sse", "stream", "multipart", "iframe", "websocket", "tcp"),
)
_SUBSCRIBE = b'{"id":1,"subscribe":["c"]}\n'
_COMMAND = b'{"id":1,"publish":"open/c","data":1}\n'

_KEPT = (Answers, Connection, Reader, Request, RequestSink)


def garbage() -> Counter[str]:
    """
    Have the collector look, and count what it finds of connections, by its kinds.
    """
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return Counter(type(each).__name__ for each in gc.garbage if isinstance(each, _KEPT))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


class NothingLeftTests(LeanTestCase):
    """
    Clients that leave, in the midst of what they do.
    """

    def setUp(self) -> None:
        """
        Have no collector.
        """
        super().setUp()
        self.addCleanup(gc.enable)

    def leaves(self, said: bytes, isTCP: bool = False, isCut: bool = False) -> None:
        """
        Let a client come, say something, hear an answer, and leave.
        """
        gc.collect()
        gc.disable()
        self._visit(said, isTCP, isCut)
        # The port may still know the last one.
        self._visit(_COMMAND if isTCP else request("/nothing"), isTCP)
        self.assertEqual(garbage(), Counter(), said)
        gc.enable()

    def _visit(self, said: bytes, isTCP: bool, isCut: bool = False) -> None:
        peer = self.peer(said, isTCP=isTCP)

        def hears() -> bytes:
            # A poll that is held is answered by this.
            self.publish(1)
            return peer.take()

        self.reactor.until(hears)
        peer.cut() if isCut else peer.socket.close()
        port = self.tcpPort if isTCP else self.port
        self.reactor.until(lambda: not len(port._edge))
        # The edge knows for a while who has come last.
        self.reactor.advance(IDLE_TIMEOUT)
        self.reactor.settle()

    def test_readers(self) -> None:
        """
        A client that reads by any transport.
        """
        for transport in _TRANSPORTS:
            with self.subTest(transport=transport):
                isTCP = transport == "tcp"
                said = _SUBSCRIBE if isTCP else read(transport)
                for isCut in (False, True):
                    self.leaves(said, isTCP, isCut)

    def test_publishers(self) -> None:
        """
        A client that publishes, pipelined, in part, by a batch and by commands.
        """
        one = request("/channels/open/c", method="POST", body=b"1")
        batch = request("/publish", method="POST", body=b'{"channel":"open/c","data":1}\n' * 9)
        for said in (one, one * 5, one + one[:-1], batch, batch + one + read("stream")):
            with self.subTest(said=said):
                self.leaves(said)
        self.leaves(_COMMAND * 3, isTCP=True)

    def test_refused(self) -> None:
        """
        A client whose request is refused.
        """
        upgrade = UPGRADE.replace("13", "12")
        for said in (
            request("/channels/*a"),
            request("/channels/c?since=x"),
            request("/health"),
            request("/channels/c?transport=websocket", upgrade),
            request("/channels/c", method="POST", body=b"1"),
            b"GET\r\n\r\n",
        ):
            with self.subTest(said=said):
                self.leaves(said)
