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
    Long polls whose answers are calls.
    """

    def called(self, response: Response, callback: str = "cb") -> Any:
        """
        What the script of an answer calls a function with.
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
        Send a request, and see that it is not answered yet.
        """
        wire = self.connect()
        wire.send(get(f"/channels/news?{query}", *headers))
        self.assertEqual(wire.take(), b"")
        return wire


class AnswerTests(JSONPCase):
    """
    The script.
    """

    def test_held(self) -> None:
        """
        What is held comes at once, whatever it is, in a script that nothing
        takes for anything else.
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

    def test_message(self) -> None:
        """
        A message ends the hold, and the connection serves the next.
        """
        wire = self.hold()
        for _ in range(3):
            known = self.publish("news", {"a": 1})
            body = self.called(readResponse(wire.take()))
            self.assertEqual(cursors(body["messages"]), known)
            wire.send(get(f"/channels/news?callback=cb&since={body['cursor']}"))
            self.assertEqual(wire.take(), b"")
        self.assertNothingLeft()

    def test_wait(self) -> None:
        """
        At the end of its time the answer is empty, also for who knows the
        cursor of now: a script that was not modified would not run.
        """
        for header in (f'If-None-Match: "{self.hub.end}"', "If-None-Match: *", "Accept: */*"):
            wire = self.hold("callback=cb&wait=3", header)
            self.turn(3.2)
            body = self.called(readResponse(wire.take()))
            self.assertEqual(body, {"cursor": str(self.hub.end), "messages": []})
        response = self.ask(get("/channels/news?callback=cb&wait=0", header))
        self.assertEqual(self.called(response)["messages"], [])

    def test_limit(self) -> None:
        """
        An answer that is cut says so.
        """
        start = str(self.hub.end)
        known = self.publish("news", *range(3))
        body = self.called(self.ask(get(f"/channels/news?callback=cb&limit=2&since={start}")))
        self.assertEqual((cursors(body["messages"]), body["more"]), (known[:2], True))

    def test_gapAndClose(self) -> None:
        """
        A gap ends the hold, and so does the end of the server.
        """
        response = self.ask(get("/channels/news?callback=cb&since=zzzzzz-5"))
        self.assertEqual(self.called(response)["gap"], ["news"])
        wire = self.hold()
        self.hub.drain(10)
        body = self.called(readResponse(wire.take()))
        self.assertEqual(body["close"]["code"], "draining")

    def test_origin(self) -> None:
        """
        A page that loads it with CORS may read it if it is allowed.
        """
        header = "Origin: https://friend.example"
        response = self.ask(get("/channels/news?callback=cb&wait=0", header))
        allowed = response.header("Access-Control-Allow-Origin")
        self.assertEqual(allowed, "https://friend.example")

    def test_shared(self) -> None:
        """
        What all are called with is made once, and only the function is the
        own of each.
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

    def test_leaves(self) -> None:
        """
        A client that leaves is forgotten.
        """
        self.hold().leave()
        self.assertNothingLeft()


class RefusalTests(JSONPCase):
    """
    What is no script.
    """

    def test_callback(self) -> None:
        """
        Without a callback, or with one that is none, there is an error, with
        its status.
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

    def test_errors(self) -> None:
        """
        Other errors are those of every transport.
        """
        for path, headers, status, code in (
            ("/channels/a//b?callback=cb", [], 400, "badChannel"),
            ("/channels/a?callback=cb&since=x", [], 400, "badCursor"),
            ("/channels/a?callback=cb", ["Authorization: Bearer x"], 401, "unauthorized"),
        ):
            self.assertProblem(self.ask(get(path, *headers)), status, code)

    def test_crossSite(self) -> None:
        """
        The pages of other sites may not read by it, whether they are allowed
        to read otherwise or not.
        """
        path = "/channels/news?callback=cb&wait=0"
        for more in ((), ("Origin: https://friend.example",)):
            response = self.ask(get(path, "Sec-Fetch-Site: cross-site", *more))
            self.assertProblem(response, 403, "forbidden")
        for site in ("same-origin", "same-site", "none"):
            self.called(self.ask(get(path, f"Sec-Fetch-Site: {site}")))

    def test_methods(self) -> None:
        """
        On its own it is only for C{GET}.
        """
        site = self.makeSite(JSONPResource(self.hub))
        self.called(self.ask(get("/news?callback=cb&wait=0"), site))
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            response = self.ask(get("/news?callback=cb", method=method), site)
            self.assertEqual(response.status, 405)


class AllSitesTests(JSONPCase):
    """
    Where all pages are allowed.
    """

    origins = Origins(["*"])

    def test_crossSite(self) -> None:
        """
        Those of other sites are, too.
        """
        path = "/channels/news?callback=cb&wait=0"
        self.called(self.ask(get(path, "Sec-Fetch-Site: cross-site")))
