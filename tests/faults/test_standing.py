"""
Tests for L{tests.faults.standing}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.connections import Violation
from tests.edge.envelopes import Cursor, Gap, Message, Standing
from tests.faults.standing import Place, Rewound, Told


def at(position: int, epoch: str = "e1") -> Cursor:
    """
    A cursor.
    """
    return Cursor(epoch, position)


def message(position: int, channel: str = "a", replay: bool = False) -> Message:
    """
    A message.
    """
    return Message(channel, at(position), {}, replay=replay)


class PlaceTests(SynchronousTestCase):
    """
    What a reader comes back with.
    """

    def place(self, transport: str, late: int | None = None) -> Place:
        """
        A reader of two names over a connection that has just been opened.
        """
        place = Place(["a", "b"], {"a": at(6), "b": at(6 if late is None else late)})
        place.opened(transport)
        return place

    def test_live(self) -> None:
        """
        It comes back with the cursor of the last message, or of the last
        heartbeat.
        """
        for transport in ("stream", "sse", "websocket"):
            place = self.place(transport)
            place.took(Standing(at(6)))
            place.took(message(8))
            self.assertEqual(place.opened("poll"), ("e1-8", {}))
            place = self.place(transport)
            place.took(Standing(at(6)))
            place.took(message(8))
            place.took(Standing(at(9)))
            self.assertEqual(place.opened("poll"), ("e1-9", {}))

    def test_body(self) -> None:
        """
        Of a poll it adopts the cursor of the body, and none in it.
        """
        place = self.place("poll")
        place.took(message(8))
        self.assertEqual(place.opened("poll"), ("e1-6", {}))
        place.took(message(8))
        place.took(Standing(at(9)))
        self.assertEqual(place.opened("poll"), ("e1-9", {}))

    def test_replay(self) -> None:
        """
        In a replay it comes back with the cursor of the others, and for the
        late name with how far that has come.
        """
        place = self.place("stream", late=2)
        self.assertEqual(place.opened("stream"), ("e1-6", {"b": "e1-2"}))
        place.took(Standing(at(6)))
        self.assertEqual(place.opened("stream"), ("e1-6", {"b": "e1-2"}))
        place.took(Standing(at(6)))
        place.took(message(4, "b", replay=True))
        self.assertIsNone(place.ended())
        self.assertEqual(place.opened("stream"), ("e1-6", {"b": "e1-4"}))
        place.took(Standing(at(6)))
        place.took(Standing(at(6)))
        self.assertEqual(place.opened("stream"), ("e1-6", {}))

    def test_liveInReplay(self) -> None:
        """
        A live message before the end of a replay is a violation.
        """
        place = self.place("stream", late=2)
        place.took(Standing(at(6)))
        self.assertRaises(Violation, place.took, message(8))

    def test_ids(self) -> None:
        """
        Over C{sse} it comes back with the last id, and so repeats something
        if that was in a replay.
        """
        place = self.place("sse", late=2)
        place.took(Standing(at(2)))
        self.assertTrue(place.isReplay(message(4, "b")))
        place.took(message(4, "b"))
        self.assertEqual(place.ended(), Rewound(at(4)))
        self.assertEqual(place.opened("stream"), ("e1-4", {}))

    def test_idsAfterReplay(self) -> None:
        """
        After the replay it repeats nothing.
        """
        place = self.place("sse", late=2)
        for event in (Standing(at(2)), message(4, "b"), Standing(at(6)), message(7)):
            place.took(event)
        self.assertIsNone(place.ended())
        self.assertEqual(place.opened("stream"), ("e1-7", {}))

    def test_bodyInReplay(self) -> None:
        """
        A body that ends in a replay stands further back, and what the others
        had is repeated.
        """
        place = self.place("poll", late=2)
        place.took(message(4, "b", replay=True))
        self.assertEqual(place.took(Standing(at(4))), Rewound(at(4)))
        self.assertEqual(place.opened("poll"), ("e1-4", {}))

    def test_gap(self) -> None:
        """
        A gap of another epoch is adopted, with what was known before.
        """
        place = self.place("stream", late=2)
        told = place.took(Gap(at(3, "e2"), ("a", "b")))
        self.assertEqual(told, Told(("a", "b"), at(3, "e2"), {"a": 6, "b": 2}, "e1"))
        self.assertEqual(place.opened("stream"), ("e2-3", {}))

    def test_bodyGap(self) -> None:
        """
        So is one in a poll body, of which the cursor is that of the body.
        """
        place = self.place("poll", late=2)
        place.took(Gap(None, ("a", "b")))
        self.assertIsNone(place.took(Standing(at(3, "e2"))))
        self.assertEqual(place.opened("poll"), ("e2-3", {}))
