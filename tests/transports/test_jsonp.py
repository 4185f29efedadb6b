"""
Tests of L{comet.transports.jsonp}.
"""

from __future__ import annotations

from typing import Any

from comet.http.origins import Origins
from comet.http.polls import PollResponseShape
from comet.transports.jsonp import JSONPResource
from tests.framing.browsers import HOSTILE, readCall
from tests.transports.case import COMMON, HubTestCase, Response, cursors, get, readResponse
from tests.transports.wire import Wire


class JSONPCase(HubTestCase):
    """
    Long polls whose responses are calls.
    """

    def called(self, response: Response, callback: str = "cb") -> Any:
        """
        Parse a script.

        @return: The argument of its call.
        """
        self.assertEqual(response.status, 200)
        script = response.body.decode("utf-8")
        self.assertTrue(script.startswith(f"/**/{callback}("))
        call = readCall(script[4:])
        (body,) = call.arguments
        self.assertEqual(call.function, callback)
        return body

    def hold(self, query: str = "callback=cb", *headers: str) -> Wire:
        """
        Send a request, and assert that it is held.
        """
        wire = self.connect()
        wire.send(get(f"/channels/news?{query}", *headers))
        self.assertEqual(wire.take(), b"")
        return wire


class AnswerTests(JSONPCase):
    """
    The script in a response.
    """

    def test_callsWithHeldMessages(self) -> None:
        """
        Held messages come at once, whatever their payload, in a script that a
        browser takes for nothing else.
        """
        start = str(self.hub.end)
        known = self.publish("news", *HOSTILE)
        for query in ("callback=a.$b._c", "transport=jsonp&callback=a.$b._c"):
            response = self.ask(get(f"/channels/news?since={start}&{query}"))
            body = self.called(response, "a.$b._c")
            self.assertEqual(cursors(body["messages"]), known)
            self.assertEqual([each["data"] for each in body["messages"]], list(HOSTILE))
            self.assertEqual(body["cursor"], known[-1])
            kind = "application/javascript; charset=utf-8"
            self.assertEqual(response.header("Content-Type"), kind)
            disposition = response.header("Content-Disposition")
            self.assertEqual(disposition, "attachment; filename=f.txt")
            self.assertEqual(response.header("ETag"), f'"{known[-1]}"')
            for name, values in COMMON.items():
                self.assertEqual(response.headers[name], values)

    def test_messageEndsHold(self) -> None:
        """
        A message ends the hold, and the connection serves the next request.
        """
        wire = self.hold()
        for _ in range(3):
            known = self.publish("news", {"a": 1})
            body = self.called(readResponse(wire.take()))
            self.assertEqual(cursors(body["messages"]), known)
            wire.send(get(f"/channels/news?callback=cb&since={body['cursor']}"))
            self.assertEqual(wire.take(), b"")
        self.assertNothingLeft()

    def test_emptyBodyAtEndOfHold(self) -> None:
        """
        When the hold ends the poll body is empty, also for a client that names
        the cursor of the log end: a script with status 304 would not run.
        """
        for header in (f'If-None-Match: "{self.hub.end}"', "If-None-Match: *", "Accept: */*"):
            wire = self.hold("callback=cb&wait=3", header)
            self.turn(3.2)
            body = self.called(readResponse(wire.take()))
            self.assertEqual(body, {"cursor": str(self.hub.end), "messages": []})
        response = self.ask(get("/channels/news?callback=cb&wait=0", header))
        self.assertEqual(self.called(response)["messages"], [])

    def test_saysMore(self) -> None:
        """
        A response that is cut at the limit says so.
        """
        start = str(self.hub.end)
        known = self.publish("news", *range(3))
        body = self.called(self.ask(get(f"/channels/news?callback=cb&limit=2&since={start}")))
        self.assertEqual((cursors(body["messages"]), body["more"]), (known[:2], True))

    def test_gapAndDrainEndHold(self) -> None:
        """
        A gap ends the hold, and so does draining.
        """
        response = self.ask(get("/channels/news?callback=cb&since=zzzzzz-5"))
        self.assertEqual(self.called(response)["gap"], ["news"])
        wire = self.hold()
        self.hub.drain(10)
        body = self.called(readResponse(wire.take()))
        self.assertEqual(body["close"]["code"], "draining")

    def test_allowsCORS(self) -> None:
        """
        A page of an allowed origin that loads the script with CORS may read it.
        """
        header = "Origin: https://friend.example"
        response = self.ask(get("/channels/news?callback=cb&wait=0", header))
        allowed = response.header("Access-Control-Allow-Origin")
        self.assertEqual(allowed, "https://friend.example")

    def test_encodesOnce(self) -> None:
        """
        The poll body is encoded once for all; only the callback is each
        client's own.
        """
        made: list[object] = []
        original = PollResponseShape.respond

        def respond(shape: PollResponseShape, outcome: Any) -> Any:
            made.append(outcome)
            return original(shape, outcome)

        self.patch(PollResponseShape, "respond", respond)
        wires = {name: self.hold(f"callback={name}") for name in ("a", "b", "b.c")}
        known = self.publish("news", "hello")
        self.assertEqual(len(made), 1)
        for name, wire in wires.items():
            body = self.called(readResponse(wire.take()), name)
            self.assertEqual(cursors(body["messages"]), known)

    def test_forgetsClientThatLeaves(self) -> None:
        """
        A client that leaves is forgotten.
        """
        self.hold().leave()
        self.assertNothingLeft()


class RefusalTests(JSONPCase):
    """
    Errors of JSONP.
    """

    def test_refusesBadCallback(self) -> None:
        """
        A missing or malformed callback is an error, with its status.
        """
        for query in (
            "transport=jsonp",
            "callback=",
            "callback=alert(1)",
            "callback=" + "a" * 129,
            "callback=%E2%80%A8",
        ):
            response = self.ask(get(f"/channels/news?{query}"))
            self.assertProblem(response, 400, "badRequest")
            self.assertNotIn(b"/**/", response.body)
        self.assertEqual(list(self.hub.fanout.readers), [])

    def test_reportsOtherErrors(self) -> None:
        """
        Other errors have the form that they have on every transport.
        """
        for path, headers, status, code in (
            ("/channels/a//b?callback=cb", [], 400, "badChannel"),
            ("/channels/a?callback=cb&since=x", [], 400, "badCursor"),
            ("/channels/a?callback=cb", ["Authorization: Bearer x"], 401, "unauthorized"),
        ):
            self.assertProblem(self.ask(get(path, *headers)), status, code)

    def test_crossSite(self) -> None:
        """
        Pages of other sites may not use JSONP, even if their origin is allowed.
        """
        path = "/channels/news?callback=cb&wait=0"
        for more in ((), ("Origin: https://friend.example",)):
            response = self.ask(get(path, "Sec-Fetch-Site: cross-site", *more))
            self.assertProblem(response, 403, "forbidden")
        for site in ("same-origin", "same-site", "none"):
            self.called(self.ask(get(path, f"Sec-Fetch-Site: {site}")))

    def test_answersGetOnly(self) -> None:
        """
        The resource alone answers C{GET} only.
        """
        site = self.makeSite(JSONPResource(self.hub))
        self.called(self.ask(get("/news?callback=cb&wait=0"), site))
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            response = self.ask(get("/news?callback=cb", method=method), site)
            self.assertEqual(response.status, 405)


class AllSitesTests(JSONPCase):
    """
    A server that allows all origins.
    """

    origins = Origins(["*"])

    def test_crossSite(self) -> None:
        """
        Pages of other sites may use JSONP.
        """
        path = "/channels/news?callback=cb&wait=0"
        self.called(self.ask(get(path, "Sec-Fetch-Site: cross-site")))
