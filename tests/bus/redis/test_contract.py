"""
Tests for L{comet.bus.redis.bus}: the contract.
"""

from __future__ import annotations

from comet.testing.bursting import BurstContract
from comet.testing.contract import BusContract
from tests.bus.redis.case import RedisCase


class RedisBusTests(RedisCase, BusContract, BurstContract):
    """
    L{comet.bus.redis.bus.RedisBus}, over a real Redis.
    """
