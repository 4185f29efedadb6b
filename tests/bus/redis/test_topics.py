"""
Tests for L{comet.bus.redis.topics}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis.topics import Topic, Topics
from comet.testing.case import Listener


class TopicsTests(SynchronousTestCase):
    """
    L{Topics}.
    """

    def test_topicOfName(self) -> None:
        """
        A channel has a topic of its own.  A pattern has a topic that matches
        all its channels, in which no other character has a meaning.
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

    def test_needsTopicOnce(self) -> None:
        """
        A topic is needed from the first listener and name that need it until
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
