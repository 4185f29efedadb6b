"""
The examples of hooks: an application's, and backends in PHP and Node.js.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from comet.access.rights import Access
from comet.errors import Forbidden, NotFound
from comet.hooks.signing import sign, writeSecret
from comet.hooks.subscribehook import ReadLookup
from comet.model.clients import Client
from comet.model.messages import Publication
from comet.model.positions import Last
from comet.settings.configuration import Configuration, readFile
from comet.testing.memoryhub import MemoryHub
from tests.docs.running import EXAMPLES, load
from tests.ports import freePorts

SECRET = bytes(range(32))
ADA = Client("ada")


class ModeratorTests(SynchronousTestCase):
    """
    C{moderator.py}, with its configuration.
    """

    def setUp(self) -> None:
        """
        Use it.
        """
        self.patch(sys, "path", [str(EXAMPLES), *sys.path])
        example: Any = load(EXAMPLES / "moderator.py")
        file = readFile(str(EXAMPLES / "moderator.toml"))
        configuration = Configuration({"app": "moderator:extend"}, file)
        self.hub = MemoryHub(Access(openPatterns=configuration.openPatterns))
        self.moderator = example.Moderator()
        self.hub.useHooks(self.moderator, configuration.hookTables)

    def publish(self, data: str) -> Deferred[Any]:
        """
        Publish for a client.
        """
        sent = [Publication(("chat/a",), json.dumps(data).encode())]
        stored = self.hub.store(ADA, sent)
        self.hub.advance()
        return stored

    def test_publish(self) -> None:
        """
        Rude words are taken out; who is muted is refused.
        """
        self.successResultOf(self.publish("oh heck"))
        self.moderator.muted.add("ada")
        self.failureResultOf(self.publish("hello"), Forbidden)
        self.assertEqual([each.data for each in self.hub.published("chat/a")], ["oh ****"])

    def test_subscribe(self) -> None:
        """
        A reader begins with the last ten messages.
        """
        starts = self.hub.askToRead(ADA, ["chat/a"])
        assert not isinstance(starts, ReadLookup)
        self.assertEqual(starts, {"chat/a": Last(10)})

    def test_call(self) -> None:
        """
        A call is answered.
        """
        self.assertEqual(self.successResultOf(self.hub.call(ADA, "muted", None)), {"data": []})
        self.failureResultOf(self.hub.call(ADA, "other", None), NotFound)


class BackendTests(SynchronousTestCase):
    """
    C{webhook.php} and C{webhook.mjs}, asked as comet asks.
    """

    def start(self, *command: str) -> None:
        """
        Start a backend, and wait until it answers.
        """
        program = shutil.which(command[0])
        assert program is not None, f"{command[0]} is missing"
        secrets = Path(self.mktemp()).absolute()
        secrets.write_text(f"{writeSecret(bytes(32))}\n{writeSecret(SECRET)}\n")
        environment = {**os.environ, "COMET_HOOK_SECRET": str(secrets)}
        running = subprocess.Popen(
            [program, *command[1:]], env=environment, stderr=subprocess.DEVNULL
        )
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.fail(f"{command[0]} does not listen")

    def ask(
        self, asked: dict[str, Any], secret: bytes = SECRET, late: int = 0, altered: bool = False
    ) -> Any:
        """
        Ask.

        @return: The answer, or the status if that is not 200.
        """
        body = json.dumps(asked).encode()
        timestamp = int(time.time()) - late
        headers = {
            "Content-Type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign([bytes([9] * 32), secret], "msg_1", timestamp, body),
        }
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/", body + b" " * altered, headers)
        response = connection.getresponse()
        raw = response.read()
        connection.close()
        return cast(Any, json.loads(raw)) if response.status == 200 else response.status

    def answers(self) -> None:
        """
        Assert what a backend answers.
        """
        asked = {"time": 1.5, "client": "ada", "channel": "chat/a", "event": None}
        said = {**asked, "type": "publish", "data": "Heck, no!", "encoding": None}
        self.assertEqual(self.ask(said), {"data": "****, no!"})
        self.assertEqual(self.ask({**said, "data": 1}), {})
        muted = {"error": {"code": "forbidden", "message": "you are muted"}}
        self.assertEqual(self.ask({**said, "client": "mallory"}), muted)
        reading = {"type": "subscribe", "client": None, "names": ["chat/a"]}
        self.assertEqual(self.ask(reading), {"since": "-10", "expires": 3600})
        call = {"type": "call", "client": "ada", "method": "m", "data": None}
        self.assertEqual(self.ask(call), {"data": {"method": "m", "client": "ada"}})
        for refused in (
            self.ask(said, bytes([8] * 32)),
            self.ask(said, late=301),
            self.ask(said, late=-301),
            self.ask(said, altered=True),
        ):
            self.assertEqual(refused, 401)

    def test_php(self) -> None:
        """
        The one in PHP.
        """
        [self.port] = freePorts(1)
        self.start("php", "-S", f"127.0.0.1:{self.port}", str(EXAMPLES / "webhook.php"))
        self.answers()

    def test_node(self) -> None:
        """
        The one in Node.js.
        """
        [self.port] = freePorts(1)
        self.start("node", str(EXAMPLES / "webhook.mjs"), str(self.port))
        self.answers()
