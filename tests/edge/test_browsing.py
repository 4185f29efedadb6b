"""
Tests of what pages may do with frames and scripts, and of Flash's policy file.
"""

from __future__ import annotations

import time
from xml.etree import ElementTree

from tests.edge.case import EdgeTestCase
from tests.edge.clients import Refused
from tests.edge.connections import PATIENCE, TcpConnection, ask
from tests.edge.publisher import publish
from tests.ports import freePorts

FRIEND = "https://friend.example"
REQUEST = b"<policy-file-request/>\0"


class FrameTests(EdgeTestCase):
    """
    The forever frame and JSONP, on a server that allows one other origin.
    """

    options = ("--allow-origin", FRIEND)

    def assertRefused(self, kind: str, status: int, code: str, **parameters: str) -> None:
        """
        Check that a reader is refused with this status and code.
        """
        client = self.client(kind)
        error = self.assertRaises(Refused, client.open, ["news"], None, None, **parameters)
        self.assertEqual((error.status, error.code), (status, code), parameters)

    def test_origin(self) -> None:
        """
        A frame that would post to a page of a foreign origin is refused.
        """
        for origin in ("https://enemy.example", "http://friend.example", "*"):
            self.assertRefused("iframe", 403, "forbidden", origin=origin)
        for origin in ("null", "friend.example", '");alert(1)//'):
            self.assertRefused("iframe", 400, "badRequest", origin=origin)

    def test_callback(self) -> None:
        """
        A callback that is not the name of a function is refused.
        """
        for callback in ("", "alert(1)", "a.", "1a", "%3C/script%3E", "a" * 129, "%C3%A4"):
            for transport in ("iframe", "jsonp"):
                target = f"/channels/a?transport={transport}&callback={callback}"
                self.assertEqual(ask(self.site, "GET", target).status, 400, target)
        self.assertEqual(ask(self.site, "GET", "/channels/a?transport=jsonp").status, 400)

    def test_frame(self) -> None:
        """
        The frame's page allows itself in frames of the page to which it posts.
        """
        for query, ancestor in (("", "'self'"), (f"&origin={FRIEND}", FRIEND)):
            target = f"/channels/news?transport=iframe{query}"
            tcp = TcpConnection(self.site.port)
            self.addCleanup(tcp.close)
            tcp.send(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            buffer = tcp.receiveUntil(b"</script>")
            head, _, page = buffer.partition(b"\r\n\r\n")
            policy = head.partition(b"frame-ancestors ")[2].split(b"\r\n")[0].decode()
            self.assertIn(ancestor, policy.split())
            origin = query[len("&origin=") :] or "http://localhost"
            self.assertIn(f',"{origin}");</script>'.encode(), page)

    def test_crossSite(self) -> None:
        """
        A JSONP request is refused unless it proves that its page is of the
        server's own origin or of an allowed one.
        """
        own = f"http://localhost:{self.site.port}"
        cases: list[tuple[dict[str, str], int]] = [
            ({}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site"}, 403),
            ({"Sec-Fetch-Site": "same-origin"}, 200),
            ({"Sec-Fetch-Site": "none"}, 200),
            ({"Referer": f"{own}/page"}, 200),
            ({"Referer": f"{FRIEND}/page"}, 200),
            ({"Sec-Fetch-Site": "cross-site", "Referer": f"{FRIEND}/"}, 200),
            ({"Referer": f"{own}1/"}, 403),
            ({"Referer": "http://localhost:1/"}, 403),
            ({"Referer": f"{FRIEND}.evil.example/"}, 403),
        ]
        for headers, status in cases:
            path = "/channels/a?callback=cb&wait=0"
            headers = {"Host": own.removeprefix("http://"), **headers}
            answer = ask(self.site, "GET", path, headers)
            self.assertEqual(answer.status, status, headers)

    def test_prototype(self) -> None:
        """
        A C{__proto__} key in a message does not set the prototype of an object
        in a script.
        """
        publish(self.site, self.channel("keys"), {"__proto__": {"isAdmin": True}})
        target = f"/channels/{self.channel('keys')}?callback=cb&since=earliest"
        answer = ask(self.site, "GET", target, {"Sec-Fetch-Site": "same-origin"})
        self.assertIn(b'"data":{["__proto__"]:{"isAdmin":true}}', answer.body)


class AllTests(EdgeTestCase):
    """
    A server that allows all origins.
    """

    options = ("--allow-origin", "*")

    def test_crossSite(self) -> None:
        """
        A JSONP request of a page of any site is served.
        """
        path = "/channels/a?callback=cb&wait=0"
        answer = ask(self.site, "GET", path, {"Sec-Fetch-Site": "cross-site"})
        self.assertEqual(answer.status, 200)


class FlashTests(EdgeTestCase):
    """
    Flash's policy file.
    """

    def policy(self, port: int, *pieces: bytes) -> dict[str, str]:
        """
        Request the policy file, and read to the end.

        @return: The ports, by the domains.
        """
        tcp = TcpConnection(port)
        self.addCleanup(tcp.close)
        for piece in pieces:
            tcp.send(piece)
            time.sleep(0.02)
        buffer = b""
        while data := tcp.receive(PATIENCE):
            buffer += data
        self.assertEqual(buffer[-1:], b"\0")
        root = ElementTree.fromstring(buffer[:-1])
        self.assertEqual(root.tag, "cross-domain-policy")
        return {each.attrib["domain"]: each.attrib["to-ports"] for each in root}

    def test_policy(self) -> None:
        """
        The policy file is served by the port of raw TCP and by one of its own.
        It allows connections to the former from pages of allowed origins only.
        """
        (port,) = freePorts(1)
        endpoint = f"tcp:{port}:interface=127.0.0.1"
        server = self.startServer(
            *("--flash-policy", endpoint, "--allow-origin", FRIEND),
            *("--public-url", "http://push.example"),
        )
        hosts = ("localhost", "127.0.0.1", "push.example", "friend.example")
        expected = dict.fromkeys(hosts, str(server.tcpPort))
        for each in (port, server.tcpPort):
            self.assertEqual(self.policy(each, REQUEST), expected)
            self.assertEqual(self.policy(each, REQUEST[:7], REQUEST[7:]), expected)
        self.assertIn(server.stop(), (0, -15))

    def test_other(self) -> None:
        """
        The port of the policy file serves nothing else.
        """
        (port,) = freePorts(1)
        self.startServer("--flash-policy", f"tcp:{port}:interface=127.0.0.1")
        tcp = TcpConnection(port)
        self.addCleanup(tcp.close)
        tcp.send(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(tcp.receive(PATIENCE), b"")
