"""
Tests of a cluster behind nginx.
"""

from __future__ import annotations

from tests.cluster import robin
from tests.cluster.nodes import Nginx


class NginxTests(robin.RobinTestCase):
    """
    A cluster behind nginx.
    """

    frontType = Nginx
