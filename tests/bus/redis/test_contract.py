"""
Tests for L{comet.bus.redis.bus}: the contract.
"""

from __future__ import annotations

from tests.bus.bursting import BurstContract
from tests.bus.contract import BusContract
from tests.bus.redis.case import RedisCase


class RedisBusTests(RedisCase, BusContract, BurstContract):
    """
    L{comet.bus.redis.bus.RedisBus}, over a real Redis.
    """
