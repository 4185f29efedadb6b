"""
Tests of L{comet.transports.latebatch}.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage, Unavailable
from comet.framing.batchreader import BatchReader
from comet.framing.publications import Limits
from comet.limits.capacity import Refusals, Uploads
from comet.model.clients import KEY_HOLDER
from comet.reactor.turns import SHARE, Turns
from comet.transports.latebatch import LateBatch

LINE = b'{"channel":"a","data":1}\n'

# How many bytes may be on their way.
MOST = 1000


class LateBatchTests(SynchronousTestCase):
    """
    A batch in parts, each of which takes half a share of time to read.
    """

    def setUp(self) -> None:
        """
        Make the turns, and count the parts that are read.
        """
        self.clock = Clock()
        self.turns = Turns(self.clock)
        self.isGone = False
        self.taken = 0
        self.uploads = Uploads(MOST, Refusals(self.clock.seconds))

    def batch(self, *parts: bytes) -> LateBatch:
        """
        Begin to read.
        """

        def slowly() -> Iterator[bytes]:
            for part in parts:
                self.clock.rightNow += SHARE / 2
                self.taken += 1
                yield part

        reader = BatchReader("application/x-ndjson", Limits())
        count = self.uploads.begin(KEY_HOLDER)
        return LateBatch(reader, slowly(), self.turns, lambda: self.isGone, count)

    def turn(self) -> None:
        """
        Have one turn of the reactor.
        """
        self.clock.advance(0)

    def test_small(self) -> None:
        """
        What takes less than a share is read at once, and leaves no timer.
        """
        batch = self.batch(LINE)
        self.assertEqual(len(self.successResultOf(batch.done)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_large(self) -> None:
        """
        What takes longer is read in several turns, in which others have theirs, and has
        all its lines in their order.
        """
        lines = [b'{"channel":"a","data":%d}\n' % number for number in range(12)]
        batch = self.batch(*lines)
        self.assertNoResult(batch.done)
        self.assertLess(self.taken, 4)
        others: list[int] = []
        self.turns.later(lambda: others.append(self.taken))
        while self.clock.getDelayedCalls():
            self.turn()
        self.assertLess(others[0], 9)
        publications = self.successResultOf(batch.done)
        expected = [b"%d" % number for number in range(12)]
        self.assertEqual([each.payload for each in publications], expected)

    def test_gone(self) -> None:
        """
        The rest is not read once the client is gone.
        """
        batch = self.batch(*[LINE] * 12)
        taken = self.taken
        self.isGone = True
        self.turn()
        self.assertEqual(self.taken, taken)
        self.assertNoResult(batch.done)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bad(self) -> None:
        """
        A line that is bad fails the batch, at once or in the turn in which it is read, and
        nothing more is read.
        """
        self.failureResultOf(self.batch(b"{\n", LINE).done, BadMessage)
        batch = self.batch(*[LINE] * 6, b"{\n", *[LINE] * 6)
        self.assertNoResult(batch.done)
        while self.clock.getDelayedCalls():
            self.turn()
        self.failureResultOf(batch.done, BadMessage)
        self.assertLess(self.taken, 12)

    def test_counted(self) -> None:
        """
        What is half read counts as on its way, and what has no room is refused; nothing
        counts any more once a batch is read, bad, refused, or of a client that is gone.
        """
        half = MOST // (2 * len(LINE))
        fits = self.batch(*[LINE] * half)
        self.assertGreater(self.uploads.kept, 0)
        tooLarge = self.batch(*[LINE] * (2 * half + 2))
        while self.clock.getDelayedCalls():
            self.turn()
            self.assertLessEqual(self.uploads.kept, MOST)
        self.assertEqual(len(self.successResultOf(fits.done)), half)
        self.failureResultOf(tooLarge.done, Unavailable)
        self.assertEqual(self.uploads.kept, 0)
        self.batch(*[LINE] * 12)
        self.assertGreater(self.uploads.kept, 0)
        self.isGone = True
        self.turn()
        self.assertEqual(self.uploads.kept, 0)
        self.isGone = False
        self.failureResultOf(self.batch(b"{\n").done, BadMessage)
        self.assertEqual(self.uploads.kept, 0)
