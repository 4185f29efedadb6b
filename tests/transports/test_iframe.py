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
        What a page may do, by the names of directives.
        """
        lines = (response.header("Content-Security-Policy") or "").split("; ")
        return {line.split()[0]: line.split()[1:] for line in lines}


class PageTests(IFrameCase):
    """
    The page and its scripts.
    """

    def test_scripts(self) -> None:
        """
        First where the reader stands, then what is held, then what comes, each
        a script; whatever it is, it does not end its script.
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

    def test_draining(self) -> None:
        """
        The last script says why.
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

    def test_policy(self) -> None:
        """
        The page may run its scripts and nothing else, in a frame of a page
        that may read, and reach no window that has opened it.
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


class TargetTests(IFrameCase):
    """
    To whom messages are handed.
    """

    def target(self, query: str = "", *headers: str) -> list[object]:
        """
        What messages are posted to.
        """
        _, response = self.open(query, *headers)
        chunks, page = ChunkReader(), PageReader()
        chunks.feed(response.body)
        page.feed(chunks.body)
        (call,) = page.calls
        self.assertEqual(call.function, "parent.postMessage")
        return call.arguments[1:]

    def test_own(self) -> None:
        """
        By default, to the pages of the server itself.
        """
        for query in ("", "origin=", "origin=http://localhost", "origin=HTTP://LOCALHOST:80"):
            self.assertEqual(self.target(query), ["http://localhost"])

    def test_allowed(self) -> None:
        """
        To the pages of another origin, if they are allowed.
        """
        self.assertEqual(self.target(f"origin={FRIEND}"), [FRIEND])
        self.assertEqual(self.target("origin=http%3A%2F%2Fpush.example"), ["http://push.example"])

    def test_refused(self) -> None:
        """
        Not to those that are not, and not to any page.
        """
        for origin in ("https://enemy.example", "http://friend.example", "*", FRIEND + ":8443"):
            response = self.ask(get(f"/channels/news?transport=iframe&origin={origin}"))
            self.assertProblem(response, 403, "forbidden")

    def test_noOrigin(self) -> None:
        """
        What is no origin is refused.
        """
        for origin in ("null", "enemy", FRIEND + "/", '");alert(1)//', "</script>", "%22"):
            response = self.ask(get(f"/channels/news?transport=iframe&origin={origin}"))
            self.assertProblem(response, 400, "badRequest")

    def test_callback(self) -> None:
        """
        A callback that is none is refused, also where it is empty.
        """
        for callback in ("", "alert(1)", "a.b;c", "%3C/script%3E", "a" * 129, "1"):
            response = self.ask(get(f"/channels/news?transport=iframe&callback={callback}"))
            self.assertProblem(response, 400, "badRequest")

    def test_noHost(self) -> None:
        """
        Without a host the server does not know its own pages, but others.
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
    Where all pages are allowed.
    """

    origins = Origins(["*"])

    def test_any(self) -> None:
        """
        Messages are posted to any that is named, or all; a frame of a page
        whose address CSP cannot name is named by its scheme.
        """
        for origin, ancestor in (
            ("*", "*"),
            ("https://any.example", "https://any.example"),
            ("http://[::1]:8080", "http:"),
        ):
            _, response = self.open(f"origin={origin}")
            self.assertIn(f',"{origin}");'.encode("ascii"), response.body)
            self.assertEqual(self.policy(response)["frame-ancestors"], ["'self'", ancestor])

    def test_none(self) -> None:
        """
        But never to what is no origin.
        """
        response = self.ask(get("/channels/news?transport=iframe&origin=null"))
        self.assertProblem(response, 400, "badRequest")
