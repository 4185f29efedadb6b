"""
comet with two workers on Redis.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from benchmarks.peers.cometredis import PEER as ALONE
from benchmarks.peers.cometredis import withRedis
from benchmarks.servers import Peer

PEER: Final[Peer] = evolve(
    ALONE, name="cometworkers", companion=lambda: withRedis(2), ready="/health/ready"
)
