"""
The promise of the fan-out, over a bus in a file.
"""

from __future__ import annotations

from typing import Any, cast

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from comet.hub import Hub, Settings
from comet.model.log import Retention
from tests.bus.sqlite.stepping import SteppingBus
from tests.fanout.doubles import AllAccess, TurnClock
from tests.fanout.players import Player
from tests.fanout.test_promise import SlowPromise
from tests.fanout.world import World


class FilePromise(SlowPromise):
    """
    What can happen where one thread writes, another one reads, and the reactor
    goes on.
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
        Let everything happen that is under way.
        """
        self.clock.settle()
        while self.file.catchUp():
            self.clock.settle()

    @rule()
    def beat(self) -> None:
        """
        Time passes for what is too old.
        """
        self.clock.advance(1.0)

    @rule()
    def cut(self) -> None:
        """
        There is no link to be cut.
        """

    @rule()
    def rest(self) -> None:
        """
        When nothing is left to do, everyone has everything.
        """
        self.settle()
        self.collect()
        for player in self.players:
            player.checkAtRest()
        assert not any(self.world.unanswered), "a publisher was not answered"

    def teardown(self) -> None:
        """
        At last all clients take everything, and leave; then nothing is left.
        """
        try:
            super().teardown()
        finally:
            self.file.remove()


class PromiseTests(SynchronousTestCase):
    """
    The promise.
    """

    def test_file(self) -> None:
        """
        It is kept over a bus in a file.
        """
        run_state_machine_as_test(
            FilePromise,
            settings=settings(deadline=None, max_examples=60, stateful_step_count=40),
        )
