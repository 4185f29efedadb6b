"""
What a server shows that reads its configuration again while clients read and publish.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from twisted.trial.unittest import TestCase

from tests.edge.capacity import until
from tests.edge.clients import Client
from tests.edge.connections import Response, ask
from tests.edge.publisher import Publisher
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS

# So many connections, one after the other, reach each of two workers: but for one of a
# million times, in which the test waits in vain for what it has seen already.
ENOUGH = 20

OLD, NEW = "o" * 40, "n" * 40

KINDS = ("stream", "sse", "websocket")


def token(secret: str) -> str:
    """
    Make a token that reads what is published.
    """
    said = {"sub": "ada", "exp": time.time() + 600, "comet": {"subscribe": ["load/*"]}}
    return jwt.encode(said, secret, "HS256")


class Backend(BaseHTTPRequestHandler):
    """
    Knows who has the cookie.
    """

    def do_POST(self) -> None:
        """
        Answer comet's question.
        """
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        isKnown = asked["headers"].get("cookie") == "session=eve"
        told = {"client": "eve", "subscribe": ["load/*"]} if isKnown else {}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """
        Write no log.
        """


class ReloadingTestCase(TestCase):
    """
    A server whose file changes; each subclass is another kind of server.

    @cvar workers: How many processes serve.
    """

    timeout = 120
    workers = 1

    def setUp(self) -> None:
        """
        Start a backend, and the server.
        """
        folder = tempfile.TemporaryDirectory(prefix="comet-reload-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name, secret in (("old", OLD), ("new", NEW)):
            (self.folder / f"{name}.secret").write_text(f"{secret}\n")
        backend = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
        thread = threading.Thread(target=backend.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(backend.server_close)
        self.addCleanup(backend.shutdown)
        self.hook = f'hook = "http://127.0.0.1:{backend.server_port}"\nhook-headers = "cookie"\n'
        self.file = self.folder / "comet.toml"
        self.file.write_text('token-key = "old.secret"\n')
        self.server = self.start("--config", "comet.toml", "--open", "load/**", "--heartbeat", "2")
        self.addCleanup(self.server.remove)

    def start(self, *options: str) -> CometProcess:
        """
        Start the server in the folder.
        """
        return CometProcess(*options, directory=self.folder)

    def reload(self, text: str, told: str) -> None:
        """
        Change the file, send SIGHUP, and wait for what the log says.
        """
        before = self.server.log().count(told)
        self.file.write_text(text)
        os.kill(self.server.process, signal.SIGHUP)
        until(lambda: self.server.log().count(told) > before, told)

    def poll(self, **headers: str) -> Response:
        """
        Poll with a connection of its own.
        """
        return ask(self.server.site, "GET", "/channels/load/a?transport=poll", headers)

    def awaitStatus(self, status: int, **headers: str) -> None:
        """
        Wait until each process answers with a status.
        """

        def isSo() -> bool:
            return all(self.poll(**headers).status == status for _ in range(ENOUGH))

        until(isSo, f"{status} with {list(headers)}")

    def reading(self) -> list[Client]:
        """
        Begin to read on each transport, with a token of the first key.
        """
        clients = [CLIENTS[kind](self.server.site) for kind in KINDS for _ in range(self.workers)]
        for client in clients:
            self.addCleanup(client.close)
            client.open(["load/a"], "now", token=token(OLD))
        return clients

    def test_reloaded(self) -> None:
        """
        Readers and publishers lose nothing over some reloads.  Keys of tokens, the
        backend, proxies and limits count from then on; a mistake changes nothing.
        """
        old, new = (f"Bearer {token(secret)}" for secret in (OLD, NEW))
        again = "the configuration was read again: "
        # A worker that has just begun does not know yet what is revoked.
        self.awaitStatus(200, Authorization=old)
        self.assertEqual(self.poll(Authorization=new).status, 401)
        clients = self.reading()
        publisher = Publisher(self.server.site, ["load/a", "load/b"])
        publisher.start()
        both = 'token-key = ["old.secret", "new.secret"]\n'
        self.reload(both, again)
        for given in (old, new):
            self.awaitStatus(200, Authorization=given)
        self.assertEqual(self.poll(Cookie="session=eve").status, 401)
        self.reload(both + self.hook, again)
        self.awaitStatus(200, Cookie="session=eve")
        self.awaitStatus(401, Cookie="session=mallory")
        self.checkMistake(both + self.hook)
        limits = 'trust-proxy = "127.0.0.1"\nconnections-per-address = 1\n'
        self.reload(f'token-key = "new.secret"\n{limits}', again)
        self.awaitStatus(401, Authorization=old)
        self.awaitStatus(401, Cookie="session=eve")
        self.awaitStatus(200, Authorization=new)
        self.checkConnections(new)
        published = publisher.stop()
        self.checkHeard(clients, [each for each in published if each.channel == "load/a"])
        self.reload(f'token-key = "new.secret"\n{limits}publish-rate = 0.01\n', again)
        self.checkRate()
        self.server.assertNoTracebacks()

    def checkMistake(self, text: str) -> None:
        """
        A broken file is told in one line, and changes nothing.
        """
        told = "nothing has changed, since there is a mistake in the configuration"
        self.reload(f'{text}publish-rate = "much"\ntrust-proxy = "10.0.0.1"\n', told)
        for headers in ({"Authorization": f"Bearer {token(OLD)}"}, {"Cookie": "session=eve"}):
            self.awaitStatus(200, **headers)
        self.assertEqual(self.server.log().count(told), 1)

    def checkConnections(self, new: str) -> None:
        """
        An address behind the proxy has one reader in each process.
        """
        site = self.server.site

        def read(address: str) -> int:
            client = CLIENTS["stream"](site)
            self.addCleanup(client.close)
            return self.opened(client, {"Authorization": new, "X-Forwarded-For": address})

        statuses = [read("192.0.2.1") for _ in range(self.workers + 1)]
        self.assertEqual((statuses[0], statuses[-1] in (200, 429)), (200, True), statuses)
        self.assertIn(429, statuses)
        self.assertEqual(read("192.0.2.2"), 200)

    def opened(self, client: Any, headers: dict[str, str]) -> int:
        """
        Begin a stream with headers of its own, and return the status.
        """
        connection = client._speak()
        connection.send("GET", "/channels/load/b?transport=stream", headers)
        status: int = connection.head().status
        return status

    def checkHeard(self, clients: list[Client], published: list[Any]) -> None:
        """
        Each reader has got everything once, in order.
        """
        self.assertGreater(len(published), 20)
        for client in clients:
            heard = client.messages(len(published))
            self.assertEqual(
                [(each.cursor, each.data) for each in heard],
                [(each.cursor, each.data) for each in published],
            )

    def checkRate(self) -> None:
        """
        Each process lets an address publish once, and then for long no more.
        """

        def publish() -> int:
            headers = {"X-Forwarded-For": "192.0.2.9", "Content-Type": "text/plain"}
            return ask(self.server.site, "POST", "/channels/load/c", headers, b"x").status

        until(lambda: 429 in [publish() for _ in range(ENOUGH)], "too many")
