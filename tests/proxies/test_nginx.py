"""
Comet behind Nginx.
"""

from __future__ import annotations

from tests.proxies import case
from tests.proxies.programs import Nginx


class NginxTests(case.ProxyTestCase):
    """
    Everything that has to hold, behind Nginx.
    """

    proxyType = Nginx
