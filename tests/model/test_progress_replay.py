"""
Tests of readers with names that start behind the others, and are replayed.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.model.messages import Message
from comet.model.progress import Wanted
from tests.model.progressing import EPOCH, Log, at, begin, positions, start


class ReplayTests(SynchronousTestCase):
    """
    Names that start behind the furthest of them.
    """

    def setUp(self) -> None:
        """
        Make a reader that has read up to 6.
        """
        self.log = Log("a", "b", "c/x", "a", "b", "c/x")
        self.progress = begin(self.log.resolved(a=start(6)))

    def test_replaysUpToTheOthers(self) -> None:
        """
        A replaying name is read up to the cursor, then the reader has caught
        up; then all names are read.
        """
        self.progress.add(self.log.resolved(b=start(0)))
        self.log.channels += ["a", "b"]
        self.assertTrue(self.progress.isReplaying)
        self.assertEqual(self.progress.lowest, at(0))
        step = self.log.step(self.progress, 1)
        self.assertEqual((positions(step), step.isReplay, step.isCaughtUp), ([2], True, False))
        self.assertEqual((step.cursor, step.lowest), (at(6), at(0)))
        self.assertEqual(self.progress.lowest, at(2))
        step = self.log.step(self.progress)
        self.assertEqual((positions(step), step.isReplay, step.isCaughtUp), ([5], True, True))
        self.assertTrue(step.more)
        step = self.log.step(self.progress)
        self.assertEqual((positions(step), step.isReplay, step.isCaughtUp), ([7, 8], False, False))

    def test_furthestBehindFirst(self) -> None:
        """
        Of several replaying names, the one that is furthest behind is read
        first, up to the next; then both together.
        """
        self.progress.add(self.log.resolved(b=start(0), c_x=start(3)))
        self.assertEqual(self.progress.wanted(), Wanted(("b",), at(0), 3))
        self.assertEqual(positions(self.log.step(self.progress)), [2])
        self.assertEqual(self.progress.wanted(), Wanted(("b", "c/x"), at(3), 6))
        self.assertEqual(positions(self.log.step(self.progress)), [5, 6])

    def test_leavesOutWhatAnotherNameDelivered(self) -> None:
        """
        Messages that another name has delivered are not replayed.
        """
        progress = begin(self.log.resolved(a=start(0)))
        self.log.step(progress)
        progress.add(self.log.resolved(all=start(0)))
        self.assertEqual(positions(self.log.step(progress)), [2, 3, 5, 6])

    def test_deliveredOnlyFromItsStart(self) -> None:
        """
        A name has delivered nothing from before its own start.
        """
        progress = begin(self.log.resolved(a=start(3)))
        self.log.step(progress)
        progress.add(self.log.resolved(all=start(0)))
        self.assertEqual(positions(self.log.step(progress)), [1, 2, 3, 5, 6])

    def test_twoReplayingNames(self) -> None:
        """
        A replaying name delivers what another replaying name will not deliver.
        """
        self.progress.add(self.log.resolved(c_x=start(3), c_all=start(0)))
        self.assertEqual(positions(self.log.step(self.progress)), [3])
        self.assertEqual(positions(self.log.step(self.progress)), [6])

    def test_lastFewAreNotRepeated(self) -> None:
        """
        The last few messages of a channel are not delivered twice while it is
        known which they were, and never left out.
        """
        log = Log("c/x", "c/y", "c/x", "c/y", "c/x")
        lastFew = start(2, isRelative=True, skipUpTo={"c/x": 3, "c/y": 2})
        progress = begin(log.resolved(c_all=lastFew))
        self.assertEqual(positions(log.step(progress)), [4, 5])
        progress.prune()
        progress.add(log.resolved(c_x=start(0)))
        self.assertEqual(positions(log.step(progress)), [1, 3])

    def test_gapWithinTheReplay(self) -> None:
        """
        A gap of a replaying name is told within its replay; those of other
        names wait.
        """
        self.progress.add(self.log.resolved(b=start(0)))
        self.log.floors = {"a": 4, "b": 2}
        step = self.log.step(self.progress)
        self.assertEqual((step.gap, positions(step)), (("b",), [5]))
        self.assertEqual((step.cursor, step.lowest), (at(6), at(0)))
        self.assertEqual(self.log.step(self.progress).gap, ())

    def test_startsAheadOfTheCursor(self) -> None:
        """
        A name that starts ahead of the reader's cursor is not delivered before
        its start.
        """
        progress = begin(self.log.resolved(a=start(0)))
        progress.add(self.log.resolved(all=start(4)))
        self.assertFalse(progress.isReplaying)
        self.assertEqual(positions(self.log.step(progress)), [1, 4, 5, 6])

    def test_isWanted(self) -> None:
        """
        A message is wanted if a name matches it and starts before it.
        """
        self.progress.add(self.log.resolved(b=start(0), c_all=start(6, skipUpTo={"c/x": 8})))
        for channel, position, wanted in (
            ("a", 6, False),
            ("a", 7, True),
            ("b", 1, True),
            ("c/x", 8, False),
            ("c/x", 9, True),
            ("c/y", 7, True),
            ("d", 9, False),
        ):
            message = Message(channel, EPOCH, position, 0.0, b"1")
            self.assertEqual(self.progress.isWanted(message, self.progress.names), wanted, message)
