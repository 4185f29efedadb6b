"""
Tests for L{comet.bus.sqlite.store}: what survives a restart, and what is
dropped.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from comet.bus.idempotency import keySize
from comet.bus.sqlite.rows import CHANNEL_OVERHEAD
from comet.bus.sqlite.transaction import DROPS, SWEPT
from comet.errors import KeyReused, Unavailable
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Message, Publication
from comet.testing.case import DAY, HOUR
from tests.bus.sqlite.case import StoreTestCase, answersOf, publication


class RestartTests(StoreTestCase):
    """
    What survives a restart.
    """

    def test_restsWhileItCommits(self) -> None:
        """
        What waits for the disk is the commit: all else is done before it.
        """
        store = self.openStore()
        found: list[tuple[bool, int]] = []

        def resting() -> None:
            connection = store._connection
            [count] = connection.execute("SELECT count(*) FROM messages").fetchone()
            found.append((connection.in_transaction, count))

        store.resting = resting
        self.put(store, "a b")
        self.assertEqual(found, [(True, 2)])

    def test_keepsMessages(self) -> None:
        """
        Messages and floors survive a restart, and positions go on.
        """
        store = self.openStore(Retention(messages=2))
        asked = Publication(("n\u00e9ws/\U0001f40c", "b"), b'"\xc3\xbc"', "t\u00eft", "base64")
        self.publish(store, asked)
        self.put(store, "a a a")
        before = self.read(self.openReader(Retention(messages=2)), "n\u00e9ws/* a b")
        store.close()
        again = self.openStore(Retention(messages=2))
        after = self.read(self.openReader(), "n\u00e9ws/* a b")
        self.assertEqual(after.reached, store.end)
        self.assertEqual(dict(after.gaps), {"a": 3})
        for old, new in zip(before.messages, after.messages, strict=True):
            for name in Message.__slots__:
                self.assertEqual(getattr(old, name), getattr(new, name), name)
        self.assertEqual(self.put(again, "a"), [6])

    def test_keepsKeys(self) -> None:
        """
        Keys survive a restart with their answers, for the rest of their five
        minutes.
        """
        store = self.openStore()
        self.put(store, "x")
        first = publication("b a c", b"1", key="k")
        [answer] = self.publish(store, first)
        store.close()
        again = self.openStore()
        self.now += 299
        self.assertEqual(self.publish(again, first), [answer])
        self.assertEqual(list(answer.positions.items()), [("b", 2), ("a", 3), ("c", 4)])
        self.assertEqual(list(self.publish(again, first)[0].positions), ["b", "a", "c"])
        other = publication("a b c", b"2", key="k")
        self.assertRaises(KeyReused, self.publish, again, other)
        self.now += 2
        self.assertEqual(self.publish(again, other)[0].positions, {"a": 5, "b": 6, "c": 7})
        self.assertEqual(self.publish(again, other)[0].positions, {"a": 5, "b": 6, "c": 7})

    def test_keepsFloorOfBus(self) -> None:
        """
        The floor of forgotten channels survives a restart.
        """
        store = self.openStore(Retention(seconds=60.0), 4 * CHANNEL_OVERHEAD)
        self.put(store, "a b c d")
        self.now += 61
        self.sweepAll(store)
        store.close()
        self.openStore(Retention(seconds=60.0))
        gaps = self.read(self.openReader(), "a * x d").gaps
        self.assertEqual(dict(gaps), {"a": 3, "*": 4, "x": 3, "d": 4})

    def test_appliesNewRetention(self) -> None:
        """
        Messages that the retention of a new start does not allow are dropped in
        the background, even if nothing is published.
        """
        store = self.openStore()
        self.put(store, "a b " * 50)
        store.close()
        again = self.openStore(Retention(messages=3))
        self.sweepAll(again)
        reader = self.openReader(Retention(messages=3))
        self.assertEqual(self.held(reader, "a b"), [95, 96, 97, 98, 99, 100])
        store.close()


class SliceTests(StoreTestCase):
    """
    Each transaction drops a bounded number of messages.
    """

    def count(self) -> int:
        """
        Return how many messages are in the database.
        """
        with closing(sqlite3.connect(self.path)) as connection:
            [count] = connection.execute("SELECT count(*) FROM messages").fetchone()
            assert isinstance(count, int)
            return count

    def fill(self, messages: int, channels: str = "a") -> None:
        """
        Make a database that holds many messages, and close it.
        """
        store = self.openStore(Retention(messages=10**6, bytes=10**9))
        names = channels.split()
        for _ in range(messages // (1000 * len(names))):
            self.put(store, " ".join(names * 1000))
        store.close()

    def test_dropsTooManyStepByStep(self) -> None:
        """
        A channel that holds far too much is reduced step by step, by
        publications and by sweeps.
        """
        self.fill(6000)
        store = self.openStore(Retention(messages=10))
        self.put(store, "a")
        self.assertEqual(self.count(), 6001 - DROPS - 2)
        counts = []
        while store.sweep(self.now):
            counts.append(self.count())
        self.assertEqual(counts, [3999, 2999, 1999, 999])
        self.assertEqual(self.held(self.openReader(), "a"), list(range(5992, 6002)))

    def test_dropsOldStepByStep(self) -> None:
        """
        Messages that are too old are dropped step by step.  They cannot be read
        meanwhile, and the floor is right at once.
        """
        self.fill(4000, "a b")
        self.now += 2 * HOUR
        store = self.openStore()
        reader = self.openReader()
        self.assertEqual(self.held(reader, "a b"), [])
        self.assertEqual(dict(self.read(reader, "a b *").gaps), {"a": 3999, "b": 4000, "*": 4000})
        self.assertTrue(store.sweep(self.now))
        self.assertEqual(self.count(), 3000)
        self.sweepAll(store)
        self.assertEqual(self.count(), 0)
        self.assertEqual(dict(self.read(reader, "a b *").gaps), {"a": 3999, "b": 4000, "*": 4000})

    def test_dropsTotalStepByStep(self) -> None:
        """
        Messages that exceed the total are dropped step by step, oldest first.
        """
        self.fill(4000, "a b")
        store = self.openStore(Retention(messages=10**6), totalBytes=100000)
        reader = self.openReader()
        self.assertTrue(store.sweep(self.now))
        self.assertEqual(self.held(reader, "a b"), list(range(1001, 4001)))
        self.sweepAll(store)
        held = self.held(reader, "a b")
        self.assertEqual(held, list(range(4001 - len(held), 4001)))
        self.assertTrue(450 < len(held) <= 100000 // 209, str(len(held)))

    def test_forgetsStepByStep(self) -> None:
        """
        C{forget} drops a channel step by step.  Messages that are published
        meanwhile stay.
        """
        self.fill(3000)
        store = self.openStore(Retention(messages=10**6))
        rest = store.forget("a", None, self.now)
        self.assertEqual((rest, self.count()), (3000, 2000))
        self.put(store, "a")
        while rest is not None:
            rest = store.forget("a", rest, self.now)
        self.assertEqual(self.held(self.openReader(), "a"), [3001])
        self.assertEqual(dict(self.read(self.openReader(), "a").gaps), {"a": 3000})

    def test_forgetsChannelsStepByStep(self) -> None:
        """
        Many channels are forgotten step by step, when they lose their messages
        and when less may be held after a restart.  The others are kept for any
        time.
        """
        store = self.openStore(totalBytes=4 * 2900 * CHANNEL_OVERHEAD)
        for start in range(0, 3000, 1000):
            self.put(store, " ".join(f"c/{start + number}" for number in range(1000)))
        self.now += 1000 * DAY
        sweeps = self.sweepAll(store)
        self.assertGreaterEqual(sweeps, 3000 // (2 * SWEPT))
        self.assertEqual(self.counts(), (2900, 2900, 2900, 100))
        self.now += 1000 * DAY
        self.sweepAll(store)
        self.assertEqual(self.counts(), (2900, 2900, 2900, 100))
        store.close()
        store = self.openStore(totalBytes=4 * 10 * CHANNEL_OVERHEAD)
        self.assertGreaterEqual(self.sweepAll(store), 3)
        self.assertEqual(self.counts(), (10, 10, 10, 2990))
        gaps = self.read(self.openReader(), "c/2989 c/2990").gaps
        self.assertEqual(dict(gaps), {"c/2989": 2990, "c/2990": 2991})
        self.put(store, "c/2995")
        self.assertEqual(self.counts(), (10, 10, 9, 2990))

    def counts(self) -> tuple[int, int, int, int]:
        """
        Return how many channels there are, in the table and in the row of the
        log; how many of them are without messages; and the floor of the bus.
        """
        with closing(sqlite3.connect(self.path)) as connection:
            found: tuple[int, int, int, int] = connection.execute(
                "SELECT (SELECT count(*) FROM channels), channels, empty, floor FROM log"
            ).fetchone()
            return found

    def test_forgetsKeysStepByStep(self) -> None:
        """
        Keys that are too old are deleted step by step, with what is counted of
        them.
        """
        store = self.openStore()
        batch = [publication("a", key=f"k{number}") for number in range(500)]
        self.publish(store, *batch)
        self.assertEqual(self.keyCounts(), (500, 500 * keySize(batch[0]), 1))
        self.now += 301
        self.assertGreaterEqual(self.sweepAll(store), 3)
        self.assertEqual(self.keyCounts(), (0, 0, 0))
        self.publish(store, *batch[:7])
        self.assertEqual(self.keyCounts(), (7, 7 * keySize(batch[0]), 1))
        store.close()

    def keyCounts(self) -> tuple[int, int, int]:
        """
        Return how many keys there are; for how many bytes they count, which has
        to agree in all three places; and how many publishers have any.
        """
        with closing(sqlite3.connect(self.path)) as connection:
            [keys, size] = connection.execute(
                "SELECT count(*), ifnull(sum(size), 0) FROM keys"
            ).fetchone()
            [publishers, bytes] = connection.execute(
                "SELECT count(*), ifnull(sum(bytes), 0) FROM publishers"
            ).fetchone()
            [counted] = connection.execute("SELECT keyBytes FROM log").fetchone()
        self.assertEqual((bytes, counted), (size, size))
        return keys, size, publishers


class GroupTests(StoreTestCase):
    """
    Requests that are stored together.
    """

    def test_refusedRequestFailsAlone(self) -> None:
        """
        A request that is refused fails alone.  The others are stored in their
        order.
        """
        store = self.openStore()
        self.publish(store, publication("a", b"0", key="k"))
        stored = store.publish(
            [
                [publication("a", b"1")],
                [publication("a", b"2"), publication("a", b"3", key="k")],
                [publication("a", b"0", key="k"), publication("b", b"4")],
                [publication("b", b"5", key="l")],
                [publication("b", b"5", key="l")],
                [publication("b", b"6", key="l"), publication("b", b"7")],
            ],
            self.now,
        )
        kinds = [isinstance(outcome, KeyReused) for outcome in stored.outcomes]
        self.assertEqual(kinds, [False, True, False, False, False, True])
        self.assertEqual(stored.outcomes[3], stored.outcomes[4])
        self.assertEqual([message.payload for message in stored.messages], [b"1", b"4", b"5"])
        self.assertEqual([message.position for message in stored.messages], [2, 3, 4])
        self.assertEqual(self.held(self.openReader(), "a b"), [1, 2, 3, 4])

    def test_impossibleRequestFailsAlone(self) -> None:
        """
        A request that cannot be stored at all fails alone.
        """
        store = self.openStore()
        stored = store.publish(
            [
                [publication("a", b"1")],
                [publication("a", b"2"), Publication(("a",), b"3", "\ud800")],
                [publication("a", b"4")],
            ],
            self.now,
        )
        self.assertIsInstance(stored.outcomes[1], UnicodeEncodeError)
        self.assertEqual([message.payload for message in stored.messages], [b"1", b"4"])
        self.assertEqual(answersOf(stored.outcomes[2])[0].positions, {"a": 2})
        self.assertEqual((stored.fault, store.end.position), (None, 2))
        self.assertEqual(self.held(self.openReader(), "a"), [1, 2])

    def test_requestWithoutRoomFailsAlone(self) -> None:
        """
        A request for which there is no room fails alone.
        """
        store = self.openStore()
        [pages] = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages + 40}")
        stored = store.publish(
            [
                [publication("a", b"1")],
                [publication("a", b"2"), publication("a", b"x" * 500000)],
                [publication("a", b"3")],
            ],
            self.now,
        )
        self.assertIsInstance(stored.outcomes[1], Unavailable)
        self.assertEqual([message.payload for message in stored.messages], [b"1", b"3"])
        self.assertIsNone(stored.fault)
        self.assertEqual(self.held(self.openReader(), "a"), [1, 2])

    def test_cursorBeyondDatabase(self) -> None:
        """
        A cursor with a position that no database can have is treated like one
        of another epoch.
        """
        store = self.openStore()
        self.put(store, "a")
        reader = self.openReader()
        reading = self.read(reader, "a *", Cursor(store.end.epoch, 10**19 - 1))
        self.assertEqual(set(reading.gaps), {"a", "*"})
        self.assertEqual(len(reading.messages), 1)
