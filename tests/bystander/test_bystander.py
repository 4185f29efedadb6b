"""
No client makes another one wait, on any edge, protocol or bus.

What is compared with a limit is the processor time that the server uses while the
bystander waits: other programs that run on the machine do not add to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.bystander.abuses import ABUSES, WAYS, abuse
from tests.bystander.measuring import TONGUES, Row, Scene, scene

# How much of the server's processor time a bystander may wait for, in seconds.
# Without shares of time it is seconds; the share of a client is a few milliseconds.
LIMIT: Final = 0.25

# How often a row is measured before it counts as too long: a bystander that the
# system does not run for a while seems to wait.  Each time takes twice as long.
_TRIES: Final = 3

# In how many tries the attacker has to begin, each twice as long as the one before.
_BEGINNINGS: Final = 6

_CHANNELS: Final = 2000

# For how many seconds each abuse goes on, and which part of its clients come: more
# would take too long for a test.
_SECONDS: Final = 0.15
_SCALE: Final = 0.1

# The ways that lead to the one edge or the other.  Over TLS, HTTP/2 included, all is
# Twisted's.
_PLAIN: Final = ("http", "ws", "tcp")


def measured(stage: Scene, name: str, way: str) -> Row:
    """
    Measure an abuse, if need be several times, and return the best row.  A try in which
    the attacker does not begin, on a busy machine, says nothing.
    """
    rows: list[Row] = []
    for number in range(_BEGINNINGS):
        row = stage.measure(abuse(name), way, _SECONDS * 2**number, _SCALE)
        if row.done.get("sent"):
            rows.append(row)
            if row.processor(1) <= LIMIT or len(rows) == _TRIES:
                break
    assert rows, f"the attacker did not begin with {name} over {way}"
    return min(rows, key=lambda row: row.processor(1))


class AbuseTests(SynchronousTestCase):
    """
    A server, while it is abused.
    """

    # All rows that were too long are told.
    maxDiff = None

    def assertNoneWaits(
        self, edge: str, bus: str, ways: Sequence[str], isOfBus: bool = False
    ) -> None:
        """
        Check that the bystander does not wait during any abuse.

        @param isOfBus: Whether only those are tried that make work for the bus.
        """
        over = []
        with scene(edge, bus, _CHANNELS) as stage:
            for each in ABUSES:
                for way in ways:
                    if way not in each.ways or (isOfBus and not each.isOfBus):
                        continue
                    row = measured(stage, each.name, way)
                    if row.processor(1) > LIMIT:
                        over.append(f"{each.name} over {way}: {row.processor(1) * 1000:.0f} ms")
            stage.server.assertNoTracebacks()
        self.assertEqual(over, [])

    def test_lean(self) -> None:
        """
        The lean edge, with the memory bus.
        """
        self.assertNoneWaits("lean", "memory", WAYS)

    def test_twisted(self) -> None:
        """
        Twisted's edge, with the memory bus.
        """
        self.assertNoneWaits("twisted", "memory", _PLAIN)

    def test_sqlite(self) -> None:
        """
        The abuses that make work for the bus, with SQLite.
        """
        self.assertNoneWaits("lean", "sqlite", _PLAIN, isOfBus=True)

    def test_redis(self) -> None:
        """
        The abuses that make work for the bus, with Redis.
        """
        self.assertNoneWaits("lean", "redis", _PLAIN, isOfBus=True)


class SceneTests(SynchronousTestCase):
    """
    What is measured.
    """

    def test_stallIsSeen(self) -> None:
        """
        At a server that does not share its time the bystander waits for too long.
        """
        with scene("lean", "memory", _CHANNELS, [Path(__file__).with_name("unshared")]) as stage:
            row = stage.measure(abuse("many that poll all"), "http", 0.5)
        self.assertGreater(row.processor(1), LIMIT)

    def test_tongues(self) -> None:
        """
        The bystander is answered in each version of HTTP.
        """
        for tongue in TONGUES:
            with scene("twisted", "memory", 2, tongue=tongue) as stage:
                waits = stage.idle(0)
                stage.server.assertNoTracebacks()
            self.assertEqual(len(waits), 2)
