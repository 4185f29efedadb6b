"""
Tests of L{comet.transports.flashpolicy}, and of the policy on the port of raw
TCP.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from twisted.internet.address import UNIXAddress
from twisted.internet.protocol import ServerFactory

from comet.framing.flashpolicy import REQUEST
from comet.http.origins import Origins
from comet.transports.flashpolicy import POLICY_TIMEOUT, FlashPolicyFactory, makeFlashPolicy
from comet.transports.tcp import CometFactory
from tests.transports.case import HubTestCase
from tests.transports.wire import MemoryTransport, Wire


def readPolicy(data: bytes) -> dict[str, str]:
    """
    Parse a policy file.

    @return: The ports of each domain.
    """
    assert data.endswith(b"\0") and data.count(b"\0") == 1, data
    root = ElementTree.fromstring(data[:-1])
    return {each.get("domain") or "": each.get("to-ports") or "" for each in root}


class PolicyCase(HubTestCase):
    """
    A player that asks for the policy.
    """

    def factory(self) -> ServerFactory:
        """
        Return the factory that the player connects to.
        """
        return FlashPolicyFactory(self.hub, (8081, 8082))

    ports = "8081,8082"


class PolicyTests(PolicyCase):
    """
    A port for the policy alone.
    """

    def test_admitsAllowedHosts(self) -> None:
        """
        The response admits the server's own hosts, the host at which it was
        asked, and those of allowed origins; then the connection ends.
        """
        wire = self.connect(self.factory())
        wire.send(REQUEST)
        hosts = ("127.0.0.1", "friend.example", "localhost", "push.example")
        self.assertEqual(readPolicy(wire.take()), dict.fromkeys(hosts, self.ports))
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_anySplit(self) -> None:
        """
        The response does not depend on how TCP cuts the request, nor on what
        follows it.
        """
        answers = set()
        for size in range(1, len(REQUEST) + 10):
            wire = self.connect(self.factory())
            wire.sendIn(size, REQUEST + b"more")
            answers.add(wire.take())
        self.assertEqual(len(answers), 1)
        self.assertNothingLeft()

    def test_ignoresLaterInput(self) -> None:
        """
        What the client sends while it has not taken the response changes
        nothing.
        """
        wire = self.connect(self.factory())
        wire.transport.isStuck = True
        wire.send(REQUEST)
        protocol = wire.transport.protocol
        protocol.dataReceived(REQUEST)
        wire.transport.isStuck = False
        readPolicy(wire.take())
        self.assertFalse(wire.isOpen)

    def test_cutsSilentClient(self) -> None:
        """
        A client that does not ask, or does not take the response, is cut off
        after the timeout.
        """
        silent, half, stuck = (self.connect(self.factory()) for _ in range(3))
        half.send(REQUEST[:5])
        stuck.transport.isStuck = True
        stuck.send(REQUEST)
        self.turn(POLICY_TIMEOUT - 1)
        self.assertTrue(silent.isOpen and half.isOpen and stuck.isOpen)
        self.turn(1.2)
        self.assertFalse(silent.isOpen or half.isOpen or stuck.isOpen)
        self.assertNothingLeft()


class OtherTests(PolicyCase):
    """
    Requests for something else.
    """

    def test_cutsOtherClient(self) -> None:
        """
        A client that sends anything else is cut off without a response.
        """
        for said in (b"GET / HTTP/1.1\r\n", b"<policy-file-request/>\n", b"\0"):
            wire = self.connect(FlashPolicyFactory(self.hub))
            wire.send(said)
            self.assertFalse(wire.isOpen)
            self.assertEqual(wire.take(), b"")
        self.assertNothingLeft()


class SocketTests(PolicyTests):
    """
    The port of raw TCP.
    """

    ports = "8080"

    def factory(self) -> ServerFactory:
        """
        See L{PolicyCase.factory}.
        """
        return CometFactory(self.hub)

    def test_cutsSilentClient(self) -> None:
        """
        A client that does not take the response is cut off after the timeout.
        """
        wire = self.connect(self.factory())
        wire.transport.isStuck = True
        wire.send(REQUEST)
        self.turn(11)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_answersFirstLineOnly(self) -> None:
        """
        Only the first line can ask for the policy, and only with C{U+0000}.
        """
        for said, end, isOpen in (
            (b'{"ping":1}\0' + REQUEST, b"\0", True),
            (REQUEST[:-1] + b"\n", b"\n", False),
            (b"\n" + REQUEST + b"\n", b"\n", False),
        ):
            wire = self.connect(self.factory())
            wire.send(said)
            last = wire.take().split(end)[-2]
            self.assertIn(b'"error":{"code":"badMessage"', last)
            self.assertIs(wire.isOpen, isOpen)

    def test_answersWhenFull(self) -> None:
        """
        The policy is sent also when the server is full.
        """
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        self.connect(self.factory()).send(b'{"ping":1}\n')
        wire = self.connect(self.factory())
        wire.send(REQUEST)
        self.assertIn("localhost", readPolicy(wire.take()))


class AllTests(HubTestCase):
    """
    A server that allows all origins.
    """

    origins = Origins(["*", "https://friend.example"])

    def test_admitsAllDomains(self) -> None:
        """
        The policy admits all domains.
        """
        wire = Wire(FlashPolicyFactory(self.hub, [843]))
        wire.send(REQUEST)
        self.assertEqual(readPolicy(wire.take()), {"*": "843"})


class LocalTests(HubTestCase):
    """
    A connection over a Unix socket.
    """

    def test_hasNoOwnHost(self) -> None:
        """
        The connection has no host to be admitted.
        """

        class LocalTransport(MemoryTransport):
            """
            A connection through a file.
            """

            def getHost(self) -> Any:
                """
                See L{MemoryTransport.getHost}.
                """
                return UNIXAddress("/run/comet")

        self.assertNotIn("127.0.0.1", readPolicy(makeFlashPolicy(self.hub, LocalTransport(), [1])))
        wire = Wire(CometFactory(self.hub), LocalTransport())
        wire.send(REQUEST)
        self.assertEqual(readPolicy(wire.take()), {})
