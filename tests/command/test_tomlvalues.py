"""
Tests of L{comet.command.tomlvalues}.
"""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans, floats, integers, lists, one_of, text
from twisted.trial.unittest import SynchronousTestCase

from comet.command.tomlvalues import tomlValue

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TEXT = text()
_VALUE = one_of(
    booleans(),
    integers(-(2**63), 2**63 - 1),
    floats(0, 1e9).map(lambda each: float(f"{each:.6g}")),
    _TEXT,
    lists(_TEXT, max_size=3),
)


class ValueTests(SynchronousTestCase):
    """
    L{tomlValue}.
    """

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(_VALUE)
    def test_isRead(self, value: Any) -> None:
        """
        A reader of TOML reads the value, and a terminal sees nothing to obey.
        """
        written = tomlValue(value)
        self.assertTrue(written.isprintable())
        self.assertEqual(tomllib.loads(f"a = {written}")["a"], value)
