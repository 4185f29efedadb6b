"""
How a request for a WebSocket is answered.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest
from comet.http.handshake import ACCEPT_SIZE, acceptKey, answerHandshake, otherVersion
from comet.http.request import RequestHead
from tests.http.heads import makeHead

# The example of RFC 6455 1.3.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def upgrade(**headers: bytes) -> RequestHead:
    """
    Make the head of a handshake.

    @param headers: Headers that replace those of a valid handshake, with
        underscores for hyphens.
    """
    all = {
        "Upgrade": b"websocket",
        "Connection": b"keep-alive, Upgrade",
        "Sec-WebSocket-Version": b"13",
        "Sec-WebSocket-Key": KEY.encode(),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return makeHead(headers=all)


class AnswerHandshakeTests(SynchronousTestCase):
    """
    L{answerHandshake} and L{otherVersion}.
    """

    def test_answersWithAcceptKey(self) -> None:
        """
        The response accepts the key of the standard's example as the standard
        does.
        """
        self.assertEqual(
            answerHandshake(upgrade()),
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n",
        )

    def test_choosesSubprotocol(self) -> None:
        """
        The response names comet's subprotocol if the client offers it, among
        others.
        """
        offered = answerHandshake(upgrade(Sec_WebSocket_Protocol=b"chat, comet.v1"))
        assert offered is not None
        self.assertIn(b"\r\nSec-WebSocket-Protocol: comet.v1\r\n\r\n", offered)
        other = answerHandshake(upgrade(Sec_WebSocket_Protocol=b"chat"))
        self.assertEqual(other, answerHandshake(upgrade()))

    def test_refusesOtherVersion(self) -> None:
        """
        A handshake of another version has no answer, and the refusal names the
        version that is spoken (RFC 6455 4.2.2).
        """
        self.assertIsNone(answerHandshake(upgrade(Sec_WebSocket_Version=b"8")))
        refusal = otherVersion()
        self.assertEqual(refusal.status, 400)
        self.assertIn((b"Sec-WebSocket-Version", b"13"), refusal.headers)

    def test_refusesWhatIsNoHandshake(self) -> None:
        """
        A request that asks for no upgrade to WebSocket is refused.
        """
        error = self.assertRaises(BadRequest, answerHandshake, upgrade(Upgrade=b"h2c"))
        self.assertIn("Upgrade: websocket", str(error))


class AcceptKeyTests(SynchronousTestCase):
    """
    L{acceptKey}.
    """

    def test_hasTheSizeThatIsStated(self) -> None:
        """
        The part of the response that depends on the key ends after
        L{ACCEPT_SIZE} bytes.
        """
        begun = acceptKey(KEY)
        self.assertEqual(len(begun), ACCEPT_SIZE)
        answer = answerHandshake(upgrade())
        assert answer is not None
        self.assertTrue(answer.startswith(begun))

    def test_refusesWhatIsNoKey(self) -> None:
        """
        A key that is not 16 bytes in base64 is refused, and shown.
        """
        for key in ("", "short", KEY + "=", KEY.replace("=", "A"), "é" * 22 + "=="):
            error = self.assertRaises(BadRequest, acceptKey, key)
            self.assertIn("is not 16 bytes in base64", str(error))
