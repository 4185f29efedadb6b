"""
Tests of where a reader stands: where it begins, what it reads, what is a gap.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.model import skips
from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Last, Now, StartPosition, Unreadable
from comet.model.progress import Progress, Wanted, cursorBeforeStart
from tests.model.progressing import Log, at, begin, positions, start


def skipsOf(reader: Progress) -> dict[str, int]:
    """
    The channels of which a reader knows up to where they are left out.
    """
    ranges = [each.skips for ranges in reader._suppressed.values() for each in ranges]
    tables = [*reader._skipUpTo.values(), *ranges]
    return {channel: p for table in tables for channel, p in table.items() if channel}


class StartTests(SynchronousTestCase):
    """
    Where a reader stands before any message.
    """

    def test_startsAtTheFurthestCursor(self) -> None:
        """
        A reader whose names start at cursors stands at the furthest of them.
        """
        log = Log("a", "b", "a", "b")
        self.assertEqual(begin(log.resolved(a=start(1), b=start(3))).cursor, at(3))

    def test_relativeStartsReplayNothing(self) -> None:
        """
        If all names start relative to what is held, the reader stands before
        the oldest message to come, and nothing is replayed.
        """
        log = Log("a", "b", "a", "b")
        progress = begin(log.resolved(a=start(0, isRelative=True), b=start(3, isRelative=True)))
        self.assertEqual(progress.cursor, at(0))
        self.assertFalse(progress.isReplaying)
        step = log.step(progress)
        self.assertEqual((positions(step), step.isReplay), ([1, 3, 4], False))

    def test_tellsStartingGapsOnce(self) -> None:
        """
        The names that start with a gap are told in the order in which they were
        asked for, and not told again by what is read.
        """
        log = Log("a", "b", "a", "b")
        log.floors = {"a": 1, "b": 2}
        progress = Progress(log.end)
        gap = progress.add(log.resolved(b=start(0, 2, True), a=start(0, 1, True)))
        self.assertEqual(gap, ("b", "a"))
        step = log.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [3, 4]))

    def test_earliestHasNoGap(self) -> None:
        """
        A name that starts at C{earliest} has no gap, though another name starts
        before what it has lost.
        """
        log = Log("a", "b", "b", "b")
        log.floors = {"b": 3}
        progress = begin(log.resolved(a=start(0, isRelative=True), b=start(3, 3, isRelative=True)))
        step = log.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [1, 4]))

    def test_lastFewOfEachChannel(self) -> None:
        """
        If the last few messages of each channel are wanted, older ones in
        between are left out; those of a channel that is new since are not.
        """
        log = Log("c/x", "c/y", "c/x", "c/x", "c/y")
        lastFew = start(1, isRelative=True, skipUpTo={"c/x": 3, "c/y": 1})
        progress = begin(log.resolved(c_all=lastFew))
        log.channels.append("c/new")
        self.assertEqual(positions(log.step(progress)), [2, 4, 5, 6])
        log.channels.append("c/x")
        self.assertEqual(positions(log.step(progress)), [7])

    def test_boundsLastFew(self) -> None:
        """
        A reader that asks for the last few messages of one pattern after the other
        keeps positions of a bounded number of channels, those that are named and
        those with the newest messages; also while it reads slowly, and when it
        removes the patterns again.  All other channels start at the log end.
        """
        self.patch(skips, "MOST_SKIPS", 3)
        log = Log("a", "c/v", "c/w", "c/x", "c/y", "d/x", "d/y", "e/x", "c/x", "a")
        reader = begin(log.resolved(a=start(0)))
        log.step(reader, 1)
        first = {"c/v": 1, "c/w": 2, "c/x": 8, "c/y": 4}
        reader.add(log.resolved(c_all=start(1, isRelative=True, skipUpTo=first)))
        second = {"d/x": 5, "d/y": 6, "": 10}
        reader.add(log.resolved(**{"d/*": start(5, isRelative=True, skipUpTo=second)}))
        self.assertEqual(skipsOf(reader), {"c/w": 2, "c/x": 8, "c/y": 4})
        reader.remove(["c/*"], 1)
        third = {"e/x": 7, "e/y": 9}
        reader.add(log.resolved(**{"e/*": start(7, isRelative=True, skipUpTo=third)}))
        log.channels += ["d/x", "e/x", "c/v"]
        found = []
        while (step := log.step(reader, 1)).messages or step.more:
            self.assertLessEqual(len(skipsOf(reader)), 3)
            found += positions(step)
        self.assertEqual(skipsOf(reader), {})
        self.assertIn(11, found)
        self.assertNotIn(6, found)
        self.assertEqual(sorted(set(found)), sorted(found))

    def test_boundKeepsNamedChannels(self) -> None:
        """
        What is named has its last few messages before what a pattern matches, and
        names that share a table share what is left of it.
        """
        self.patch(skips, "MOST_SKIPS", 2)
        log = Log("c/x", "c/x", "c/y", "c/z", "c/y", "c/z", "c/x")
        table = {"c/x": 1, "c/y": 4, "c/z": 5}
        reader = begin(
            log.resolved(
                c_x=start(1, isRelative=True, skipUpTo=table),
                c_all=start(1, isRelative=True, skipUpTo=table),
            )
        )
        self.assertEqual(skipsOf(reader), {"c/x": 1, "c/z": 5})
        self.assertEqual(positions(log.step(reader)), [2, 6, 7])

    def test_addingNothing(self) -> None:
        """
        Adding no names, or a name that is read already, changes nothing.
        """
        log = Log("a")
        progress = begin(log.resolved(a=start(1)))
        self.assertEqual(progress.add(log.resolved()), ())
        self.assertEqual(progress.add(log.resolved(a=start(0, 1, True))), ())
        self.assertEqual((progress.names, progress.cursor), (("a",), at(1)))
        self.assertEqual(progress.wanted(), Wanted(("a",), at(1), None))

    def test_cursorBeforeStart(self) -> None:
        """
        A reader that is cut off before its names are resolved gets a cursor
        with which it misses nothing that it asked for.
        """
        here = At(at(5))
        cases: tuple[tuple[dict[str, StartPosition], Cursor], ...] = (
            ({}, at(9)),
            ({"a": Now()}, at(9)),
            ({"a": here, "b": Now()}, at(5)),
            ({"a": here, "b": Earliest()}, at(0)),
            ({"a": At(at(12))}, at(12)),
            ({"a": At(at(12)), "b": Now()}, at(12)),
            ({"a": At(at(12)), "b": here}, at(5)),
            ({"a": Last(3)}, at(0)),
            ({"a": Unreadable()}, at(0)),
            ({"a": At(at(3, "other")), "b": Now()}, at(3, "other")),
            ({"a": At(at(3, "other")), "b": At(at(1, "other"))}, at(1, "other")),
            ({"a": At(at(3, "other")), "b": Earliest()}, at(0, "other")),
            ({"a": here, "b": At(at(3, "other"))}, at(0, "other")),
        )
        for startPositions, expected in cases:
            self.assertEqual(cursorBeforeStart(startPositions, at(9)), expected)


class ReadingTests(SynchronousTestCase):
    """
    How a reader advances.
    """

    def test_readsOnAfterASlice(self) -> None:
        """
        After a reading that was cut, the next one starts where it ended.
        """
        log = Log("a", "b", "a", "a")
        progress = begin(log.resolved(a=start(0), b=start(0)))
        step = log.step(progress, 3)
        self.assertEqual((positions(step), step.more, step.cursor), ([1, 2, 3], True, at(0)))
        self.assertEqual(progress.cursor, at(3))
        step = log.step(progress, 3)
        self.assertEqual((positions(step), step.more, step.cursor), ([4], False, at(3)))

    def test_advancesAndNeverBack(self) -> None:
        """
        Messages that arrive live move the reader on, never back.
        """
        progress = begin(Log("a").resolved(a=start(1)))
        progress.advance(7)
        progress.advance(3)
        self.assertEqual(progress.cursor, at(7))

    def test_tellsEachGapOnce(self) -> None:
        """
        A gap is told once, however often the log is read; messages that are
        lost later are another gap.
        """
        log = Log("a", "a", "a", "b", "a")
        log.floors = {"a": 1}
        progress = begin(log.resolved(a=start(0), b=start(0)))
        step = log.step(progress, 1)
        self.assertEqual((step.gap, step.cursor, positions(step)), (("a",), at(0), [2]))
        log.floors = {"a": 3}
        step = log.step(progress, 1)
        self.assertEqual((step.gap, step.cursor, positions(step)), (("a",), at(2), [4]))
        self.assertEqual(log.step(progress, 1).gap, ())

    def test_lostBeforeTheStart(self) -> None:
        """
        Messages of a name that were lost before its start are no gap.
        """
        log = Log("b", "a", "a", "b")
        progress = begin(log.resolved(a=start(0)))
        progress.add(log.resolved(b=start(4)))
        log.channels += ["a", "b"]
        log.floors = {"b": 4}
        step = log.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [2, 3, 5, 6]))

    def test_namesChangedWhileReading(self) -> None:
        """
        What was read for names that have changed since is ignored, and read
        again.
        """
        log = Log("a", "b")
        progress = begin(log.resolved(a=start(0)))
        wanted = progress.wanted()
        progress.add(log.resolved(b=start(2)))
        step = progress.accept(wanted, log.read(wanted))
        self.assertEqual((positions(step), step.more, progress.cursor), ([], True, at(0)))
        self.assertEqual(positions(log.step(progress)), [1])

    def test_namesChangedWhileReplaying(self) -> None:
        """
        What was read for a replay whose name was removed since is ignored, also
        if the reader starts again at the same position.
        """
        log = Log("a", "a", "b", "a")
        progress = begin(log.resolved(a=start(0), b=start(3)))
        wanted = progress.wanted()
        progress.remove(["a", "b"])
        progress.add(log.resolved(a=start(0)))
        step = progress.accept(wanted, log.read(wanted))
        self.assertEqual((positions(step), step.more), ([], True))
        self.assertEqual(positions(log.step(progress)), [1, 2, 4])


class RemovingTests(SynchronousTestCase):
    """
    Names that are removed.
    """

    def setUp(self) -> None:
        """
        A reader that has read C{c/*} up to 4.
        """
        self.log = Log("c/x", "c/y", "c/x", "d")
        self.progress = begin(self.log.resolved(c_all=start(0)))
        self.log.step(self.progress)

    def test_removesExactlyTheNamesGiven(self) -> None:
        """
        Exactly the names that are given are removed; names that are not read
        change nothing.
        """
        self.progress.add(self.log.resolved(d=start(4)))
        self.progress.remove(["c/x", "c/*", "e"])
        self.assertEqual(self.progress.names, ("d",))
        self.log.channels += ["c/x", "d"]
        self.assertEqual(positions(self.log.step(self.progress)), [6])

    def test_removesAReplayingName(self) -> None:
        """
        A replaying name may be removed in mid-replay.
        """
        self.progress.add(self.log.resolved(d=start(0)))
        self.log.step(self.progress, 1)
        self.progress.remove(["d"])
        self.assertFalse(self.progress.isReplaying)
        self.assertEqual(self.progress.wanted(), Wanted(("c/*",), at(4), None))

    def test_replayLeavesOutWhatWasDelivered(self) -> None:
        """
        Messages that a removed name delivered are not delivered again by names
        that were replaying beside it; by names that are added later they are.
        """
        self.progress.add(self.log.resolved(c_x=start(0)))
        self.progress.remove(["c/*"])
        self.assertEqual(positions(self.log.step(self.progress)), [])
        self.progress.add(self.log.resolved(c_all=start(0)))
        self.assertEqual(positions(self.log.step(self.progress)), [2])
        self.progress.remove(["c/x", "c/*"])
        self.progress.add(self.log.resolved(c_x=start(0)))
        self.assertEqual(positions(self.log.step(self.progress)), [1, 3])

    def test_replayDeliversWhatWasNotTold(self) -> None:
        """
        Messages that were read for a removed name and not told are delivered by
        the replay.
        """
        self.progress.add(self.log.resolved(c_x=start(0)))
        self.progress.remove(["c/*"], 2)
        self.assertEqual(positions(self.log.step(self.progress)), [3])

    def test_skippedMessagesWereNotDelivered(self) -> None:
        """
        Messages that a removed name skipped are delivered by the replay.
        """
        log = Log("c/x", "c/y", "c/x", "c/x")
        lastFew = start(1, isRelative=True, skipUpTo={"c/x": 3, "c/y": 1})
        progress = begin(log.resolved(c_all=lastFew))
        self.assertEqual(positions(log.step(progress)), [2, 4])
        progress.add(log.resolved(c_x=start(0)))
        progress.remove(["c/*"])
        self.assertEqual(positions(log.step(progress)), [1, 3])

    def test_startsAgainWithoutNames(self) -> None:
        """
        A reader whose names are all removed starts again with the next name.
        """
        self.progress.remove(["c/*"])
        self.assertEqual(self.progress.wanted().names, ())
        self.progress.add(self.log.resolved(c_x=start(2)))
        self.assertEqual(self.progress.cursor, at(2))


class EpochTests(SynchronousTestCase):
    """
    A new epoch.
    """

    def setUp(self) -> None:
        """
        Make a reader in the old epoch.
        """
        self.old = Log("a", "b", "a")
        self.new = Log("a", "b", epoch="second")
        self.new.floors = {"b": 1}

    def test_gapOfAllNames(self) -> None:
        """
        All names have a gap, told once, and everything held is delivered.
        """
        progress = begin(self.old.resolved(b=start(3), a=start(3)))
        self.new.floors = {"b": 2}
        self.new.channels += ["a"]
        step = self.new.step(progress, 1)
        self.assertEqual((step.gap, positions(step)), (("b", "a"), [1]))
        self.assertEqual((step.cursor, step.lowest), (at(0, "second"), at(0, "second")))
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [3]))
        self.assertEqual(progress.cursor, Cursor("second", 3))

    def test_replayEndsSilently(self) -> None:
        """
        A replay of the old epoch ends without a step of its own, since it was
        not for all names.
        """
        progress = begin(self.old.resolved(a=start(0), b=start(3)))
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step), step.more), ((), [], True))
        self.assertFalse(progress.isReplaying)
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step)), (("a", "b"), [1, 2]))

    def test_replayOfAllNamesEndsSilently(self) -> None:
        """
        A replay of the old epoch ends so, too, if all names that are left were
        replaying: messages beyond the replay are not skipped.
        """
        progress = begin(self.old.resolved(a=start(0), b=start(1)))
        progress.remove(["b"])
        self.new.channels += ["a"]
        self.assertEqual(positions(self.new.step(progress)), [])
        self.assertEqual(positions(self.new.step(progress)), [1, 3])

    def test_nameAddedInTheNewEpoch(self) -> None:
        """
        A name that is added in the new epoch, before the reader knows of it, is
        in the gap of all names.
        """
        progress = begin(self.old.resolved(a=start(3)))
        self.assertEqual(progress.add(self.new.resolved(b=start(0, 1, True))), ())
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step)), (("a", "b"), [1, 2]))

    def test_noGapWithoutNames(self) -> None:
        """
        A reader without names has no gap.
        """
        progress = Progress(self.old.end)
        self.assertEqual(progress.add(self.new.resolved(b=start(2))), ())
        self.assertEqual(progress.cursor, at(2, "second"))
