"""
One connection to Redis, in RESP3.  Replies arrive in the order of the commands,
and pushes between them, in the order in which Redis made them.

So pushes and replies cannot race: a caller with a reply has received everything
that was published before it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple, cast
from typing import Protocol as Shape

from hiredis import ProtocolError, PushNotification, Reader, ReplyError, pack_command
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Client, Connection
from twisted.python.failure import Failure

from comet.reactor.plainsockets import isEmpty, isPlain, sendPlain
from comet.reactor.turns import TURN

# How many bytes and how many commands may be unanswered before further commands
# are refused.
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_COMMANDS: Final = 10000

# How many bytes of a command are sent at once.  The system copies each, while others wait.
MOST_SENT: Final = 128 * 1024

# How many bytes are read at once; and how many where there are as many: a turn of the
# reactor reads once, so all that Redis has sent would else be many turns late.  To ask for
# so many each time would cost more than most replies do.
READ: Final = 64 * 1024
MOST_READ: Final = 1024 * 1024

_CONFIRMATIONS: Final = frozenset({b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe"})


class RedisRefused(Exception):
    """
    Redis refused a command, and has not executed it.

    @ivar code: The first word of the error.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class RedisConnectionLost(Exception):
    """
    The connection was lost before the reply.  The command may have been
    executed.
    """


class TooManyCommands(Exception):
    """
    Too many commands wait for replies.  The command was not sent.
    """


class IPushListener(Shape):
    """
    Takes the pushes of a connection, and is told when it is closed.
    """

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        A message was published to a topic of Redis.
        """

    def paused(self) -> None:
        """
        No other push comes before the next reply, or for now: what was pushed
        can be handled.
        """

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        The connection is closed.

        @param reason: The reason in words.
        """


class _Waiting(NamedTuple):
    """
    A command whose reply is outstanding.

    @ivar answer: Fires with the reply.

    @ivar size: How many bytes the command has.

    @ivar sent: When it was sent, in the seconds of the clock.

    @ivar confirmations: How many topics are confirmed, each by a push, in place
        of one reply; 0 for a command with a reply.
    """

    answer: Deferred[Any]
    size: int
    sent: float
    confirmations: int


class RedisProtocol(Protocol):
    """
    Sends commands, and matches replies to them.

    A connection that is silent for too long while a reply is due is closed.
    """

    def __init__(self, clock: IReactorTime, pushListener: IPushListener, timeout: float) -> None:
        """
        @param pushListener: Takes the pushes.

        @param timeout: After how many seconds without a reply the connection is
            closed.
        """
        self._clock = clock
        self._pushListener = pushListener
        self._timeout = timeout
        self._reader = Reader(notEnoughData=Ellipsis)
        self._waiting: deque[_Waiting] = deque()
        self._unconfirmed = 0
        self._bytes = 0
        self._heardAt = 0.0
        self._watch: IDelayedCall | None = None
        # Where there is more to parse in another turn.
        self._rest: IDelayedCall | None = None
        self._reason = ""
        # Whether commands may be sent past the transport.
        self._isDirect = False
        # What reads from the socket.
        self._socketTransport: Connection | None = None
        self.isUsable = False

    # -- Commands

    def command(self, *words: bytes | str | int) -> Deferred[Any]:
        """
        Send a command.

        @return: Fires with the reply.  Fails with L{RedisRefused}, with
            L{RedisConnectionLost}, or with L{TooManyCommands}.
        """
        return self._send(words, 0)

    def subscribe(self, verb: str, topics: list[bytes]) -> Deferred[Any]:
        """
        Send a command that Redis confirms for each topic.

        @param topics: At least one, each once.

        @return: Fires when all topics are confirmed.  Fails as L{command} does.
        """
        return self._send((verb, *topics), len(topics))

    def _send(self, words: Any, confirmations: int) -> Deferred[Any]:
        if not self.isUsable:
            return fail(RedisConnectionLost("the connection to Redis is closed"))
        if len(self._waiting) >= MOST_COMMANDS or self._bytes >= MOST_BYTES:
            return fail(TooManyCommands("too many commands wait for Redis"))
        data = pack_command(words)
        answer: Deferred[Any] = Deferred()
        now = self._clock.seconds()
        self._waiting.append(_Waiting(answer, len(data), now, confirmations))
        self._bytes += len(data)
        if self._watch is None:
            self._watch = self._clock.callLater(self._timeout, self._look)
        self._write(data)
        return answer

    def _write(self, data: bytes) -> None:
        """
        Send a command at once, where that can be.  By way of the transport it would wait
        for the reactor's next turn, and its reply for the one after that.
        """
        transport: Any = self.transport
        if self._isDirect and len(data) <= MOST_SENT and isEmpty(transport):
            data = data[sendPlain(transport, data) :]
            if not data:
                return
        transport.write(data)

    def _look(self) -> None:
        """
        Close the connection if a reply is too late.
        """
        self._watch = None
        if not self._waiting or not self.isUsable:
            return
        due = max(self._waiting[0].sent, self._heardAt) + self._timeout
        left = due - self._clock.seconds()
        if left > 0:
            self._watch = self._clock.callLater(left, self._look)
        else:
            self.abort(f"no answer for {self._timeout:g} seconds")

    def abort(self, reason: str) -> None:
        """
        Close the connection without sending what waits.

        @param reason: The reason in words, for L{IPushListener.lost} and for
            the callers whose commands fail.
        """
        if self.isUsable:
            self.isUsable = False
            self._reason = reason
            # TCP, UNIX and TLS transports all have it.
            cast(ITCPTransport, self.transport).abortConnection()

    # -- Replies and pushes

    def connectionMade(self) -> None:
        """
        See L{Protocol.connectionMade<twisted.internet.protocol.BaseProtocol>}.
        """
        self.isUsable = True
        transport: Any = self.transport
        self._isDirect = isPlain(transport, Client)
        if isinstance(transport, Connection):
            self._socketTransport = transport
        # A UNIX socket has neither method.  TLS passes them to the socket below
        # it.
        for name in ("setTcpNoDelay", "setTcpKeepAlive"):
            getattr(transport, name, bool)(True)

    def dataReceived(self, data: bytes) -> None:
        """
        Parse replies and pushes.
        """
        self._reader.feed(data)
        if self._socketTransport is not None:
            self._socketTransport.bufferSize = MOST_READ if len(data) >= READ else READ
        if self._rest is None:
            self._parse()

    def _goOn(self) -> None:
        """
        Parse what has waited for this turn.
        """
        self._rest = None
        if self.isUsable:
            cast(IPushProducer, self.transport).resumeProducing()
            self._parse()

    def _parse(self) -> None:
        """
        Parse for a L{TURN} of time: more than the share of a client, since all clients
        wait for what comes here.  What is read at once has room for hundreds of replies,
        and readers and publishers are answered with each: the rest waits for another
        turn, and nothing is read meanwhile.
        """
        seconds = self._clock.seconds
        self._heardAt = seconds()
        over = self._heardAt + TURN
        while self.isUsable:
            if seconds() >= over:
                cast(IPushProducer, self.transport).pauseProducing()
                self._rest = self._clock.callLater(0, self._goOn)
                break
            try:
                item = self._reader.gets()
            except (ProtocolError, TypeError) as error:
                # A map whose key is a list is well-formed, but not of Redis.
                self.abort(f"this is not Redis: {error}")
                return
            if item is Ellipsis:
                break
            if isinstance(item, PushNotification):
                self._pushReceived(item)
            else:
                self._pushListener.paused()
                self._replyReceived(item)
        if self.isUsable:
            self._pushListener.paused()

    def _pushReceived(self, item: list[Any]) -> None:
        kind = item[0] if item and isinstance(item[0], bytes) else b""
        told = item[1:] if kind == b"message" else item[2:] if kind == b"pmessage" else []
        if len(told) == 2 and isinstance(told[0], bytes) and isinstance(told[1], bytes):
            self._pushListener.pushed(told[0], told[1])
        elif kind in _CONFIRMATIONS and self._waiting and self._waiting[0].confirmations:
            self._unconfirmed += 1
            if self._unconfirmed == self._waiting[0].confirmations:
                self._pushListener.paused()
                self._replyReceived(None)

    def _replyReceived(self, reply: Any) -> None:
        if not self._waiting:
            self.abort("a reply came without a command")
            return
        waiting = self._waiting.popleft()
        self._unconfirmed = 0
        self._bytes -= waiting.size
        if isinstance(reply, ReplyError):
            waiting.answer.errback(RedisRefused(str(reply)))
        else:
            waiting.answer.callback(reply)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Fail all commands without a reply, and tell the push listener.
        """
        self.isUsable = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        text = self._reason or reason.getErrorMessage()
        waiting, self._waiting = self._waiting, deque()
        self._pushListener.lost(self, text)
        for each in waiting:
            each.answer.errback(RedisConnectionLost(text))
