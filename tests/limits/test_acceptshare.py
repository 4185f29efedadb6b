"""
Tests of L{comet.limits.acceptshare}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.limits.acceptshare import PATIENCE, SOME, STEP, AcceptShare


class Port:
    """
    A port that notes what it is told.
    """

    def __init__(self) -> None:
        self.told: list[object] = []

    def stopReading(self) -> None:
        """
        See L{AcceptingPort}.
        """
        self.told.append("stop")

    def startReading(self) -> None:
        """
        See L{AcceptingPort}.
        """
        self.told.append("start")

    def acceptSome(self, most: int) -> None:
        """
        See L{AcceptingPort}.
        """
        self.told.append(most)


class AcceptShareTests(SynchronousTestCase):
    """
    L{AcceptShare}.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.clock, self.port, self.room = Clock(), Port(), 5
        self.share = AcceptShare(self.port, self.clock, lambda: self.room)

    def test_hasRoom(self) -> None:
        """
        A worker with room accepts as many as it has room for, and sets no timer.
        """
        self.assertEqual([self.share.allowed(most) for most in (3, 5, 7)], [3, 5, 5])
        self.assertEqual((self.port.told, self.clock.getDelayedCalls()), ([], []))

    def test_othersComeFirst(self) -> None:
        """
        A worker that has more than its share goes on as soon as it has not.
        """
        self.room = 0
        self.assertEqual(self.share.allowed(64), 0)
        self.clock.pump([STEP] * 3)
        self.assertEqual(self.port.told, ["stop"])
        self.room = 30
        self.clock.advance(STEP)
        self.assertEqual(self.port.told, ["stop", "start", 30])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_othersHang(self) -> None:
        """
        If the others do not take the client, the worker takes it, and some more.
        """
        self.room = -100
        for _ in range(2):
            self.port.told = []
            self.assertEqual(self.share.allowed(64), 0)
            self.clock.pump([STEP] * int(PATIENCE / STEP + 2))
            self.assertEqual(self.port.told, ["stop", "start", SOME])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancel(self) -> None:
        """
        A port that was closed meanwhile is started no more.
        """
        self.room = 0
        self.share.allowed(64)
        self.share.cancel()
        self.share.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.port.told, ["stop"])
