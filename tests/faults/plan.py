"""
The plan of faults, drawn before the run, so that a seed determines all of it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

# The faults of a process, of the links of clients to it, and of its links to the
# engine.
PROCESS: Final = ("kill", "drain", "stop")
CLIENT_LINKS: Final = ("cut", "cut one", "stall", "refuse")
ENGINE: Final = ("kill engine", "stop engine")
ENGINE_LINKS: Final = ("cut bus", "cut bus one", "stall bus", "refuse bus")

# A node of several is stopped for so long that the others take its members out.
ABSENCE: Final = "stop long"

# One of how many faults is an absence.
_RARE: Final = 60

# The least and the most duration of faults, in seconds: how long a process is
# down or stopped, how long a link carries nothing.
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
    ABSENCE: (14.0, 40.0),
}


class Fault(NamedTuple):
    """
    One fault.

    @ivar at: When it begins, in seconds after the start of the run.

    @ivar seconds: How long it lasts.

    @ivar node: The number of its node; a fault of the engine has one, too.
    """

    at: float
    kind: str
    node: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind} {self.node} for {self.seconds:.2f} s"


def kindsOf(bus: str, isLossy: bool = False) -> tuple[str, ...]:
    """
    Return the kinds of faults that a bus can bear.
    """
    if bus == "redis":
        return (*PROCESS, ABSENCE, *CLIENT_LINKS, *ENGINE, *ENGINE_LINKS)
    if bus == "memory" and not isLossy:
        # A memory bus that is started again has another log.
        return ("stop", *CLIENT_LINKS)
    return (*PROCESS, *CLIENT_LINKS)


def draw(seed: int, kinds: Sequence[str], nodes: int, count: int, seconds: float) -> list[Fault]:
    """
    Draw the faults of a run: each kind once, as far as there are enough, and the
    rest by chance.  Absences are rare, and one begins when another one is over.

    @return: The faults in the order of their beginnings, within C{seconds}.
        Others may overlap.
    """
    chance = random.Random(f"faults {seed}")
    absences = max(1, count // _RARE) if ABSENCE in kinds else 0
    others = [kind for kind in kinds if kind != ABSENCE]
    chosen = [*[ABSENCE] * absences, *others]
    chosen += chance.choices(others or [ABSENCE], k=max(0, count - len(chosen)))
    chance.shuffle(chosen)
    faults = []
    for kind in chosen[:count]:
        least, most = _LONG.get(kind, (0.0, 0.0))
        # The square makes short faults more common.
        long = least + (most - least) * chance.random() ** 2
        faults.append(Fault(chance.uniform(0, seconds), kind, chance.randrange(nodes), long))
    return sorted(_apart(faults, seconds))


def _apart(faults: Sequence[Fault], seconds: float) -> Iterator[Fault]:
    """
    Give each absence a part of the time for itself.  It ends within that part if the part
    is long enough.
    """
    absences = sum(fault.kind == ABSENCE for fault in faults)
    number = 0
    for fault in faults:
        if fault.kind == ABSENCE:
            part = seconds / absences
            long = min(fault.seconds, max(_LONG[ABSENCE][0], part / 2))
            at = number * part + fault.at / seconds * max(0.0, part - long)
            fault = fault._replace(at=at, seconds=long)
            number += 1
        yield fault
