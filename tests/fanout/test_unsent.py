"""
Tests of L{comet.fanout.unsent}: what clients have not taken, and how it bounds the
responses to polls.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.unsent import CUT_BYTES, POLL_BYTES, Unsent, ownRest, sharedRest
from tests.fanout.case import HubTestCase

SOME = b'"' + b"x" * 3000 + b'"'


class RestTests(SynchronousTestCase):
    """
    L{sharedRest} and L{ownRest}.
    """

    def test_sharesBytes(self) -> None:
        """
        The rest of many bytes is a view of them, also that of a rest; the rest of
        a few is a copy, which does not keep the others.
        """
        data = bytes(range(256)) * 100
        rest = sharedRest(data, 100)
        assert isinstance(rest, memoryview)
        self.assertIs(rest.obj, data)
        again = sharedRest(rest, 1000)
        assert isinstance(again, memoryview)
        self.assertIs(again.obj, data)
        self.assertEqual(bytes(again), data[1100:])
        last = sharedRest(again, len(again) - 10)
        self.assertEqual((type(last), last), (bytes, data[-10:]))
        self.assertEqual(sharedRest(b"abc", 3), b"")

    def test_keepsLittle(self) -> None:
        """
        The rest of bytes that one client alone gets is a view of them only while
        it is half of them.
        """
        data = bytes(range(256)) * 100
        rest = ownRest(data, 12_800)
        assert isinstance(rest, memoryview)
        self.assertEqual(bytes(rest), data[12_800:])
        for less in (ownRest(rest, 1), ownRest(data, 12_801)):
            self.assertEqual((type(less), less), (bytes, data[12_801:]))


class UnsentTests(SynchronousTestCase):
    """
    L{Unsent}.
    """

    def test_boundsPolls(self) -> None:
        """
        A response may be whole while there is room for one more, and is cut
        beyond.
        """
        unsent = Unsent(3 * POLL_BYTES)
        self.assertEqual(unsent.pollBytes, POLL_BYTES)
        unsent.add(2 * POLL_BYTES)
        self.assertEqual(unsent.pollBytes, POLL_BYTES)
        unsent.add(1)
        self.assertEqual(unsent.pollBytes, CUT_BYTES)
        unsent.add(-1)
        self.assertEqual((unsent.pollBytes, unsent.kept), (POLL_BYTES, 2 * POLL_BYTES))

    def test_countsObjectsOnce(self) -> None:
        """
        The same bytes for several clients are counted once, until none of them waits;
        equal ones that are another object are counted, too.
        """
        unsent, data = Unsent(), bytes(1000)
        for _ in range(3):
            unsent.keep(data)
        other = bytes(bytearray(1000))
        unsent.keep(other)
        self.assertEqual(unsent.kept, 2000)
        for left in (2000, 2000, 1000):
            unsent.drop(data)
            self.assertEqual(unsent.kept, left)
        unsent.drop(other)
        self.assertEqual(unsent.kept, 0)


class CutTests(HubTestCase):
    """
    Polls while too much waits for clients that do not read.
    """

    def setUp(self) -> None:
        """
        Let there be no room.
        """
        super().setUp()
        self.hub.fanout.unsent.add(self.hub.fanout.unsent.most)

    def count(self, begin: str, *published: str, payload: bytes = SOME) -> tuple[int, bool]:
        """
        Poll.

        @param published: The channels to which something is published then.

        @return: How many messages the response has, and whether there are more.
        """
        waiter, _ = self.poll("a", begin=begin)
        if published:
            self.publish(*published, payload=payload)
        self.clock.settle()
        return len(waiter.outcome.messages), waiter.outcome.more

    def test_cutsHeldMessages(self) -> None:
        """
        A response that catches up has what fits, and says that there is more.
        """
        self.publish(*["a"] * 10, payload=SOME)
        self.assertEqual(self.count("earliest"), (2, True))
        self.hub.fanout.unsent.add(-self.hub.fanout.unsent.kept)
        self.assertEqual(self.count("earliest"), (10, False))

    def test_cutsBursts(self) -> None:
        """
        The response to a held poll has what fits, too.
        """
        self.assertEqual(self.count("now", *["a"] * 5), (2, True))

    def test_hasOneMessage(self) -> None:
        """
        A response has one message at least, however large.
        """
        self.publish(*["a"] * 3, payload=SOME * 10)
        self.assertEqual(self.count("earliest"), (1, True))
        self.assertEqual(self.count("now", "a", "a", payload=SOME * 10), (1, True))
