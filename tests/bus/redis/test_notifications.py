"""
Tests for L{comet.bus.redis.notifications}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.bus.listeners import Listeners
from comet.bus.redis import notifications
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.topics import Topics
from comet.model.cursors import Cursor
from comet.testing.case import Listener


class NotificationsTests(SynchronousTestCase):
    """
    L{Notifications}.
    """

    def setUp(self) -> None:
        """
        Listen to a channel and a pattern.
        """
        self.listener = Listener()
        listeners = Listeners()
        topics = Topics("v:m:")
        listeners.add(self.listener, ["a", "b/*"])
        topics.add(self.listener, ["a", "b/*"])
        self.refused: list[object] = []
        self.notifications = Notifications("v:", topics, listeners, self.refused.append)
        self.notifications.began(Cursor("e", 5), isFirst=True)

    def say(self, *said: tuple[str, str]) -> None:
        """
        Push some topics, each C{"end"} or a channel, with their data.
        """
        for topic, text in said:
            name = "v:head" if topic == "end" else f"v:m:{topic}"
            body = text if topic == "end" else f"{text}\n1.5\n\n\n1"
            self.notifications.pushed(name.encode(), body.encode())
        self.notifications.flush()

    def test_hearsMessageOnce(self) -> None:
        """
        A message that comes on two topics is heard once.  A message that no
        listener needs is not heard.
        """
        self.say(("a", "e 6"), ("a", "e 6"), ("b/c", "e 7"), ("b/c/d", "e 8"), ("end", "e 5 9"))
        self.assertEqual(self.listener.heard, [6, 7])
        self.assertEqual(self.notifications.end, Cursor("e", 9))

    def test_hearsMessagesWithEnd(self) -> None:
        """
        Messages are heard once the log end has followed, in whatever pieces the
        pushes come.
        """
        self.say(("a", "e 6"))
        self.assertEqual((self.listener.heard, self.notifications.end), ([], Cursor("e", 5)))
        self.say(("a", "e 7"), ("end", "e 5 7"))
        self.assertEqual((self.listener.heard, self.notifications.end), ([6, 7], Cursor("e", 7)))
        self.assertEqual(self.listener.interruptions, [])

    def test_foreignPositionHidesNothing(self) -> None:
        """
        A foreign message with a position that is not reached yet is not heard,
        and those that come at lower positions are.
        """
        self.say(("a", "e 900"), ("a", "e 7"))
        self.say(("a", "e 6"), ("end", "e 5 6"))
        self.say(("b/c", "e 7"), ("end", "e 6 7"))
        self.assertEqual((self.listener.heard, self.notifications.end), ([6, 7], Cursor("e", 7)))
        self.assertEqual(self.listener.messages[-1].channel, "b/c")

    def test_foreignEndInterrupts(self) -> None:
        """
        After a foreign move of the log end, each move interrupts the listeners,
        so that they read the log.
        """
        self.say(("end", "e 5 900"))
        self.say(("a", "e 6"), ("end", "e 5 6"))
        self.say(("a", "e 7"), ("end", "e 6 7"))
        self.assertEqual(len(self.listener.interruptions), 2)

    def test_foreignMessagesAreBounded(self) -> None:
        """
        Pushed messages that the log end never follows are forgotten at a bound,
        and the listeners are interrupted.
        """
        self.patch(notifications, "MOST_PENDING", 5000)
        self.say(*(("a", f"e {position}") for position in range(6, 1000)))
        self.assertEqual(self.listener.heard, [])
        self.assertEqual(self.listener.interruptions, [0])
        self.assertGreater(len(self.refused), 10)

    def test_interruptsAfterLostPush(self) -> None:
        """
        If the end moves from a position where it was not, listeners are
        interrupted.
        """
        self.say(("a", "e 8"), ("end", "e 7 8"))
        self.assertEqual((self.listener.heard, self.listener.interruptions), ([], [0]))
        self.assertEqual(self.notifications.end, Cursor("e", 8))

    def test_interruptsOnNewEpoch(self) -> None:
        """
        A new epoch interrupts listeners.  Late messages of another epoch are
        not heard.
        """
        self.say(
            ("a", "e 6"),
            ("end", "e 5 6"),
            ("end", "f 0 0"),
            ("a", "f 1"),
            ("a", "e 7"),
            ("end", "f 0 1"),
        )
        self.assertEqual((self.listener.heard, self.listener.interruptions), ([6, 1], [1]))
        self.assertEqual(self.notifications.end, Cursor("f", 1))

    def test_interruptsOnNewConnection(self) -> None:
        """
        A new connection interrupts listeners, and goes on from the end of the
        log.
        """
        self.say(("a", "e 6"), ("end", "e 5 6"))
        self.notifications.began(Cursor("e", 9), isFirst=False)
        self.say(("a", "e 9"), ("a", "e 10"), ("end", "e 9 10"))
        self.assertEqual((self.listener.heard, self.listener.interruptions), ([6, 10], [1]))
