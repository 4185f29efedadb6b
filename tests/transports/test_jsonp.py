"""
Tests of L{comet.transports.jsonp}.
"""

from __future__ import annotations

from typing import Any

from comet.access.rights import Access
from comet.http.credentials import Credentials
from comet.http.origins import Origins
from comet.http.polls import PollResponseShape
from comet.model.clients import KEY_HOLDER, Client
from comet.transports.jsonp import JSONPResource
from tests.framing.browsers import HOSTILE, readCall
from tests.transports.case import COMMON, KEY, HubTestCase, Response, cursors, readResponse
from tests.transports.case import get as plainGet
from tests.transports.wire import Wire

PATH = "/channels/news?callback=cb&wait=0"


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    """
    Make a request of a page of the server's own origin.
    """
    return plainGet(path, "Sec-Fetch-Site: same-origin", *headers, method=method)


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

        def respond(shape: PollResponseShape, outcome: Any, *given: Any) -> Any:
            made.append(outcome)
            return original(shape, outcome, *given)

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

    def test_answersGetOnly(self) -> None:
        """
        The resource alone answers C{GET} only.
        """
        site = self.makeSite(JSONPResource(self.hub))
        self.called(self.ask(get("/news?callback=cb&wait=0"), site))
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            response = self.ask(get("/news?callback=cb", method=method), site)
            self.assertEqual(response.status, 405)


class PageTests(JSONPCase):
    """
    Which pages may use JSONP: their proof is needed.
    """

    origins = Origins(["https://friend.example", "http://[2001:db8::1]:81", "null"])

    def assertRefused(self, *headers: str) -> None:
        """
        Check that a request with these headers is refused.
        """
        response = self.ask(plainGet(PATH, *headers))
        self.assertProblem(response, 403, "forbidden")
        self.assertNotIn(b"/**/", response.body)

    def test_proofIsNeeded(self) -> None:
        """
        A request that says nothing of its page is refused, as is one whose page
        is merely of the same site.
        """
        self.assertRefused()
        self.assertRefused("Origin: https://friend.example")
        for site in (
            *("cross-site", "same-site", "", "same", "same-origin, cross-site"),
            *("same-origin-not", "None", "null"),
        ):
            self.assertRefused(f"Sec-Fetch-Site: {site}")
        self.assertRefused("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site")

    def test_siteIsProof(self) -> None:
        """
        A page of the server's own origin, and a user who types the address, are
        served by what the browser says of them.
        """
        for site in ("same-origin", "none"):
            self.called(self.ask(plainGet(PATH, f"Sec-Fetch-Site: {site}")))

    def test_refererIsProof(self) -> None:
        """
        A page is served if the origin of its URL is the server's own or an
        allowed one, whatever the site is.
        """
        for url in (
            *("http://localhost/", "http://localhost", "HTTP://LOCALHOST:80/a?b#c"),
            *("http://localhost?a", "http://localhost/@/http://evil.example"),
            *("https://friend.example/", "https://friend.example:443/a"),
            "http://[2001:DB8:0::1]:81/",
        ):
            self.called(self.ask(plainGet(PATH, f"Referer: {url}")))
            self.called(self.ask(plainGet(PATH, "Sec-Fetch-Site: cross-site", f"Referer: {url}")))

    def test_refererOfOtherOrigin(self) -> None:
        """
        A page whose URL only resembles one of an allowed origin is refused.
        """
        for url in (
            *("", "null", "/", "localhost", "about:blank", "about:client", "file:///localhost/"),
            *("http://localhost:8080/", "https://localhost/", "http://localhost.evil.example/"),
            *("http://evil.example/http://localhost/", "http://evil.example/#http://localhost/"),
            *("http://localhost@evil.example/", "http://evil.example\\@localhost/"),
            *("http://localhost\\.evil.example/", "http://localhost evil.example/"),
            *("http://sub.localhost/", "//localhost/", "http:localhost/", "http:/localhost/"),
            *("http://friend.example/", "https://friend.example:444/"),
            *("https://friend.example.evil.example/", "https://a.friend.example/"),
            *("https://friend.example, https://evil.example/", "*", "http://*/"),
        ):
            self.assertRefused(f"Referer: {url}")
            self.assertRefused("Sec-Fetch-Site: same-site", f"Referer: {url}")

    def test_twoReferers(self) -> None:
        """
        Two URLs of a page prove nothing.
        """
        headers = ("Referer: http://localhost/", "Referer: http://evil.example/")
        self.assertProblem(self.ask(plainGet(PATH, *headers)), 400, "badRequest")

    def test_bearerIsProof(self) -> None:
        """
        A client that sends a bearer's credential is not a script element.  Those
        that a browser adds by itself are no proof.
        """
        key = f"Authorization: Bearer {KEY}"
        self.called(self.ask(plainGet(PATH, key)))
        self.called(self.ask(plainGet(PATH, key, "Sec-Fetch-Site: cross-site")))
        self.assertNotEqual(self.ask(plainGet(PATH, "Authorization: Basic YTpi")).status, 200)


class BasicTests(JSONPCase):
    """
    A server whose application takes the credentials of Basic.
    """

    def test_basicIsNoProof(self) -> None:
        """
        A browser that knows a password sends it for a script of any page, so
        that it proves nothing.
        """

        class Basic(Access):
            def identify(self, credentials: Credentials) -> Client:
                return KEY_HOLDER

        self.hub.access = Basic()
        for scheme in ("Basic YTpi", "Negotiate YTpi", "Bearer", "BearerYTpi"):
            response = self.ask(plainGet(PATH, f"Authorization: {scheme}"))
            self.assertProblem(response, 403, "forbidden")
        self.called(self.ask(plainGet(PATH, "Authorization: bearer YTpi")))


class AllSitesTests(JSONPCase):
    """
    A server that allows all origins.
    """

    origins = Origins(["*"])

    def test_anyPage(self) -> None:
        """
        Pages of all sites may use JSONP.
        """
        for header in (
            "Sec-Fetch-Site: cross-site",
            "Referer: http://evil.example/",
            "Accept: */*",
        ):
            self.called(self.ask(plainGet(PATH, header)))
