"""
Tests for L{comet.bus.membertable}: any history, compared with a simple model; and
what only this bus does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.membertable import MemberTable
from comet.bus.memory.bus import MemoryBus
from comet.model.cursors import Cursor
from comet.model.presence import MOST_TOGETHER, Holding, Member, MemberBounds, MemberPage
from comet.testing.case import Listener
from tests.bus.membersmodel import MembersMachine
from tests.bus.memory.case import MemoryTestCase


class MemoryMachine(MembersMachine):
    """
    Compares the members that a memory bus keeps.
    """

    def makeNodes(self) -> Sequence[Any]:
        """
        Make the only node.
        """
        return [MemoryBus(self.clock, wallClock=self.clock.seconds)]


class ModelTests(SynchronousTestCase):
    """
    L{MemoryBus} agrees with the model.
    """

    def test_agreesWithModel(self) -> None:
        """
        After any history, the members and what is told are those of the model.
        """
        run_state_machine_as_test(
            MemoryMachine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
        )


class TableTests(SynchronousTestCase):
    """
    L{MemberTable}.
    """

    def setUp(self) -> None:
        """
        Make a table for three members a channel.
        """
        self.table = MemberTable(MemberBounds(each=3))

    def set(
        self, client: str, connections: int = 1, channel: str = "a", grace: float = 0.0
    ) -> bool:
        """
        Say what there is of a client.
        """
        return self.table.set(Holding(channel, client, connections, None, True, grace), 5.0, 0.0)

    def page(self, after: str | None = None, limit: int = 70) -> MemberPage:
        """
        Ask who is in C{a}.
        """
        return self.table.page("a", after, limit, Cursor("e", 1), 0)

    def test_refusesTooMany(self) -> None:
        """
        A channel that is full takes no further client until one has left.  Others are
        not concerned, nor is what is said of its members.
        """
        taken = [self.set(name) for name in "wxyz"]
        self.assertEqual(taken, [True, True, True, False])
        self.assertEqual([self.set("z", channel="b"), self.set("x", 2)], [True, True])
        self.assertEqual([self.set("x", 0), self.set("z")], [True, True])
        events = [change.event for change in self.table.takeChanges()]
        self.assertEqual(events, ["join"] * 4 + ["leave", "join"])
        self.assertEqual(self.table.takeChanges(), [])

    def test_forgetsChannels(self) -> None:
        """
        Nothing is kept of a channel without members and readers.
        """
        self.set("")
        self.set("ada")
        self.set("ada", 0)
        self.assertEqual(self.page().anonymous, 1)
        self.assertTrue(self.table)
        self.set("", 0)
        self.assertFalse(self.table)

    def test_forgetsGraces(self) -> None:
        """
        Clients that come and go again and again leave nothing behind.
        """
        for _ in range(1000):
            self.set("ada", 0, grace=5.0)
            self.set("ada")
        self.assertLess(len(self.table._due), 200)
        self.assertIsNone(self.table.nextDue)

    def test_restores(self) -> None:
        """
        Members of an earlier self are there, and leave after their grace.
        """
        self.table.restore("a", Member("ada", b"1", 2, 3.0), 10.0, 100.0, 7)
        self.assertEqual(self.page().members, [Member("ada", b"1", 0, 3.0)])
        self.assertEqual(self.page().changed, 7)
        self.assertEqual((self.table.takeChanges(), self.table.nextDue), ([], 110.0))
        self.table.expire(9, 109.0)
        self.assertEqual(self.page().count, 1)
        self.table.expire(9, 110.0)
        self.assertEqual([each.event for each in self.table.takeChanges()], ["leave"])
        self.assertFalse(self.table)

    def test_cutsLists(self) -> None:
        """
        The places of those that have left are used again, and pages stay in order.
        """
        self.table = MemberTable()
        for number in range(3000):
            self.set(f"{number}")
            if number % 10:
                self.set(f"{number}", 0)
        found: list[str] = []
        while True:
            page = self.page(found[-1] if found else None)
            found += [each.client for each in page.members]
            if not page.more:
                break
        self.assertEqual(found, [str(number) for number in range(0, 3000, 10)])
        self.assertLess(len(self.table._channels["a"]._places), 700)


class OwnTests(MemoryTestCase):
    """
    What the memory bus does beside the contract.
    """

    def test_leavesInTurns(self) -> None:
        """
        When very many leave in one moment, some leave in each turn.
        """
        bus = self.makeBus()
        count = 3 * MOST_TOGETHER
        self.successResultOf(
            bus.setPresence(
                [Holding("a", f"{n}", 0, isTaken=True, grace=5.0) for n in range(count)]
            )
        )
        batches: list[int] = []
        listener = Listener()
        listener.messagesStored = lambda messages: batches.append(len(messages))  # type: ignore
        self.successResultOf(bus.listen(listener, ["$presence/a"]))
        self.clock.advance(5)
        self.assertEqual(batches, [MOST_TOGETHER] * 3)

    def test_stopsWithMembers(self) -> None:
        """
        A bus that stops leaves nothing on the clock.
        """
        bus = self.makeBus()
        self.successResultOf(bus.setPresence([Holding("a", "ada", 0, None, True, 5.0)]))
        self.successResultOf(bus.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.failureResultOf(bus.setPresence([Holding("a", "ada", 1)]))
