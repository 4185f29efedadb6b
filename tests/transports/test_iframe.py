"""
Tests of L{comet.transports.iframe}.
"""

from __future__ import annotations

from comet.http.origins import Origins
from tests.framing.browsers import HOSTILE, PageReader
from tests.framing.readers import ChunkReader
from tests.transports.case import COMMON, HubTestCase, Response, get, readHead
from tests.transports.wire import Wire

FRIEND = "https://friend.example"


class IFrameCase(HubTestCase):
    """
    A forever frame.
    """

    def open(self, query: str = "", *headers: str) -> tuple[Wire, Response]:
        """
        Begin to read.
        """
        wire = self.connect()
        wire.send(get(f"/channels/news?transport=iframe&{query}", *headers))
        response = readHead(wire.take())
        self.assertEqual(response.status, 200)
        return wire, response

    def policy(self, response: Response) -> dict[str, list[str]]:
        """
        Return the policy of the page: the values by directive.
        """
        lines = (response.header("Content-Security-Policy") or "").split("; ")
        return {line.split()[0]: line.split()[1:] for line in lines}


class PageTests(IFrameCase):
    """
    The page and its scripts.
    """

    def test_writesScripts(self) -> None:
        """
        The first script has the reader's cursor, then come the messages that
        are held, then new ones.  No payload ends its script early.
        """
        start = str(self.hub.end)
        self.publish("news", *HOSTILE)
        wire, response = self.open(f"callback=app.heard&since={start}")
        self.assertEqual(response.header("Content-Type"), "text/html; charset=utf-8")
        self.assertEqual(response.header("X-Accel-Buffering"), "no")
        for name, values in COMMON.items():
            self.assertEqual(response.headers[name], values)
        self.publish("news", {"a": 1})
        chunks, page = ChunkReader(), PageReader()
        chunks.feed(response.body + wire.take())
        page.feed(chunks.body)
        self.assertEqual({call.function for call in page.calls}, {"parent.app.heard"})
        told = [call.arguments[0] for call in page.calls]
        self.assertEqual(told[0], {"cursor": start})
        self.assertEqual([each["data"] for each in told[1:]], [*HOSTILE, {"a": 1}])
        wire.leave()
        self.assertNothingLeft()

    def test_saysWhyItEnds(self) -> None:
        """
        The last script says why the stream ends.
        """
        wire, response = self.open(f"origin={FRIEND}")
        self.hub.drain(10)
        chunks, page = ChunkReader(), PageReader()
        chunks.feed(response.body + wire.take())
        page.feed(chunks.body)
        last = page.calls[-1]
        self.assertEqual((last.function, last.arguments[1]), ("parent.postMessage", FRIEND))
        self.assertEqual(last.arguments[0]["close"]["code"], "draining")
        self.assertTrue(chunks.ended)
        self.assertFalse(wire.isOpen)

    def test_restrictsPage(self) -> None:
        """
        The page may run its scripts and nothing else, in a frame of an allowed
        page, and cannot reach a window that has opened it.
        """
        for query, ancestors in (
            ("callback=cb", ["'self'"]),
            ("", ["'self'", "http://localhost"]),
            (f"origin={FRIEND}", ["'self'", FRIEND]),
        ):
            _, response = self.open(query)
            self.assertEqual(
                self.policy(response),
                {
                    "default-src": ["'none'"],
                    "script-src": ["'unsafe-inline'"],
                    "frame-ancestors": ancestors,
                },
            )
            self.assertEqual(response.header("Cross-Origin-Opener-Policy"), "same-origin")
            self.assertEqual(response.header("Referrer-Policy"), "no-referrer")


class TargetTests(IFrameCase):
    """
    The pages that messages are handed to.
    """

    def target(self, query: str = "", *headers: str) -> list[object]:
        """
        Return the origin that messages are posted to.
        """
        _, response = self.open(query, *headers)
        chunks, page = ChunkReader(), PageReader()
        chunks.feed(response.body)
        page.feed(chunks.body)
        (call,) = page.calls
        self.assertEqual(call.function, "parent.postMessage")
        return call.arguments[1:]

    def test_postsToOwnPages(self) -> None:
        """
        By default messages are posted to the server's own pages.
        """
        for query in ("", "origin=", "origin=http://localhost", "origin=HTTP://LOCALHOST:80"):
            self.assertEqual(self.target(query), ["http://localhost"])

    def test_postsToAllowedOrigin(self) -> None:
        """
        Messages are posted to the pages of another origin if it is allowed.
        """
        self.assertEqual(self.target(f"origin={FRIEND}"), [FRIEND])
        self.assertEqual(self.target("origin=http%3A%2F%2Fpush.example"), ["http://push.example"])

    def test_refusesOtherOrigins(self) -> None:
        """
        Posting to pages of other origins, and to all, is refused.
        """
        for origin in ("https://enemy.example", "http://friend.example", "*", FRIEND + ":8443"):
            response = self.ask(get(f"/channels/news?transport=iframe&origin={origin}"))
            self.assertProblem(response, 403, "forbidden")

    def test_refusesNoOrigin(self) -> None:
        """
        A parameter that is no origin is refused.
        """
        for origin in ("null", "enemy", FRIEND + "/", '");alert(1)//', "</script>", "%22"):
            response = self.ask(get(f"/channels/news?transport=iframe&origin={origin}"))
            self.assertProblem(response, 400, "badRequest")

    def test_refusesBadCallback(self) -> None:
        """
        A malformed callback is refused, also an empty one.
        """
        for callback in ("", "alert(1)", "a.b;c", "%3C/script%3E", "a" * 129, "1"):
            response = self.ask(get(f"/channels/news?transport=iframe&callback={callback}"))
            self.assertProblem(response, 400, "badRequest")

    def test_postsWithoutHost(self) -> None:
        """
        Without the header C{Host} the server does not know its own origin, but
        takes another.
        """
        wire = self.connect()
        path = b"/channels/news?transport=iframe"
        wire.send(b"GET " + path + b" HTTP/1.0\r\n\r\n")
        self.assertProblem(readHead(wire.take()), 400, "badRequest")
        wire = self.connect()
        wire.send(b"GET " + path + b"&origin=https://friend.example HTTP/1.0\r\n\r\n")
        self.assertEqual(readHead(wire.take()).status, 200)


class AnyTargetTests(IFrameCase):
    """
    A server that allows all origins.
    """

    origins = Origins(["*"])

    def test_postsToAnyOrigin(self) -> None:
        """
        Messages are posted to the origin in the parameter, or to all.  An
        origin that CSP cannot name is named by its scheme.
        """
        for origin, ancestor in (
            ("*", "*"),
            ("https://any.example", "https://any.example"),
            ("http://[::1]:8080", "http:"),
        ):
            _, response = self.open(f"origin={origin}")
            self.assertIn(f',"{origin}");'.encode("ascii"), response.body)
            self.assertEqual(self.policy(response)["frame-ancestors"], ["'self'", ancestor])

    def test_refusesNoOriginEvenThen(self) -> None:
        """
        A parameter that is no origin is refused here, too.
        """
        response = self.ask(get("/channels/news?transport=iframe&origin=null"))
        self.assertProblem(response, 400, "badRequest")
