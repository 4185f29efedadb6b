"""
Answers that their clients do not read.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from comet.wheel import NOT_SET, Wheel

# For how many seconds a client may leave an answer unread.
UNREAD: Final = 60.0


@implementer(IPushProducer)
class Rest:
    """
    What a client did not take of its response.  The next request on the
    connection, which may be there already, waits until it has: or a client
    that asks and does not read would fill the memory with answers.
    """

    def __init__(self, request: Request, wheel: Wheel) -> None:
        self._request = request
        self._wheel = wheel
        self._isPaused = False
        self.moment = NOT_SET

    def timedOut(self) -> None:
        """
        The client takes nothing.  Twisted has no time-out while it answers,
        and to close in peace would wait until all is taken.
        """
        transport: Any = self._request.channel.transport
        transport.abortConnection()

    def write(self, rest: bytes) -> None:
        """
        Write it.
        """
        transport: Any = self._request.channel.transport
        self._request.registerProducer(self, True)
        transport.write(rest)
        if self._isPaused:
            self._wheel.set(self, UNREAD)
        else:
            self._finish()

    def pauseProducing(self) -> None:
        """
        It is more than the transport likes to keep.
        """
        self._isPaused = True

    def resumeProducing(self) -> None:
        """
        The client has taken it.
        """
        self._finish()

    def stopProducing(self) -> None:
        """
        The client left, as the request will say.
        """
        self._wheel.clear(self)

    def _finish(self) -> None:
        self._wheel.clear(self)
        self._request.unregisterProducer()
        self._request.finish()
