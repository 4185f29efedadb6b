"""
Tests for L{comet.events.lease}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from comet.events.lease import RENEW, SECONDS, LeaseLost
from comet.model.cursors import Cursor
from comet.model.events import CURSORS, HOLDERS
from comet.model.messages import Publication
from tests.events.case import EventsCase

FIRST, SECOND = Cursor("e", 1), Cursor("e", 2)


class LeaseTests(EventsCase):
    """
    L{Lease}
    """

    def test_one(self) -> None:
        """
        One node holds a lease; another one takes it when it is over.
        """
        one, other = self.lease(), self.lease()
        self.assertTrue(self.result(one.take()))
        self.assertFalse(self.result(other.take()))
        self.assertEqual((one.isHeld(), other.isHeld()), (True, False))
        self.clock.advance(SECONDS)
        self.assertFalse(one.isHeld())
        self.assertTrue(self.result(other.take()))
        self.assertFalse(self.result(one.take()))

    def test_otherWork(self) -> None:
        """
        Leases of other work are others.
        """
        self.assertTrue(self.result(self.lease("work").take()))
        self.assertTrue(self.result(self.lease("play").take()))

    def test_renewed(self) -> None:
        """
        A node that renews its lease keeps it; one whose lease was over does not get it so.
        """
        one, other = self.lease(), self.lease()
        self.result(one.take())
        for _ in range(10):
            self.clock.advance(RENEW)
            self.assertTrue(self.result(one.renew()))
        self.assertFalse(self.result(other.take()))
        self.assertTrue(one.isHeld(SECONDS - 1))
        self.assertFalse(one.isHeld(SECONDS))
        self.clock.advance(SECONDS)
        self.assertFalse(self.result(one.renew()))

    def test_released(self) -> None:
        """
        A lease that is given back can be taken at once.
        """
        one, other = self.lease(), self.lease()
        self.result(one.take())
        self.result(one.release())
        self.assertFalse(one.isHeld())
        self.assertTrue(self.result(other.take()))
        # Of one that is not held nothing is given back.
        self.result(one.release())
        self.assertTrue(self.result(other.renew()))

    def test_cursorGoesOn(self) -> None:
        """
        The next holder begins where the last one was.
        """
        one, other = self.lease(), self.lease()
        self.result(one.take())
        self.assertIsNone(one.cursor)
        self.result(one.save(FIRST))
        self.result(one.save(SECOND))
        self.result(one.release())
        self.result(other.take())
        self.assertEqual(other.cursor, SECOND)

    def test_fenced(self) -> None:
        """
        What a node keeps that has lost the lease and does not know it is of no effect.
        """
        one, other, third = self.lease(), self.lease(), self.lease()
        self.result(one.take())
        self.result(one.save(FIRST))
        self.clock.advance(SECONDS)
        self.result(other.take())
        self.result(other.save(SECOND))
        self.failureResultOf(Deferred.fromCoroutine(one.save(FIRST)), LeaseLost)
        # Its clock was stopped: it believes that it holds it.
        one._until = self.clock.seconds() + 1
        self.result(one.save(FIRST))
        self.clock.advance(SECONDS)
        self.result(third.take())
        self.assertEqual(third.cursor, SECOND)

    def test_stoppedWhileTaking(self) -> None:
        """
        A node that is stopped while it takes the lease, and whose first cursor arrives
        when another node has long gone on with the same number, does not set that back.
        """
        first, one, other, last = (self.lease() for _ in range(4))
        self.result(first.take())
        self.result(first.save(FIRST))
        self.result(first.release())
        put = self.bus.putState
        late: list[Any] = []

        def hold(change: Publication, key: str, seconds: float | None, most: int) -> Any:
            if change.channels != (CURSORS + "work",):
                return put(change, key, seconds, most)
            late.append((change, key, seconds, most))
            return Deferred()

        self.patch(self.bus, "putState", hold)
        taking = Deferred.fromCoroutine(one.take())
        self.assertNoResult(taking)
        self.patch(self.bus, "putState", put)
        self.clock.advance(SECONDS)
        self.assertTrue(self.result(other.take()))
        self.result(other.save(SECOND))
        self.assertEqual(one._number, other._number)
        [arrives] = late
        self.successResultOf(put(*arrives))
        self.result(other.release())
        self.result(last.take())
        self.assertEqual(last.cursor, SECOND)

    def test_lateCursor(self) -> None:
        """
        What the last holder has done, and what arrives after the next one has begun, is not
        done once more by the one after that.
        """
        one, other, last = (self.lease() for _ in range(3))
        self.result(one.take())
        self.result(one.save(FIRST))
        self.clock.advance(SECONDS)
        self.result(other.take())
        one._until = self.clock.seconds() + 1
        self.result(one.save(SECOND))
        self.result(other.release())
        self.result(last.take())
        self.assertEqual(last.cursor, SECOND)
        # Another epoch begins anew, wherever the one before was.
        third = Cursor("f", 1)
        self.result(last.save(third))
        one._until = self.clock.seconds() + 1
        self.result(one.save(SECOND))
        self.result(last.release())
        self.result(other.take())
        self.assertEqual(other.cursor, third)

    def test_leavesOneCursor(self) -> None:
        """
        Tables do not grow with the holders.
        """
        for _ in range(5):
            lease = self.lease()
            self.result(lease.take())
            self.result(lease.release())
        page = self.successResultOf(self.bus.readState(CURSORS + "work", "", 100))
        self.assertEqual(len(page.entries), 1)
        page = self.successResultOf(self.bus.readState(HOLDERS + "work", "", 100))
        self.assertEqual(page.entries, ())

    def test_strangeEntries(self) -> None:
        """
        What other programs have put there does not stop the work.
        """
        table = CURSORS + "work"
        for key, payload in (("x", b"1"), ("7", b'{"cursor":"no"}'), ("8", b'{"cursor":5}')):
            self.bus.putState(Publication((table,), payload), key, None, 100)
        one, other = self.lease(), self.lease()
        self.assertTrue(self.result(one.take()))
        self.assertIsNone(one.cursor)
        self.result(one.save(FIRST))
        self.result(one.release())
        self.result(other.take())
        self.assertEqual(other.cursor, FIRST)
