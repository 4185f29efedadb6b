"""
Tests of comet behind Caddy.
"""

from __future__ import annotations

from tests.proxies import case
from tests.proxies.programs import Caddy


class CaddyTests(case.ProxyTestCase):
    """
    Comet behind Caddy.
    """

    proxyType = Caddy
