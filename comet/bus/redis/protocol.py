"""
One connection to Redis, in RESP3: replies come in the order of the commands,
and what is pushed comes between them, where Redis made it.

So there is no race between what is heard and what is answered: who has an
answer has heard everything that was published before it.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple
from typing import Protocol as Shape

from hiredis import ProtocolError, PushNotification, Reader, ReplyError, pack_command
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

# How many bytes may be on their way to Redis, and how many commands, until
# nothing more is taken.
MOST_BYTES: Final = 16 * 1024 * 1024
MOST_COMMANDS: Final = 10000

_CONFIRMATIONS: Final = frozenset({b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe"})


class RedisRefused(Exception):
    """
    Redis has answered that it does not do it, and has not done it.

    @ivar code: The first word of what it said.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(" ")[0]


class RedisConnectionLost(Exception):
    """
    The connection broke before the answer: it may have been done, or not.
    """


class TooManyCommands(Exception):
    """
    Too much is on its way to Redis already: it was not sent.
    """


class IPushListener(Shape):
    """
    Who hears what is pushed, and is told when the connection ends.
    """

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        Something was published.
        """

    def paused(self) -> None:
        """
        What was pushed before is all there is before an answer, or for now.
        """

    def lost(self, connection: RedisProtocol, reason: str) -> None:
        """
        The connection is closed.
        """


class _Waiting(NamedTuple):
    """
    @ivar answer: Who waits.

    @ivar size: How many bytes the command has.

    @ivar sent: When it was sent.

    @ivar confirmations: How many names are to be confirmed instead of one
        reply; 0 for a reply.
    """

    answer: Deferred[Any]
    size: int
    sent: float
    confirmations: int


class RedisProtocol(Protocol):
    """
    Sends commands, and gives each its answer.

    A connection that says nothing for too long, while an answer is due, is
    closed.
    """

    def __init__(self, clock: IReactorTime, hearing: IPushListener, timeout: float) -> None:
        """
        @param timeout: After how many seconds an answer is too late.
        """
        self._clock = clock
        self._hearing = hearing
        self._timeout = timeout
        self._reader = Reader(notEnoughData=Ellipsis)
        self._waiting: deque[_Waiting] = deque()
        self._unconfirmed = 0
        self._bytes = 0
        self._heardAt = 0.0
        self._watch: IDelayedCall | None = None
        self._reason = ""
        self.isUsable = False

    # -- Saying

    def command(self, *words: bytes | str | int) -> Deferred[Any]:
        """
        Send a command.

        @return: Fires with the reply.  Fails with L{RedisRefused}, with
            L{RedisConnectionLost}, or with L{TooManyCommands}.
        """
        return self._send(words, 0)

    def subscribe(self, verb: str, topics: list[bytes]) -> Deferred[Any]:
        """
        Send a command that is confirmed for each topic.

        @param topics: At least one, none twice.

        @return: Fires when all are confirmed.
        """
        return self._send((verb, *topics), len(topics))

    def _send(self, words: Any, confirmations: int) -> Deferred[Any]:
        if not self.isUsable:
            return fail(RedisConnectionLost("the link to Redis is closed"))
        if len(self._waiting) >= MOST_COMMANDS or self._bytes >= MOST_BYTES:
            return fail(TooManyCommands("too much waits for Redis"))
        data = pack_command(words)
        answer: Deferred[Any] = Deferred()
        now = self._clock.seconds()
        self._waiting.append(_Waiting(answer, len(data), now, confirmations))
        self._bytes += len(data)
        if self._watch is None:
            self._watch = self._clock.callLater(self._timeout, self._look)
        assert self.transport is not None
        self.transport.write(data)
        return answer

    def _look(self) -> None:
        """
        Is an answer too late?
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
        Give the connection up.
        """
        if self.isUsable:
            self.isUsable = False
            self._reason = reason
            transport: Any = self.transport
            transport.abortConnection()

    # -- Hearing

    def connectionMade(self) -> None:
        """
        Commands can be sent from now on.
        """
        self.isUsable = True
        # A socket of the file system has none of these; TLS hands them through.
        for name in ("setTcpNoDelay", "setTcpKeepAlive"):
            getattr(self.transport, name, bool)(True)

    def dataReceived(self, data: bytes) -> None:
        """
        Take what Redis has sent.
        """
        self._heardAt = self._clock.seconds()
        self._reader.feed(data)
        while self.isUsable:
            try:
                item = self._reader.gets()
            except ProtocolError as error:
                self.abort(f"that is not Redis: {error}")
                return
            if item is Ellipsis:
                break
            if isinstance(item, PushNotification):
                self._pushReceived(item)
            else:
                self._hearing.paused()
                self._replyReceived(item)
        if self.isUsable:
            self._hearing.paused()

    def _pushReceived(self, item: list[Any]) -> None:
        kind = item[0] if item and isinstance(item[0], bytes) else b""
        told = item[1:] if kind == b"message" else item[2:] if kind == b"pmessage" else []
        if len(told) == 2 and all(isinstance(each, bytes) for each in told):
            self._hearing.pushed(told[0], told[1])
        elif kind in _CONFIRMATIONS and self._waiting and self._waiting[0].confirmations:
            self._unconfirmed += 1
            if self._unconfirmed == self._waiting[0].confirmations:
                self._hearing.paused()
                self._replyReceived(None)

    def _replyReceived(self, reply: Any) -> None:
        if not self._waiting:
            self.abort("an answer came that nobody asked for")
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
        Tell everyone who waits.
        """
        self.isUsable = False
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        text = self._reason or reason.getErrorMessage()
        waiting, self._waiting = self._waiting, deque()
        self._hearing.lost(self, text)
        for each in waiting:
            each.answer.errback(RedisConnectionLost(text))
