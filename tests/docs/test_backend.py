"""
The site of C{backend.py}, with what comet sends it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt
from twisted.trial.unittest import SynchronousTestCase

from comet.hooks.signing import sign, writeSecret
from comet.hooks.verdicts import readConnect
from tests.docs.running import EXAMPLES, load

SECRET = bytes(range(32))


class BackendTests(SynchronousTestCase):
    """
    A site in Flask.
    """

    def setUp(self) -> None:
        """
        Log in with a browser.
        """
        self.patch(sys, "path", [str(EXAMPLES), *sys.path])
        site: Any = load(EXAMPLES / "backend.py")
        self.site = site
        self.site.SECRETS = self.mktemp()
        with open(self.site.SECRETS, "w", encoding="ascii") as file:
            file.write(f"{writeSecret(bytes(32))}\n{writeSecret(SECRET)}\n")
        browser = self.site.app.test_client()
        logged = browser.post("/login", data={"user": "ada"})
        self.cookie = logged.headers["Set-Cookie"].partition(";")[0]

    def ask(self, headers: dict[str, str], secret: bytes = SECRET, late: int = 0) -> Any:
        """
        Ask as comet does.
        """
        body = json.dumps({"type": "connect", "headers": headers}).encode()
        timestamp = int(time.time()) - late
        signed = {
            "Content-Type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign([bytes([9] * 32), secret], "msg_1", timestamp, body),
        }
        return self.site.app.test_client().post("/comet", data=body, headers=signed)

    def test_session(self) -> None:
        """
        The session in the cookie decides, and without one the client is unknown.
        """
        told = readConnect(self.ask({"cookie": self.cookie}).json)
        self.assertEqual((told.name, told.granted.rights.subscribe[0]), ("ada", "inbox/ada"))
        for headers in ({}, {"cookie": "session=forged"}, {"cookie": "a=b"}):
            self.assertTrue(readConnect(self.ask(headers).json).isNobody)

    def test_token(self) -> None:
        """
        A page of a user gets a token, and nobody else does.
        """
        browser = self.site.app.test_client()
        self.assertEqual(browser.get("/token").status_code, 403)
        browser.post("/login", data={"user": "ada"})
        with TemporaryDirectory() as folder:
            Path(folder, "token.secret").write_text("s" * 40)
            here = os.getcwd()
            os.chdir(folder)
            try:
                answer = browser.get("/token")
            finally:
                os.chdir(here)
        claims = jwt.decode(answer.json["token"], "s" * 40, algorithms=["HS256"])
        self.assertEqual((claims["sub"], answer.headers["Cache-Control"]), ("ada", "no-store"))

    def test_notSigned(self) -> None:
        """
        A request that comet has not sent, or not just now, is refused.
        """
        for answer in (
            self.ask({"cookie": self.cookie}, bytes([8] * 32)),
            self.ask({"cookie": self.cookie}, late=301),
            self.site.app.test_client().post("/comet", json={"headers": {}}),
        ):
            self.assertEqual(answer.status_code, 401)
