"""
Tests of L{comet.client.requester}: publications and questions, to a server in memory and to one
that fails in every way.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.client.failures import BadAnswer, Refused, Unanswered, Unsent, Untrusted
from comet.client.received import Message, Presence
from comet.client.requester import Timing
from comet.errors import BadChannel, BadMessage, Forbidden, KeyReused, Unauthorized, Unavailable
from comet.hub.hubsettings import Settings
from tests.client.playing import Player, Script
from tests.transports.case import KEY, HubTestCase


def answer(status: int, value: Any, *headers: str) -> bytes:
    """
    Make a response with a JSON body.
    """
    body = json.dumps(value).encode()
    lines = [f"HTTP/1.1 {status} Text", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def problem(status: int, code: str, *headers: str) -> bytes:
    """
    Make a response with one of comet's errors.
    """
    return answer(status, {"code": code, "detail": f"it is {code}"}, *headers)


STORED = answer(201, {"cursor": "k3f9a2-7", "cursors": ["k3f9a2-7"]})


class PublishingTests(HubTestCase):
    """
    Publications that a server in memory stores.
    """

    settings = Settings()

    def setUp(self) -> None:
        """
        Make a player.
        """
        super().setUp()
        self.player = Player(self)

    def stored(self, channel: str = "a") -> list[tuple[Any, str | None]]:
        """
        Return the data and the event of what is stored.
        """
        core = self.player.core(transport="stream")
        items = self.player.items(core.subscribe(channel, "earliest"))
        return [(each.data, each.event) for each in items if isinstance(each, Message)]

    def test_publish(self) -> None:
        """
        A message is stored with its event; bytes stay bytes; the same connection is used again.
        """
        core = self.player.core(key=KEY)
        first = self.player.run(core.publish("a", {"x": "é"}, "made"))
        second = self.player.run(core.publish("a", b"\x00\xff"))
        self.assertEqual([first[-2:], second[-2:]], ["-1", "-2"])
        self.assertEqual(len(self.player.connections), 1)
        self.assertEqual(self.stored(), [({"x": "é"}, "made"), (b"\x00\xff", None)])
        core.close()
        self.assertFalse(self.player.connections[0].wire.isOpen)

    def test_publishMany(self) -> None:
        """
        Many are stored in their order, in requests of a bounded size.
        """
        core = self.player.core(key=KEY)
        many = ({"channel": "a", "data": number} for number in range(25))
        cursors = self.player.run(core.publishMany(many, 10))
        self.assertEqual((len(cursors), cursors[-1][-3:]), (25, "-25"))
        self.assertEqual([data for data, _ in self.stored()], list(range(25)))
        self.assertEqual(self.player.run(core.publishMany([])), [])

    def test_cutLinks(self) -> None:
        """
        A publication whose answer is lost, at any byte, is stored once.
        """
        core = self.player.core(key=KEY)
        for cut in range(0, 400, 13):
            cuts = [cut]
            self.player.cut = lambda cuts=cuts: cuts.pop() if cuts else None  # type: ignore[misc]
            core.close()
            self.player.run(core.publish("a", cut))
        self.assertEqual([data for data, _ in self.stored()], list(range(0, 400, 13)))

    def test_refused(self) -> None:
        """
        What the server refuses for good is raised at once.
        """
        core = self.player.core(key=KEY)
        self.player.run(core.publish("a", 1, key="same"))
        for error, steps in (
            (KeyReused, core.publish("a", 2, key="same")),
            (BadChannel, core.publish("a/*", 2)),
            (BadMessage, core.publish("a", {1: 2})),
            (BadMessage, core.publish("a", object())),
            (BadMessage, core.publishMany([{"channel": "a"}])),
            (BadMessage, core.publishMany([{"channel": "a", "data": 1, "colour": 1}])),
            (Unauthorized, self.player.core().publish("a", 1)),
            (Unauthorized, self.player.core(key="9" * 20).publish("a", 1)),
        ):
            self.assertRaises(error, self.player.run, steps)
        self.assertEqual(self.player.slept, [])

    def test_presence(self) -> None:
        """
        The members of a channel are asked for.
        """
        self.hub.keepPresence(["room/*"], 5.0)
        core = self.player.core(key=KEY)
        presence = self.player.run(core.presence("room/a"))
        self.assertEqual(presence, Presence(presence.cursor, 0, 0, ()))
        self.assertRaises(BadChannel, self.player.run, core.presence("room/*"))


class RequesterTests(SynchronousTestCase):
    """
    Answers that a test has written down.
    """

    def publish(self, script: Script, **options: Any) -> str:
        """
        Publish a message.
        """
        return script.run(script.core(key="k" * 16, **options).publish("a", 1))

    def test_everySplit(self) -> None:
        """
        The answer does not depend on how the network cuts it.
        """
        stream = b"HTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n" + STORED
        for size in range(1, len(stream) + 1):
            pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
            self.assertEqual(self.publish(Script(pieces)), "k3f9a2-7")

    def test_request(self) -> None:
        """
        A request has what HTTP asks for, the credential, and the same key each time.
        """
        script = Script([b""], [STORED])
        self.publish(script, url="https://push.example/below/")
        first, second = script.sent
        self.assertEqual(first, second)
        head, _, body = first.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        self.assertEqual(lines[0], b"POST /below/publish HTTP/1.1")
        self.assertIn(b"Host: push.example", lines)
        self.assertIn(b"Authorization: Bearer " + b"k" * 16, lines)
        self.assertIn(b"Content-Type: application/x-ndjson", lines)
        self.assertIn(b"Content-Length: %d" % len(body), lines)
        fields = json.loads(body)
        self.assertRegex(fields.pop("key"), "^[0-9a-f]{32}$")
        self.assertEqual(fields, {"channel": "a", "data": 1})
        self.assertEqual(
            [(each.host, each.port, each.isSecure) for each in script.asked],
            [("push.example", 443, True)] * 2,
        )

    def test_again(self) -> None:
        """
        While there is no answer, or one that says that a later request may succeed, it is sent
        again.
        """
        script = Script(
            ConnectionRefusedError("refused"),
            [TimeoutError()],
            [STORED[:60]],
            [STORED[:-2], ConnectionResetError("reset")],
            [problem(503, "unavailable", "Retry-After: 4")],
            [problem(504, "unknown")],
            [answer(502, "a proxy")],
            [STORED],
        )
        self.assertEqual(self.publish(script, timing=Timing(patience=200)), "k3f9a2-7")
        self.assertEqual(len(script.slept), 7)
        self.assertGreaterEqual(script.slept[4], 4)
        self.assertLessEqual(max(script.slept), 30)

    def test_timeIsOver(self) -> None:
        """
        When its time is over the error says whether it may be stored.
        """
        cases: list[tuple[type[Exception], Any]] = [
            (Unsent, ConnectionRefusedError("refused")),
            (Unsent, TimeoutError()),
            (Unanswered, [ConnectionResetError("reset")]),
            (Unanswered, [TimeoutError()]),
            (Unavailable, [problem(503, "unavailable")]),
        ]
        for error, events in cases:
            script = Script(*[events] * 99)
            self.assertRaises(error, self.publish, script)
            self.assertLessEqual(script.now - 1000, 30)
            self.assertGreater(script.now - 1000, 14)

    def test_final(self) -> None:
        """
        Other answers are final: also those of a proxy, and what is no HTTP.
        """
        for error, event in (
            (Forbidden, problem(403, "forbidden")),
            (Refused, problem(418, "teapot")),
            (Refused, answer(403, "a proxy")),
            (Refused, answer(302, "", "Location: http://elsewhere.example/")),
            (BadAnswer, b"220 mail.example ESMTP\r\n\r\n"),
            (BadAnswer, answer(201, {})),
            (BadAnswer, answer(201, {"cursors": ["a", "b"]})),
            (BadAnswer, answer(201, {"cursors": [1]})),
            (BadAnswer, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000),
        ):
            script = Script([event])
            self.assertRaises(error, self.publish, script)
            self.assertEqual((len(script.sent), script.slept), (1, []))
        self.assertRaises(Untrusted, self.publish, Script(Untrusted("self-signed")))

    def test_redirects(self) -> None:
        """
        A redirect is followed; one to another origin gets no credential, and none leads from TLS to
        no TLS.
        """
        there = [answer(307, "", "Location: /other"), answer(308, "", "Location: //b.example/c")]
        script = Script([there[0]], [there[1]], [STORED])
        self.assertEqual(self.publish(script), "k3f9a2-7")
        starts = [each.partition(b" HTTP/1.1\r\nHost: ")[::2] for each in script.sent]
        asked = [b"POST /publish", b"POST /other", b"POST /c"]
        self.assertEqual([start for start, _ in starts], asked)
        self.assertTrue(starts[2][1].startswith(b"b.example\r\n"))
        self.assertEqual([b"Authorization" in each for each in script.sent], [True, True, False])
        self.assertRaises(BadAnswer, self.publish, Script(*[[there[0]] for _ in range(9)]))
        for location in (
            "http://push.example/",
            "ftp://b.example/",
            "http://:x/",
            "//a:b@c/",
            "//a..b/",
        ):
            redirect = Script([answer(307, "", f"Location: {location}")])
            self.assertRaises(BadAnswer, self.publish, redirect, url="https://push.example")

    def test_keptConnection(self) -> None:
        """
        A connection that the server has closed meanwhile is replaced at once, without a delay; one
        that was kept for long is not used.
        """
        script = Script([STORED, STORED], [STORED], [STORED])
        core = script.core(key="k" * 16)
        for _ in range(3):
            script.run(core.publish("a", 1))
        self.assertEqual((len(script.sent), script.slept), (2, []))
        script.now += 31
        script.run(core.publish("a", 1))
        self.assertEqual(len(script.sent), 3)

    def test_keptConnectionThenNone(self) -> None:
        """
        What was sent over a kept connection may be stored, also if there is no connection behind
        it.
        """
        script = Script([STORED, b""], *[ConnectionRefusedError("refused")] * 99)
        core = script.core(key="k" * 16)
        script.run(core.publish("a", 1))
        self.assertRaises(Unanswered, script.run, core.publish("a", 2))

    def test_newToken(self) -> None:
        """
        When the server refuses a token that it took before, the function is asked for another.
        """
        tokens = iter(["one", "two", "three"])
        refused = problem(401, "unauthorized")
        script = Script([STORED, refused, STORED, refused, refused])
        core = script.core(token=lambda: next(tokens))
        for _ in range(2):
            script.run(core.publish("a", 1))
        self.assertEqual(script.sent[0].count(b"Bearer one\r\n"), 2)
        self.assertEqual(script.sent[0].count(b"Bearer two\r\n"), 1)
        self.assertRaises(Unauthorized, script.run, core.publish("a", 1))
        self.assertEqual(next(tokens, None), None)


class OptionsTests(SynchronousTestCase):
    """
    What a client is made of.
    """

    def test_refused(self) -> None:
        """
        What is not allowed is said when the client is made.
        """
        url = "http://push.example"
        for options in (
            {"url": "push.example"},
            {"url": "ftp://push.example"},
            {"url": "http://"},
            {"url": "http://a b/"},
            {"url": "http://push.example/?a"},
            {"url": "http://u:p@push.example/"},
            {"url": "http://push.example:99999/"},
            {"url": "http://push..example/"},
            {"url": f"http://{'x' * 64}.example/"},
            {"token": "a b"},
            {"token": ""},
            {"key": "a\r\nX: y"},
            {"token": "a", "key": "b"},
            {"transport": "pigeon"},
            {"transport": ["sse", "pigeon"]},
            {"timing": Timing(heartbeat=0)},
            {"timing": Timing(patience=300)},
        ):
            self.assertRaises(ValueError, Script().core, **{"url": url, **options})

    def test_tokenOfFunction(self) -> None:
        """
        What the function gives is checked, and what it raises is raised.
        """
        for given in (None, "a\nb", 7):
            core = Script().core(token=lambda given=given: given)
            self.assertRaises(ValueError, Script([STORED]).run, core.publish("a", 1))
        core = Script().core(token=lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, Script([STORED]).run, core.publish("a", 1))

    def test_urls(self) -> None:
        """
        Names of hosts, addresses and paths are written as requests need them.
        """
        for url, host, target in (
            ("http://[::1]:8080", b"[::1]:8080", b"/publish"),
            ("wss://push.example/é/", b"push.example", b"/%C3%A9/publish?x=%26"),
            ("http://bücher.example", b"xn--bcher-kva.example", b"/publish"),
        ):
            script = Script([STORED])
            parameters = {"x": "&"} if url.startswith("wss") else None
            script.run(script.core(url, parameters=parameters).publish("a", 1))
            first, second, *_ = script.sent[0].split(b"\r\n")
            self.assertEqual((first, second), (b"POST " + target + b" HTTP/1.1", b"Host: " + host))
