"""
Tests of how L{comet.bus.redis.protocol} sends and reads: over sockets, with the reactor that
stands still between two lines of a test.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.tcp import Client
from twisted.trial.unittest import TestCase

from comet.bus.redis.protocol import MOST_READ, MOST_SENT, READ, RedisProtocol
from tests.bus.redis.case import theReactor
from tests.bus.redis.test_protocol import NotingListener

PING = b"*1\r\n$4\r\nPING\r\n"


class SendingTests(TestCase):
    """
    A connection over TCP.
    """

    async def connected(self) -> tuple[RedisProtocol, socket.socket]:
        """
        Connect.

        @return: The connection, and the other end of it, which does not block.
        """
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        endpoint = TCP4ClientEndpoint(theReactor(), *listening.getsockname())
        made = RedisProtocol(Clock(), NotingListener(), 5.0)
        connection: RedisProtocol = await connectProtocol(endpoint, made)
        other, _ = listening.accept()
        other.setblocking(False)
        self.addCleanup(other.close)
        self.addCleanup(connection.connectionLost)
        self.assertIs(type(connection.transport), Client)
        self.addCleanup(lambda: connection.abort("the test is over"))
        return connection, other

    def send(self, connection: RedisProtocol, *words: bytes | str) -> None:
        """
        Send a command whose reply is not waited for.
        """
        connection.command(*words).addErrback(lambda failure: None)

    async def test_atOnce(self) -> None:
        """
        A command is on its way before the reactor has another turn: so its reply may be
        there in the next one.
        """
        connection, other = await self.connected()
        for _ in range(3):
            self.send(connection, "PING")
            self.assertEqual(other.recv(99), PING)

    async def test_inOrder(self) -> None:
        """
        A command that is too large to be sent at once is sent by the transport, and the
        next one comes behind it.
        """
        connection, other = await self.connected()
        large = b"x" * (MOST_SENT + 1)
        self.send(connection, "ECHO", large)
        self.send(connection, "PING")
        self.assertRaises(BlockingIOError, other.recv, 1)
        came = await self.received(other, MOST_SENT)
        self.assertTrue(came.endswith(large + b"\r\n" + PING))

    async def test_rest(self) -> None:
        """
        What the socket does not take is sent once it takes more, before the next command.
        """
        connection, other = await self.connected()
        transport: Any = connection.transport
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        piece, count = b"x" * (MOST_SENT - 64), 40
        for _ in range(count):
            self.send(connection, "ECHO", piece)
        self.send(connection, "PING")
        self.assertTrue(transport.dataBuffer or transport._tempDataBuffer)
        came = await self.received(other, count * len(piece))
        self.assertEqual(came.count(b"x"), count * len(piece))
        self.assertTrue(came.endswith(PING))

    async def test_readsMuch(self) -> None:
        """
        While there is much to read, more of it is read at once: a long reply takes few turns.
        """
        connection, _ = await self.connected()
        transport: Any = connection.transport
        got: list[bytes] = []
        connection.command("GET", "a").addCallback(got.append)
        reply = b"$%d\r\n%b\r\n" % (4 * READ, b"x" * 4 * READ)
        # At first, while the reply comes, and once it is there.
        sizes = [transport.bufferSize]
        for start in range(0, len(reply), READ):
            connection.dataReceived(reply[start : start + READ])
            sizes.append(transport.bufferSize)
        self.assertEqual(got, [b"x" * 4 * READ])
        self.assertEqual(sizes, [READ, *[MOST_READ] * 4, READ])

    async def received(self, other: socket.socket, least: int) -> bytes:
        """
        Read until the other end has more than so many bytes, and a C{PING} at their end.
        """
        came = bytearray()
        while len(came) <= least or not came.endswith(PING):
            try:
                came += other.recv(1 << 20)
            except BlockingIOError:
                await self.turn()
        return bytes(came)

    async def turn(self) -> None:
        """
        Let the reactor have a turn.
        """
        await deferLater(theReactor(), 0.0)
