"""
A cluster behind nginx.
"""

from __future__ import annotations

from tests.cluster import robin
from tests.cluster.nodes import Nginx


class NginxTests(robin.RobinTestCase):
    """
    Everything that has to hold, behind nginx.
    """

    frontType = Nginx
