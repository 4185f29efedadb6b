"""
Tests of where a reader stands whose names come and go during a replay.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.model.delivered import MOST_DELIVERED
from comet.model.progress import Progress
from tests.model.progressing import Log, begin, positions, start


def had(progress: Progress) -> int:
    """
    How many delivered ranges are kept for replaying names.
    """
    return max((len(intervals) for intervals in progress._suppressed.values()), default=0)


class AddedAndRemovedTests(SynchronousTestCase):
    """
    What names that are removed have delivered.
    """

    def setUp(self) -> None:
        """
        Make a reader of C{d} at the end of a log, and of C{**} from its
        beginning, that has read nothing yet.
        """
        self.log = Log(*["a", "b", "c"] * 200, "d")
        self.progress = begin(self.log.resolved(d=start(601)))
        self.progress.add(self.log.resolved(all=start(0)))

    def test_removedBeforeItDelivered(self) -> None:
        """
        For a name that delivered nothing before it was removed, no range is
        kept, and all of it is replayed.
        """
        for _ in range(10):
            self.progress.add(self.log.resolved(a=start(601)))
            self.progress.remove(["a"])
            self.assertEqual(had(self.progress), 0)
        self.assertEqual(len(positions(self.log.step(self.progress))), 601)

    def test_addedAgainFromTheBeginning(self) -> None:
        """
        A name that is removed and added again, from the beginning, does not
        deliver again what it has delivered, if another name that was read all
        the time matches it, too.
        """
        self.progress.add(self.log.resolved(d=start(0)))
        self.progress.remove(["d"])
        self.log.channels.append("a")
        self.progress.add(self.log.resolved(a=start(601)))
        self.progress.advance(602)
        self.progress.remove(["a"])
        self.progress.add(self.log.resolved(a=start(0)))
        seen = []
        while self.progress.isReplaying:
            seen += positions(self.log.step(self.progress))
        self.assertEqual(sorted(seen), list(range(1, 602)))

    def test_joinsRangesThatTouch(self) -> None:
        """
        What a name delivered between any number of removals and additions is
        kept as one range, and not delivered again.
        """
        for _ in range(1000):
            self.log.channels.append("a")
            self.progress.add(self.log.resolved(a=start(len(self.log.channels) - 1)))
            self.progress.advance(len(self.log.channels))
            self.progress.remove(["a"])
            self.assertEqual(had(self.progress), 1)
        while self.progress.isReplaying:
            step = self.log.step(self.progress)
            self.assertEqual([p for p in positions(step) if p > 601], [])
        self.assertEqual(self.progress.cursor.position, 1601)

    def test_boundsRangesWithHoles(self) -> None:
        """
        Ranges with holes between them are bounded in number; messages in the
        newest of them are never delivered again, and those in the holes always
        are.
        """
        holes, brought = [], []
        for _ in range(2 * MOST_DELIVERED):
            self.log.channels += ["a", "a"]
            end = len(self.log.channels)
            holes.append(end - 1)
            brought.append(end)
            self.progress.advance(end - 1)
            self.progress.add(self.log.resolved(a=start(end - 1)))
            self.progress.advance(end)
            self.progress.remove(["a"])
            self.assertLessEqual(had(self.progress), MOST_DELIVERED)
        seen = []
        while self.progress.isReplaying:
            seen += positions(self.log.step(self.progress))
        self.assertEqual(len(seen), len(set(seen)))
        self.assertTrue(set(holes) <= set(seen))
        self.assertEqual([p for p in brought[-(MOST_DELIVERED - 1) :] if p in seen], [])

    def test_boundsRangesOfManyNames(self) -> None:
        """
        The ranges delivered through many removed names are bounded in number.
        """
        log = Log("c/x", "d", *(f"n{number}" for number in range(2 * MOST_DELIVERED)))
        progress = begin(log.resolved(d=start(1)))
        progress.add(log.resolved(all=start(0)))
        for number in range(2 * MOST_DELIVERED):
            name = f"n{number}"
            progress.add(log.resolved(**{name: start(number + 2)}))
            progress.advance(len(log.channels))
            progress.remove([name])
            self.assertLessEqual(had(progress), MOST_DELIVERED)

    def test_differentSkipsAreNotJoined(self) -> None:
        """
        Ranges of one name that skipped other messages are not joined: the
        skipped messages are delivered.
        """
        log = Log("c/x", "c/x", "c/x", "d")
        progress = begin(log.resolved(d=start(4)))
        progress.add(log.resolved(all=start(0)))
        log.channels += ["c/x", "c/x"]
        progress.add(log.resolved(c_x=start(4, skipUpTo={"c/x": 5, "c/y": 9})))
        progress.advance(6)
        progress.remove(["c/x"])
        log.channels.append("c/x")
        progress.add(log.resolved(c_x=start(6)))
        progress.advance(7)
        progress.remove(["c/x"])
        seen = []
        while progress.isReplaying:
            seen += positions(log.step(progress))
        self.assertEqual(seen, [1, 2, 3, 4, 5])

    def test_namesShareATableOfSkips(self) -> None:
        """
        A table of skips that several names share counts for the channels of
        each, and is dropped once the reader has passed all of it.
        """
        log = Log("c/x", "c/y", "c/x", "c/y", "d")
        table = {"c/x": 2, "c/y": 3}
        progress = begin(
            log.resolved(
                c_x=start(2, isRelative=True, skipUpTo=table),
                c_y=start(3, isRelative=True, skipUpTo=table),
            )
        )
        self.assertEqual(positions(log.step(progress)), [3, 4])
        progress.prune()
        self.assertEqual(progress._skipUpTo, {})
        log.channels += ["c/x", "c/y"]
        self.assertEqual(positions(log.step(progress)), [6, 7])

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3))))
    def test_eachMessageOnce(self, steps: list[tuple[str, bool, int]]) -> None:
        """
        Whichever names are added and removed while C{**} is replayed, each
        message arrives once: by a name that is read when it is published, or by
        the replay.
        """
        log = Log("a", "b", "c", "d")
        progress = begin(log.resolved(d=start(4)))
        progress.add(log.resolved(all=start(0)))
        seen: list[int] = []
        for name, isComing, count in steps:
            end = len(log.channels)
            if isComing:
                progress.add(log.resolved(**{name: start(end)}))
            else:
                progress.remove([name])
            log.channels += ["a", "b", "c"][:count]
            for position in range(end + 1, len(log.channels) + 1):
                if log.channels[position - 1] in progress.names:
                    seen.append(position)
            progress.advance(len(log.channels))
            self.assertLessEqual(had(progress), 3 + len(steps))
        while progress.isReplaying:
            seen += positions(log.step(progress, 2))
        self.assertEqual(sorted(seen), list(range(1, len(log.channels) + 1)))
