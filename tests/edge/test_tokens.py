"""
Tests of tokens: each transport, on both edges, lets in those that have the right.
"""

from __future__ import annotations

import atexit
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from tests.edge.case import EdgeTestCase
from tests.edge.connections import HttpConnection, ResponseHead, TcpConnection

SECRET = "a secret that these tests share with nobody"

WAYS = ("poll", "longpoll", "stream", "sse", "multipart", "iframe", "jsonp", "websocket")

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def secretFile() -> str:
    """
    Write the secret to a file, for as long as the tests run.
    """
    descriptor, path = tempfile.mkstemp(prefix="comet-tokens-")
    with open(descriptor, "wb") as file:
        file.write(SECRET.encode() + b"\n")
    atexit.register(os.unlink, path)
    return path


_file = secretFile()


def token(secret: str = SECRET, **claims: Any) -> str:
    """
    Make a token of ada's, which may read and publish to chat.
    """
    granted = {"subscribe": ["chat/*", "u/{sub}", "$stats"], "publish": ["chat/*", "$x"]}
    said = {"sub": "ada", "exp": time.time() + 600, "comet": granted, **claims}
    return jwt.encode(said, secret, "HS256")


class TokenTests(EdgeTestCase):
    """
    The lean edge, which is the default.
    """

    options: Sequence[str] = ("--token-key", _file, "--open-read", "news")

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> ResponseHead:
        """
        Send a request, and read the head of what answers it.
        """
        tcp = TcpConnection(self.site.port)
        self.addCleanup(tcp.close)
        connection = HttpConnection(tcp)
        connection.send(method, target, headers or {}, body)
        return connection.head()

    def read(self, way: str, name: str, shown: str | None, place: str = "header") -> ResponseHead:
        """
        Ask to read a channel by a transport.

        @param shown: The credential.

        @param place: Where it stands.
        """
        headers = dict(UPGRADE) if way == "websocket" else {}
        query = f"transport={way}&wait=0" + ("&callback=cb" if way == "jsonp" else "")
        if way == "jsonp":
            headers["Sec-Fetch-Site"] = "same-origin"
        if shown is not None and place == "header":
            headers["Authorization"] = f"Bearer {shown}"
        elif shown is not None and place == "cookie":
            headers["Cookie"] = f"comet_token={shown}"
        elif shown is not None:
            query += f"&token={shown}"
        return self.ask("GET", f"/channels/{name}?{query}", headers)

    def test_eachTransport(self) -> None:
        """
        A good token is let in where it has the right, wherever it stands; nobody and a
        bad one are unauthorized, and a client without the right is refused.
        """
        good, key = token(), self.site.key
        bad = (
            token("another secret that is long enough, too"),
            token(exp=time.time() - 6),
            token(nbf=time.time() + 60),
            token(aud="others"),
            jwt.encode({"sub": "ada", "exp": time.time() + 60}, "", "none"),
            key + "x",
        )
        for way in WAYS:
            begun = 101 if way == "websocket" else 200
            for place in ("header", "query") + (("cookie",) if way != "jsonp" else ()):
                self.assertEqual(self.read(way, "chat/a", good, place).status, begun, way)
            for name in ("u/ada", "news", "chat/*"):
                self.assertEqual(self.read(way, name, good).status, begun, (way, name))
            self.assertEqual(self.read(way, "news", None).status, begun, way)
            self.assertEqual(self.read(way, "any/thing", key).status, begun, way)
            for name in ("u/bob", "chat/**", "chat/a,other", "$stats", "$presence/chat/a"):
                self.assertEqual(self.read(way, name, good).status, 403, (way, name))
            refused = self.read(way, "chat/a", None)
            self.assertEqual((refused.status, refused.headers["www-authenticate"]), (401, "Bearer"))
            for each in bad:
                for name in ("chat/a", "news"):
                    refused = self.read(way, name, each)
                    self.assertEqual(refused.status, 401, (way, each))
                    self.assertEqual(
                        refused.headers["www-authenticate"], 'Bearer error="invalid_token"'
                    )
            self.assertEqual(self.read(way, "chat/a", key, "query").status, 401, way)

    def test_otherRequests(self) -> None:
        """
        Publishing, deleting, the log end and history need their rights, too.
        """
        good = {"Authorization": f"Bearer {token()}"}
        for method, name, expected in (
            *(("POST", "chat/a", 201), ("POST", "u/ada", 403), ("POST", "news", 403)),
            *(("POST", "$x", 403), ("DELETE", "chat/a", 403), ("HEAD", "chat/a", 200)),
            *(("HEAD", "u/bob", 403), ("OPTIONS", "u/bob", 204)),
        ):
            body = b"x" if method == "POST" else None
            answer = self.ask(method, f"/channels/{name}", good, body)
            self.assertEqual(answer.status, expected, (method, name))
            nobody = self.ask(method, f"/channels/{name}", {}, body).status
            reserved = name.startswith("$")
            self.assertEqual(nobody, expected if method == "OPTIONS" or reserved else 401, name)
        target = "/channels/u/bob?transport=poll&before=aaaaaa-1"
        self.assertEqual(self.ask("GET", target, good).status, 403)

    def test_commands(self) -> None:
        """
        On raw TCP a connection has what is open, and with the command C{token} what its
        token permits; a bad one changes nothing.
        """
        tcp = TcpConnection(self.site.tcpPort)
        self.addCleanup(tcp.close)

        def say(**command: Any) -> Any:
            tcp.send(json.dumps({"id": 1, **command}).encode() + b"\n")
            said = b""
            while True:
                said += tcp.receiveUntil(b"\n")
                for line in said.splitlines():
                    told = json.loads(line)
                    if "id" in told:
                        return told.get("error", {}).get("code", "ok")

        for command, expected in (
            ({"subscribe": ["news"]}, "ok"),
            ({"subscribe": ["chat/a"]}, "unauthorized"),
            ({"token": token("another secret that is long enough, too")}, "unauthorized"),
            ({"token": token()}, "ok"),
            ({"subscribe": ["chat/a"]}, "ok"),
            ({"subscribe": ["u/bob"]}, "forbidden"),
            ({"publish": "chat/a", "data": 1}, "ok"),
            ({"publish": "news", "data": 1}, "forbidden"),
        ):
            self.assertEqual(say(**command), expected, command)


class TwistedTokenTests(TokenTests):
    """
    Twisted's edge.
    """

    options: Sequence[str] = (*TokenTests.options, "--edge", "twisted")
