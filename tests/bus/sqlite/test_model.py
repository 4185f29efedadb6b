"""
Tests for L{comet.bus.sqlite}: any history, compared with a simple model.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.idempotency import KeyBudget
from comet.bus.memory.buslog import CHANNEL_OVERHEAD
from comet.bus.sqlite import holdings, pagereader, rows
from comet.bus.sqlite.snapshot import Snapshot
from comet.model.log import Retention
from tests.bus.keymodel import KeyMachine
from tests.bus.memory.test_model import BusMachine, SlicedMachine
from tests.bus.model import BusModel
from tests.bus.sqlite.inline import InlineBus


class SQLiteMachine(BusMachine):
    """
    Does the same with an SQLite bus and with its model.
    """

    Model = BusModel

    def makeBus(self, retention: Callable[[str], Retention], totalBytes: int) -> InlineBus:
        """
        Make a bus that answers at once.
        """
        return InlineBus(self.clock, retention, totalBytes, self.clock.seconds)


class KeyTableMachine(KeyMachine):
    """
    Compares the keys in a database.
    """

    def makeBus(self, budget: KeyBudget) -> InlineBus:
        """
        See L{KeyMachine.makeBus}.
        """
        return InlineBus(self.clock, lambda channel: Retention(), 10**9, self.clock.seconds, budget)


class SlicedSQLiteMachine(SlicedMachine):
    """
    Does the same, and puts pages together that end early.
    """

    Model = BusModel

    def makeBus(self, retention: Callable[[str], Retention], totalBytes: int) -> InlineBus:
        """
        Make a bus that answers at once.
        """
        return InlineBus(self.clock, retention, totalBytes, self.clock.seconds)


class ModelTests(SynchronousTestCase):
    """
    L{SQLiteBus}, after any history.
    """

    def test_slicesAgreeWithModel(self) -> None:
        """
        The answers are the same if each step looks at next to nothing.
        """
        self.patch(pagereader, "MERGED", 1)
        self.patch(Snapshot, "few", 1)
        self.patch(Snapshot, "examined", 2)
        self.patch(Snapshot, "together", 2)
        self.patch(Snapshot, "stepSeconds", 0.0)
        self.patch(holdings, "FIRST", 1)
        self.patch(pagereader, "FIRST", 1)
        run_state_machine_as_test(
            SlicedSQLiteMachine,
            settings=settings(deadline=None, max_examples=50, stateful_step_count=30),
        )

    def test_agreesWithModel(self) -> None:
        """
        After any history the bus answers all questions as its model does.
        """
        run_state_machine_as_test(
            SQLiteMachine,
            settings=settings(deadline=None, max_examples=50, stateful_step_count=30),
        )

    def test_keysAgreeWithModel(self) -> None:
        """
        After any history, idempotency keys are known and forgotten as in the
        model.
        """
        run_state_machine_as_test(
            KeyTableMachine,
            settings=settings(deadline=None, max_examples=40, stateful_step_count=30),
        )

    def test_countsAsMemoryBus(self) -> None:
        """
        Messages and channels count for as much as in the memory bus.
        """
        self.assertEqual(rows.CHANNEL_OVERHEAD, CHANNEL_OVERHEAD)
