"""
Tests for L{comet.limits.answerbodies}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import UNKNOWN_LENGTH

from comet.limits.answerbodies import BodyTooLarge, readBounded


class Response:
    """
    A response whose body the test delivers.
    """

    def __init__(self, length: Any = UNKNOWN_LENGTH) -> None:
        self.length = length
        self.transport = StringTransport()
        self.protocol: Any = None

    def deliverBody(self, protocol: Any) -> None:
        """
        See L{IResponse<twisted.web.iweb.IResponse>}.
        """
        self.protocol = protocol
        protocol.makeConnection(self.transport)

    def end(self, error: Exception) -> None:
        """
        End the body.
        """
        self.protocol.connectionLost(Failure(error))


class ReadBoundedTests(SynchronousTestCase):
    """
    L{readBounded}.
    """

    def read(self, response: Response, most: int = 5) -> Any:
        """
        Begin to read the body of a response.
        """
        return readBounded(response, most)  # type: ignore[arg-type]

    def test_whole(self) -> None:
        """
        A body that is as long as allowed is returned once all of it has come, also where
        only the end of the connection ends it.
        """
        for end in (ResponseDone(), PotentialDataLoss()):
            response = Response()
            body = self.read(response)
            response.protocol.dataReceived(b"ab")
            response.protocol.dataReceived(b"cde")
            self.assertNoResult(body)
            response.end(end)
            self.assertEqual(self.successResultOf(body), b"abcde")
            self.assertFalse(response.transport.disconnecting)

    def test_oneByteTooMany(self) -> None:
        """
        At the first byte too many the connection is closed, and what comes then is
        dropped.
        """
        response = Response()
        body = self.read(response)
        response.protocol.dataReceived(b"abc")
        response.protocol.dataReceived(b"def")
        self.failureResultOf(body, BodyTooLarge)
        self.assertTrue(response.transport.disconnecting)
        response.protocol.dataReceived(b"g")
        response.end(ResponseDone())

    def test_announced(self) -> None:
        """
        Of a body that is announced to be too long, the first byte is too many.
        """
        response = Response(6)
        body = self.read(response)
        response.protocol.dataReceived(b"a")
        self.failureResultOf(body, BodyTooLarge)
        self.assertTrue(response.transport.disconnecting)

    def test_cut(self) -> None:
        """
        A body whose connection breaks fails with what broke it.
        """
        response = Response()
        body = self.read(response)
        response.protocol.dataReceived(b"ab")
        response.end(ConnectionLost())
        self.failureResultOf(body, ConnectionLost)

    def test_cancelled(self) -> None:
        """
        When the caller gives up, the connection is closed.
        """
        response = Response()
        body = self.read(response)
        body.cancel()
        self.failureResultOf(body, CancelledError)
        self.assertTrue(response.transport.disconnecting)
        response.end(ConnectionLost())
