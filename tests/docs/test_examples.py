"""
The examples that serve do what their pages say.
"""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Mapping
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.running import EXAMPLES, ExampleTestCase, Running, load
from tests.edge.clients import Refused, SseClient
from tests.edge.connections import HttpConnection, Response, Site, TcpConnection, ask
from tests.edge.envelopes import BareCursor, Gap
from tests.edge.server import twistd
from tests.edge.speakers import WebSocketClient
from tests.ports import freePorts


class BelowClient(SseClient):
    """
    A reader of a server that is mounted below a path.
    """

    mount = "/comet"

    def _target(
        self, since: str | None, byName: Mapping[str, str], parameters: Mapping[str, str]
    ) -> str:
        return self.mount + super()._target(since, byName, parameters)


class PushClient(BelowClient):
    """
    A reader of comet where C{embed.py} and C{beside.py} mount it.
    """

    mount = "/push"


class TutorialTests(ExampleTestCase):
    """
    C{live.py} and C{surviving.py}, with what their pages do in a browser.
    """

    def post(self, running: Running, path: str, body: str) -> Response:
        """
        Publish as C{curl -d} does.
        """
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return ask(running.site, "POST", path, form, body.encode())

    def reader(self, site: Site, since: str) -> BelowClient:
        """
        Read as the page's C{EventSource} does.
        """
        client = BelowClient(site)
        self.addCleanup(client.close)
        client.open(["news"], since)
        return client

    def test_livePageShowsMessages(self) -> None:
        """
        The page is served, and its C{EventSource} brings the last messages and
        the live ones, as text.
        """
        running = self.serve("live.py")
        page = ask(running.site, "GET", "/")
        self.assertEqual(page.body, (EXAMPLES / "live.html").read_bytes())
        self.assertIn(b'"/comet/channels/news?since=-5"', page.body)
        self.assertEqual(self.post(running, "/comet/channels/news", "held").status, 201)
        client = self.reader(running.site, "-5")
        self.assertEqual([each.data for each in client.messages(1)], ["held"])
        self.assertEqual(self.post(running, "/comet/channels/news", "live").status, 201)
        self.assertEqual([each.data for each in client.messages(1)], ["live"])
        self.assertEqual(self.post(running, "/comet/channels/other", "no").status, 401)
        running.stop()
        self.assertEqual(client.untilClose().code, "draining")

    def state(self, running: Running) -> Any:
        """
        Fetch the state as the page does.
        """
        return json.loads(ask(running.site, "GET", "/headlines").body)

    def test_survivingStateAndMessagesJoin(self) -> None:
        """
        The fetched state and the messages after its cursor join without a gap,
        also after a restart, of which an earlier reader learns by a gap.
        """
        running = self.serve("surviving.py")
        page = ask(running.site, "GET", "/")
        self.assertEqual(page.body, (EXAMPLES / "surviving.html").read_bytes())
        self.assertEqual(self.post(running, "/headlines", "one").status, 201)
        state = self.state(running)
        self.assertEqual(state["headlines"], ["one"])
        client = self.reader(running.site, state["cursor"])
        self.assertEqual(self.post(running, "/headlines", "two").status, 201)
        self.assertEqual([each.data for each in client.messages(1)], ["two"])
        self.assertEqual(self.post(running, "/comet/channels/news", "no").status, 401)
        cursor = client.cursor or ""
        # Reconnected to the same process, the reader gets what it missed.
        client.cut()
        self.post(running, "/headlines", "three")
        client.open(["news"], cursor)
        self.assertEqual([each.data for each in client.messages(1)], ["three"])
        cursor = client.cursor or ""
        running.stop()
        running.start()
        client.open(["news"], cursor)
        self.assertIsInstance(client.next(), Gap)
        state = self.state(running)
        self.assertEqual(state["headlines"], ["one", "two", "three"])
        client = self.reader(running.site, state["cursor"])
        self.post(running, "/headlines", "four")
        self.assertEqual([each.data for each in client.messages(1)], ["four"])
        running.stop()


class EmbeddingTests(ExampleTestCase):
    """
    C{embed.py}, C{beside.py} and C{plain.py}.
    """

    def test_embedServesSiteAndPush(self) -> None:
        """
        The site answers as before, and publishes the time below its path.
        """
        running = self.serve("embed.py")
        self.assertEqual(ask(running.site, "GET", "/hello").body, b"hello\n")
        client = PushClient(running.site)
        self.addCleanup(client.close)
        client.open(["time"])
        first, second = (int(each.data) for each in client.messages(2))
        self.assertIn(second - first, (0, 1, 2))
        running.stop()
        self.assertEqual(client.untilClose().code, "draining")

    def test_besideServesFlaskAndPush(self) -> None:
        """
        Flask answers at the root, comet below its path, and what Flask
        publishes from a thread reaches the readers before Flask answers.
        """
        running = self.serve("beside.py")
        self.assertIn(b"/push/channels/orders", ask(running.site, "GET", "/").body)
        self.assertEqual(ask(running.site, "GET", "/nothing").status, 404)
        self.assertEqual(ask(running.site, "GET", "/push/health").status, 200)
        client = PushClient(running.site)
        self.addCleanup(client.close)
        client.open(["orders"])
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = ask(running.site, "POST", "/orders", form, b"item=tea")
        self.assertEqual(answer.status, 201, answer)
        (message,) = client.messages(1)
        self.assertEqual(message.data, {"item": "tea"})
        self.assertEqual(json.loads(answer.body), {"cursor": str(message.cursor)})
        running.stop()

    def test_ordersServesFlaskAndComet(self) -> None:
        """
        The site is at the root, and what a view publishes is read below C{/comet}.
        What it yields goes out as it comes.
        """
        (port,) = freePorts(1)
        shutil.copy(EXAMPLES / "orders.py", self.directory)
        command = [*twistd(), "-n", "--pidfile=", "comet", "--wsgi", "orders:app"]
        listen = f"tcp:{port}:interface=127.0.0.1"
        running = Running([*command, "--listen", listen], self.directory, port)
        self.addCleanup(running.kill)
        self.assertIn(b"/comet/comet.js", ask(running.site, "GET", "/").body)
        self.assertEqual(ask(running.site, "GET", "/comet/comet.js").status, 200)
        client = BelowClient(running.site)
        self.addCleanup(client.close)
        client.open(["orders"], "-10")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = ask(running.site, "POST", "/orders", form, b"item=tea")
        self.assertEqual(answer.status, 201)
        (message,) = client.messages(1)
        self.assertEqual(message.data, {"item": "tea"})
        self.assertEqual(json.loads(answer.body)["cursor"], str(message.cursor))
        report = ask(running.site, "GET", "/report?lines=3")
        self.assertEqual(report.body, b'{"line": 0}\n{"line": 1}\n{"line": 2}\n')
        client.close()
        running.stop()

    def test_plainSendsLines(self) -> None:
        """
        The transport of the example sends lines of text.
        """
        running = self.serve("plain.py")
        site = running.site
        for text in (b"one", b"two\nlines"):
            ask(site, "POST", "/channels/news", {"Content-Type": "text/plain"}, text)
        connection = HttpConnection(TcpConnection(site.port))
        connection.send("GET", "/plain/news?since=earliest")
        self.assertEqual(connection.head().headers["content-type"], "text/plain; charset=utf-8")
        text = b""
        while text.count(b"\n") < 3:
            text += connection.piece()
        self.assertEqual(text, b"\none\ntwo lines\n")
        running.stop()
        while piece := connection.piece():
            text += piece
        self.assertEqual(text.splitlines()[-1], b"# the server is going down")


class TailTests(SynchronousTestCase):
    """
    C{tail.py}, which resumes.
    """

    def test_keepsCursorWhenRefused(self) -> None:
        """
        A server that closes the connection before it has read the command tells
        a cursor that says nothing of what the program has: the program comes
        back with its own.
        """

        def close(cursor: str) -> dict[str, Any]:
            return {"cursor": cursor, "close": {"code": "tooMany", "message": "", "retry": 0}}

        asked: list[str] = []
        first = {"channel": "news", "cursor": "e-2", "data": 1}
        second = {"channel": "news", "cursor": "e-3", "data": 2}
        answers: list[list[dict[str, Any]]] = [
            [{"id": 1, "ok": {"cursor": "e-1"}}, first, close("e-2")],
            [close("e-9")],
            [{"id": 1, "ok": {"cursor": "e-2"}}, second],
        ]

        def serve() -> None:
            for lines in answers:
                connection, _ = listening.accept()
                with connection, connection.makefile("rwb") as file:
                    asked.append(json.loads(file.readline())["since"])
                    file.writelines(json.dumps(line).encode() + b"\n" for line in lines)

        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        listening.settimeout(20)
        server = Thread(target=serve)
        server.start()
        self.addCleanup(server.join)
        follow = load(EXAMPLES / "tail.py").follow(*listening.getsockname(), ["news"], "e-0")
        self.assertEqual([next(follow), next(follow)], [first, second])
        self.assertEqual(asked, ["e-0", "e-2", "e-2"])


class MembersTests(ExampleTestCase):
    """
    C{members.py}, where sessions decide.
    """

    def ask(self, method: str, path: str, session: str, body: bytes | None = None) -> int:
        """
        Make a request with the cookie of a session, or without.
        """
        headers = {"Cookie": f"session={session}"} if session else {}
        headers["Content-Type"] = "text/plain"
        headers["Sec-Fetch-Site"] = "same-origin"
        return ask(self.running.site, method, path, headers, body).status

    def test_sessionsDecideRights(self) -> None:
        """
        Members publish to rooms, and read rooms and their own inbox.  Others are
        told to log in, and so is a member whose session is over.
        """
        self.running = self.serve("members.py")
        room, inbox = "/channels/rooms/tea?transport=poll", "/channels/inbox/ada?transport=poll"
        for method, path, session, status in (
            ("POST", "/channels/rooms/tea", "4d1c7a", 201),
            ("POST", "/channels/rooms/tea", "", 401),
            ("POST", "/channels/rooms/tea", "gone", 401),
            ("POST", "/channels/inbox/bob", "4d1c7a", 403),
            ("GET", room, "9be02f", 200),
            ("GET", room, "", 200),
            ("GET", room, "gone", 401),
            ("GET", inbox, "4d1c7a", 200),
            ("GET", inbox, "9be02f", 403),
            ("GET", "/channels/inbox/ada?callback=cb", "4d1c7a", 401),
            ("GET", inbox, "", 401),
            ("GET", "/channels/**?transport=poll", "4d1c7a", 403),
            ("GET", "/inbox", "", 401),
            ("GET", "/inbox/ada", "4d1c7a", 404),
        ):
            body = b"hello" if method == "POST" else None
            given = self.ask(method, path, session, body)
            self.assertEqual(given, status, (method, path, session))
        self.running.stop()

    def test_inboxIsTheMembersOwn(self) -> None:
        """
        The inbox is that of the member who makes the request.
        """
        module = load(EXAMPLES / "members.py")
        self.assertEqual(set(module.SESSIONS.values()), {"ada", "bob"})
        running = self.serve("members.py")
        connection = HttpConnection(TcpConnection(running.site.port))
        connection.send("GET", "/inbox", {"Cookie": "session=4d1c7a"})
        head = connection.head()
        self.assertEqual(head.headers["content-type"], "text/event-stream")
        running.stop()

    def test_sessionsDecideRightsOnWebSocket(self) -> None:
        """
        The same rights hold on a WebSocket.
        """
        running = self.serve("members.py")
        client = WebSocketClient(running.site)
        self.addCleanup(client.close)
        client.open([])
        self.assertIsInstance(client.command(subscribe=["rooms/tea"]), dict)
        self.assertIsInstance(client.next(), BareCursor)
        self.assertEqual(client.errorOf('{"subscribe":["inbox/ada"]}'), "unauthorized")
        with self.assertRaises(Refused):
            WebSocketClient(running.site).open(["inbox/ada"])
        # The server would wait for a client that does not leave.
        client.close()
        running.stop()
