"""
Tests for L{comet.bus.sqlite.memberrows}: any history, compared with a simple model; what
outlives the process, and what another program has written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.sqlite.memberrows import _REMOVE, _SAVE
from comet.bus.sqlite.memberstore import MembersSet, MemberStore
from comet.bus.sqlite.store import Store
from comet.errors import Unavailable
from comet.model.log import Retention
from comet.model.presence import Holding, Member
from tests.bus.membersmodel import MembersMachine
from tests.bus.sqlite.case import StoreTestCase
from tests.bus.sqlite.inline import InlineBus


class SQLiteMachine(MembersMachine):
    """
    Compares the members that an SQLite bus keeps.
    """

    def makeNodes(self) -> Sequence[Any]:
        """
        Make the only node.
        """
        return [InlineBus(self.clock, lambda channel: Retention(), 10**9, self.clock.seconds)]

    @rule()
    def loseMemory(self) -> None:
        """
        Forget what is not in the database, as after a commit that has failed.
        """
        store = self.buses[0]._store
        self.buses[0]._members.forget()
        # The grace begins when the members are read again.
        self.answer(self.buses[0].setPresence([]))
        self.model.die(0, self.clock.seconds())
        # A row has the grace that was said with the last change that was told.
        rows = store._connection.execute("SELECT channel, client, grace FROM members")
        for channel, client, grace in rows:
            self.model.members[channel][client].grace = grace
        self.model.restart(self.clock.seconds())
        self.compare()


class ModelTests(SynchronousTestCase):
    """
    L{InlineBus} agrees with the model.
    """

    def test_agreesWithModel(self) -> None:
        """
        After any history, the members and what is told are those of the model.
        """
        run_state_machine_as_test(
            SQLiteMachine, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
        )


def joined(client: str, connections: int = 1, info: bytes | None = b"1") -> Holding:
    """
    Say that a reader of a client has taken C{a}.
    """
    return Holding("a", client, connections, info, True, 10.0)


class StoreTests(StoreTestCase):
    """
    L{MemberStore}.
    """

    def setUp(self) -> None:
        """
        Know no members of any store.
        """
        super().setUp()
        self.known: dict[Store, MemberStore] = {}

    def of(self, store: Store) -> MemberStore:
        """
        Return the members of a store.
        """
        return self.known.setdefault(store, MemberStore(store))

    def set(self, store: Store, *holdings: Holding) -> MembersSet:
        """
        Say what there is of some clients.
        """
        return self.of(store).set(holdings, self.now)

    def members(self, store: Store) -> Sequence[Member]:
        """
        Return the members of C{a}.
        """
        return self.of(store).page("a", None, 100, self.now).members

    def test_outlivesProcess(self) -> None:
        """
        A store that is opened again has the members of the one before it, in the same
        order, and lets them leave after their grace.
        """
        store = self.openStore()
        self.set(store, joined("ada"), joined("bob"), joined("cyd"), Holding("a", "", 5))
        self.set(store, Holding("a", "ada", 0), joined("ada", 2, b"2"), joined("bob", 1, None))
        changed = self.of(store).page("a", None, 0, self.now).changed
        store.close()
        began, self.now = self.now, self.now + 3600
        store = self.openStore()
        page = self.of(store).page("a", None, 100, self.now)
        expected = [
            Member(c, i, 0, began) for c, i in (("bob", None), ("cyd", b"1"), ("ada", b"2"))
        ]
        self.assertEqual(page.members, expected)
        self.assertEqual((page.anonymous, page.changed), (0, changed))
        self.assertEqual(self.set(store).nextDue, self.now + 10)
        self.set(store, joined("cyd"))
        self.now += 10
        left = self.of(store).expire(100, self.now)
        self.assertEqual([each.event for each in left.stored.messages], ["leave", "leave"])
        self.assertEqual([each.client for each in self.members(store)], ["cyd"])
        self.assertIsNone(left.nextDue)

    def test_forgetsInNewEpoch(self) -> None:
        """
        If the database cannot prove that nothing is lost, a new epoch begins without
        members.
        """
        store = self.openStore()
        self.set(store, joined("ada"))
        store._connection.execute("UPDATE log SET life = 'another'")
        store.close()
        self.assertEqual(self.members(self.openStore()), [])

    def test_writesOnlyWhatIsTold(self) -> None:
        """
        Connections that come and go write nothing.
        """
        store = self.openStore()
        self.set(store, joined("ada"), joined("bob"))
        before = store._connection.total_changes
        for connections in (2, 1, 0, 1):
            self.set(store, joined("ada", connections))
        self.set(store, Holding("a", "", 7))
        self.assertEqual(store._connection.total_changes, before)

    def test_isAsBeforeAfterFailure(self) -> None:
        """
        When a change cannot be written, nothing of it counts.  Who was there before is
        there in its grace.
        """
        store = self.openStore()
        self.set(store, joined("ada"), joined("bob"))
        end = store.end
        connection = store._connection
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        bad = joined("cyd"), Holding("a", "bob", 0)
        self.assertRaises(Unavailable, self.set, store, *bad)
        connection.execute("DROP TRIGGER refuse")
        self.assertEqual(store.end, end)
        names = [(each.client, each.connections) for each in self.members(store)]
        self.assertEqual(names, [("ada", 0), ("bob", 0)])
        self.assertEqual(self.set(store).nextDue, self.now + 10)
        self.set(store, joined("cyd"))
        self.assertEqual(store.end.position, end.position + 1)

    def test_saysWhatCouldNotBeWritten(self) -> None:
        """
        A fault of the disk is L{Unavailable}.
        """
        store = self.openStore()
        store._connection.execute("PRAGMA max_page_count = 1")
        big = b'"%b"' % (b"x" * 20000)
        self.assertRaises(
            Unavailable, self.set, store, *(joined(f"{n}", 1, big) for n in range(99))
        )

    def test_leavesOutWhatIsNotOurs(self) -> None:
        """
        Rows that comet cannot have written are no members.
        """
        store = self.openStore()
        self.set(store, joined("ada"))
        for values in (
            ("a", "", None, 1.0, 1.0),
            ("a", "x" * 300, None, 1.0, 1.0),
            ("a*", "bob", None, 1.0, 1.0),
            ("x" * 250, "bob", None, 1.0, 1.0),
            ("a", "b1", b"<script>", 1.0, 1.0),
            ("a", "b2", "text", 1.0, 1.0),
            ("a", "b3", b"1", "never", 1.0),
            ("a", "b4", b"1", 1.0, "long"),
            ("a", "b5", b"1", 1.0, 1e300),
            ("a", b"\xff", b"1", 1.0, 1.0),
        ):
            store._connection.execute(
                "INSERT INTO members (channel, client, info, since, grace) VALUES (?, ?, ?, ?, ?)",
                values,
            )
        store.close()
        store = self.openStore()
        self.assertEqual([each.client for each in self.members(store)], ["ada"])

    def test_findsRowsByIndex(self) -> None:
        """
        Neither saving nor removing members looks at all rows.
        """
        connection = self.openStore()._connection
        for statement, count in ((_REMOVE, 2), (_SAVE, 5)):
            places = ", ".join([f"({', '.join('?' * count)})"] * 4)
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN {statement.format(places=places)}", ["x"] * 4 * count
            ).fetchall()
            steps = [step[3] for step in plan if "members" in step[3] or " m " in f"{step[3]} "]
            self.assertFalse([step for step in steps if step.startswith("SCAN")], plan)
