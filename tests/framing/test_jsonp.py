"""
Tests of L{comet.framing.jsonp}.
"""

from __future__ import annotations

import json
import string

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest
from comet.framing.envelope import encodeEnvelope
from comet.framing.jsonp import checkCallback, encodeCall, encodeExpression
from comet.framing.pollbody import encodePollBody
from comet.model.messages import Message
from tests.framing.browsers import HOSTILE, readCall
from tests.framing.readers import CURSOR, MESSAGES, makeMessage

BEGINNINGS = string.ascii_letters + "_$"
NAMES = st.builds(
    str.__add__,
    st.sampled_from(BEGINNINGS),
    st.text(BEGINNINGS + string.digits, max_size=12),
)
CALLBACKS = st.lists(NAMES, min_size=1, max_size=4).map(".".join)


class CallbackTests(SynchronousTestCase):
    """
    L{checkCallback}.
    """

    @settings(deadline=None)
    @given(CALLBACKS)
    def test_acceptsDottedNames(self, callback: str) -> None:
        """
        A dotted name is a callback.
        """
        self.assertEqual(checkCallback(callback), callback)

    def test_refusesOtherText(self) -> None:
        """
        Any other text is refused, also one that is valid in a script, and the
        error shows it.
        """
        for callback in (
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "1a",
            "a.1",
            "a b",
            " a",
            "a\n",
            "a-b",
            "a[0]",
            "a['b']",
            "alert(1)//",
            "a;b",
            "a=b",
            "</script>",
            "ä",
            "a\u2028",
            "a\0",
            "cb\N{FULLWIDTH DIGIT ONE}",
            "a`b`",
            "\\u0061",
        ):
            error = self.assertRaises(BadRequest, checkCallback, callback)
            self.assertIn(repr(callback), error.detail)
            self.assertIn("128", error.detail)

    def test_boundsLength(self) -> None:
        """
        A callback has at most 128 characters, and the error shows only the
        start of a longer one.
        """
        self.assertEqual(checkCallback("a" * 128), "a" * 128)
        error = self.assertRaises(BadRequest, checkCallback, "a" * 129)
        self.assertNotIn("a" * 65, error.detail)

    @settings(deadline=None)
    @given(st.text())
    def test_acceptsOnlyLetters(self, text: str) -> None:
        """
        A text that is accepted has only the characters that a name may have.
        """
        try:
            checkCallback(text)
        except BadRequest:
            return
        self.assertLessEqual(set(text), set(BEGINNINGS + string.digits + "."))


class ExpressionTests(SynchronousTestCase):
    """
    L{encodeExpression}.
    """

    def test_computesPrototypeKey(self) -> None:
        """
        The key C{__proto__} of every object is written as a computed one.
        """
        for value, expression in (
            ({"__proto__": 1}, b'{["__proto__"]:1}'),
            ({"a": 1, "__proto__": {"__proto__": []}}, b'{"a":1,["__proto__"]:{["__proto__"]:[]}}'),
            ([{"__proto__": 1}, "__proto__"], b'[{["__proto__"]:1},"__proto__"]'),
        ):
            self.assertEqual(encodeExpression(makeMessage(value).payload), expression)

    def test_keepsTheRest(self) -> None:
        """
        All other JSON is kept as it is, also text that looks like the key in a
        string.
        """
        for value in (*HOSTILE, {"__proto": 1, "a__proto__": 2, "_": '{"__proto__":'}, None):
            payload = makeMessage(value).payload
            self.assertEqual(encodeExpression(payload), payload)


class CallTests(SynchronousTestCase):
    """
    L{encodeCall}.
    """

    def test_encodesCall(self) -> None:
        """
        A call starts with a comment and has one argument.
        """
        body = encodePollBody(CURSOR, [])
        self.assertEqual(
            encodeCall("app.cb", body), b'/**/app.cb({"cursor":"k3f9a2-1042","messages":[]});'
        )

    @settings(deadline=None)
    @given(CALLBACKS, st.lists(MESSAGES | st.sampled_from(HOSTILE).map(makeMessage), max_size=3))
    def test_callsWithAnyBody(self, callback: str, messages: list[Message]) -> None:
        """
        The function is called with the body, for any messages in it.
        """
        body = encodePollBody(CURSOR, [encodeEnvelope(message) for message in messages])
        script = encodeCall(callback, body).decode("utf-8")
        self.assertTrue(script.startswith("/**/"))
        call = readCall(script[4:])
        self.assertEqual((call.function, call.arguments), (callback, [json.loads(body)]))
