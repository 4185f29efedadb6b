"""
Comet behind HAProxy.
"""

from __future__ import annotations

from tests.proxies import case
from tests.proxies.programs import HAProxy


class HAProxyTests(case.ProxyTestCase):
    """
    Everything that has to hold, behind HAProxy.
    """

    proxyType = HAProxy
    withTcp = True
