"""
Ports on which the servers of tests listen.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"

# The least port that a test takes, and how many are tried.
_LEAST: Final = 10240
_MOST_TRIED: Final = 1000

_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _firstOfSystem() -> int:
    """
    Return the first of the ports that the system gives to connections.
    """
    try:
        return int(_RANGE.read_text().split()[0])
    except OSError:
        return 32768


# Not seeded: several runs of the tests may share a machine.
_chance: Final = random.SystemRandom()


def freePorts(count: int) -> list[int]:
    """
    Find ports of 127.0.0.1 on which nothing listens.

    A port that the system chooses may be given to a connection of any process
    before the server listens on it.  So these are chosen from those that the
    system gives to no connection.
    """
    most = max(_firstOfSystem() - 1, _LEAST + 1000)
    sockets: list[socket.socket] = []
    try:
        for _ in range(_MOST_TRIED):
            if len(sockets) == count:
                return [each.getsockname()[1] for each in sockets]
            one = socket.socket()
            sockets.append(one)
            try:
                one.bind((HOST, _chance.randint(_LEAST, most)))
            except OSError:
                sockets.pop().close()
        raise AssertionError(f"{_MOST_TRIED} ports were tried, and {count} are not free")
    finally:
        for one in sockets:
            one.close()


def freePort() -> int:
    """
    Find one such port.
    """
    return freePorts(1)[0]
