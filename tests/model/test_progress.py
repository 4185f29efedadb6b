"""
Tests of where a reader stands: where it begins, what it reads, what is a gap.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Last, Now, StartPosition, Unreadable
from comet.model.progress import Progress, Wanted, cursorBeforeStart
from tests.model.progressing import Log, at, begin, positions, start


class BeginningTests(SynchronousTestCase):
    """
    Where a reader stands before any message.
    """

    def test_furthest(self) -> None:
        """
        Of places that were given, the furthest counts.
        """
        log = Log("a", "b", "a", "b")
        self.assertEqual(begin(log.resolved(a=start(1), b=start(3))).cursor, at(3))

    def test_relative(self) -> None:
        """
        Where all places were found by what is held, the reader stands before
        the oldest message to come, and nothing is a replay.
        """
        log = Log("a", "b", "a", "b")
        progress = begin(log.resolved(a=start(0, isRelative=True), b=start(3, isRelative=True)))
        self.assertEqual(progress.cursor, at(0))
        self.assertFalse(progress.isReplaying)
        step = log.step(progress)
        self.assertEqual((positions(step), step.isReplay), ([1, 3, 4], False))

    def test_gap(self) -> None:
        """
        The names that begin with a gap are told, in the order in which they
        were asked for, and not told again by what is read.
        """
        log = Log("a", "b", "a", "b")
        log.floors = {"a": 1, "b": 2}
        progress = Progress(log.end)
        gap = progress.add(log.resolved(b=start(0, 2, True), a=start(0, 1, True)))
        self.assertEqual(gap, ("b", "a"))
        step = log.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [3, 4]))

    def test_noGap(self) -> None:
        """
        C{earliest} has no gap, though another name begins before what the name
        has lost.
        """
        log = Log("a", "b", "b", "b")
        log.floors = {"b": 3}
        progress = begin(log.resolved(a=start(0, isRelative=True), b=start(3, 3, isRelative=True)))
        step = log.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [1, 4]))

    def test_lastOfEach(self) -> None:
        """
        Of the last few of each channel, older ones that lie between are left
        out; a channel that is new since is not.
        """
        log = Log("c/x", "c/y", "c/x", "c/x", "c/y")
        lastFew = start(1, isRelative=True, skipUpTo={"c/x": 3, "c/y": 1})
        progress = begin(log.resolved(c_all=lastFew))
        log.channels.append("c/new")
        self.assertEqual(positions(log.step(progress)), [2, 4, 5, 6])
        log.channels.append("c/x")
        self.assertEqual(positions(log.step(progress)), [7])

    def test_nothing(self) -> None:
        """
        No names are nothing; a name that is held already changes nothing.
        """
        log = Log("a")
        progress = begin(log.resolved(a=start(1)))
        self.assertEqual(progress.add(log.resolved()), ())
        self.assertEqual(progress.add(log.resolved(a=start(0, 1, True))), ())
        self.assertEqual((progress.names, progress.cursor), (("a",), at(1)))
        self.assertEqual(progress.wanted(), Wanted(("a",), at(1), None))

    def test_unbegun(self) -> None:
        """
        Who is cut off before it is known where the names begin comes back
        with a cursor that skips nothing of what was asked for.
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
    How a reader goes on.
    """

    def test_slices(self) -> None:
        """
        A reading that ended early is followed by another, from where it ended.
        """
        log = Log("a", "b", "a", "a")
        progress = begin(log.resolved(a=start(0), b=start(0)))
        step = log.step(progress, 3)
        self.assertEqual((positions(step), step.more, step.cursor), ([1, 2, 3], True, at(0)))
        self.assertEqual(progress.cursor, at(3))
        step = log.step(progress, 3)
        self.assertEqual((positions(step), step.more, step.cursor), ([4], False, at(3)))

    def test_standing(self) -> None:
        """
        What arrives without being read moves the reader on, never back.
        """
        progress = begin(Log("a").resolved(a=start(1)))
        progress.advance(7)
        progress.advance(3)
        self.assertEqual(progress.cursor, at(7))

    def test_gapOnce(self) -> None:
        """
        A gap is told once, however often the log is read; what is lost later
        is another.
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

    def test_lostButNotWanted(self) -> None:
        """
        What is lost of a name before its place is no gap.
        """
        log = Log("b", "a", "a", "b")
        progress = begin(log.resolved(a=start(0)))
        progress.add(log.resolved(b=start(4)))
        log.channels += ["a", "b"]
        log.floors = {"b": 4}
        step = log.step(progress)
        self.assertEqual((step.gap, positions(step)), ((), [2, 3, 5, 6]))

    def test_changed(self) -> None:
        """
        What was read for other names than the reader has by now is left alone,
        and read again.
        """
        log = Log("a", "b")
        progress = begin(log.resolved(a=start(0)))
        wanted = progress.wanted()
        progress.add(log.resolved(b=start(2)))
        step = progress.accept(wanted, log.read(wanted))
        self.assertEqual((positions(step), step.more, progress.cursor), ([], True, at(0)))
        self.assertEqual(positions(log.step(progress)), [1])

    def test_changedReplay(self) -> None:
        """
        The same is true of a replay whose name is given up, also where the
        reader begins anew, at the same place.
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
    Names that are read no more.
    """

    def setUp(self) -> None:
        """
        A reader that has read C{c/*} up to 4.
        """
        self.log = Log("c/x", "c/y", "c/x", "d")
        self.progress = begin(self.log.resolved(c_all=start(0)))
        self.log.step(self.progress)

    def test_removed(self) -> None:
        """
        Exactly the names that are written are removed; others change nothing.
        """
        self.progress.add(self.log.resolved(d=start(4)))
        self.progress.remove(["c/x", "c/*", "e"])
        self.assertEqual(self.progress.names, ("d",))
        self.log.channels += ["c/x", "d"]
        self.assertEqual(positions(self.log.step(self.progress)), [6])

    def test_late(self) -> None:
        """
        A late name may be removed in the middle of its replay.
        """
        self.progress.add(self.log.resolved(d=start(0)))
        self.log.step(self.progress, 1)
        self.progress.remove(["d"])
        self.assertFalse(self.progress.isReplaying)
        self.assertEqual(self.progress.wanted(), Wanted(("c/*",), at(4), None))

    def test_brought(self) -> None:
        """
        What a removed name has brought is not brought again by those that were
        late beside it; by those that come later it is.
        """
        self.progress.add(self.log.resolved(c_x=start(0)))
        self.progress.remove(["c/*"])
        self.assertEqual(positions(self.log.step(self.progress)), [])
        self.progress.add(self.log.resolved(c_all=start(0)))
        self.assertEqual(positions(self.log.step(self.progress)), [2])
        self.progress.remove(["c/x", "c/*"])
        self.progress.add(self.log.resolved(c_x=start(0)))
        self.assertEqual(positions(self.log.step(self.progress)), [1, 3])

    def test_partlyTold(self) -> None:
        """
        What was read for the removed name and not told is brought.
        """
        self.progress.add(self.log.resolved(c_x=start(0)))
        self.progress.remove(["c/*"], 2)
        self.assertEqual(positions(self.log.step(self.progress)), [3])

    def test_lastTwo(self) -> None:
        """
        A removed name has not brought what it left out.
        """
        log = Log("c/x", "c/y", "c/x", "c/x")
        lastFew = start(1, isRelative=True, skipUpTo={"c/x": 3, "c/y": 1})
        progress = begin(log.resolved(c_all=lastFew))
        self.assertEqual(positions(log.step(progress)), [2, 4])
        progress.add(log.resolved(c_x=start(0)))
        progress.remove(["c/*"])
        self.assertEqual(positions(log.step(progress)), [1, 3])

    def test_all(self) -> None:
        """
        A reader without names begins anew with the next.
        """
        self.progress.remove(["c/*"])
        self.assertEqual(self.progress.wanted().names, ())
        self.progress.add(self.log.resolved(c_x=start(2)))
        self.assertEqual(self.progress.cursor, at(2))


class EpochTests(SynchronousTestCase):
    """
    When the log begins a new life.
    """

    def setUp(self) -> None:
        """
        A reader of the old one.
        """
        self.old = Log("a", "b", "a")
        self.new = Log("a", "b", epoch="second")
        self.new.floors = {"b": 1}

    def test_gap(self) -> None:
        """
        All names have a gap, told once, and everything held comes.
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

    def test_replay(self) -> None:
        """
        A replay of the old life ends without a word: it was not for all names.
        """
        progress = begin(self.old.resolved(a=start(0), b=start(3)))
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step), step.more), ((), [], True))
        self.assertFalse(progress.isReplaying)
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step)), (("a", "b"), [1, 2]))

    def test_onlyLate(self) -> None:
        """
        The same is true where all names that are left are late: what lies
        beyond the replay is not skipped.
        """
        progress = begin(self.old.resolved(a=start(0), b=start(1)))
        progress.remove(["b"])
        self.new.channels += ["a"]
        self.assertEqual(positions(self.new.step(progress)), [])
        self.assertEqual(positions(self.new.step(progress)), [1, 3])

    def test_added(self) -> None:
        """
        A name that is added in the new life, before the reader knows of it, is
        in the gap of all.
        """
        progress = begin(self.old.resolved(a=start(3)))
        self.assertEqual(progress.add(self.new.resolved(b=start(0, 1, True))), ())
        step = self.new.step(progress)
        self.assertEqual((step.gap, positions(step)), (("a", "b"), [1, 2]))

    def test_noNames(self) -> None:
        """
        A reader without names has nothing to lose.
        """
        progress = Progress(self.old.end)
        self.assertEqual(progress.add(self.new.resolved(b=start(2))), ())
        self.assertEqual(progress.cursor, at(2, "second"))
