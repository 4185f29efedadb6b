"""
Tests of L{comet.limits.addresses}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.limits.addresses import countsAs


class CountsAsTests(SynchronousTestCase):
    """
    Which addresses count as one.
    """

    def test_addresses(self) -> None:
        """
        An IPv4 address counts as itself, however it is written; one of IPv6 as its
        network of 64 bits.
        """
        for address, counted in (
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("::1", "::/64"),
            ("", ""),
            ("a:b", "a:b"),
        ):
            self.assertEqual(countsAs(address), counted, address)
