"""
Tests of L{comet.framing.policy}.
"""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.policy import REQUEST, encodePolicy


class PolicyTests(SynchronousTestCase):
    """
    L{encodePolicy}.
    """

    def test_request(self) -> None:
        """
        What a player asks with.
        """
        self.assertEqual(REQUEST, b"<policy-file-request/>\x00")

    def test_literal(self) -> None:
        """
        Each domain is allowed to connect to all the ports, and U+0000 ends it.
        """
        self.assertEqual(
            encodePolicy(["localhost", "a.example", "localhost"], [8081, 843, 8081]),
            b'<?xml version="1.0"?>\n<cross-domain-policy>\n'
            b'<allow-access-from domain="a.example" to-ports="843,8081"/>\n'
            b'<allow-access-from domain="localhost" to-ports="843,8081"/>\n'
            b"</cross-domain-policy>\n\0",
        )

    def test_none(self) -> None:
        """
        Without a port, or without a domain, nobody is allowed.
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
    def test_xml(self, domains: set[str], ports: set[int]) -> None:
        """
        It is XML that has the domains and ports, whatever they are, and no
        U+0000 but at its end.
        """
        policy = encodePolicy(domains, ports)
        self.assertEqual(policy.find(b"\0"), len(policy) - 1)
        root = ElementTree.fromstring(policy[:-1])
        self.assertEqual(root.tag, "cross-domain-policy")
        self.assertEqual({each.get("domain") for each in root}, domains)
        for each in root:
            self.assertEqual(set(map(int, (each.get("to-ports") or "").split(","))), ports)
