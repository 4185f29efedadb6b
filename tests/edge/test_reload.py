"""
A server that reads its configuration again.
"""

from __future__ import annotations

from tests.edge import reloading


class ReloadTests(reloading.ReloadingTestCase):
    """
    One process.
    """
