"""
Tests for L{comet.bus.redis.protocol}, without a Redis.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis import protocol
from comet.bus.redis.protocol import (
    RedisConnectionLost,
    RedisProtocol,
    RedisRefused,
    TooManyCommands,
)
from comet.reactor.turns import TURN


class NotingListener:
    """
    Notes pushes, and the end of the connection.
    """

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        Note the push.
        """
        self.heard.append((topic, data))

    def paused(self) -> None:
        """
        Note the pause, if something came before it.
        """
        if self.heard and self.heard[-1] != "pause":
            self.heard.append("pause")

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        Note the loss.
        """
        self.heard.append(f"lost: {reason}")


class ProtocolTests(SynchronousTestCase):
    """
    L{RedisProtocol}.
    """

    def setUp(self) -> None:
        """
        Make a connection.
        """
        self.begin()

    def begin(self) -> None:
        """
        Make a connection, and forget the one before.
        """
        self.clock = Clock()
        self.pushListener = NotingListener()
        self.transport = StringTransport()
        self.connection = RedisProtocol(self.clock, self.pushListener, 5.0)
        self.connection.makeConnection(self.transport)

    def receive(self, *data: bytes) -> None:
        """
        Receive bytes from Redis.
        """
        for each in data:
            self.connection.dataReceived(each)

    def test_takesShare(self) -> None:
        """
        Many replies that come at once are handed out in several turns, in their order,
        and nothing is read meanwhile.
        """
        answered: list[int] = []

        def slowly(number: int) -> None:
            answered.append(number)
            self.clock.rightNow += TURN / 2

        asked = [self.connection.command("GET", "a").addCallback(slowly) for _ in range(9)]
        self.receive(b":0\r\n:1\r\n:2\r\n:3\r\n:4", b"\r\n")
        self.assertEqual(answered, [0, 1])
        self.assertEqual(self.transport.producerState, "paused")
        self.receive(b":5\r\n")
        self.assertEqual(answered, [0, 1])
        self.clock.advance(0)
        self.assertEqual(answered, [0, 1, 2, 3, 4, 5])
        self.assertEqual(self.transport.producerState, "producing")
        self.receive(b":6\r\n:7\r\n:8\r\n")
        self.assertEqual(answered[-1], 7)
        self.connection.connectionLost()
        self.clock.advance(0)
        self.assertEqual((answered[-1], self.clock.getDelayedCalls()), (7, []))
        self.failureResultOf(asked[8], RedisConnectionLost)

    def test_matchesRepliesToCommands(self) -> None:
        """
        Replies belong to commands in their order, however the bytes are cut.
        """
        asked = [self.connection.command("GET", name) for name in "abc"]
        self.assertEqual(self.transport.value().count(b"*2\r\n$3\r\nGET\r\n"), 3)
        data = b"$1\r\nx\r\n-OOM too much\r\n*2\r\n:1\r\n_\r\n"
        self.receive(*(data[at : at + 1] for at in range(len(data))))
        self.assertEqual(self.successResultOf(asked[0]), b"x")
        error = self.failureResultOf(asked[1], RedisRefused).value
        assert isinstance(error, RedisRefused)
        self.assertEqual((error.code, str(error)), ("OOM", "OOM too much"))
        self.assertEqual(self.successResultOf(asked[2]), [1, None])

    def test_hearsPushBeforeReply(self) -> None:
        """
        A push that comes before a reply is heard before it.
        """
        asked = self.connection.command("PING")
        asked.addCallback(self.pushListener.heard.append)
        message = b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n"
        matched = b">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nb\r\n$1\r\n2\r\n"
        self.receive(message + matched + b"+PONG\r\n" + message)
        heard = [(b"a", b"1"), (b"b", b"2"), "pause", b"PONG", (b"a", b"1"), "pause"]
        self.assertEqual([each for each in self.pushListener.heard if each], heard)

    def test_subscribesWhenAllConfirmed(self) -> None:
        """
        A subscription is answered when all its topics are confirmed.  An error
        answers it, and the next reply is for the next command.
        """

        def confirmed(kind: bytes, topic: bytes) -> bytes:
            return b">3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n:1\r\n" % (
                len(kind),
                kind,
                len(topic),
                topic,
            )

        first = self.connection.subscribe("SUBSCRIBE", [b"a", b"b"])
        second = self.connection.subscribe("PSUBSCRIBE", [b"c*"])
        third = self.connection.command("PING")
        self.receive(confirmed(b"subscribe", b"a"))
        self.assertNoResult(first)
        self.receive(confirmed(b"subscribe", b"b"))
        self.successResultOf(first)
        self.receive(b"-NOPERM no\r\n+PONG\r\n")
        self.failureResultOf(second, RedisRefused)
        self.assertEqual(self.successResultOf(third), b"PONG")
        # This topic was not subscribed to.
        self.receive(confirmed(b"unsubscribe", b"a"))
        self.assertTrue(self.connection.isUsable)

    def test_closesSilentConnection(self) -> None:
        """
        The connection is closed when a reply is too late, and all callers are
        told.  Any bytes count as a sign of life.
        """
        self.clock.advance(60)
        asked = self.connection.command("PING")
        self.clock.advance(4)
        self.receive(b"+")
        self.clock.advance(4)
        self.assertTrue(self.connection.isUsable)
        self.clock.advance(1.1)
        self.assertTrue(self.transport.disconnected)
        self.assertFalse(self.connection.isUsable)
        self.failureResultOf(self.connection.command("PING"), RedisConnectionLost)
        self.connection.connectionLost()
        self.failureResultOf(asked, RedisConnectionLost)
        self.assertEqual(self.pushListener.heard, ["lost: no answer for 5 seconds"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connectionLostFailsCommands(self) -> None:
        """
        When the connection is lost, the push listener is told first, and then
        all callers.
        """
        told: list[str] = []
        asked: list[Deferred[Any]] = [self.connection.command("PING") for _ in range(2)]
        for each in asked:
            each.addErrback(lambda failure: told.extend(self.pushListener.heard))
        self.connection.connectionLost()
        self.assertEqual(len(told), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_boundsUnansweredCommands(self) -> None:
        """
        The number and the bytes of unanswered commands are limited.
        """
        self.patch(protocol, "MOST_COMMANDS", 3)
        self.patch(protocol, "MOST_BYTES", 1000)
        for _ in range(3):
            self.connection.command("PING")
        self.failureResultOf(self.connection.command("PING"), TooManyCommands)
        self.receive(b"+PONG\r\n" * 3)
        self.connection.command("SET", "a", b"x" * 2000)
        self.failureResultOf(self.connection.command("PING"), TooManyCommands)
        self.receive(b"+OK\r\n")
        self.connection.command("PING")

    def test_closesOnReplyWithoutCommand(self) -> None:
        """
        A reply without a command closes the connection.
        """
        self.receive(b"+PONG\r\n")
        self.assertTrue(self.transport.disconnected)

    def test_closesOnOtherProtocol(self) -> None:
        """
        Bytes that are not RESP close the connection.
        """
        asked = self.connection.command("PING")
        self.receive(b"HTTP/1.1 200 OK\r\n")
        self.assertTrue(self.transport.disconnected)
        self.connection.connectionLost()
        self.assertIn("this is not Redis", str(self.failureResultOf(asked).value))

    def test_closesOnMapOfLists(self) -> None:
        """
        A map whose keys cannot be keys closes the connection.
        """
        asked = self.connection.command("PING")
        self.receive(b"%1\r\n*0\r\n+a\r\n")
        self.assertTrue(self.transport.disconnected)
        self.connection.connectionLost()
        self.assertIn("this is not Redis", str(self.failureResultOf(asked).value))

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=30) | st.sampled_from([b">1\r\n", b">0\r\n", b"*-1\r\n"])))
    def test_anyBytes(self, parts: list[bytes]) -> None:
        """
        After any bytes, the connection goes on or is closed, and each command
        is answered in the end.
        """
        self.begin()
        asked = [self.connection.command("PING"), self.connection.subscribe("SUBSCRIBE", [b"a"])]
        ended: list[object] = []
        for each in asked:
            each.addBoth(ended.append)
        self.receive(*parts)
        self.connection.connectionLost()
        self.assertEqual(len(ended), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
