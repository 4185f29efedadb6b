"""
Tests of L{comet.client.received}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.client.failures import BadAnswer
from comet.client.received import (
    Closing,
    Envelope,
    Member,
    Message,
    Presence,
    readEnvelope,
    readPollBody,
    readPresence,
)
from comet.framing.envelope import (
    encodeClose,
    encodeCursor,
    encodeEnded,
    encodeEnvelope,
    encodeGap,
)
from comet.model.cursors import Cursor
from comet.model.messages import Close
from comet.model.messages import Message as Stored

AT = Cursor("k3f9a2", 7)

# Values that come near to what the server sends.
SCALARS = st.none() | st.booleans() | st.integers() | st.sampled_from(["a", "k3f9a2-7", "base64"])
KEYS = (
    "channel cursor time event encoding replay data gap close ended names code message retry "
    "messages more members client count anonymous info since"
).split()
OBJECTS = st.dictionaries(
    st.sampled_from(KEYS), SCALARS | st.lists(SCALARS, max_size=2), max_size=6
)
NEAR = st.dictionaries(
    st.sampled_from(KEYS), SCALARS | OBJECTS | st.lists(SCALARS | OBJECTS, max_size=2), max_size=6
)


class EnvelopeTests(SynchronousTestCase):
    """
    L{readEnvelope}.
    """

    def test_message(self) -> None:
        """
        A message has its channel, cursor, data, event, time, and whether it is replayed.
        """
        stored = Stored("a/b", "k3f9a2", 7, 12.5, b'{"x":[1,"\\u003c"]}', "made")
        self.assertEqual(
            readEnvelope(encodeEnvelope(stored, time=True, replay=True)),
            Envelope(AT, ((AT, Message("a/b", "k3f9a2-7", {"x": [1, "<"]}, "made", 12.5, True)),)),
        )

    def test_bytes(self) -> None:
        """
        The data of bytes are bytes.
        """
        stored = Stored("a", "k3f9a2", 7, 1.0, b'"AP8="', None, "base64")
        ((_, message),) = readEnvelope(encodeEnvelope(stored)).messages
        self.assertEqual(message, Message("a", "k3f9a2-7", b"\x00\xff"))

    def test_others(self) -> None:
        """
        A cursor, a gap, the end of names, and the end of all.
        """
        self.assertEqual(readEnvelope(encodeCursor(AT)), Envelope(AT))
        self.assertEqual(readEnvelope(encodeGap(AT, ["a"])), Envelope(AT, gap=("a",)))
        self.assertEqual(
            readEnvelope(encodeEnded(AT, ["a"], "expired")),
            Envelope(AT, ended=("a",), endedCode="expired"),
        )
        for retry, told in ((2.5, 2.5), (None, None), (1e9, 3600.0), (-1.0, 0.0)):
            self.assertEqual(
                readEnvelope(encodeClose(AT, Close("draining", "why", retry))).close,
                Closing("draining", "why", told),
            )

    def test_refused(self) -> None:
        """
        Anything else is refused.
        """
        others: list[dict[str, Any]] = [
            {},
            {"cursor": 7},
            {"cursor": "7"},
            {"channel": 1, "data": 1},
            {"channel": "a"},
            {"channel": "a", "data": 1, "event": 1},
            {"channel": "a", "data": 1, "encoding": "gzip"},
            {"channel": "a", "data": "!", "encoding": "base64"},
            {"channel": "a", "data": 1, "time": True},
            {"gap": "a"},
            {"gap": [1]},
            {"ended": []},
            {"ended": {"names": ["a"], "code": 1}},
            {"close": {}},
            {"close": {"code": "a", "message": 1}},
        ]
        for fields in others:
            value = {"cursor": "k3f9a2-7", **fields} if fields else {}
            self.assertRaises(BadAnswer, readEnvelope, json.dumps(value).encode())
        for raw in (b"", b"[]", b"{", b"\xff", b"[" * 10000, b'{"cursor":"k-1"}{}'):
            self.assertRaises(BadAnswer, readEnvelope, raw)

    @settings(deadline=None)
    @given(NEAR)
    def test_any(self, value: Any) -> None:
        """
        Whatever JSON arrives is read or refused, and raises no other error.
        """
        for read in (readEnvelope, readPollBody, readPresence):
            try:
                read(json.dumps(value).encode())
            except BadAnswer:
                pass


class BodyTests(SynchronousTestCase):
    """
    L{readPollBody} and L{readPresence}.
    """

    def test_poll(self) -> None:
        """
        A body has its messages, where it ends, and whether there is more.
        """
        body = {
            "cursor": "k3f9a2-9",
            "messages": [{"channel": "a", "cursor": "k3f9a2-7", "data": 1}],
            "gap": ["a"],
            "more": True,
        }
        self.assertEqual(
            readPollBody(json.dumps(body).encode()),
            Envelope(
                Cursor("k3f9a2", 9),
                ((AT, Message("a", "k3f9a2-7", 1)),),
                ("a",),
                isBody=True,
                more=True,
            ),
        )
        wrong: list[Any] = [None, [1], [{}]]
        for messages in wrong:
            raw = json.dumps({**body, "messages": messages}).encode()
            self.assertRaises(BadAnswer, readPollBody, raw)

    def test_presence(self) -> None:
        """
        The members have their names, what they show, and when they came.
        """
        ada = {"client": "ada", "info": {"role": 1}, "since": 5.5}
        body = {"cursor": "k3f9a2-7", "count": 2, "anonymous": 1, "members": [ada, {"client": "b"}]}
        self.assertEqual(
            readPresence(json.dumps(body).encode()),
            Presence("k3f9a2-7", 2, 1, (Member("ada", {"role": 1}, 5.5), Member("b"))),
        )
        wrong: list[dict[str, Any]] = [{"count": "2"}, {"members": [{}]}, {"members": 1}]
        for fields in wrong:
            self.assertRaises(BadAnswer, readPresence, json.dumps({**body, **fields}).encode())
