"""
Tests of L{comet.transports.flashpolicy}, and of how raw TCP tells the policy.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from twisted.internet.address import UNIXAddress
from twisted.internet.protocol import ServerFactory

from comet.framing.policy import REQUEST
from comet.http.origins import Origins
from comet.transports.flashpolicy import POLICY_TIMEOUT, FlashPolicyFactory, makeFlashPolicy
from comet.transports.tcp import CometFactory
from tests.transports.case import HubTestCase
from tests.transports.wire import MemoryTransport, Wire


def readPolicy(data: bytes) -> dict[str, str]:
    """
    The ports of each domain.
    """
    assert data.endswith(b"\0") and data.count(b"\0") == 1, data
    root = ElementTree.fromstring(data[:-1])
    return {each.get("domain") or "": each.get("to-ports") or "" for each in root}


class PolicyCase(HubTestCase):
    """
    Somebody who asks for the policy.
    """

    def factory(self) -> ServerFactory:
        """
        What is asked.
        """
        return FlashPolicyFactory(self.hub, (8081, 8082))

    ports = "8081,8082"


class PolicyTests(PolicyCase):
    """
    A port of its own.
    """

    def test_answer(self) -> None:
        """
        The answer allows the server's own hosts, that at which it was asked,
        and those of allowed pages, and ends the connection.
        """
        wire = self.connect(self.factory())
        wire.send(REQUEST)
        hosts = ("127.0.0.1", "friend.example", "localhost", "push.example")
        self.assertEqual(readPolicy(wire.take()), dict.fromkeys(hosts, self.ports))
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_anySplit(self) -> None:
        """
        It does not depend on how TCP cuts what is asked, nor on what follows.
        """
        answers = set()
        for size in range(1, len(REQUEST) + 10):
            wire = self.connect(self.factory())
            wire.sendIn(size, REQUEST + b"more")
            answers.add(wire.take())
        self.assertEqual(len(answers), 1)
        self.assertNothingLeft()

    def test_afterwards(self) -> None:
        """
        What comes while the answer is not yet taken changes nothing.
        """
        wire = self.connect(self.factory())
        wire.transport.isStuck = True
        wire.send(REQUEST)
        protocol = wire.transport.protocol
        protocol.dataReceived(REQUEST)
        wire.transport.isStuck = False
        readPolicy(wire.take())
        self.assertFalse(wire.isOpen)

    def test_silent(self) -> None:
        """
        Who does not ask, or does not take the answer, is cut off in the end.
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
    What is no question.
    """

    def test_other(self) -> None:
        """
        Whoever says something else is cut off without a word.
        """
        for said in (b"GET / HTTP/1.1\r\n", b"<policy-file-request/>\n", b"\0"):
            wire = self.connect(FlashPolicyFactory(self.hub))
            wire.send(said)
            self.assertFalse(wire.isOpen)
            self.assertEqual(wire.take(), b"")
        self.assertNothingLeft()


class SocketTests(PolicyTests):
    """
    The port of raw TCP itself.
    """

    ports = "8080"

    def factory(self) -> ServerFactory:
        """
        See L{PolicyCase.factory}.
        """
        return CometFactory(self.hub)

    def test_silent(self) -> None:
        """
        Who does not take the answer is cut off in the end.
        """
        wire = self.connect(self.factory())
        wire.transport.isStuck = True
        wire.send(REQUEST)
        self.turn(11)
        self.assertFalse(wire.isOpen)
        self.assertNothingLeft()

    def test_notFirst(self) -> None:
        """
        It is asked only at the beginning, and with C{U+0000}.
        """
        for said, end in ((b'{"ping":1}\0' + REQUEST, b"\0"), (REQUEST[:-1] + b"\n", b"\n")):
            wire = self.connect(self.factory())
            wire.send(said)
            last = wire.take().split(end)[-2]
            self.assertIn(b'"error":{"code":"badMessage"', last)
            self.assertTrue(wire.isOpen)

    def test_full(self) -> None:
        """
        It is told also where nobody else is let in.
        """
        object.__setattr__(self.hub.settings, "maxConnections", 1)
        self.addCleanup(object.__setattr__, self.hub.settings, "maxConnections", 0)
        self.connect(self.factory()).send(b'{"ping":1}\n')
        wire = self.connect(self.factory())
        wire.send(REQUEST)
        self.assertIn("localhost", readPolicy(wire.take()))


class AllTests(HubTestCase):
    """
    Where all pages are allowed.
    """

    origins = Origins(["*", "https://friend.example"])

    def test_any(self) -> None:
        """
        The policy says nothing else.
        """
        wire = Wire(FlashPolicyFactory(self.hub, [843]))
        wire.send(REQUEST)
        self.assertEqual(readPolicy(wire.take()), {"*": "843"})


class LocalTests(HubTestCase):
    """
    A connection that is not of the network.
    """

    def test_noAddress(self) -> None:
        """
        It has no host of its own that could be allowed.
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
