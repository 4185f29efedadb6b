"""
The site in Django, with comet beside it, behind nginx: the book's configuration of each,
in which the ports and the certificate are replaced by those of the test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import ssl
import sys
from base64 import urlsafe_b64decode
from typing import Any

from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.docs.running import EXAMPLES, ExampleTestCase, Running
from tests.edge.connections import Ended, HttpConnection, Response, Site, TcpConnection, ask
from tests.edge.server import twistd
from tests.edge.tls import makeCertificate
from tests.ports import freePorts
from tests.proxies.programs import findProgram

HOST = "www.example.com"
OURS = f"https://{HOST}"
FORM = "application/x-www-form-urlencoded"

# What the command of the page does, with some users.
PREPARE = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()
from django.contrib.auth.models import Group, User
from django.core.management import call_command
call_command("migrate", verbosity=0)
room = Group.objects.create(name="Kitchen")
for name in ("ada", "bob", "eve"):
    User.objects.create_user(name, password="tea-" + name).groups.add(room)
"""


class Browser:
    """
    A browser that keeps cookies.

    @ivar cookies: The cookies of the site, by name.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies: dict[str, str] = {}

    @property
    def headers(self) -> dict[str, str]:
        """
        The headers that a page of the site sends.
        """
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Origin": OURS, "Referer": f"{OURS}/", **({"Cookie": cookie} if cookie else {})}

    def ask(self, method: str, path: str, body: str | None = None, **changes: str) -> Response:
        """
        Send a request, and keep the cookies that come.

        @param changes: Other headers.
        """
        headers = {**self.headers, **changes}
        if body is not None:
            headers.setdefault("Content-Type", FORM)
        answer = ask(self.site, method, path, headers, None if body is None else body.encode())
        given = answer.headers.get("set-cookie", "")
        for name, value in re.findall(r"(?:^|, )(csrftoken|sessionid)=([^;]*)", given):
            self.cookies[name] = value
        return answer

    def submit(self, page: str, path: str, fields: str = "") -> Response:
        """
        Submit the form of a page.
        """
        found = re.search(rb'name="csrfmiddlewaretoken" value="(\w+)"', self.ask("GET", page).body)
        assert found is not None, page
        return self.ask("POST", path, f"csrfmiddlewaretoken={found[1].decode()}{fields}")

    def stream(self, path: str) -> HttpConnection:
        """
        Begin to read a stream.
        """
        connection = HttpConnection(TcpConnection(self.site.port, self.site.tls), HOST)
        connection.send("GET", path, {**self.headers, "Accept": "text/event-stream"})
        return connection

    def socket(self, path: str) -> ClientConnection:
        """
        Open a WebSocket.
        """
        return connect(
            f"wss://{HOST}{path}",
            sock=TcpConnection(self.site.port).socket,
            ssl=self.site.tls,
            server_hostname="localhost",
            additional_headers=self.headers,
        )


def command(socket: ClientConnection, **fields: Any) -> Any:
    """
    Send a command over a WebSocket, and return its answer.  Events before it are dropped.
    """
    socket.send(json.dumps({"id": 1, **fields}))
    while "id" not in (answer := json.loads(socket.recv(30))):
        pass
    return answer


def until(connection: HttpConnection, what: bytes) -> None:
    """
    Read a stream until something has come.
    """
    text = b""
    while what not in text:
        piece = connection.piece()
        if not piece:
            raise Ended(f"without {what!r}: {text!r}")
        text += piece


class DjangoTests(ExampleTestCase):
    """
    nginx, gunicorn with the site, and comet.
    """

    def setUp(self) -> None:
        """
        Start the three, and let ada log in with a browser.
        """
        super().setUp()
        self.folder = self.directory / "mysite"
        shutil.copytree(EXAMPLES / "mysite", self.folder)
        shutil.copy(EXAMPLES / "webhooks.py", self.folder)
        (self.folder / "token.secret").write_text("s" * 48 + "\n")
        ports = freePorts(3)
        self.ports = dict(zip(("443", "8080", "8000"), map(str, ports), strict=True))
        self.rewrite("comet.toml", "tcp:8080", "127.0.0.1:8000")
        comet = self.begin("8080", *twistd(), "-n", "--pidfile=", "comet", "--config", "comet.toml")
        self.comet = comet.site
        python = ["env", "SECRET_KEY=very-secret", f"COMET_URL=http://127.0.0.1:{ports[1]}"]
        python += [sys.executable]
        self.directory, outer = self.folder, self.directory
        self.run_(*python, "-c", PREPARE)
        self.directory = outer
        gunicorn = ["-m", "gunicorn", "--workers", "2", "--bind", f"127.0.0.1:{ports[2]}"]
        self.begin("8000", *python, *gunicorn, "mysite.wsgi")
        self.browser = Browser(self.serveNginx())
        self.login(self.browser, "ada")

    def rewrite(self, name: str, *places: str) -> None:
        """
        Put the ports of the test into a file.

        @param places: Texts with the ports of the book, which must be there.
        """
        path = self.folder / name
        text = path.read_text()
        for place in places:
            self.assertIn(place, text)
            book = re.findall(r"\d+", place)[-1]
            text = text.replace(place, place.replace(book, self.ports[book]))
        path.write_text(text)

    def begin(self, port: str, *command: str) -> Running:
        """
        Run a server of the site.

        @param port: Its port in the book.
        """
        running = Running(command, self.folder, int(self.ports[port]))
        self.addCleanup(running.kill)
        return running

    def serveNginx(self) -> Site:
        """
        Run nginx, with the book's file inside a main configuration.
        """
        key, certificate = makeCertificate(self.directory)
        self.rewrite("nginx.conf", "listen 443", "127.0.0.1:8000", "127.0.0.1:8080")
        path = self.folder / "nginx.conf"
        text = path.read_text().replace("listen ", "listen 127.0.0.1:")
        text = text.replace("/etc/ssl/www.example.com/fullchain.pem", str(certificate))
        path.write_text(text.replace("/etc/ssl/www.example.com/privkey.pem", str(key)))
        user = "user root;" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {self.directory}/{kind};" for kind in kinds)
        main = self.directory / "main.conf"
        main.write_text(
            f"{user} daemon off; pid {self.directory}/nginx.pid; error_log stderr;"
            "events { worker_connections 512; }"
            f"http {{ access_log off; {folders} include {path}; }}"
        )
        port = int(self.ports["443"])
        site = Site(port, 0, tls=ssl.create_default_context(cafile=str(certificate)), host=HOST)
        nginx = Running(
            [findProgram("nginx"), "-p", str(self.directory), "-c", str(main)],
            self.directory,
            port,
            lambda _: ask(site, "GET", "/"),
        )
        self.addCleanup(nginx.stop)
        return site

    def login(self, browser: Browser, name: str) -> None:
        """
        Log in with name and password, by the form.
        """
        page = "/accounts/login/"
        answer = browser.submit(page, page, f"&username={name}&password=tea-{name}")
        self.assertEqual((answer.status, answer.headers["location"]), (302, "/"))
        self.assertIn("sessionid", browser.cookies)

    def publish(self, channel: str, text: str) -> None:
        """
        Publish as the backend does.
        """
        key = (self.folder / "comet.key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": FORM}
        answer = ask(self.comet, "POST", f"/channels/{channel}", headers, text.encode())
        self.assertEqual(answer.status, 201)

    def test_site(self) -> None:
        """
        The site does what its page says.  In one test, since three servers have to start.
        """
        self.checkSession()
        self.checkOutside()
        self.checkToken()
        self.checkLogout()
        self.checkAccount()

    def checkSession(self) -> None:
        """
        On each way to read, the session gives what the site says, and no more: by the
        URL, and by every command.
        """
        browser, stranger = self.browser, Browser(self.browser.site)
        self.assertIn(b'"/push/channels/inbox/1?since=-10"', browser.ask("GET", "/").body)
        for name, status, unknown in (
            ("inbox/1", 200, 401),
            ("rooms/kitchen", 200, 401),
            ("inbox/2", 403, 401),
            ("inbox/1,inbox/2", 403, 401),
            ("inbox/*", 403, 401),
        ):
            path = f"/push/channels/{name}?transport=poll"
            self.assertEqual(browser.ask("GET", path).status, status, name)
            self.assertEqual(stranger.ask("GET", path).status, unknown, name)
        # Nor does the page of another site have her session.
        for origin in ({"Origin": "https://evil.example"}, {"Cookie": "sessionid=forged"}):
            answer = browser.ask("GET", "/push/channels/inbox/1?transport=poll", **origin)
            self.assertEqual(answer.status, 401)
        stream = browser.stream("/push/channels/inbox/1")
        self.assertEqual(stream.head().status, 200)
        self.publish("inbox/1", "for ada")
        until(stream, b"for ada")
        # A view publishes with the Python client.
        self.assertEqual(browser.submit("/", "/remind/", "&text=of+tea").status, 202)
        until(stream, b'"text":"of tea"')
        self.assertEqual(stranger.ask("POST", "/remind/", "text=x").status, 403)
        self.assertEqual(browser.ask("POST", "/push/channels/rooms/kitchen", "Tea?").status, 201)
        self.assertEqual(browser.ask("POST", "/push/channels/inbox/2", "x").status, 403)
        with browser.socket("/push/channels/inbox/1?since=-2") as socket:
            while '"data":"for ada"' not in socket.recv(30):
                pass
        for path, expected in (("/push/channels/inbox/2", 403), ("/push/channels/inbox/1", 401)):
            who = browser if expected == 403 else stranger
            refused = self.assertRaises(InvalidStatus, who.socket, path)
            self.assertEqual(refused.response.status_code, expected)
        with browser.socket("/push/socket") as socket:
            answer = command(socket, subscribe=["inbox/2"])
            self.assertEqual(answer["error"]["code"], "forbidden")
            self.assertIn("ok", command(socket, subscribe=["inbox/1"]))
            self.assertIn("ok", command(socket, publish="rooms/kitchen", data="Yes"))
            self.assertIn("error", command(socket, publish="inbox/1", data="x"))

    def checkOutside(self) -> None:
        """
        What is between comet and the site is not reached through nginx, and what the site
        has not got from comet is not answered.
        """
        key = (self.folder / "comet.key").read_text().strip()
        for path in ("/comet/connect", "/push/admin/disconnect"):
            answer = self.browser.ask("POST", path, "{}", Authorization=f"Bearer {key}")
            self.assertEqual(answer.status, 404, path)
        backend = Site(int(self.ports["8000"]), 0)
        body = json.dumps({"headers": self.browser.headers}).encode()
        self.assertEqual(ask(backend, "POST", "/comet/connect", {}, body).status, 401)

    def checkToken(self) -> None:
        """
        The site gives its user a token with the same rights.  It says when it was made, or a
        revocation would refuse also those of the next login.
        """
        self.assertEqual(Browser(self.browser.site).ask("GET", "/comet/token").status, 403)
        token = json.loads(self.browser.ask("GET", "/comet/token").body)["token"]
        claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
        self.assertEqual(claims["exp"] - claims["iat"], 600)
        stranger = Browser(self.browser.site)
        for name, status in (("inbox/1", 200), ("rooms/kitchen", 200), ("inbox/2", 403)):
            path = f"/push/channels/{name}?transport=poll"
            self.assertEqual(stranger.ask("GET", f"{path}&token={token}").status, status, name)

    def checkLogout(self) -> None:
        """
        Logging out ends what the user reads, and its session is of no use any more; that
        of another user stays.
        """
        browser, other = self.browser, Browser(self.browser.site)
        self.login(other, "bob")
        stream = browser.stream("/push/channels/inbox/1")
        others = other.stream("/push/channels/rooms/kitchen")
        self.assertEqual((stream.head().status, others.head().status), (200, 200))
        old = dict(browser.cookies)
        with browser.socket("/push/socket") as socket:
            command(socket, subscribe=["rooms/kitchen"])
            answer = browser.submit("/", "/accounts/logout/")
            self.assertEqual(answer.status, 302)
            until(stream, b'"disconnected"')
            closed = self.assertRaises(ConnectionClosedError, list, socket)
            self.assertIn("1008", str(closed))
        browser.cookies = old
        path = "/push/channels/inbox/1?transport=poll"
        self.assertEqual(browser.ask("GET", path).status, 401)
        self.publish("rooms/kitchen", "still here")
        until(others, b"still here")

    def checkAccount(self) -> None:
        """
        A session counts no longer once the password was changed, or the account closed.
        """
        for change in ("password = 'x'", "is_active = 0"):
            browser = Browser(self.browser.site)
            self.login(browser, "eve")
            ((password,),) = self.query("SELECT password FROM auth_user WHERE username = 'eve'")
            self.query(f"UPDATE auth_user SET {change} WHERE username = 'eve'")
            answer = browser.ask("GET", "/push/channels/inbox/3?transport=poll")
            self.assertEqual(answer.status, 401, change)
            self.query("UPDATE auth_user SET password = ? WHERE username = 'eve'", password)

    def query(self, sql: str, *values: str) -> list[Any]:
        """
        Have the database of the site do something.
        """
        database = sqlite3.connect(self.folder / "db.sqlite3")
        try:
            rows = database.execute(sql, values).fetchall()
            database.commit()
        finally:
            database.close()
        return rows
