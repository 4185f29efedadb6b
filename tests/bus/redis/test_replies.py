"""
Tests for L{comet.bus.redis.replies}, L{comet.bus.redis.notifications} and
L{comet.bus.redis.topics}: what Redis says is not believed before it is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.listeners import Listeners
from comet.bus.redis import replies
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.replies import BadReply, NoLog, Overdue
from comet.bus.redis.topics import Topic, Topics
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from tests.bus.case import Listener

ITEM = st.integers(-3, 10) | st.sampled_from(
    [b"OK", b"KEY", b"NONE", b"OVERDUE", b"abc", b"a", b"1\na", b"1.5\n\n\n1", b"\xff", None, 1.5]
)
REPLY = st.recursive(ITEM, lambda inner: st.lists(inner, max_size=14), max_leaves=20)

READERS: list[Callable[[Any], Any]] = [
    replies.readCursor,
    replies.readMore,
    replies.readFoundChannels,
    lambda reply: replies.readTails(reply, ["a", "b"]),
    lambda reply: replies.readLogPage(reply, ["a", "b"]),
    lambda reply: replies.readStored(reply, [Publication(("a", "b"), b"1")]),
]


class ReplyTests(SynchronousTestCase):
    """
    What reads the answers of scripts.
    """

    @settings(deadline=None, max_examples=300)
    @given(REPLY | st.lists(ITEM, max_size=20).map(lambda items: [b"OK", b"abc", *items]))
    def test_any(self, reply: Any) -> None:
        """
        Whatever it is, it is read or refused.
        """
        for reader in READERS:
            try:
                reader(reply)
            except (BadReply, NoLog, Overdue):
                continue

    @settings(deadline=None)
    @given(st.binary(max_size=40))
    def test_anyPushed(self, data: bytes) -> None:
        """
        So is whatever is pushed.
        """
        for reader in (lambda raw: replies.readPushed("a", raw), replies.readEndMoved):
            try:
                reader(data)
            except BadReply:
                continue


class EarsTests(SynchronousTestCase):
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
        self.notifications = Notifications("v:", topics, listeners)
        self.notifications.began(Cursor("e", 5), isFirst=True)

    def say(self, *said: tuple[str, str]) -> None:
        """
        Push some things: C{"end"} or a channel, and what is said.
        """
        for topic, text in said:
            name = "v:head" if topic == "end" else f"v:m:{topic}"
            body = text if topic == "end" else f"{text}\n1.5\n\n\n1"
            self.notifications.pushed(name.encode(), body.encode())
        self.notifications.flush()

    def test_twice(self) -> None:
        """
        What comes for two topics is heard once; what nobody wants, not at all.
        """
        self.say(("a", "e 6"), ("a", "e 6"), ("b/c", "e 7"), ("b/c/d", "e 8"), ("end", "e 5 9"))
        self.assertEqual(self.listener.heard, [6, 7])
        self.assertEqual(self.notifications.end, Cursor("e", 9))

    def test_half(self) -> None:
        """
        Messages are heard also if the head is still on its way.
        """
        self.say(("a", "e 6"))
        self.assertEqual((self.listener.heard, self.notifications.end), ([6], Cursor("e", 6)))
        self.say(("a", "e 7"), ("end", "e 5 7"))
        self.assertEqual((self.listener.heard, self.notifications.end), ([6, 7], Cursor("e", 7)))
        self.assertEqual(self.listener.interruptions, [])

    def test_missed(self) -> None:
        """
        If the head comes from where it never was, something was missed.
        """
        self.say(("a", "e 8"), ("end", "e 7 8"))
        self.assertEqual((self.listener.heard, self.listener.interruptions), ([], [0]))
        self.assertEqual(self.notifications.end, Cursor("e", 8))

    def test_epoch(self) -> None:
        """
        A new epoch interrupts; what is left of another one is not heard.
        """
        self.say(("a", "e 6"), ("end", "f 0 0"), ("a", "f 1"), ("a", "e 7"), ("end", "f 0 1"))
        self.assertEqual((self.listener.heard, self.listener.interruptions), ([6, 1], [1]))
        self.assertEqual(self.notifications.end, Cursor("f", 1))

    def test_again(self) -> None:
        """
        A new connection interrupts, and begins where the log stands.
        """
        self.say(("a", "e 6"))
        self.notifications.began(Cursor("e", 9), isFirst=False)
        self.say(("a", "e 9"), ("a", "e 10"), ("end", "e 9 10"))
        self.assertEqual((self.listener.heard, self.listener.interruptions), ([6, 10], [1]))


class TopicTests(SynchronousTestCase):
    """
    L{Topics}.
    """

    def test_topics(self) -> None:
        """
        A channel is carried by its own topic; a pattern by one that matches it
        all, in which nothing else is special.
        """
        topics = Topics("{x}[1]:m:")
        for name, isGlob, text in (
            ("ab", False, "{x}[1]:m:ab"),
            ("a[1]/b", False, "{x}[1]:m:a[1]/b"),
            ("a[1]/*", True, "{x}\\[1\\]:m:a\\[1\\]/*"),
            ("\\a/**", True, "{x}\\[1\\]:m:\\\\a/*"),
            ("*/^", True, "{x}\\[1\\]:m:*/\\^"),
        ):
            self.assertEqual(topics.topicOf(name), Topic(isGlob, text.encode()))

    def test_shared(self) -> None:
        """
        A topic is needed from the first listener and name on that want it, to
        the last.
        """
        topics = Topics("")
        first, second = Listener(), Listener()
        glob = Topic(True, b"a/*")
        self.assertEqual(topics.add(first, ["a/*", "b"]), [glob, Topic(False, b"b")])
        self.assertEqual(topics.add(second, ["a/**", "b", "b"]), [])
        self.assertTrue(topics.isWanted("a/c/d"))
        self.assertEqual(topics.remove(first, ["a/*", "b", "c"]), [])
        self.assertEqual(topics.remove(first, ["a/**"]), [])
        self.assertEqual(topics.remove(second, ["a/**", "b"]), [glob, Topic(False, b"b")])
        self.assertFalse(topics.isWanted("a/c"))
        self.assertEqual(list(topics), [])
