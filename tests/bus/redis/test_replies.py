"""
Tests for what reads the answers of scripts, and their pushes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis import (
    channelreplies,
    messagereplies,
    pushes,
    replies,
    statereplies,
    storedreplies,
    upkeepreplies,
)
from comet.bus.redis.replies import BadReply, NoLog, Overdue, channelOf, channelsOf
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.messages import Publication

ITEM = st.integers(-3, 10) | st.sampled_from(
    [
        b"OK",
        b"KEY",
        b"NONE",
        b"OVERDUE",
        b"abc",
        b"a",
        b"1\na",
        b"2 a\n3 b/\xff\n4",
        b"1.5\n\n\n1",
        b"\xff",
        None,
        1.5,
    ]
)
NAME = (
    ITEM
    | st.text("a0.-_$/*,\n\r\x00\u00e9", max_size=5).map(str.encode)
    | st.integers(250, 260).map(lambda size: b"a" * size)
)
REPLY = st.recursive(ITEM, lambda inner: st.lists(inner, max_size=14), max_leaves=20)

READERS: list[Callable[[Any], Any]] = [
    upkeepreplies.readAttached,
    upkeepreplies.readMore,
    channelreplies.readFoundChannels,
    channelreplies.readOrdered,
    lambda reply: channelreplies.readPositions(reply, 0, 5),
    lambda reply: channelreplies.readTails(reply, ["a", "b"]),
    lambda reply: messagereplies.readLogPage(reply, ["a", "b"]),
    lambda reply: messagereplies.readHistory(reply, "a", None),
    lambda reply: messagereplies.readHistory(reply, "a", Cursor("abc", 2)),
    statereplies.readStateChange,
    statereplies.readKept,
    lambda reply: storedreplies.readStored(reply, [[Publication(("a", "b"), b"1")]]),
]


class ReplyTests(SynchronousTestCase):
    """
    The functions that read the answers of scripts, and pushes.
    """

    @settings(deadline=None, max_examples=300)
    @given(st.lists(NAME, max_size=6))
    def test_names(self, values: list[Any]) -> None:
        """
        Names that are checked together are valid if each is by itself.
        """
        for value, found in zip(values, channelsOf(values), strict=True):
            if isinstance(found, NotOurs):
                with self.assertRaises(NotOurs):
                    channelOf(value)
            else:
                self.assertEqual(found, channelOf(value))

    def test_namesAreCheckedTogether(self) -> None:
        """
        Of names with usual characters, none is checked alone.
        """
        names = [f"a/{number}-_.x/$y" for number in range(1000)]
        calls: list[object] = []
        self.patch(replies, "checkStoredChannel", calls.append)
        self.assertEqual(channelsOf([name.encode() for name in names]), names)
        self.assertEqual(calls, [])

    @settings(deadline=None, max_examples=300)
    @given(REPLY | st.lists(ITEM, max_size=20).map(lambda items: [b"OK", b"abc", *items]))
    def test_anyReply(self, reply: Any) -> None:
        """
        Any answer is read or refused.
        """
        for reader in READERS:
            try:
                reader(reply)
            except (BadReply, NoLog, Overdue):
                continue

    @settings(deadline=None)
    @given(st.binary(max_size=40))
    def test_anyPush(self, data: bytes) -> None:
        """
        Any push is read or refused.
        """
        for reader in (lambda raw: pushes.readPushed(b"a", raw), pushes.readEndMoved):
            try:
                reader(data)
            except (BadReply, NotOurs):
                continue
