"""
The base of the test cases of the lean edge: a server on loopback, in the same
process as its clients.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.framing.publications import Limits
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.lean.port import LeanPort
from comet.lean.reactor import LeanReactor
from comet.model.log import Retention
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.lean.handreactor import HandReactor

UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)

# The number of a message in every wire format: a character that is no digit
# follows it.
_NUMBER = re.compile(rb'data"?: ?"?n?([0-9]+)[^0-9]')


def request(
    target: str, headers: str = "", method: str = "GET", body: bytes | None = None
) -> bytes:
    """
    Make a request with no more headers than it needs.
    """
    if body is not None:
        headers += f"Content-Length: {len(body)}\r\n"
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"
    return head.encode("ascii") + (body or b"")


def read(transport: str, channel: str = "c", more: str = "") -> bytes:
    """
    Make a request to read.
    """
    headers = UPGRADE if transport == "websocket" else ""
    if transport == "jsonp":
        headers, more = "Sec-Fetch-Site: same-origin\r\n", f"&callback=cb{more}"
    return request(f"/channels/{channel}?transport={transport}{more}", headers)


class Peer:
    """
    A client.

    @ivar socket: Its socket, which does not block.

    @ivar said: All that the server has sent.

    @ivar isOver: True once the server has closed the connection.
    """

    def __init__(self, reactor: HandReactor, port: int, receiveBuffer: int = 0) -> None:
        self._reactor = reactor
        self.socket = socket.socket()
        if receiveBuffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.said = b""
        self.isOver = False

    def send(self, data: bytes) -> None:
        """
        Send all of some data.
        """
        self.socket.sendall(data)

    def take(self) -> bytes:
        """
        Receive what has come.

        @return: All that has come so far.
        """
        while not self.isOver:
            try:
                piece = self.socket.recv(1 << 20)
            except BlockingIOError:
                break
            except ConnectionError:
                piece = b""
            self.said += piece
            self.isOver = not piece
        return self.said

    def hears(self, what: bytes, times: int = 1) -> bytes:
        """
        Turn the reactor until some bytes have come.

        @param times: How often they come.

        @return: All that has come so far.
        """
        self._reactor.until(lambda: self.take().count(what) >= times)
        return self.said

    def ends(self) -> bytes:
        """
        Turn the reactor until the server has closed the connection.

        @return: All that has come.
        """
        self._reactor.until(lambda: (self.take(), self.isOver)[1])
        return self.said

    @property
    def numbers(self) -> list[int]:
        """
        The numbers of the messages that have come, in order.
        """
        return [int(each) for each in _NUMBER.findall(self.take())]

    def upTo(self, last: int) -> list[int]:
        """
        Turn the reactor until a number has come as the last.

        @return: All numbers that have come, in order.
        """
        self._reactor.until(lambda: self.numbers[-1:] == [last])
        return self.numbers

    def halfClose(self) -> None:
        """
        Close the client's writing side.
        """
        self.socket.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        """
        Reset the connection.
        """
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class LeanTestCase(SynchronousTestCase):
    """
    A server with a port for HTTP and one for raw TCP.

    @ivar settings: The settings of the hub.

    @cvar makeReactor: Makes the reactor.
    """

    makeReactor: Callable[[], HandReactor] = HandReactor
    settings = Settings(limits=Limits(maxMessage=1 << 20))

    def setUp(self) -> None:
        """
        Start the server.
        """
        self.reactor = self.makeReactor()
        self.reactor.advance(1000)
        self.bus = MemoryBus(
            self.reactor,
            lambda channel: Retention(bytes=1 << 26),
            wallClock=self.reactor.seconds,
        )
        self.hub = Hub(self.bus, self.reactor, self.settings, Access("k" * 16, ["open/**"]))
        site = CometSite(
            CometResource(self.hub),
            self.settings.limits.maxBatchBytes,
            self.settings.limits.maxMessage,
            reactor=self.reactor,
        )
        site.startFactory()
        self.port = self.listen(site)
        self.tcpPort = self.listen(CometFactory(self.hub))

    def listen(self, factory: Any) -> LeanPort:
        """
        Listen with the lean edge.

        @param factory: One of comet's own factories.
        """
        lean = LeanReactor(self.reactor)
        port: LeanPort = lean.listenTCP(0, factory, 500, "127.0.0.1")
        self.assertIsInstance(port, LeanPort)
        self.addCleanup(port.connectionLost, Failure(ConnectionDone()))
        self.addCleanup(port.stopListening)
        return port

    def keepLittle(self) -> None:
        """
        Let the kernel buffer little of what is sent to the clients that connect
        from now on.
        """
        for port in (self.port, self.tcpPort):
            # What is accepted inherits it.
            port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    def peer(self, said: bytes = b"", receiveBuffer: int = 0, isTCP: bool = False) -> Peer:
        """
        Connect a client that sends some bytes.
        """
        port = self.tcpPort if isTCP else self.port
        peer = Peer(self.reactor, port.getHost().port, receiveBuffer)
        self.addCleanup(peer.socket.close)
        peer.send(said)
        return peer

    def reader(self, transport: str, receiveBuffer: int = 0) -> Peer:
        """
        Connect a client that reads the channel C{c}, and wait until its reader
        is open.
        """
        isTCP = transport == "tcp"
        said = b'{"id":1,"subscribe":["c"]}\n' if isTCP else read(transport)
        peer = self.peer(said, receiveBuffer, isTCP)
        if transport in ("longpoll", "jsonp"):
            before = len(self.hub.fanout.readers)
            self.reactor.until(lambda: len(self.hub.fanout.readers) > before)
        else:
            peer.hears(b"id: " if transport == "sse" else b'"cursor"')
        return peer

    def untilReaders(self, count: int) -> None:
        """
        Turn the reactor until the fan-out has this many readers.
        """
        self.reactor.until(lambda: len(self.hub.fanout.readers) == count)

    @property
    def connections(self) -> int:
        """
        The number of connections on the port for HTTP.
        """
        return len(self.port._edge)

    def publish(self, *numbers: int, filler: str = "") -> None:
        """
        Publish messages in one turn, and let the turn end.

        @param filler: Makes the messages larger.
        """
        for number in numbers:
            data: object = f"n{number}:{filler}" if filler else number
            self.hub.publish("c", data).addErrback(self.fail)
        self.reactor.turn()
