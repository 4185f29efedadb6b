"""
Tests of L{comet.hooks.webhooks}: what the backend is asked about what clients do.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from comet.errors import CometError, Forbidden, NotFound
from comet.hooks.webhooks import Webhooks
from comet.http.outgoing import ASKED
from comet.interfaces.hooks import IHooks
from comet.model.clients import ANONYMOUS, Client
from comet.model.hookanswers import Allowed, Rewritten
from comet.model.messages import Publication
from tests.hooks.case import NOW, HookTestCase

ADA = Client("ada")
MESSAGE = Publication(("news",), b'{"a":1}', "rise", None, "client:ada", "key")
BYTES = Publication(("news",), b'"AA=="', None, "base64")


class WebhooksTests(HookTestCase):
    """
    A backend that answers when a test does.
    """

    def setUp(self) -> None:
        """
        Make the webhooks.
        """
        super().setUp()
        self.webhooks = Webhooks(self.sender, ASKED, isLenient=False)

    def answered(self, asked: Any, answer: object) -> Any:
        """
        Answer the last question.

        @return: What was made of it.
        """
        assert isinstance(asked, Deferred)
        self.sent[-1].reply(answer)
        return self.successResultOf(asked)

    def code(self, asked: Any) -> str:
        """
        Return the code of the error with which a question ends.
        """
        error = self.failureResultOf(asked, CometError).value
        assert isinstance(error, CometError)
        return error.code

    def test_interface(self) -> None:
        """
        It provides the interface.
        """
        verifyObject(IHooks, self.webhooks)

    def test_questions(self) -> None:
        """
        Each question has what the interface names.
        """
        self.webhooks.subscribe(ADA, ["news", "chat/*"])
        self.webhooks.publish(ANONYMOUS, MESSAGE)
        self.webhooks.publish(ADA, BYTES)
        self.webhooks.call(ADA, "sum", [1, 2])
        self.webhooks.call(ADA, "sum", b"\0")
        same = {"time": NOW, "client": "ada"}
        self.assertEqual(
            [sent.json for sent in self.sent],
            [
                {**same, "type": "subscribe", "names": ["news", "chat/*"]},
                {
                    **same,
                    "type": "publish",
                    "client": None,
                    "channel": "news",
                    "event": "rise",
                    "data": {"a": 1},
                    "encoding": None,
                },
                {
                    **same,
                    "type": "publish",
                    "channel": "news",
                    "event": None,
                    "data": "AA==",
                    "encoding": "base64",
                },
                {**same, "type": "call", "method": "sum", "data": [1, 2], "encoding": None},
                {**same, "type": "call", "method": "sum", "data": "AA==", "encoding": "base64"},
            ],
        )

    def test_publishAnswers(self) -> None:
        """
        A message is let be, or rewritten.
        """
        for answer, made in (
            ({}, None),
            ({"data": None}, Rewritten(None)),
            ({"data": 1, "event": "x"}, Rewritten(1, "x")),
            ({"event": None, "data": "AA==", "encoding": "base64"}, Rewritten(b"\0", None)),
        ):
            self.assertEqual(self.answered(self.webhooks.publish(ADA, MESSAGE), answer), made)

    def test_subscribeAnswers(self) -> None:
        """
        Names are let be, for a time, and may begin elsewhere.
        """
        for answer, made in (
            ({}, Allowed()),
            ({"expires": 5}, Allowed(expires=5.0)),
            ({"since": "-3"}, Allowed("-3")),
            ({"since": {"news": "earliest"}}, Allowed({"news": "earliest"})),
        ):
            self.assertEqual(self.answered(self.webhooks.subscribe(ADA, ["news"]), answer), made)

    def test_callAnswers(self) -> None:
        """
        A call is answered with data.
        """
        for answer, made in (
            ({}, None),
            ({"data": [1]}, [1]),
            ({"data": "AA==", "encoding": "base64"}, b"\0"),
        ):
            self.assertEqual(self.answered(self.webhooks.call(ADA, "m", None), answer), made)

    def test_refusals(self) -> None:
        """
        An error of the backend's is that of the client.
        """
        for asked in self.each():
            self.sent[-1].reply({"error": {"code": "forbidden", "message": "not you"}})
            error = self.failureResultOf(asked, Forbidden).value
            self.assertEqual(error.detail, "not you")

    def each(self) -> Any:
        """
        Ask each question.
        """
        yield self.webhooks.subscribe(ADA, ["news"])
        yield self.webhooks.publish(ADA, MESSAGE)
        yield self.webhooks.call(ADA, "m", 1)

    def test_noAnswer(self) -> None:
        """
        What gets no answer is unavailable; or is let be, but for calls, where that is
        wanted.
        """
        nonsense: list[tuple[object, int]] = [
            (b"<html>", 200),
            (b"[]", 200),
            (b"", 500),
            (b"", 302),
        ]
        for lenient in (False, True):
            self.webhooks.isLenient = lenient
            for body, status in nonsense:
                for index, asked in enumerate(self.each()):
                    self.sent[-1].reply(body, status)
                    if lenient and index < 2:
                        self.assertIsNone(self.successResultOf(asked))
                    else:
                        self.assertEqual(self.code(asked), "unavailable")
            late = list(self.each())
            self.clock.advance(6)
            if lenient:
                self.assertEqual([self.successResultOf(each) for each in late[:2]], [None, None])
                late = late[2:]
            self.assertEqual({self.code(each) for each in late}, {"unavailable"})

    def test_answersThatAreNotAllowed(self) -> None:
        """
        An answer that says what is not allowed is unavailable in any case; so is a refusal
        of another form.
        """
        self.webhooks.isLenient = True
        refusals: list[dict[str, Any]] = [
            {"error": 5},
            {"error": "forbidden"},
            {"error": {"message": "no"}},
            {"error": {"code": "forbidden", "message": 5}},
        ]
        bad: dict[str, list[dict[str, Any]]] = {
            "subscribe": [
                {"since": 5},
                {"since": "yesterday"},
                {"since": ["-3"]},
                {"since": {"a//b": "-3"}},
                {"since": {"news": None, "a": 5}},
                {"expires": "long"},
                {"expires": -1},
            ],
            "publish": [
                {"event": 5},
                {"data": 1, "encoding": "base64"},
                {"data": "AA==", "encoding": "hex"},
                {"encoding": "base64"},
            ],
            "call": [{"data": 1, "encoding": "base64"}],
        }
        for kind, asked in zip(bad, range(3), strict=True):
            for answer in bad[kind] + refusals:
                question = list(self.each())[asked]
                self.sent[asked - 3].reply(answer)
                self.assertEqual(self.code(question), "unavailable", answer)

    def test_whatIsNotAsked(self) -> None:
        """
        What the backend is not asked is let be; a call has nobody to answer it.
        """
        webhooks = Webhooks(self.sender, ["connect"], isLenient=False)
        self.assertIsNone(webhooks.subscribe(ADA, ["news"]))
        self.assertIsNone(webhooks.publish(ADA, MESSAGE))
        self.assertRaises(NotFound, webhooks.call, ADA, "m", None)
        self.assertEqual(self.sent, [])

    def test_noWayAround(self) -> None:
        """
        A client that asks more than the backend can answer does not get past it, even where
        its silence lets messages be: it is not silent.
        """
        self.makeSender(concurrency=1).places.most = 3
        webhooks = Webhooks(self.sender, ASKED, isLenient=True)

        def publish(count: int) -> list[Deferred[Any]]:
            asked = [webhooks.publish(ADA, MESSAGE) for _ in range(count)]
            return [each for each in asked if each is not None]

        *hang, beyond = publish(4)
        self.assertEqual(self.code(beyond), "unavailable")
        # Nothing was ever answered: the backend is away.
        self.clock.advance(6)
        self.assertEqual([self.successResultOf(each) for each in hang], [None] * 3)
        slow, *waits = publish(3)
        self.clock.advance(3)
        self.sent[-1].reply({})
        self.assertIsNone(self.successResultOf(slow))
        # One of these is asked now, for whose answer little time is left.
        self.clock.advance(2.2)
        self.assertEqual([self.code(each) for each in waits], ["unavailable"] * 2)
        self.assertEqual(self.sender.load, (0, 0))

    def test_bounded(self) -> None:
        """
        Only so many questions, and bytes, wait for their turn; those that do get it.
        """
        self.makeSender(concurrency=1).places.most = 4
        webhooks = Webhooks(self.sender, ASKED, isLenient=False)
        asked = [webhooks.publish(ADA, MESSAGE) for _ in range(3)]
        self.assertEqual(self.code(webhooks.publish(ADA, MESSAGE)), "unavailable")
        self.sender.places.mostBytes = 2 * len(json.dumps(self.sent[0].json))
        for index, each in enumerate(asked):
            self.sent[index].reply({})
            assert each is not None
            self.assertIsNone(self.successResultOf(each))
        large = Publication(("news",), b'"' + b"x" * 400 + b'"')
        webhooks.publish(ADA, large)
        webhooks.publish(ADA, large)
        self.assertEqual(self.code(webhooks.publish(ADA, large)), "unavailable")
        # Where nothing waits, any may.
        self.assertEqual(self.sender.load, (1, 1))
