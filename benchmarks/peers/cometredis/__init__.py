"""
comet as one process with its bus in Redis, whose own processor time is not counted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve

from benchmarks.peers.comet import PEER as COMET
from benchmarks.servers import Missing, Peer
from tests.redisserver import RedisServer


def withRedis(workers: int) -> tuple[Mapping[str, str], Callable[[], None]]:
    """
    Start a Redis.

    @return: Options for so many workers on it, and what stops it.
    """
    server = RedisServer().start()
    bus = f"redis://127.0.0.1:{server.port}/0"
    return {"bus": bus, "workers": str(workers)}, server.destroy


def prepare() -> str:
    """
    Return comet's version.

    @raise Missing: If there is no Redis.
    """
    if shutil.which("redis-server") is None:
        raise Missing("apt install redis-server")
    return COMET.prepare()


PEER: Final[Peer] = evolve(
    COMET, name="cometredis", prepare=prepare, companion=lambda: withRedis(1), isOfSet=True
)
