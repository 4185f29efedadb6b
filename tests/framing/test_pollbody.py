"""
Tests of L{comet.framing.pollbody}.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.envelope import encodeEnvelope
from comet.framing.pollbody import encodePollBody
from comet.model.messages import Close, Message
from tests.framing.readers import CLOSES, CURSOR, MESSAGES, NAMES


class PollBodyTests(SynchronousTestCase):
    """
    L{encodePollBody}.
    """

    def test_emptyHasCursor(self) -> None:
        """
        A body without messages has the cursor.
        """
        self.assertEqual(encodePollBody(CURSOR, []), b'{"cursor":"k3f9a2-1042","messages":[]}')

    def test_listsEnvelopes(self) -> None:
        """
        The envelopes are the items of a list.
        """
        self.assertEqual(
            encodePollBody(CURSOR, [b'{"a":1}', b'{"b":2}']),
            b'{"cursor":"k3f9a2-1042","messages":[{"a":1},{"b":2}]}',
        )

    def test_appendsGapMoreAndClose(self) -> None:
        """
        The keys C{gap}, C{more} and C{close} follow if they apply.
        """
        close = Close("lagging", "too slow")
        self.assertEqual(
            encodePollBody(CURSOR, [], ["news", "a<"], True, close),
            b'{"cursor":"k3f9a2-1042","messages":[],"gap":["news","a\\u003c"],"more":true,'
            b'"close":{"code":"lagging","message":"too slow","retry":null}}',
        )

    @settings(deadline=None)
    @given(
        st.lists(MESSAGES, max_size=3),
        st.lists(NAMES, max_size=3),
        st.booleans(),
        st.none() | CLOSES,
    )
    def test_encodesAnything(
        self, messages: list[Message], gap: list[str], more: bool, close: Close | None
    ) -> None:
        """
        For any values the body is JSON with all of them and nothing else.
        """
        envelopes = [encodeEnvelope(message) for message in messages]
        raw = encodePollBody(CURSOR, envelopes, gap, more, close)
        body = json.loads(raw)
        self.assertEqual(body.pop("cursor"), str(CURSOR))
        self.assertEqual(body.pop("messages"), [json.loads(each) for each in envelopes])
        self.assertEqual(body.pop("gap", []), gap)
        self.assertIs(body.pop("more", False), more)
        self.assertEqual(
            body.pop("close", None),
            close and {"code": close.code, "message": close.message, "retry": close.retry},
        )
        self.assertEqual(body, {})
        for part in (b"<", b"\n", "\u2028".encode(), "\u2029".encode()):
            self.assertFalse(part in raw)
