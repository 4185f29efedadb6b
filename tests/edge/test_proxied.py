"""
Servers to which a proxy names its clients, with the PROXY protocol.
"""

from __future__ import annotations

from tests.edge.case import EdgeTestCase
from tests.edge.connections import TcpConnection
from tests.framing.test_proxyheader import (
    BEFORE,
    INET,
    INET6,
    SHORT,
    TCP4,
    TCP6,
    UNIX,
    WORST,
    binary,
)
from tests.ports import freePorts

HEADERS = (
    *(SHORT, WORST, TCP4, TCP6, BEFORE),
    *(binary(0x21, 0x11, INET), binary(0x21, 0x21, INET6), binary(0x21, 0x31, UNIX)),
    *(binary(0x20, 0x00, b""), binary(0x21, 0x00, b"")),
)


class ProxiedTests(EdgeTestCase):
    """
    C{haproxy:} endpoints of HTTP and raw TCP.
    """

    def startProxied(self) -> list[int]:
        """
        Start a server.

        @return: The ports of HTTP and raw TCP to which a proxy may connect.
        """
        ports = freePorts(2)
        listen, tcp = (f"haproxy:tcp:{port}:interface=127.0.0.1" for port in ports)
        self.startServer("--listen", listen, "--tcp", tcp)
        return ports

    def test_takesEachHeader(self) -> None:
        """
        Each header of the specification's examples is taken, whole or in pieces,
        and what follows it is answered.
        """
        http, raw = self.startProxied()
        for port, question, answer in (
            (http, b"GET /health HTTP/1.0\r\n\r\n", b'{"ready":true}'),
            (raw, b'{"id":1,"ping":2}\n', b'{"pong":2}'),
        ):
            for header in HEADERS:
                for cut in (0, 3, 14, len(header)):
                    tcp = TcpConnection(port)
                    tcp.send(header[:cut])
                    tcp.send(header[cut:] + question)
                    tcp.receiveUntil(answer)
                    tcp.close()

    def test_refusesWithout(self) -> None:
        """
        A connection that does not begin with a header is closed unanswered.
        """
        for port in self.startProxied():
            tcp = TcpConnection(port)
            tcp.send(b"GET /health HTTP/1.0\r\n\r\n")
            try:
                self.assertEqual(tcp.receive(10.0), b"")
            except ConnectionError:
                pass
            tcp.close()
