"""
What an application has a say in, on the lean edge.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from types import FrameType
from typing import Any

from comet.access.rights import Access
from comet.errors import Forbidden, TooMany
from comet.model.hookanswers import Allowed, Rewritten
from tests.hooks.hookcase import Hooks, Names
from tests.lean.case import LeanTestCase, read, request


def post(channel: str, body: bytes = b"x", headers: str = "") -> bytes:
    """
    Make a request that publishes.
    """
    return request(f"/channels/{channel}", headers, "POST", body)


class HooksTests(LeanTestCase):
    """
    Messages to C{open/**} are asked about.
    """

    def setUp(self) -> None:
        """
        Use hooks.
        """
        super().setUp()
        self.hub.access = Access(openPatterns=["open/**"])
        self.hooks = Hooks()
        self.hub.useHooks(self.hooks, [("open/**", ["publish"]), ("asked/*", ["subscribe"])])
        self.got: list[Any] = []
        self.hub.subscribe("**", None, lambda heard: self.got.append(heard.data))
        self.reactor.settle()

    def asked(self, count: int) -> None:
        """
        Turn the reactor until some questions were asked.
        """
        self.reactor.until(lambda: len(self.hooks.asked) >= count)

    def reply(self, index: int, answer: Any = None) -> None:
        """
        Answer a question.
        """
        self.hooks.reply(index, answer)
        self.reactor.settle()

    def test_pipelined(self) -> None:
        """
        Publications that are sent behind each other are asked about together; they are
        stored and answered in their order, and what reads waits for them.
        """
        peer = self.peer(post("open/a", b"1") + post("open/a", b"2") + post("open/a", b"3"))
        peer.send(read("poll", "open/a", "&since=earliest"))
        self.asked(3)
        self.assertEqual([question[3] for question in self.hooks.questions], ["1", "2", "3"])
        self.reply(2, Rewritten("three"))
        self.reply(1, Forbidden("no"))
        self.assertEqual(peer.take(), b"")
        self.reply(0)
        said = peer.hears(b'"messages"')
        codes = re.findall(rb"HTTP/1.1 (\d+) ", said)
        self.assertEqual(codes, [b"201", b"403", b"201", b"200"])
        self.assertEqual(self.got, ["1", "three"])

    def test_whoLeft(self) -> None:
        """
        What a client has published that has left is stored once it is allowed; nothing is
        kept of the client.
        """
        peer = self.peer(post("open/a"))
        self.asked(1)
        peer.cut()
        self.reactor.settle()
        self.assertEqual(self.connections, 0)
        self.reply(0)
        self.assertEqual(self.got, ["x"])

    def test_readers(self) -> None:
        """
        On each transport a reader waits for its answer, and begins where that says; one
        that is refused is asked about once, and told in the form of the transport.
        """
        for number in range(3):
            self.hub.publish("asked/a", number)
        for transport in ("poll", "longpoll", "jsonp", "stream", "sse", "multipart", "websocket"):
            said = read(transport, "asked/a", "&callback=cb&wait=0")
            for error in (None, TooMany("later")):
                asked = len(self.hooks.asked)
                peer = self.peer(said)
                self.asked(asked + 1)
                self.assertEqual(peer.take(), b"", transport)
                self.reply(-1, error or Allowed("-2"))
                if error is None:
                    peer.hears(b'"cursor":"' if transport != "sse" else b"id:", 2)
                    count = 3 if transport == "sse" else 2
                    self.assertEqual(peer.said.count(b"data"), count, transport)
                else:
                    peer.hears(b"tooMany")
                self.assertEqual(len(self.hooks.asked), asked + 1, transport)
                peer.cut()
                self.reactor.settle()
        self.untilReaders(1)

    def test_sameFirstLine(self) -> None:
        """
        Clients of raw TCP that begin with the same line are each asked about.
        """
        line = b'{"id":1,"subscribe":["asked/a"]}\n'
        for answer, told in ((None, b'"ok"'), (None, b'"ok"'), (Forbidden("no"), b'"forbidden"')):
            self.hooks.answer = answer
            self.peer(line, isTCP=True).hears(told)
        self.assertEqual(self.hooks.questions, [("", ("asked/a",))] * 3)

    def test_readerWithName(self) -> None:
        """
        A poll on the same connection asks again unless that is remembered; what is
        remembered costs no question.
        """
        self.hub.access = Names(openPatterns=["open/**"])
        said = request("/channels/asked/a?transport=poll", "X-Name: ada\r\n")
        peer = self.peer(said)
        self.asked(1)
        self.reply(0)
        peer.hears(b"200 OK")
        peer.send(said + said)
        peer.hears(b"200 OK", 3)
        self.assertEqual(self.hooks.questions, [("ada", ("asked/a",))])

    def test_readerThatLeaves(self) -> None:
        """
        The question about a reader that leaves is cancelled.
        """
        peer = self.peer(read("stream", "asked/a"))
        self.asked(1)
        peer.cut()
        self.reactor.settle()
        self.assertEqual(len(self.hooks.cancelled), 1)
        self.assertEqual(self.connections, 0)

    def test_bodyInPieces(self) -> None:
        """
        A body that comes in pieces is asked about once it is whole.
        """
        whole = post("open/a", b"x" * 40)
        peer = self.peer(whole[:-20])
        self.reactor.settle()
        self.assertEqual(self.hooks.asked, [])
        peer.send(whole[-20:])
        self.asked(1)
        self.reply(0)
        peer.hears(b"201 ")


class OffTests(LeanTestCase):
    """
    Where nothing is asked.
    """

    def test_costsNoCall(self) -> None:
        """
        Nothing of L{comet.hooks} is called by polls, publications and streams.
        """
        self.hub.access = Access(openPatterns=["open/**"])
        said = read("poll") + post("open/a")
        peer = self.peer(said)
        peer.hears(b"201 ")
        calls: Counter[str] = Counter()

        def count(call: FrameType, event: str, argument: object) -> None:
            module = call.f_globals.get("__name__", "")
            if event == "call" and module.startswith("comet.hooks"):
                calls[call.f_code.co_name] += 1

        sys.setprofile(count)
        try:
            peer.send(said)
            peer.hears(b"201 ", 2)
            for transport in ("stream", "longpoll", "websocket", "tcp"):
                self.reader(transport)
            self.publish(1)
        finally:
            sys.setprofile(None)
        self.assertEqual(calls, {})
