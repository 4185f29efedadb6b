"""
The small applications of the book, each with imports from C{comet} alone.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from typing import Any

from tests.docs.running import EXAMPLES, PATIENCE, ExampleTestCase, Running
from tests.edge.connections import HttpConnection, Response, TcpConnection, ask
from tests.edge.server import ROOT, twistd
from tests.ports import freePorts

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class ApplicationCase(ExampleTestCase):
    """
    Runs applications.
    """

    def extend(self, example: str, *options: str) -> Running:
        """
        Run the server with an example as its C{--app}.
        """
        shutil.copy(EXAMPLES / f"{example}.py", self.directory)
        (port,) = freePorts(1)
        listen = f"tcp:{port}:interface=127.0.0.1"
        command = [*twistd(), "-n", "--pidfile=", "comet", "--listen", listen]
        running = Running([*command, "--app", f"{example}:extend", *options], self.directory, port)
        self.addCleanup(running.kill)
        return running

    def stream(self, running: Running, path: str, headers: dict[str, str] | None = None) -> Any:
        """
        Begin to read a stream.
        """
        connection = HttpConnection(TcpConnection(running.site.port))
        connection.send("GET", path, headers or {})
        self.assertEqual(connection.head().status, 200)
        return connection

    def until(self, connection: Any, what: bytes) -> bytes:
        """
        Read a stream until something has come.
        """
        text = b""
        while what not in text:
            text += connection.piece()
        return text


class ExtendedServerTests(ApplicationCase):
    """
    C{app.py} and C{htmx.py}: the standard server with C{--app}.
    """

    def test_appKeepsEverythingElse(self) -> None:
        """
        Members read and publish by their sessions, on the lean edge, and the publish
        key publishes as ever.
        """
        running = self.extend("app")
        ada = {"Cookie": "session=4d1c7a"}
        site = running.site
        room = self.stream(running, "/channels/rooms/hall?transport=stream&since=earliest", ada)
        self.until(room, b'"the server is back"')
        self.assertEqual(
            ask(site, "POST", "/channels/rooms/hall", {**ada, **FORM}, b"hi").status, 201
        )
        self.until(room, b'"hi"')
        inbox = self.stream(running, "/inbox", ada)
        key = (self.directory / "comet.key").read_text().strip()
        backend = {"Authorization": f"Bearer {key}", **FORM}
        self.assertEqual(ask(site, "POST", "/channels/inbox/ada", backend, b"for you").status, 201)
        self.until(inbox, b"data: for you")
        for headers, path, status in (
            ({}, "/channels/rooms/hall?transport=poll", 401),
            ({"Cookie": "session=x"}, "/channels/rooms/hall?transport=sse", 401),
            ({"Cookie": "session=9be02f"}, "/channels/inbox/ada?transport=poll", 403),
        ):
            self.assertEqual(ask(site, "GET", path, headers).status, status, path)
        running.stop()

    def test_htmxGetsHTML(self) -> None:
        """
        The transport is there under its name, and sends what the page can take.
        """
        running = self.extend("htmx", "--open", "guests")
        site = running.site
        page = ask(site, "GET", "/guests")
        self.assertIn(b"transport=htmx", page.body)
        ask(site, "POST", "/channels/guests", {"Content-Type": "text/plain"}, b"<b>\nada")
        stream = self.stream(running, "/channels/guests?transport=htmx&since=-5")
        text = self.until(stream, b"ada")
        self.assertIn(b"event: message\ndata: <li>&lt;b&gt;\ndata: ada</li>\n\n", text)
        response: Response = ask(site, "GET", "/channels/guests?transport=xmth")
        self.assertIn(b"htmx", response.body)
        running.stop()


class ReadingTests(ApplicationCase):
    """
    C{lines.py} and C{follower.py}, which read in the process itself.
    """

    def test_linesReadAndSay(self) -> None:
        """
        Clients of the line protocol read what others say, in order, and are told when
        the server stops.
        """
        running = self.serve("lines.py", isHTTP=False)
        reader, speaker = (TcpConnection(running.site.port) for _ in range(2))
        speaker.send(b"say tea one\nsay tea two\nsay a//b x\nnonsense\n")
        self.assertEqual(speaker.receiveUntil(b"\n", 2).count(b"? "), 2)
        reader.send(b"read tea\n")
        self.assertEqual(reader.receiveUntil(b"two\n"), b"tea: one\ntea: two\n")
        speaker.send(b"say tea three\n")
        self.assertEqual(reader.receiveUntil(b"\n"), b"tea: three\n")
        running.stop()
        self.assertIn(b"! the server is going down", reader.receiveUntil(b"\n"))

    def test_followerHandlesEachOnce(self) -> None:
        """
        A follower that is started again goes on behind what it has handled; one that
        was killed before it had saved its cursor repeats, and loses nothing.
        """
        running = self.extend("follower", "--bus", "sqlite:jobs.db", "--open", "jobs/*")
        self.handled(running, "one", "two")
        running.stop()
        saved = (self.directory / "jobs.cursor").read_text()
        running.start()
        self.handled(running, "three")
        running.kill()
        (self.directory / "jobs.cursor").write_text(saved)
        running.start()
        self.untilDone("one", "two", "three", "three")
        running.stop()

    def handled(self, running: Running, *jobs: str) -> None:
        """
        Publish jobs, and wait until they are handled.
        """
        done = self.directory / "done.txt"
        before = done.read_text().splitlines() if done.exists() else []
        for job in jobs:
            text = {"Content-Type": "text/plain"}
            ask(running.site, "POST", "/channels/jobs/a", text, job.encode())
        self.untilDone(*(line.partition(": ")[2] for line in before), *jobs)

    def untilDone(self, *jobs: str) -> None:
        """
        Wait until just these jobs are done.
        """
        done, wanted = self.directory / "done.txt", [f"jobs/a: {job}" for job in jobs]
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if done.exists() and len(done.read_text().splitlines()) >= len(wanted):
                break
            time.sleep(0.02)
        self.assertEqual(done.read_text().splitlines(), wanted)


class SessionsTests(ApplicationCase):
    """
    C{sessions.py}: Klein with sessions of its own.
    """

    def test_loginGivesChannels(self) -> None:
        """
        A user who has logged in reads the own channel, on every transport.
        """
        running = self.serve("sessions.py")
        site = running.site
        self.assertEqual(ask(site, "POST", "/login", FORM, b"name=ada&password=x").status, 403)
        welcome = ask(site, "POST", "/login", FORM, b"name=ada&password=lovelace")
        cookie = {"Cookie": welcome.headers["set-cookie"].partition(";")[0]}
        stream = self.stream(running, "/push/channels/users/ada?transport=sse", cookie)
        self.assertEqual(ask(site, "POST", "/greet/ada", FORM, b"").status, 200)
        self.until(stream, b"data: hello")
        for headers, path, status in (
            (cookie, "/push/channels/users/bob?transport=poll", 403),
            ({}, "/push/channels/users/ada?transport=poll", 401),
            ({"Cookie": "session=x"}, "/push/channels/users/ada?transport=poll", 401),
            (cookie, "/push/channels/users/ada?transport=poll", 200),
        ):
            self.assertEqual(ask(site, "GET", path, headers).status, status, path)
        running.stop()


class OwnBusTests(ApplicationCase):
    """
    C{listbus.py}, and the examples' own tests.
    """

    def test_ownTestsPass(self) -> None:
        """
        The tests of the bus on a list and of the application pass, without a server.
        """
        for name in ("app", "listbus", "shop", "test_app", "test_listbus", "test_shop"):
            shutil.copy(EXAMPLES / f"{name}.py", self.directory)
        said = self.run_(
            sys.executable, "-m", "twisted.trial", "test_app", "test_listbus", "test_shop"
        )
        (count,) = re.findall(r"PASSED \(successes=(\d+)\)", said)
        self.assertGreater(int(count), 90)

    def test_serverTakesBus(self) -> None:
        """
        A plugin adds the bus to the server.
        """
        plugins = self.directory / "twisted" / "plugins"
        plugins.mkdir(parents=True)
        (plugins / "listbus_plugin.py").write_text(
            "from listbus import ListMaker\nmaker = ListMaker()\n"
        )
        shutil.copy(EXAMPLES / "listbus.py", self.directory)
        (port,) = freePorts(1)
        own = ["--listen", f"tcp:{port}:interface=127.0.0.1", "--bus", "list:", "--open", "a"]
        finding = ["env", f"PYTHONPATH={ROOT}{os.pathsep}{self.directory}"]
        command = [*finding, *twistd(), "-n", "--pidfile=", "comet", *own]
        running = Running(command, self.directory, port)
        self.addCleanup(running.kill)
        posted = ask(running.site, "POST", "/channels/a", {"Content-Type": "text/plain"}, b"tea")
        self.assertEqual(posted.status, 201)
        read = ask(running.site, "GET", "/channels/a?transport=poll&since=earliest")
        self.assertIn(b'"data":"tea"', read.body)
        running.stop()
