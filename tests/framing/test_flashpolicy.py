"""
Tests of L{comet.framing.flashpolicy}.
"""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.flashpolicy import REQUEST, encodePolicy


class PolicyTests(SynchronousTestCase):
    """
    L{encodePolicy}.
    """

    def test_requestOfPlayer(self) -> None:
        """
        The request is the one that a Flash player sends.
        """
        self.assertEqual(REQUEST, b"<policy-file-request/>\x00")

    def test_allowsDomains(self) -> None:
        """
        Each domain is allowed to connect to all ports, and U+0000 ends the
        file.
        """
        self.assertEqual(
            encodePolicy(["localhost", "a.example", "localhost"], [8081, 843, 8081]),
            b'<?xml version="1.0"?>\n<cross-domain-policy>\n'
            b'<allow-access-from domain="a.example" to-ports="843,8081"/>\n'
            b'<allow-access-from domain="localhost" to-ports="843,8081"/>\n'
            b"</cross-domain-policy>\n\0",
        )

    def test_allowsNoneWithoutPorts(self) -> None:
        """
        Without a port, or without a domain, no domain is allowed.
        """
        for domains, ports in ((["*"], []), ([], [843])):
            self.assertNotIn(b"allow-access-from", encodePolicy(domains, ports))

    @settings(deadline=None)
    @given(
        st.sets(
            st.text(st.characters(min_codepoint=32, codec="utf-8", categories=["L", "P", "S"]))
        ),
        st.sets(st.integers(1, 65535), min_size=1),
    )
    def test_isXML(self, domains: set[str], ports: set[int]) -> None:
        """
        For any domains and ports the file is XML that has them, and U+0000 only
        at its end.
        """
        policy = encodePolicy(domains, ports)
        self.assertEqual(policy.find(b"\0"), len(policy) - 1)
        root = ElementTree.fromstring(policy[:-1])
        self.assertEqual(root.tag, "cross-domain-policy")
        self.assertEqual({each.get("domain") for each in root}, domains)
        for each in root:
            self.assertEqual(set(map(int, (each.get("to-ports") or "").split(","))), ports)
