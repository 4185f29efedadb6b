"""
Which faults there will be, and when: drawn beforehand, so that a seed says all
of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, NamedTuple

# What may happen to a process, to the links of clients to it, and to its links
# to the engine.
PROCESS: Final = ("kill", "drain", "stop")
CLIENT_LINKS: Final = ("cut", "cut one", "stall", "refuse")
ENGINE: Final = ("kill engine", "stop engine")
ENGINE_LINKS: Final = ("cut bus", "cut bus one", "stall bus", "refuse bus")

# For how long at least and at most, in seconds: how long a process is down or
# does nothing, how long nothing goes through a link.
_LONG: Final[dict[str, tuple[float, float]]] = {
    "kill": (0.0, 1.0),
    "drain": (0.0, 0.5),
    "stop": (0.3, 3.0),
    "stall": (0.3, 2.5),
    "refuse": (0.3, 1.5),
    "kill engine": (0.0, 1.0),
    "stop engine": (0.3, 3.0),
    "stall bus": (0.3, 3.0),
    "refuse bus": (0.3, 2.0),
}


class Fault(NamedTuple):
    """
    One fault.

    @ivar at: When it begins, in seconds after the beginning of the run.

    @ivar seconds: How long it lasts.

    @ivar node: Which node it is about; what is about the engine has one, too.
    """

    at: float
    kind: str
    node: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind} {self.node} for {self.seconds:.2f} s"


def kindsOf(bus: str, isLossy: bool = False) -> tuple[str, ...]:
    """
    What may happen with a bus of this kind.
    """
    if bus == "redis":
        return (*PROCESS, *CLIENT_LINKS, *ENGINE, *ENGINE_LINKS)
    if bus == "memory" and not isLossy:
        # A memory bus that is started again is another log.
        return ("stop", *CLIENT_LINKS)
    return (*PROCESS, *CLIENT_LINKS)


def draw(seed: int, kinds: Sequence[str], nodes: int, count: int, seconds: float) -> list[Fault]:
    """
    Draw the faults of a run: each kind once before any comes by chance, as far
    as there are enough.

    @return: In the order in which they begin, within C{seconds}; some before
        the one before is over.
    """
    chance = random.Random(f"faults {seed}")
    chosen = [*kinds, *chance.choices(list(kinds), k=max(0, count - len(kinds)))]
    chance.shuffle(chosen)
    faults = []
    for kind in chosen[:count]:
        least, most = _LONG.get(kind, (0.0, 0.0))
        # Short ones are the more common.
        long = least + (most - least) * chance.random() ** 2
        faults.append(Fault(chance.uniform(0, seconds), kind, chance.randrange(nodes), long))
    return sorted(faults)
