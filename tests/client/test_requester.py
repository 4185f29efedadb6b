"""
Tests of L{comet.client.requester}: publications and questions, to a server in memory and to one
that fails in every way.
"""

from __future__ import annotations

import json
import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.client.clientsteps import Request
from comet.client.failures import BadAnswer, Refused, Silent, Unanswered, Unsent, Untrusted
from comet.client.received import History, Message, Presence
from comet.client.requester import Timing
from comet.errors import (
    BadChannel,
    BadCursor,
    BadMessage,
    Forbidden,
    KeyReused,
    Unauthorized,
    Unavailable,
)
from comet.hub.hubsettings import Settings
from tests.client.playing import Player, Reply, Script, away, cut, silent
from tests.transports.case import KEY, HubTestCase


def answer(status: int, value: Any, **headers: str) -> Reply:
    """
    Make a response with a JSON body.
    """
    return Reply(status, headers, [json.dumps(value).encode()])


def problem(status: int, code: str, retryAfter: str | None = None) -> Reply:
    """
    Make a response with one of comet's errors.
    """
    headers = {} if retryAfter is None else {"retry-after": retryAfter}
    body = {"code": code, "detail": f"it is {code}"}
    return Reply(status, headers, [json.dumps(body).encode()])


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
        A message is stored with its event; bytes stay bytes.
        """
        core = self.player.core(key=KEY)
        first = self.player.run(core.publish("a", {"x": "é"}, "made"))
        second = self.player.run(core.publish("a", b"\x00\xff"))
        self.assertEqual([first[-2:], second[-2:]], ["-1", "-2"])
        self.assertEqual(self.stored(), [({"x": "é"}, "made"), (b"\x00\xff", None)])

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
        for after in range(0, 400, 13):
            cuts = [after]
            self.player.cut = lambda cuts=cuts: cuts.pop() if cuts else None  # type: ignore[misc]
            self.player.drop()
            self.player.run(core.publish("a", after))
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

    def test_history(self) -> None:
        """
        The messages before a cursor are read, and whether there are older ones.
        """
        core = self.player.core(key=KEY)
        cursors = [self.player.run(core.publish("a", number)) for number in range(5)]
        history = self.player.run(core.history("a", cursors[4], 2))
        self.assertEqual([each.data for each in history.messages], [2, 3])
        self.assertEqual([each.cursor for each in history.messages], cursors[2:4])
        self.assertEqual((history.more, history.gap), (True, False))
        history = self.player.run(core.history("a", cursors[2]))
        self.assertEqual([each.data for each in history.messages], [0, 1])
        self.assertEqual((history.more, history.gap), (False, False))
        self.successResultOf(self.bus.forget("a"))
        self.assertEqual(self.player.run(core.history("a", cursors[2])), History((), False, True))
        self.assertRaises(BadChannel, self.player.run, core.history("a/*", cursors[2]))
        self.assertRaises(BadCursor, self.player.run, core.history("a", "now"))


class CallingTests(SynchronousTestCase):
    """
    Calls of the backend's methods.
    """

    def call(self, script: Script, **options: Any) -> Any:
        """
        Call a method.
        """
        return script.run(script.core(**options).call("rooms/list", {"page": 2}))

    def test_called(self) -> None:
        """
        What the method answers is the result.
        """
        script = Script(answer(200, {"data": ["a"]}))
        self.assertEqual(self.call(script), ["a"])
        (asked,) = script.asked
        assert isinstance(asked, Request)
        self.assertEqual((asked.method, asked.url.target), ("POST", "/call/rooms/list"))
        self.assertEqual(json.loads(asked.body), {"page": 2})

    def test_notRepeated(self) -> None:
        """
        A call that was sent is not repeated; one that was not, is.
        """
        for reply in (cut(), silent(), Reply(200, {}, [b"{", cut()])):
            script = Script(reply, answer(200, {"data": 1}))
            self.assertRaises(Unanswered, self.call, script)
            self.assertEqual(len(script.asked), 1)
        script = Script(problem(503, "unavailable", "1"), answer(200, {"data": 1}))
        self.assertRaises(Unavailable, self.call, script)
        script = Script(away(), away(), answer(200, {"data": 1}))
        self.assertEqual((self.call(script), len(script.slept)), (1, 2))
        self.assertRaises(Unsent, self.call, Script(*[away()] * 99))

    def test_newToken(self) -> None:
        """
        A call that was refused for its token is made once more, with another.
        """
        tokens = iter(["one", "two"])
        script = Script(STORED, problem(401, "unauthorized"), answer(200, {"data": 1}))
        core = script.core(token=lambda: next(tokens))
        script.run(core.publish("a", 1))
        self.assertEqual(script.run(core.call("list")), 1)


class RequesterTests(SynchronousTestCase):
    """
    Answers that a test has written down.
    """

    def publish(self, script: Script, **options: Any) -> str:
        """
        Publish a message.
        """
        return script.run(script.core(key="k" * 16, **options).publish("a", 1))

    def test_request(self) -> None:
        """
        A request has the credential, and the same key each time.
        """
        script = Script(cut(), STORED)
        self.publish(script, url="https://push.example/below/")
        first, second = self.requests(script)
        self.assertEqual(first, second)
        self.assertEqual(
            (first.method, str(first.url)), ("POST", "https://push.example/below/publish")
        )
        self.assertEqual(first.headers["Authorization"], "Bearer " + "k" * 16)
        self.assertEqual(first.headers["Content-Type"], "application/x-ndjson")
        self.assertEqual(first.headers["Accept-Encoding"], "identity")
        fields = json.loads(first.body)
        self.assertRegex(fields.pop("key"), "^[0-9a-f]{32}$")
        self.assertEqual(fields, {"channel": "a", "data": 1})

    def requests(self, script: Script) -> list[Request]:
        """
        Return what was asked.
        """
        return [each for each in script.asked if isinstance(each, Request)]

    def test_again(self) -> None:
        """
        While there is no answer, or one that says that a later request may succeed, it is sent
        again.
        """
        script = Script(
            away(),
            silent(),
            Reply(201, {}, [b"{", cut()]),
            cut(),
            problem(503, "unavailable", "4"),
            problem(504, "unknown"),
            answer(502, "a proxy"),
            STORED,
        )
        self.assertEqual(self.publish(script, timing=Timing(patience=200)), "k3f9a2-7")
        # One of the broken connections may have been closed by the server just then.
        self.assertEqual(len(script.slept), 6)
        self.assertGreaterEqual(script.slept[3], 4)
        self.assertLessEqual(max(script.slept), 30)

    def test_timeIsOver(self) -> None:
        """
        When its time is over the error says whether it may be stored.
        """
        cases: list[tuple[type[Exception], Any]] = [
            (Unsent, away()),
            (Unsent, Silent("it is silent", wasConnected=False)),
            (Unanswered, cut()),
            (Unanswered, silent()),
            (Unavailable, problem(503, "unavailable")),
        ]
        for error, reply in cases:
            script = Script(*[reply] * 99)
            self.assertRaises(error, self.publish, script)
            self.assertLessEqual(script.now - 1000, 30)
            self.assertGreater(script.now - 1000, 14)

    def test_final(self) -> None:
        """
        Other answers are final: also those of a proxy, and what is no HTTP.
        """
        for error, reply in (
            (Forbidden, problem(403, "forbidden")),
            (Refused, problem(418, "teapot")),
            (Refused, answer(403, "a proxy")),
            (Refused, answer(302, "", location="http://elsewhere.example/")),
            (BadAnswer, answer(201, {})),
            (BadAnswer, answer(201, {"cursors": ["a", "b"]})),
            (BadAnswer, answer(201, {"cursors": [1]})),
            (BadAnswer, BadAnswer("the server does not speak HTTP")),
            (BadAnswer, Reply(201, {}, [b" " * 2**20] * 17)),
            (BadAnswer, Reply(403, {}, [b" " * 2**16, b" "])),
            (Untrusted, Untrusted("self-signed")),
        ):
            script = Script(reply)
            self.assertRaises(error, self.publish, script)
            self.assertEqual((len(script.asked), script.slept), (1, []))

    def test_redirects(self) -> None:
        """
        A redirect is followed; one to another origin gets no credential, and none leads from TLS to
        no TLS.
        """
        there = [answer(307, "", location="/other"), answer(308, "", location="//b.example/c")]
        script = Script(there[0], there[1], STORED)
        self.assertEqual(self.publish(script), "k3f9a2-7")
        asked = self.requests(script)
        self.assertEqual(
            [str(each.url) for each in asked],
            ["http://push.example/publish", "http://push.example/other", "http://b.example/c"],
        )
        self.assertEqual({each.method for each in asked}, {"POST"})
        self.assertEqual(["Authorization" in each.headers for each in asked], [True, True, False])
        self.assertRaises(BadAnswer, self.publish, Script(*[there[0]] * 9))
        for location in (
            "http://push.example/",
            "ftp://b.example/",
            "http://:x/",
            "//a:b@c/",
            "//a..b/",
        ):
            redirect = Script(answer(307, "", location=location))
            self.assertRaises(BadAnswer, self.publish, redirect, url="https://push.example")

    def test_brokenOnce(self) -> None:
        """
        A request whose connection breaks, as one that was kept may, is sent again at once; the
        second time there is a delay.
        """
        script = Script(cut(), STORED)
        self.publish(script)
        self.assertEqual((len(script.asked), script.slept), (2, []))
        script = Script(cut(), cut(), STORED)
        self.publish(script)
        self.assertEqual((len(script.asked), len(script.slept)), (3, 1))

    def test_brokenThenAway(self) -> None:
        """
        What was sent once may be stored, also if there is no connection behind it.
        """
        script = Script(cut(), *[away()] * 99)
        self.assertRaises(Unanswered, self.publish, script)

    def test_newToken(self) -> None:
        """
        When the server refuses a token that it took before, the function is asked for another.
        """
        tokens = iter(["one", "two", "three"])
        refused = problem(401, "unauthorized")
        script = Script(STORED, refused, STORED, refused, refused)
        core = script.core(token=lambda: next(tokens))
        for _ in range(2):
            script.run(core.publish("a", 1))
        shown = [script.headers(number)["Authorization"] for number in range(len(script.asked))]
        self.assertEqual(shown, ["Bearer one", "Bearer one", "Bearer two"])
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
        refused: list[dict[str, Any]] = [
            {"url": "push.example"},
            {"url": "ftp://push.example"},
            {"url": "http://"},
            {"url": "http://a b/"},
            {"url": "http://push.example/?a"},
            {"url": "http://u:p@push.example/"},
            {"url": "http://push.example:99999/"},
            {"url": "http://push.example:0/"},
            {"url": "http://push..example/"},
            {"url": f"http://{'x' * 64}.example/"},
            {"url": "http://push.example/channels"},
            {"token": "a b"},
            {"token": ""},
            {"key": "a\r\nX: y"},
            {"token": "a", "key": "b"},
            {"transport": "pigeon"},
            {"transport": ["sse", "pigeon"]},
            {"timing": Timing(heartbeat=0)},
            *({"timing": Timing(timeout=each)} for each in (-1, math.nan, math.inf, 1e9)),
            *({"timing": Timing(heartbeat=each)} for each in (math.nan, math.inf)),
            {"timing": Timing(patience=math.nan)},
            {"timing": Timing(patience=300)},
        ]
        for options in refused:
            self.assertRaises(ValueError, Script().core, **{"url": url, **options})

    def test_channelURL(self) -> None:
        """
        The URL of a channel is not that of a server, and the client says which is.
        """
        for path in ("/push/channels", "/push/channels/", "/push/channels/lab/news"):
            error = self.assertRaises(ValueError, Script().core, url=f"https://a.example{path}")
            self.assertIn("that of the server is https://a.example/push", str(error))
        Script().core(url="https://a.example/my-channels/")

    def test_tokenOfFunction(self) -> None:
        """
        What the function gives is checked, and what it raises is raised.
        """
        for given in (None, "a\nb", 7):
            core = Script().core(token=lambda given=given: given)
            self.assertRaises(ValueError, Script(STORED).run, core.publish("a", 1))
        core = Script().core(token=lambda: 1 // 0)
        self.assertRaises(ZeroDivisionError, Script(STORED).run, core.publish("a", 1))

    def test_urls(self) -> None:
        """
        Names of hosts, addresses and paths are written as requests need them.
        """
        for url, host, target in (
            ("http://[::1]:8080", "[::1]:8080", "/publish"),
            ("wss://push.example/é/", "push.example", "/%C3%A9/publish?x=%26"),
            ("http://bücher.example", "xn--bcher-kva.example", "/publish"),
        ):
            script = Script(STORED)
            parameters = {"x": "&"} if url.startswith("wss") else None
            script.run(script.core(url, parameters=parameters).publish("a", 1))
            asked = script.asked[0].url
            self.assertEqual((asked.authority, asked.target), (host, target))
