"""
Tests of comet behind HAProxy.
"""

from __future__ import annotations

from tests.proxies import case
from tests.proxies.programs import HAProxy


class HAProxyTests(case.ProxyTestCase):
    """
    Comet behind HAProxy.
    """

    proxyType = HAProxy
    withTcp = True
