"""
Tests of L{comet.hooks.callhook}: calls by commands and by HTTP.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from comet.errors import Forbidden, NotFound, TooMany
from comet.hooks import callhook
from comet.model.clients import Client, Known
from comet.transports.tcp import CometFactory
from tests.framing.readers import LinesReader
from tests.hooks.hookcase import Hooks, Names
from tests.transports.case import HubTestCase, Response, get, readResponse, request
from tests.transports.wire import Wire

JSON = "Content-Type: application/json"
BYTES = "Content-Type: application/octet-stream"


class CallHookTests(HubTestCase):
    """
    An application that answers when a test does.
    """

    def setUp(self) -> None:
        """
        Use hooks, and connect for commands.
        """
        super().setUp()
        self.hub.access = Names("k" * 16, ["open/**"])
        self.hooks = Hooks()
        self.hub.useHooks(self.hooks)
        self.wire = self.connect(CometFactory(self.hub))

    def say(self, *values: Any) -> list[Any]:
        """
        Send commands in one packet, and return the answers.
        """
        self.wire.send(b"".join(json.dumps(value).encode() + b"\n" for value in values))
        self.turn()
        return self.read()

    def read(self) -> list[Any]:
        """
        Return what has arrived.
        """
        lines = LinesReader()
        lines.feed(self.wire.take())
        return lines.values

    def post(self, path: str, body: bytes = b"", *headers: str) -> Wire:
        """
        Call by HTTP.
        """
        wire = self.connect()
        wire.send(request("POST", f"/call/{path}", *headers, body=body))
        self.turn()
        return wire

    def told(self, path: str, body: bytes = b"", *headers: str) -> Response:
        """
        Call by HTTP, where it is answered at once.
        """
        return readResponse(self.post(path, body, *headers).take())

    def reply(self, index: int, answer: Any = None) -> None:
        """
        Answer a call.
        """
        self.hooks.reply(index, answer)
        self.turn()

    def test_command(self) -> None:
        """
        A call is answered with data; commands are answered in their order.
        """
        self.assertEqual(
            self.say({"id": 1, "call": "sum", "data": [1, 2]}, {"id": 2, "ping": 1}), []
        )
        self.reply(0, {"sum": 3})
        self.assertEqual(
            self.read(), [{"id": 1, "ok": {"data": {"sum": 3}}}, {"id": 2, "ok": {"pong": 1}}]
        )
        self.assertEqual(self.hooks.questions, [("", "sum", [1, 2])])
        self.hooks.answer = b"\0"
        told = self.say(
            {"id": 3, "call": "a/b", "data": "AA==", "encoding": "base64"}, {"call": "x"}
        )
        bytesTold = {"data": "AA==", "encoding": "base64"}
        self.assertEqual(told, [{"id": 3, "ok": bytesTold}, {"ok": bytesTold}])
        self.assertEqual(self.hooks.questions[1:], [("", "a/b", b"\0"), ("", "x", None)])

    def test_commandErrors(self) -> None:
        """
        What is not valid, or refused, is told; the connection stays.
        """
        bad: list[tuple[dict[str, Any], str]] = [
            ({"call": 5}, "badRequest"),
            ({"call": ""}, "badRequest"),
            ({"call": "a/*"}, "badRequest"),
            ({"call": "a", "data": "x" * 2000}, "tooLarge"),
            ({"call": "a", "data": 1, "encoding": "base64"}, "badMessage"),
            ({"call": "a", "ping": 1}, "badRequest"),
        ]
        for command, code in bad:
            (told,) = self.say(command)
            self.assertEqual(told["error"]["code"], code, command)
        self.assertEqual(self.hooks.asked, [])
        self.say({"id": 1, "call": "a"})
        self.reply(0, Forbidden("not you"))
        self.assertEqual(
            self.read(), [{"id": 1, "error": {"code": "forbidden", "message": "not you"}}]
        )

    def test_http(self) -> None:
        """
        A call by HTTP is answered; its body is read as in publishing, and may be empty.
        """
        wire = self.post("sum", b"[1,2]", JSON, "X-Name: ada")
        self.assertEqual(wire.take(), b"")
        self.reply(0, {"a<": "\u2028"})
        response = readResponse(wire.take())
        self.assertEqual((response.status, response.json), (200, {"data": {"a<": "\u2028"}}))
        self.assertEqual(response.header("Content-Type"), "application/json")
        self.assertNotIn(b"<", response.body)
        self.hooks.answer = None
        self.assertEqual(self.told("a/b", b"x").json, {"data": None})
        self.assertEqual(self.told("c", b"\0", BYTES).status, 200)
        self.assertEqual(self.told("d", b"", JSON).status, 200)
        self.assertEqual(
            self.hooks.questions,
            [("ada", "sum", [1, 2]), ("", "a/b", "x"), ("", "c", b"\0"), ("", "d", None)],
        )

    def test_httpErrors(self) -> None:
        """
        What is not valid, or refused, is told.
        """
        for path, body, headers, status, code in (
            ("a,b", b"", (), 400, "badRequest"),
            ("a/*", b"", (), 400, "badRequest"),
            ("", b"", (), 400, "badChannel"),
            ("a", b"x" * 2000, (), 413, "tooLarge"),
            ("a", b"{", (JSON,), 400, "badMessage"),
            ("a", b"", ("Origin: https://evil.example",), 403, "forbidden"),
            ("a", b"", ("Authorization: Bearer wrong",), 401, "unauthorized"),
        ):
            self.assertProblem(self.told(path, body, *headers), status, code)
        self.assertEqual(self.hooks.asked, [])
        self.assertEqual(self.ask(get("/call/a")).status, 405)
        self.hooks.answer = TooMany("later")
        response = self.told("a")
        self.assertProblem(response, 429, "tooMany")
        self.assertEqual(response.header("Retry-After"), "5")

    def test_expiresWithBody(self) -> None:
        """
        A call whose body is whole only when its client's time is over is not answered.
        """
        self.hub.leases.now = self.clock.seconds
        self.hooks.answer = 1
        for seconds, status in ((19, 200), (21, 401)):
            client = Client("ada", known=Known.TOKEN, until=self.clock.seconds() + 20)
            self.patch(self.hub.access, "identify", lambda shown, client=client: client)
            said = request("POST", "/call/a", body=b"12")
            wire = self.connect()
            wire.send(said[:-1])
            self.turn(seconds)
            wire.send(said[-1:])
            self.turn()
            self.assertEqual(readResponse(wire.take()).status, status)
        self.assertEqual(len(self.hooks.asked), 1)

    def test_keyHolders(self) -> None:
        """
        Calls of a key holder are answered, too.
        """
        self.hooks.answer = 1
        self.assertEqual(self.told("a", b"", "Authorization: Bearer " + "k" * 16).json, {"data": 1})

    def test_noHook(self) -> None:
        """
        Without hooks, or a method, a call is not found.
        """
        self.hooks.answer = NotFound("no such method")
        self.assertProblem(self.told("a"), 404, "notFound")
        self.hub.useHooks(None)
        self.assertProblem(self.told("a"), 404, "notFound")
        (told,) = self.say({"id": 1, "call": "a"})
        self.assertEqual(told["error"]["code"], "notFound")

    def test_answersThatAreNotAllowed(self) -> None:
        """
        An answer that JSON does not have, or that is too large, is unavailable.
        """
        for answer in (object(), float("nan"), {1: 2}, "x" * (callhook.MOST_ANSWER + 1)):
            self.hooks.answer = answer
            self.assertProblem(self.told("a"), 503, "unavailable")

    def test_lateAndBounded(self) -> None:
        """
        A late answer is not waited for; only so many calls wait.
        """
        assert self.hub.callHook is not None
        self.hub.callHook.places.most = 1
        wire = self.post("a")
        self.assertProblem(self.told("b"), 503, "unavailable")
        self.turn(self.hub.settings.identifySeconds + 0.2)
        self.assertProblem(readResponse(wire.take()), 503, "unavailable")
        self.hooks.answer = 1
        self.assertEqual(self.told("b").status, 200)

    def test_whoLeaves(self) -> None:
        """
        The call of a client that leaves is cancelled.
        """
        wire = self.post("a")
        wire.leave()
        self.turn()
        self.assertEqual(len(self.hooks.cancelled), 1)
        self.wire.leave()
        self.assertNothingLeft()

    def test_afterPublishing(self) -> None:
        """
        A call finds what was published before it.
        """

        def call(client: object, method: str, data: Any) -> int:
            return self.hub.end.position

        self.patch(self.hooks, "call", call)
        told = self.say({"publish": "open/a", "data": 1}, {"id": 2, "call": "x"})
        self.assertIn({"id": 2, "ok": {"data": 1}}, told)

    def test_preflight(self) -> None:
        """
        A page may ask whether it may call.
        """
        said = get("/call/a", "Origin: https://friend.example", method="OPTIONS")
        self.assertEqual(self.ask(said).status, 204)

    def test_fails(self) -> None:
        """
        A hook that fails is an internal error.
        """
        failed: Deferred[Any] = Deferred()
        failed.errback(ZeroDivisionError())
        self.patch(self.hooks, "call", lambda *call: failed)
        self.assertProblem(self.told("a"), 500, "internal")
        self.flushLoggedErrors(ZeroDivisionError)
