"""
The body of an answer to a request that the server sends itself, within bounds.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse

# How many bytes an answer has at most.
MAX_ANSWER: Final = 65536


class BodyTooLarge(Exception):
    """
    A body with more bytes than are allowed.
    """


def readBounded(response: IResponse, most: int = MAX_ANSWER) -> Deferred[bytes]:
    """
    Read the body of a response.  At the first byte too many its connection is closed,
    and no more is read.

    @return: Fires with the body, once all of it has come.  Fails with L{BodyTooLarge},
        or with what ended the connection before.  If it is cancelled, the connection is
        closed.
    """
    if isinstance(response.length, int) and response.length > most:
        # It still has to be taken, so that the connection ends.
        most = 0
    collected = _Collector(most)
    response.deliverBody(collected)
    return collected.done


class _Collector(Protocol):
    """
    Collects a body.
    """

    # Any: what Twisted gives has not all of ITransport.
    transport: Any

    def __init__(self, most: int) -> None:
        self.done: Deferred[bytes] = Deferred(lambda _: self._stop())
        self._most = most
        self._body = bytearray()

    def dataReceived(self, data: bytes) -> None:
        """
        Keep a part of the body.
        """
        if self.done.called:
            return
        if len(self._body) + len(data) > self._most:
            self.done.errback(Failure(BodyTooLarge()))
            self._stop()
        else:
            self._body += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        All has come, or nothing more will.
        """
        if self.done.called:
            return
        # A body that ends with its connection may have been cut; no part of a JSON object
        # is one.
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(bytes(self._body))
        else:
            self.done.errback(reason)

    def _stop(self) -> None:
        self._body.clear()
        transport = self.transport
        if transport is not None:
            transport.loseConnection()
