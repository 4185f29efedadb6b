"""
The connection that is in use, and the callers that wait for one.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from comet.bus.redis.protocol import RedisProtocol
from comet.errors import Unavailable


class UsableConnection:
    """
    Knows the connection that is in use.

    @ivar connection: The connection, or L{None} while there is none.  It may be
        closing already.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.connection: RedisProtocol | None = None
        self._clock = clock
        self._waiting: list[Deferred[None]] = []
        self._isStopped = False

    @property
    def isThere(self) -> bool:
        """
        Whether a command can be sent now.
        """
        return self.connection is not None and self.connection.isUsable

    def use(self, connection: RedisProtocol) -> None:
        """
        Use a connection from now on.  The callers that wait for one get it by
        L{tellWaiting}.
        """
        self.connection = connection

    def lost(self, connection: RedisProtocol) -> bool:
        """
        A connection is lost.

        @return: Whether it was the one in use.
        """
        if connection is not self.connection:
            return False
        self.connection = None
        return True

    def stop(self) -> None:
        """
        Let no caller wait any longer.
        """
        self._isStopped = True
        self.tellWaiting()

    def tellWaiting(self) -> None:
        """
        Let the callers go on that wait for a connection.
        """
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def toStore(self) -> RedisProtocol:
        """
        Return the connection, for a caller that stores something.

        @raise Unavailable: If there is none now: what is to be stored does not wait.
        """
        connection = self.connection
        if connection is None or not connection.isUsable:
            raise Unavailable("Redis does not answer; nothing was stored")
        return connection

    async def toAsk(self, until: float) -> RedisProtocol:
        """
        Return the connection, for a caller that asks something; wait for one, if
        there is none.

        @param until: The time at which to give up, in the seconds of the
            clock.

        @raise Unavailable: If there is none by then.
        """
        while True:
            connection = self.connection
            if connection is not None and connection.isUsable:
                return connection
            left = until - self._clock.seconds()
            if left <= 0 or self._isStopped:
                raise Unavailable("Redis does not answer; try again")
            waiting: Deferred[None] = Deferred(self._waiting.remove)
            self._waiting.append(waiting)
            waiting.addTimeout(left, self._clock, lambda result, timeout: None)
            await waiting
