"""
Tests of the memory that an idle reader takes on each transport, without its
connection.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

from comet.transports.tcp import CometFactory
from tests.transports.case import get
from tests.transports.frames import UPGRADE, WebSocketTestCase
from tests.transports.wire import Serving, Wire

READERS = 200

# About what a browser sends.
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://localhost/some/page",
    "Cookie: session=0123456789abcdef0123456789abcdef",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Site: same-origin",
)


class MemoryTests(WebSocketTestCase):
    """
    Bytes for each reader that comet allocates or keeps; the cost of a
    connection in memory is taken off.
    """

    def perReader(self, connect: Callable[[], Wire]) -> float:
        """
        Return how much more memory is used for each of many readers.
        """
        # Fill all caches and load all code before the measurement.
        for _ in range(5):
            connect().take()
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(READERS):
                wire = connect()
                wire.take()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return (after - before) / READERS

    def measure(self, raw: bytes, factory: Serving | None = None) -> float:
        """
        Return how many bytes a reader takes that begins with this input.
        """

        def connect() -> Wire:
            wire = self.connect(factory)
            wire.send(raw)
            return wire

        def connectOnly() -> Wire:
            wire = Wire.__new__(Wire)
            wire.transport = type(self.wires[0].transport)()
            self.wires.append(wire)
            return wire

        used = self.perReader(connect)
        self.assertGreaterEqual(len(self.hub.fanout.readers), READERS)
        return used - self.perReader(connectOnly)

    def test_streamKeepsNoRequest(self) -> None:
        """
        A stream keeps nothing of the request.
        """
        for transport in ("stream", "sse"):
            request = get(f"/channels/news?transport={transport}", *BROWSER)
            self.assertLess(self.measure(request), 1700)

    def test_rawTCPKeepsLittle(self) -> None:
        """
        A client of raw TCP takes little more than its reader.
        """
        raw = b'{"subscribe":["news"]}\n'
        self.assertLess(self.measure(raw, CometFactory(self.hub)), 2500)

    def test_webSocketKeepsNoHandshake(self) -> None:
        """
        A WebSocket takes what Autobahn needs, and nothing of its handshake.
        """
        self.assertLess(self.measure(get("/channels/news", *BROWSER, *UPGRADE)), 5000)

    def test_heldPollKeepsRequest(self) -> None:
        """
        A request on hold takes what Twisted keeps of it.
        """
        self.assertLess(self.measure(get("/channels/news?wait=300", *BROWSER)), 11000)
