"""
What a connection of raw TCP may begin with.
"""

from __future__ import annotations

import json

from tests.edge.case import EdgeTestCase
from tests.edge.connections import PATIENCE, Ended, TcpConnection
from tests.edge.publisher import publish

OPTIONS = ("--open", "open/**", "--edge")

METHODS = ("POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PRI", "CONNECT")


class FirstLineTests(EdgeTestCase):
    """
    Connections that begin as no program does: a web page has a browser send these.
    """

    options = (*OPTIONS, "lean")

    def hear(self, *pieces: bytes) -> bytes:
        """
        Send some pieces, and read until the server closes.  The client's writing side
        stays open.
        """
        connection = TcpConnection(self.site.tcpPort)
        self.addCleanup(connection.close)
        heard = b""
        try:
            for piece in pieces:
                connection.send(piece)
        except Ended:
            # The server has answered the first pieces.
            pass
        while data := connection.receive(PATIENCE):
            heard += data
        return heard

    def assertRefused(self, heard: bytes) -> None:
        """
        Check that the server has told of one error, in a line.
        """
        answer = json.loads(heard)
        self.assertEqual((list(answer), answer["error"]["code"]), (["error"], "badMessage"))
        self.assertEqual(heard[-1:], b"\n")

    def test_refusesRequests(self) -> None:
        """
        A request of HTTP with any method, whole or cut anywhere, is refused with one
        line, and no line of its body is carried out.
        """
        name = self.channel("c")
        line = b'{"publish":"%b","data":"page"}\n' % name.encode()
        head = b" / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
        for method in METHODS:
            for size in (1, 3, len(method) + 14, len(head), 1000):
                request = method.encode() + head + line
                self.assertRefused(self.hear(request[:size], request[size:]))
        known = publish(self.site, name, "last")
        client = self.client("poll")
        client.open([name], "earliest")
        self.assertHeard(client.messages(1), [known])

    def test_refusesFirstByte(self) -> None:
        """
        A client that sends one wrong byte and waits is refused at once.
        """
        for first in (b"P", b"\x16", b"[", b"\r\n G", b"<!"):
            self.assertRefused(self.hear(first))

    def test_refusesOtherThanObject(self) -> None:
        """
        A first line that is no object is refused at its end, and the next one is not
        carried out.
        """
        name = self.channel("c")
        line = b'{"publish":"%b","data":"page"}\n' % name.encode()
        for first in (b"{]", b'{"ping":NaN}', b"{} {}", b"<policy-file-request/>", b"null"):
            self.assertRefused(self.hear(first + b"\n" + line))
        known = publish(self.site, name, "last")
        client = self.client("poll")
        client.open([name], "earliest")
        self.assertHeard(client.messages(1), [known])

    def test_answersPolicyRequest(self) -> None:
        """
        The request for the policy file is answered, in one piece and in several.
        """
        request = b"<policy-file-request/>\0"
        for size in (1, 5, len(request)):
            self.assertIn(b"<cross-domain-policy>", self.hear(request[:size], request[size:]))


class TwistedFirstLineTests(FirstLineTests):
    """
    The same on Twisted's edge.
    """

    options = (*OPTIONS, "twisted")
