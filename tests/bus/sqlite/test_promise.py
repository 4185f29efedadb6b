"""
The promise of the fan-out, over an SQLite bus.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.log import Retention
from tests.bus.sqlite.stepping import SteppingBus
from tests.fanout.doubles import AllAccess, TurnClock
from tests.fanout.players import Player
from tests.fanout.test_promise import SlowPromise
from tests.fanout.world import World


class FilePromise(SlowPromise):
    """
    Everything that can happen while one thread writes, another reads, and the
    reactor goes on.
    """

    bus: Any

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.clock = TurnClock()
        retention = Retention(messages=4, seconds=60.0)
        bus = SteppingBus(self.clock, lambda channel: retention, 400_000)
        self.bus = self.file = bus
        self.inner: Any = bus
        bus.start()
        self.settle()
        self.hub = Hub(bus, self.clock, Settings(heartbeat=25.0), AllAccess())
        self.world = World(self.hub, cast(Any, bus), isExact=False)
        self.players: list[Player] = []

    def settle(self) -> None:
        """
        Finish everything that is under way.
        """
        self.clock.settle()
        while self.file.catchUp():
            self.clock.settle()

    @rule()
    def beat(self) -> None:
        """
        Advance the time, so that messages become too old.
        """
        self.clock.advance(1.0)

    @rule()
    def cut(self) -> None:
        """
        Do nothing: there is no connection to cut.
        """

    @rule()
    def rest(self) -> None:
        """
        Assert that all clients have everything when nothing is left to do.
        """
        self.settle()
        self.collect()
        for player in self.players:
            player.checkAtRest()
        assert not any(self.world.unanswered), "a publisher was not answered"

    def teardown(self) -> None:
        """
        Let all clients take everything and leave, and assert that nothing is
        left.
        """
        try:
            super().teardown()
        finally:
            self.file.remove()


class PromiseTests(SynchronousTestCase):
    """
    The promise of the fan-out.
    """

    def test_keptOverSQLite(self) -> None:
        """
        The promise is kept over an SQLite bus.
        """
        run_state_machine_as_test(
            FilePromise,
            settings=settings(deadline=None, max_examples=60, stateful_step_count=40),
        )
