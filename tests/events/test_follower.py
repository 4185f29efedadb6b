"""
Tests for L{comet.events.follower}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail

from comet.errors import Unavailable
from comet.events.follower import AGAIN, IDLE, MOST, WAIT
from comet.events.lease import SECONDS
from comet.model.log import Retention
from tests.events.case import EventsCase, Takes


class FollowerTests(EventsCase):
    """
    L{Follower<comet.events.follower.Follower>}
    """

    def test_followsFromFirstHeld(self) -> None:
        """
        It begins at the first message that is held, and goes on with what comes.
        """
        self.put(1, 2)
        takes = Takes()
        takes.follower(self).start()
        self.assertEqual(takes.data, [1, 2])
        self.put(3)
        self.clock.advance(0)
        self.put(4)
        self.clock.advance(0)
        self.assertEqual(takes.data, [1, 2, 3, 4])
        self.assertFalse(any(page.isGap for page in takes.pages))

    def test_lingers(self) -> None:
        """
        Messages that come within a moment are one page.
        """
        takes = Takes()
        takes.follower(self, 0.1).start()
        self.put(1)
        self.clock.advance(0.05)
        self.put(2)
        self.clock.advance(0.04)
        self.assertEqual(takes.pages, [])
        self.advance(0.1, 0.01)
        self.assertEqual([len(page.messages) for page in takes.pages], [2])

    def test_pages(self) -> None:
        """
        A page has at most L{MOST} messages; a backlog is read without a pause, one page
        when the one before it was taken.
        """
        self.put(*range(2 * MOST + 1))
        takes = Takes()
        takes.waits = Deferred()
        takes.follower(self, 0.1).start()
        self.assertEqual([len(page.messages) for page in takes.pages], [MOST])
        waits, takes.waits = takes.waits, None
        waits.callback(None)
        self.assertEqual([len(page.messages) for page in takes.pages], [MOST, MOST, 1])
        self.assertEqual(takes.data, list(range(2 * MOST + 1)))

    def test_oneNode(self) -> None:
        """
        One of two nodes follows; when it stops, the other goes on behind what was taken.
        """
        one, other = Takes(), Takes()
        first, second = one.follower(self), other.follower(self)
        first.start()
        second.start()
        self.put(1)
        self.clock.advance(0)
        self.assertEqual((first.isHolding, second.isHolding), (True, False))
        self.assertEqual((one.data, other.data), ([1], []))
        self.successResultOf(first.stop())
        self.put(2)
        self.advance(WAIT, 1.0)
        self.assertEqual((one.data, other.data), ([1], [2]))

    def test_takesOverFromDead(self) -> None:
        """
        A node that dies without a word is followed by another one in half a minute; what
        was not taken is given again.
        """
        one, other = Takes(), Takes()
        one.waits = Deferred()
        first, second = one.follower(self), other.follower(self)
        first.start()
        self.put(1)
        self.clock.advance(0)
        self.patch(first._lease, "_put", lambda: fail(Unavailable("cut off")))
        second.start()
        self.advance(SECONDS + WAIT, 1.0)
        self.assertEqual((one.data, other.data), ([1], [1]))
        self.assertEqual((first.isHolding, second.isHolding), (False, True))

    def test_keepsLeaseWhileTaking(self) -> None:
        """
        A page that takes long does not lose the lease.
        """
        one, other = Takes(), Takes()
        one.waits = Deferred()
        first, second = one.follower(self), other.follower(self)
        first.start()
        second.start()
        self.put(1)
        self.advance(10 * SECONDS, 1.0)
        self.assertTrue(first.isHolding)
        self.assertEqual((one.data, other.data), ([1], []))

    def test_gap(self) -> None:
        """
        Where messages are lost, the page says so, once.
        """
        self.held = Retention(2, 3600.0, 1_000_000)
        takes = Takes()
        takes.waits = Deferred()
        follower = takes.follower(self)
        follower.start()
        self.put(1)
        self.clock.advance(0)
        self.put(2, 3, 4, 5)
        waits, takes.waits = takes.waits, None
        waits.callback(None)
        self.put(6)
        self.clock.advance(0)
        self.assertEqual([page.isGap for page in takes.pages], [False, True, False])
        self.assertEqual(takes.data, [1, 4, 5, 6])
        self.assertEqual(follower.gaps, 1)

    def test_busFails(self) -> None:
        """
        While the bus fails it is asked again.
        """
        self.put(1)
        takes = Takes()
        read = self.bus.read
        self.bus.read = lambda *given: fail(Unavailable("away"))  # type: ignore[method-assign]
        takes.follower(self).start()
        self.advance(3 * AGAIN, 0.5)
        self.assertEqual(takes.data, [])
        self.bus.read = read  # type: ignore[method-assign]
        self.advance(AGAIN, 0.5)
        self.assertEqual(takes.data, [1])

    def test_looksAnyway(self) -> None:
        """
        It reads the log now and then, though it has heard nothing.
        """
        takes = Takes()
        follower = takes.follower(self)
        follower.start()
        self.bus.unlisten(follower, ["$events"])
        self.put(1)
        self.advance(IDLE, 1.0)
        self.assertEqual(takes.data, [1])

    def test_stops(self) -> None:
        """
        Nothing is left of one that has stopped, also in the middle of a page; and one that
        was not started can be stopped.
        """
        takes = Takes()
        self.successResultOf(takes.follower(self).stop())
        for waits in (None, Deferred[None]()):
            takes.waits = waits
            follower = takes.follower(self)
            follower.start()
            self.put(1)
            self.clock.advance(0)
            self.successResultOf(follower.stop())
        self.put(2)
        self.clock.advance(0)
        self.assertEqual(takes.data, [1, 1])
        self.assertFalse(follower.isHolding)

    def test_failureIsLogged(self) -> None:
        """
        A function that fails is called again with the same.
        """
        takes = Takes()
        takes.waits = fail(ZeroDivisionError())
        takes.follower(self).start()
        self.put(1)
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        takes.waits = None
        self.advance(WAIT, 1.0)
        self.assertEqual(takes.data, [1, 1])
