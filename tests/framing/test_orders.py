"""
Tests of L{comet.framing.orders}.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadMessage, BadRequest
from comet.framing.orders import (
    MAX_NAMES,
    MAX_ORDER,
    MAX_PAYLOAD,
    MAX_SECONDS,
    MAX_SUBJECT,
    Order,
    encodeOrder,
    readOrder,
    readOrderBody,
    readOrderPayload,
    readPayload,
)
from comet.model.channels import MAX_NAME_BYTES
from comet.model.clients import Client, Known
from comet.model.state import MAX_KEY

_texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_orders = st.builds(
    lambda subject, isToken, channels, before, seconds: Order(
        "" if isToken else subject, subject if isToken else "", channels, before, seconds
    ),
    _texts,
    st.booleans(),
    st.sampled_from([(), ("a",), ("a/*", "b", "$presence/a"), ("**",)]),
    st.none() | st.floats(-1e9, 1e11),
    st.none() | st.floats(0.001, 1e9),
)


class OrderTests(SynchronousTestCase):
    """
    L{readOrder} and its like.
    """

    @given(_orders)
    def test_roundTrip(self, order: Order) -> None:
        """
        What a node writes for the others is read as it was.
        """
        self.assertEqual(readOrderPayload(encodeOrder(order, "id"), True), ("id", order))

    def test_refused(self) -> None:
        """
        What is no order is refused, with what is wrong with it.
        """
        for value, part in (
            ([], "a JSON object"),
            ({}, "either a client or a token"),
            ({"client": "a", "token": "b"}, "and not both"),
            ({"client": ""}, "1 to 255 characters"),
            ({"client": "x" * 256}, "1 to 255 characters"),
            ({"token": 7}, "1 to 255 characters"),
            ({"client": "a", "channel": "b"}, "'channel' is no member"),
            ({"client": "a", "channels": []}, "list of 1 to 32"),
            ({"client": "a", "channels": ["a"] * (MAX_NAMES + 1)}, "list of 1 to 32"),
            ({"client": "a", "channels": "a"}, "list of 1 to 32"),
            ({"client": "a", "channels": [1]}, "is a text"),
            ({"client": "a", "channels": ["a//b"]}, "is not valid"),
            ({"client": "a", "channels": ["$control"]}, "the server's own"),
            ({"client": "a", "seconds": 0}, "are allowed"),
            ({"client": "a", "seconds": 1e300}, "are allowed"),
            ({"client": "a", "seconds": True}, "a finite number"),
            ({"client": "a", "seconds": None}, "a finite number"),
            ({"client": "a", "issuedBefore": "now"}, "a finite number"),
            ({"client": "a", "issuedBefore": float("inf")}, "a finite number"),
        ):
            error = self.assertRaises(BadRequest, readOrder, value, True)
            self.assertIn(part, error.detail, value)

    def test_disconnecting(self) -> None:
        """
        An order to disconnect has no time.
        """
        self.assertEqual(readOrder({"client": "a", "channels": ["a", "a"]}, False).channels, ("a",))
        for name in ("seconds", "issuedBefore"):
            self.assertRaises(BadRequest, readOrder, {"client": "a", name: 1}, False)

    def test_body(self) -> None:
        """
        A body is strict JSON, and not long.
        """
        self.assertEqual(readOrderBody(b'{"client":"a"}', False), Order("a"))
        self.assertRaises(BadMessage, readOrderBody, b"client=a", False)
        self.assertRaises(BadMessage, readOrderBody, b'{"client":[[[[["a"]]]]]}', False)
        self.assertRaises(BadRequest, readOrderBody, b" " * (MAX_ORDER + 1), False)

    def test_membersTwice(self) -> None:
        """
        An order that says something twice is refused: a program that takes the first does not
        know that the last counts.
        """
        for body in (
            b'{"client":"ada","client":"bob"}',
            b'{"client":"ada","seconds":1,"seconds":9}',
            b'{"client":"ada","cli\\u0065nt":"ada"}',
        ):
            error = self.assertRaises(BadRequest, readOrderBody, body, True)
            self.assertIn("twice", error.detail)

    def test_payload(self) -> None:
        """
        A payload that no node can have written is refused.
        """
        values: list[Any] = [7, {}, {"id": 7}, {"id": ""}, {"id": "x" * (MAX_KEY + 1)}]
        for value in values:
            self.assertRaises(BadRequest, readPayload, json.dumps(value).encode())
        longest = "x" * MAX_KEY
        self.assertEqual(readPayload(b'{"id":"%b"}' % longest.encode()), (longest, {}))
        self.assertRaises(BadRequest, readPayload, b"{")
        self.assertEqual(readPayload(b'{"id":"x"}'.ljust(MAX_PAYLOAD)), ("x", {}))
        self.assertRaises(BadRequest, readPayload, b'{"id":"x"}'.ljust(MAX_PAYLOAD + 1))

    def test_longest(self) -> None:
        """
        The longest order is taken, and what a node writes of it for the others is read.
        """
        # Of these, JSON has six bytes for one.
        names = [f"{number:02d}".ljust(MAX_NAME_BYTES, "<") for number in range(MAX_NAMES)]
        fields = {
            "client": "\x01" * MAX_SUBJECT,
            "channels": names,
            "seconds": MAX_SECONDS,
            "issuedBefore": -1.2345678901234567e-100,
        }
        body = json.dumps(fields).encode().ljust(MAX_ORDER)
        order = readOrderBody(body, True)
        self.assertEqual(order.channels, tuple(names))
        longest = "x" * MAX_KEY
        self.assertEqual(readOrderPayload(encodeOrder(order, longest), True), (longest, order))

    def test_concerns(self) -> None:
        """
        An order concerns a client by its name, however it is known, or by its token.
        """
        known = Client("ada", known=Known.TOKEN, credentialID="t")
        self.assertTrue(Order(client="ada").concerns(known))
        self.assertTrue(Order(client="ada").concerns(Client("ada", known=Known.HOOK)))
        self.assertFalse(Order(client="bob").concerns(known))
        self.assertTrue(Order(token="t").concerns(known))
        self.assertFalse(Order(token="ada").concerns(known))
