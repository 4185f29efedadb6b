"""
Tests of heads, commands, batches and tokens that are just within the fixed limits of the
book, and just beyond them, on both edges.  The limits that follow from options are small
here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.edge.asking import UPGRADE
from tests.edge.badtokens import KEYS, Made
from tests.edge.case import EdgeTestCase
from tests.edge.connections import Ended, HttpConnection, TcpConnection, ask
from tests.edge.envelopes import problemOf
from tests.edge.speakers import SPEAKERS, CommandFailed, WebSocketClient
from tests.transports.frames import TEXT, frame

# The options of the server.
MESSAGE = 1024
NAMES = 10

# What follows from them, as the book says.
LINE = 8192 + 1600 * NAMES
COMMAND = 6 * MESSAGE + 4096
BATCH = 64 * MESSAGE

HEADERS = 16384
TOKEN = 16384


def publication(size: int) -> bytes:
    """
    Make a line of a batch with so many bytes.
    """
    empty = b'{"channel":"open/b","data":""}\n'
    return empty.replace(b'""', b'"%b"' % (b"x" * (size - len(empty))))


def pinging(size: int) -> str:
    """
    Make a command with so many bytes.
    """
    begun = '{"id": 1, "ping": 1'
    return begun + " " * (size - len(begun) - 1) + "}"


def named(size: int) -> str:
    """
    Make a command whose id has so many characters.
    """
    return json.dumps({"id": "i" * size, "ping": 1})


def subscribing(count: int) -> str:
    """
    Make a command with so many names.
    """
    return json.dumps({"id": 1, "subscribe": [f"open/{number}" for number in range(count)]})


def nested(levels: int) -> str:
    """
    Make a command that publishes so many levels.
    """
    data: list[Any] = []
    for _ in range(levels - 1):
        data = [data]
    return json.dumps({"id": 1, "publish": "open/a", "data": data})


def granting(**claim: Any) -> dict[str, Any]:
    """
    Make the claims of a token that may read rooms.
    """
    return {"comet": {"subscribe": ["rooms/*"], **claim}}


# Claims with so much of something, and how much they may have.
CLAIMS: list[tuple[Callable[[int], dict[str, Any]], int]] = [
    (lambda size: granting(publish=["r"] * size), 1000),
    (lambda size: granting(info="x" * (size - 2)), 4096),
    (lambda size: granting(info={"a": [1, "x" * (size - 12)]}), 4096),
    (lambda size: {"jti": "j" * size}, 255),
    (lambda size: {"sub": "s" * size}, 255),
]


class AtFixedLimitsTests(EdgeTestCase):
    """
    The lean edge, which is the default.
    """

    options = (
        *("--open", "open/**", "--open-read", "open/**", *KEYS.options),
        *("--max-message", str(MESSAGE), "--max-channels", str(NAMES)),
    )

    def assertBetween(self, ask: Callable[[int], tuple[int, str]], most: int, code: str) -> None:
        """
        Check that something with so much of it is taken, and with one more refused.

        @param ask: Asks with so much; returns the status and the code of the error.

        @param code: That of the error.
        """
        self.assertEqual(ask(most)[1], "", f"{most}")
        self.assertEqual(ask(most + 1)[1], code, f"{most + 1}")

    def get(self, target: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """
        Send a request to read.

        @return: The status, and the code of the error.
        """
        answer = ask(self.site, "GET", target, headers)
        if answer.status == 200:
            return 200, ""
        return answer.status, problemOf(answer.status, answer.headers, answer.body)

    def test_firstLine(self) -> None:
        """
        The bytes of the first line.
        """
        target = "/channels/open/a?transport=poll&x="
        rest = len(f"GET {target} HTTP/1.1")
        self.assertBetween(lambda size: self.get(target + "x" * (size - rest)), LINE, "tooLarge")
        self.assertEqual(self.get(target + "x" * LINE)[0], 414)

    def test_headers(self) -> None:
        """
        The bytes of the headers, but for the ends of their lines, and their number.
        """
        host = f"Host: 127.0.0.1:{self.site.port}"

        def withBytes(size: int) -> tuple[int, str]:
            filler = size - len(host) - len("X: ")
            return self.get("/channels/open/a?transport=poll", {"X": "x" * filler})

        def withSoMany(count: int) -> tuple[int, str]:
            headers = {f"X{number}": "" for number in range(count - 1)}
            return self.get("/channels/open/a?transport=poll", headers)

        self.assertBetween(withBytes, HEADERS, "tooLarge")
        self.assertEqual(withBytes(HEADERS + 1)[0], 431)
        self.assertBetween(withSoMany, 500, "tooLarge")
        self.assertEqual(withSoMany(501)[0], 431)

    def test_poll(self) -> None:
        """
        The seconds that a poll is held, and the messages of a response.
        """
        target = "/channels/open/few?transport=longpoll"
        tcp = TcpConnection(self.site.port)
        self.addCleanup(tcp.close)
        http = HttpConnection(tcp)
        http.send("GET", f"{target}&wait=300")
        ask(self.site, "POST", "/channels/open/few", {}, b"x")
        self.assertEqual(http.answer().status, 200)
        self.assertEqual(self.get(f"{target}&wait=300.1"), (400, "badRequest"))
        line = b'{"channel":"open/many","data":1}\n'
        for count in (1000, 1):
            headers = {"Content-Type": "application/x-ndjson"}
            ask(self.site, "POST", "/publish", headers, line * count)
        for names, since, expected in (
            ("open/many", "-1000", (1000, False)),
            ("open/many,open/few", "earliest", (1000, True)),
        ):
            target = f"/channels/{names}?transport=poll&since={since}&limit=2000"
            body = json.loads(ask(self.site, "GET", target).body)
            self.assertEqual((len(body["messages"]), body.get("more", False)), expected)

    def test_batch(self) -> None:
        """
        The bytes of a batch.
        """

        def publish(size: int) -> tuple[int, str]:
            body = publication(MESSAGE) * (size // MESSAGE - 1)
            body += publication(size - len(body))
            headers = {"Content-Type": "application/x-ndjson"}
            answer = ask(self.site, "POST", "/publish", headers, body)
            if answer.status == 201:
                return 201, ""
            return answer.status, problemOf(answer.status, answer.headers, answer.body)

        self.assertBetween(publish, BATCH, "tooLarge")

    def command(self, kind: str, text: str) -> str:
        """
        Send a command on a connection of its own.

        @return: The code of the error, which a WebSocket may tell as it closes.
        """
        speaker = SPEAKERS[kind](self.site)
        self.addCleanup(speaker.close)
        speaker.open([])
        speaker.say(text)
        try:
            answer = speaker.answer()
        except Ended:
            assert isinstance(speaker, WebSocketClient)
            return {1009: "tooLarge"}.get(speaker.closeCode or 0, "")
        code: str = answer.get("error", {}).get("code", "")
        return code

    def test_commands(self) -> None:
        """
        The bytes of a command, the characters of its id, and names; and the levels of
        what it publishes.
        """
        for kind in SPEAKERS:
            for make, most, code in (
                (pinging, COMMAND, "tooLarge"),
                (named, 128, "badRequest"),
                (subscribing, NAMES, "badRequest"),
                (nested, 64, "badMessage"),
            ):
                self.assertEqual(self.command(kind, make(most)), "", (kind, most))
                self.assertEqual(self.command(kind, make(most + 1)), code, (kind, most))

    def test_frames(self) -> None:
        """
        The frames of a message: so many more than it has bytes.
        """
        body = b'{"id":1,"ping":1}'
        most = len(body) + 1024
        for count, mark in ((most, b'{"id":1,"ok"'), (most + 1, b"frames more than bytes")):
            tcp = TcpConnection(self.site.port)
            self.addCleanup(tcp.close)
            http = HttpConnection(tcp)
            http.send("GET", "/socket", UPGRADE)
            self.assertEqual(http.head().status, 101)
            frames = [frame(TEXT, body, fin=False), *[frame(0, fin=False)] * (count - 2), frame(0)]
            tcp.send(b"".join(frames))
            tcp.receiveUntil(mark)

    def test_levels(self) -> None:
        """
        The levels of a body.
        """

        def publish(levels: int) -> tuple[int, str]:
            body = b"[" * levels + b"]" * levels
            headers = {"Content-Type": "application/json"}
            answer = ask(self.site, "POST", "/channels/open/a", headers, body)
            if answer.status == 201:
                return 201, ""
            return answer.status, problemOf(answer.status, answer.headers, answer.body)

        self.assertBetween(publish, 64, "badMessage")

    def withToken(self, text: str) -> tuple[int, str]:
        """
        Read with a token.
        """
        return self.get(f"/channels/rooms/a?transport=poll&token={text}")

    def test_tokens(self) -> None:
        """
        The characters of a token, and what its claims may have.
        """

        def long(size: int) -> str:
            # Three bytes are four characters, and the padding is left out: any length but
            # one of four is possible.
            filler = (size - len(Made({"x": ""}).text())) * 3 // 4 - 3
            while len(text := Made({"x": "x" * filler}).text()) < size:
                filler += 1
            return text

        within, beyond = long(TOKEN), long(TOKEN + 1)
        self.assertEqual(len(within), TOKEN)
        self.assertEqual(self.withToken(within), (200, ""))
        self.assertEqual(self.withToken(beyond), (401, "unauthorized"))
        for make, most in CLAIMS:
            self.assertEqual(self.withToken(Made(make(most)).text()), (200, ""), most)
            refused = self.withToken(Made(make(most + 1)).text())
            self.assertEqual(refused, (401, "unauthorized"), most)

    def test_tokenByCommand(self) -> None:
        """
        A command takes a token that is as long as a command may be, and refuses one that
        is longer without closing the connection of raw TCP.
        """
        for kind in SPEAKERS:
            speaker = SPEAKERS[kind](self.site)
            self.addCleanup(speaker.close)
            speaker.open([])
            self.assertIn("expires", speaker.command(token=Made({"x": "x" * 4096}).text()))
            with self.assertRaises(CommandFailed) as raised:
                speaker.command(token="x" * 8192)
            self.assertEqual(raised.exception.code, "unauthorized")


class TwistedAtFixedLimitsTests(AtFixedLimitsTests):
    """
    Twisted's edge.
    """

    options = (*AtFixedLimitsTests.options, "--edge", "twisted")
