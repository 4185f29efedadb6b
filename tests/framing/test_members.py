"""
Tests for L{comet.framing.members} and L{comet.model.presence}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage
from comet.framing.members import (
    MOST_INFO,
    checkMemberName,
    encodeInfo,
    encodeMember,
    encodePage,
    readMember,
    splitMember,
)
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.presence import Member, MemberPage, goneMember, presenceChannel

values = st.recursive(
    st.none() | st.booleans() | st.integers(-100, 100) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


class MemberTests(SynchronousTestCase):
    """
    Members as JSON.
    """

    @given(names, values)
    def test_readsWhatWasWritten(self, client: str, info: Any) -> None:
        """
        What is written of a member is JSON of its name and info, and is read again.
        """
        encoded = encodeInfo(info)
        payload = encodeMember(client, encoded)
        expected = {"client": client} if info is None else {"client": client, "info": info}
        self.assertEqual(json.loads(payload), expected)
        self.assertEqual(splitMember(payload, client), encoded)
        member = readMember(client, encoded, 2, 5)
        self.assertEqual(member, Member(client, encoded, 2, 5.0))
        page = MemberPage(Cursor("e", 7), 3, 2, 1, [member, member], True)
        shown = {**expected, "connections": 2, "since": 5.0}
        told = {
            "cursor": "e-7",
            "count": 2,
            "anonymous": 1,
            "members": [shown, shown],
            "more": True,
        }
        self.assertEqual(json.loads(encodePage(page)), told)

    def test_encodesEmptyPage(self) -> None:
        """
        Where there are no more members, that is left out.
        """
        page = MemberPage(Cursor("e", 7), 0, 0, 0)
        expected = b'{"cursor":"e-7","count":0,"anonymous":0,"members":[]}'
        self.assertEqual(encodePage(page), expected)

    def test_encodesInfoAlike(self) -> None:
        """
        The order of keys makes no difference, at any depth.
        """
        one = encodeInfo({"b": [{"y": 1, "x": 2}], "a": 0})
        self.assertEqual(one, encodeInfo({"a": 0, "b": [{"x": 2, "y": 1}]}))
        self.assertIsNone(encodeInfo(None))

    def test_refusesInfo(self) -> None:
        """
        What is no value of JSON is not shown.
        """
        for info in (object(), {"a": float("inf")}, {1: 2}, {1: 2, "a": 3}, "\ud800"):
            self.assertRaises(BadMessage, encodeInfo, info)

    def test_refusesWhatIsNotOurs(self) -> None:
        """
        A store's entries are refused where comet cannot have written them.
        """
        for name in ("", "a\n", "x" * 256, b"a", None):
            self.assertRaises(NotOurs, checkMemberName, name)
        for part in (
            {"client": ""},
            {"info": "1"},
            {"info": b"<"},
            {"info": b"1 "},
            {"info": b"nonsense"},
            {"info": b'"%b"' % (b"x" * MOST_INFO)},
            {"connections": -1},
            {"connections": 2**31},
            {"connections": True},
            {"since": -1.0},
            {"since": float("nan")},
            {"since": "1"},
        ):
            good: dict[str, Any] = {"client": "a", "info": b"1", "connections": 1, "since": 1.0}
            self.assertRaises(NotOurs, readMember, **{**good, **part})

    def test_refusesPayloads(self) -> None:
        """
        What is told of another client, or has something else in it, is refused.
        """
        for payload in (
            b"",
            b'{"client":"bob"}',
            b'{"client":"ada"',
            b'{"client":"ada","other":1}',
        ):
            self.assertRaises(NotOurs, splitMember, payload, "ada")
        for info in (b"", b'1,"more":2', b"<"):
            split = splitMember(b'{"client":"ada","info":%b}' % info, "ada")
            self.assertRaises(NotOurs, readMember, "ada", split, 1, 1.0)

    def test_namesChannels(self) -> None:
        """
        The channel that tells of a channel has a prefix, unless its name would be too
        long.
        """
        self.assertEqual(presenceChannel("chat/a"), "$presence/chat/a")
        self.assertEqual(len(presenceChannel("x" * 245)), 255)
        self.assertEqual(presenceChannel("x" * 246), "")
        self.assertEqual(presenceChannel("é" * 123), "")

    def test_refusesPagesAfterNobody(self) -> None:
        """
        The error for a page after a client that has left says which.
        """
        self.assertIn("'ada'", goneMember("ada").detail)
