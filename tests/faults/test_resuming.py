"""
Tests for L{tests.faults.resuming}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.connections import Violation
from tests.edge.envelopes import BareCursor, Cursor, Gap, Message
from tests.faults.resuming import ResumeState, Rewound, ToldGap


def at(position: int, epoch: str = "e1") -> Cursor:
    """
    Make a cursor.
    """
    return Cursor(epoch, position)


def message(position: int, channel: str = "a", replay: bool = False) -> Message:
    """
    Make a message.
    """
    return Message(channel, at(position), {}, replay=replay)


class ResumeStateTests(SynchronousTestCase):
    """
    L{ResumeState}.
    """

    def state(self, transport: str, late: int | None = None) -> ResumeState:
        """
        Make the state of a reader of two names with a new connection.
        """
        state = ResumeState(["a", "b"], {"a": at(6), "b": at(6 if late is None else late)})
        state.opened(transport)
        return state

    def test_live(self) -> None:
        """
        A reader resumes with the cursor of the last message or heartbeat.
        """
        for transport in ("stream", "sse", "websocket"):
            state = self.state(transport)
            state.took(BareCursor(at(6)))
            state.took(message(8))
            self.assertEqual(state.opened("poll"), ("e1-8", {}))
            state = self.state(transport)
            state.took(BareCursor(at(6)))
            state.took(message(8))
            state.took(BareCursor(at(9)))
            self.assertEqual(state.opened("poll"), ("e1-9", {}))

    def test_body(self) -> None:
        """
        A polling reader adopts the cursor of the body, and none of its messages.
        """
        state = self.state("poll")
        state.took(message(8))
        self.assertEqual(state.opened("poll"), ("e1-6", {}))
        state.took(message(8))
        state.took(BareCursor(at(9)))
        self.assertEqual(state.opened("poll"), ("e1-9", {}))

    def test_replay(self) -> None:
        """
        In a replay a reader resumes with the cursor of the other names, and with
        the position that the late name has reached.
        """
        state = self.state("stream", late=2)
        self.assertEqual(state.opened("stream"), ("e1-6", {"b": "e1-2"}))
        state.took(BareCursor(at(6)))
        self.assertEqual(state.opened("stream"), ("e1-6", {"b": "e1-2"}))
        state.took(BareCursor(at(6)))
        state.took(message(4, "b", replay=True))
        self.assertIsNone(state.ended())
        self.assertEqual(state.opened("stream"), ("e1-6", {"b": "e1-4"}))
        state.took(BareCursor(at(6)))
        state.took(BareCursor(at(6)))
        self.assertEqual(state.opened("stream"), ("e1-6", {}))

    def test_liveInReplay(self) -> None:
        """
        A live message before the end of a replay is a violation.
        """
        state = self.state("stream", late=2)
        state.took(BareCursor(at(6)))
        self.assertRaises(Violation, state.took, message(8))

    def test_ids(self) -> None:
        """
        An C{sse} reader resumes with the last id, so it repeats messages if that
        was in a replay.
        """
        state = self.state("sse", late=2)
        state.took(BareCursor(at(2)))
        self.assertTrue(state.isReplay(message(4, "b")))
        state.took(message(4, "b"))
        self.assertEqual(state.ended(), Rewound(at(4)))
        self.assertEqual(state.opened("stream"), ("e1-4", {}))

    def test_idsAfterReplay(self) -> None:
        """
        An C{sse} reader that resumes after a replay repeats no message.
        """
        state = self.state("sse", late=2)
        for event in (BareCursor(at(2)), message(4, "b"), BareCursor(at(6)), message(7)):
            state.took(event)
        self.assertIsNone(state.ended())
        self.assertEqual(state.opened("stream"), ("e1-7", {}))

    def test_bodyInReplay(self) -> None:
        """
        A poll body that ends in a replay has a lower cursor, and messages of the
        other names are repeated.
        """
        state = self.state("poll", late=2)
        state.took(message(4, "b", replay=True))
        self.assertEqual(state.took(BareCursor(at(4))), Rewound(at(4)))
        self.assertEqual(state.opened("poll"), ("e1-4", {}))

    def test_gap(self) -> None:
        """
        A gap of another epoch is adopted; it records the positions before.
        """
        state = self.state("stream", late=2)
        told = state.took(Gap(at(3, "e2"), ("a", "b")))
        self.assertEqual(told, ToldGap(("a", "b"), at(3, "e2"), {"a": 6, "b": 2}, "e1"))
        self.assertEqual(state.opened("stream"), ("e2-3", {}))

    def test_bodyGap(self) -> None:
        """
        A gap in a poll body is adopted with the cursor of the body.
        """
        state = self.state("poll", late=2)
        state.took(Gap(None, ("a", "b")))
        self.assertIsNone(state.took(BareCursor(at(3, "e2"))))
        self.assertEqual(state.opened("poll"), ("e2-3", {}))
