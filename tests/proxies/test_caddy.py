"""
Comet behind Caddy.
"""

from __future__ import annotations

from tests.proxies import case
from tests.proxies.programs import Caddy


class CaddyTests(case.ProxyTestCase):
    """
    Everything that has to hold, behind Caddy.
    """

    proxyType = Caddy
