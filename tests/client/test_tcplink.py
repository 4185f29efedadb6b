"""
Tests of L{comet.client.tcplink}, of URLs of raw TCP, and of what a client may not do there.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from comet.client.clientcore import Core
from comet.client.clientsteps import Connect
from comet.client.failures import BadAnswer, Ended, Refused
from comet.client.received import Closing, Gap
from comet.client.serverurl import parseServerURL
from comet.errors import Forbidden, Unauthorized
from tests.client.playing import Reply, Script

URL = "tcp://push.example:8081"
OK = b'{"id":2,"ok":{"cursor":"k3f9a2-7"}}\n'
TAKEN = b'{"id":1,"ok":{"expires":null}}\n'
MESSAGE = b'{"channel":"a","cursor":"k3f9a2-8","data":1}\n'
BEAT = b'{"cursor":"k3f9a2-6"}\n'


def raw(*events: bytes | Exception) -> Reply:
    """
    Make what a connection brings.
    """
    return Reply(0, {}, events)


def commands(step: object) -> list[dict[str, Any]]:
    """
    Return what the client has sent.
    """
    assert isinstance(step, Connect)
    return [json.loads(line) for line in step.data.splitlines()]


class TCPLinkTests(SynchronousTestCase):
    """
    What a client says and hears.
    """

    def read(
        self, script: Script, names: Any = "a", since: Any = None, **options: Any
    ) -> list[Any]:
        """
        Return what a subscription brings.
        """
        self.told: list[Closing] = []
        reading = script.core(URL, **options).subscribe(names, since, onClose=self.told.append)
        return script.data(reading)

    def test_subscribes(self) -> None:
        """
        The client shows its token and subscribes at once, and comes back where it was.
        """
        script = Script(raw(BEAT + TAKEN, BEAT, OK + MESSAGE), raw(TAKEN + OK))
        self.assertEqual(self.read(script, token="t" * 16), [1])
        first, second = map(commands, script.asked[:2])
        token = {"id": 1, "token": "t" * 16}
        self.assertEqual(first, [token, {"id": 2, "subscribe": ["a"], "since": "now"}])
        self.assertEqual(second, [token, {"id": 2, "subscribe": ["a"], "since": "k3f9a2-8"}])

    def test_starts(self) -> None:
        """
        Names with places of their own are given each with its place, and a gap is told.
        """
        gap = b'{"id":2,"ok":{"cursor":"k3f9a2-7","gap":["b"]}}\n'
        script = Script(raw(gap))
        self.assertEqual(
            self.read(script, ["a", "b"], {"b": "k3f9a2-3"}), [Gap("k3f9a2-7", ("b",))]
        )
        since = {"a": "now", "b": "k3f9a2-3"}
        self.assertEqual(
            commands(script.asked[0]), [{"id": 2, "subscribe": ["a", "b"], "since": since}]
        )

    def test_refused(self) -> None:
        """
        What the server refuses is raised, whichever command it refuses.
        """
        for answer, kind in (
            (b'{"id":1,"error":{"code":"unauthorized","message":"no"}}\n', Unauthorized),
            (b'{"id":2,"error":{"code":"forbidden","message":"no"}}\n', Forbidden),
            (b'{"error":{"code":"other","message":"no"}}\n', Refused),
            (b'{"cursor":"k3f9a2-7","close":{"code":"revoked","message":"no"}}\n', Ended),
        ):
            self.assertRaises(kind, self.read, Script(raw(answer)), key="k" * 16)
        later = b'{"cursor":"k3f9a2-7","close":{"code":"tooMany","message":"no","retry":7}}\n'
        self.assertEqual(self.read(Script(raw(later), raw(OK + MESSAGE))), [1])
        self.assertEqual((self.told[0].code, self.told[0].retry), ("tooMany", 7))

    def test_hostile(self) -> None:
        """
        What is no answer of comet is a bad answer.
        """
        for line in (
            b"SSH-2.0-OpenSSH\r\n",
            b"[]\n",
            b"{}\n",
            b'{"id":2,"ok":[]}\n',
            b'{"id":2,"ok":{}}\n',
            b'{"id":3,"ok":{"cursor":"k3f9a2-7"}}\n',
            b'{"ok":{"cursor":"k3f9a2-7"}}\n',
            b'{"id":2,"ok":' + b"[" * 600 + b"]" * 600 + b"}\n",
            b'{"id":2,"error":"no"}\n',
            b'{"id":2,"error":{"code":1,"message":"no"}}\n',
        ):
            self.assertRaises(BadAnswer, self.read, Script(raw(line)))


class URLTests(SynchronousTestCase):
    """
    Which URLs and transports go together.
    """

    def test_urls(self) -> None:
        """
        A URL of raw TCP has a host and a port, and nothing else.
        """
        for url, isSecure in (("tcp://[::1]:81", False), ("tls://a.example:82/", True)):
            self.assertEqual(
                (parseServerURL(url).isRaw, parseServerURL(url).isSecure), (True, isSecure)
            )
        for url in ("tcp://a", "tcp://a:0", "tls://a:1/x", "tcp://a:1/?x", "tcp://k@a:1", "tcp:"):
            self.assertRaises(ValueError, parseServerURL, url)

    def test_only(self) -> None:
        """
        Raw TCP is for subscribing, with its own URL only; a redirect does not lead there.
        """
        for url, options in (
            (URL, {"transport": "sse"}),
            (URL, {"transport": ["tcp", "stream"]}),
            (URL, {"parameters": {"reader": "a-reader"}}),
            ("http://push.example", {"transport": "tcp"}),
        ):
            self.assertRaises(ValueError, Core, url, float, **options)
        script = Script()
        self.assertRaises(ValueError, script.run, script.core(URL).publish("a", 1))
        self.assertRaises(ValueError, script.run, script.core(URL).presence("a"))
        self.assertRaises(ValueError, parseServerURL("http://a").redirected, "tcp://a:1")
