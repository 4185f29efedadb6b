"""
Tests of comet behind nginx.
"""

from __future__ import annotations

from tests.proxies import case
from tests.proxies.programs import Nginx


class NginxTests(case.ProxyTestCase):
    """
    Comet behind nginx.
    """

    proxyType = Nginx
