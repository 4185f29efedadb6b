"""
What requests ask for, when most of it is remembered.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterable
from itertools import repeat
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.fanout.reader import openReader
from comet.hub import Hub
from comet.lean.cache import LONGEST_WHOLE, MOST_BYTES, MOST_LINE, MOST_WHOLE, RequestCache
from comet.lean.parser import MOST_FIELDS, readFields

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

_PATHS = (b"/channels/a", b"/channels/a,b", b"/channels/a&since=%b", b"/socket", b"/publish")
_PARAMETERS = (
    *(b"since=%b", b"since=", b"since=now", b"since=x", b"%%73ince=now", b"x=?since=%b"),
    *(b"since.a=%b", b"since.b=earliest", b"transport=poll", b"transport=sse", b"wait=3"),
    *(b"wait=x", b"", b"a", b"transport=websocket", b"since=%b-gzip"),
)
_HEADERS = (
    *(b'If-None-Match: "%b"', b'if-none-match:"%b" ', b"If-None-Match: *", b'If-None-Match: "x"'),
    *(b'If-None-Match: W/"%b"', b'If-None-Match: "%b", "b-1"', b"Last-Event-ID: %b"),
    *(b"Last-Event-ID: x", b"Last-Event-ID:", b"Accept: text/event-stream", b"X: y"),
    *(
        b"Sec-WebSocket-Key: " + KEY,
        b"sec-websocket-key:\t" + KEY[::-1],
        b"X: a\nSec-WebSocket-Key: a",
    ),
    *(b"SEC-WEBSOCKET-KEY:" + KEY + b" ", b"Sec-WebSocket-Key: " + KEY + b"=", b"X: y"),
    *(b"Prefer: wait=2", b"Upgrade: websocket", b"Idempotency-Key: a", b"Bad\n"),
)
_FEATURES = ("kind", "transport", "names", "shape", "own", "headers", "described")


class CursorTests(SynchronousTestCase):
    """
    Cursors are put into what is remembered of requests without them.
    """

    def setUp(self) -> None:
        """
        Have a hub.
        """
        clock = Clock()
        self.hub = Hub(MemoryBus(clock), clock)
        self.plans = RequestCache(self.hub, lambda place: True, lambda isBatch: 1000)
        own = self.hub.end.epoch.encode("ascii")
        self.cursors = (own + b"-5", own + b"-0", own + b"-05", b"other-7", own + b"-" + b"9" * 19)

    def _described(self, plans: RequestCache, line: bytes, block: bytes) -> Any:
        known = plans.known(block)
        asked = None if known is None else plans.find(line, known)
        if known is None or asked is None:
            return None
        plan = asked.plan
        features: list[Any] = [getattr(plan, name, None) for name in _FEATURES]
        if not plan.isPublishing:
            features.append(evolve(plan.ask, since=asked.since, tags=asked.tags))
        return features, plan.opener is openReader, known.key, known.length

    @settings(deadline=None, max_examples=500)
    @given(st.data())
    def test_same(self, data: st.DataObject) -> None:
        """
        A request asks for the same, whatever was asked before, and what is
        remembered of that.
        """

        def some(what: tuple[bytes, ...], most: int) -> list[bytes]:
            found = data.draw(st.lists(st.sampled_from(what), max_size=most))
            cursors = [data.draw(st.sampled_from(self.cursors)) for _ in found]
            pairs = zip(found, cursors, strict=True)
            return [each.replace(b"%b", cursor).replace(b"%%", b"%") for each, cursor in pairs]

        method = data.draw(st.sampled_from([b"GET", b"PUT", b"POST"]))
        path = data.draw(st.sampled_from(_PATHS)).replace(b"%b", self.cursors[0])
        query = some(_PARAMETERS, 3)
        target = path + b"?" + b"&".join(query) if query else path
        line = b"%b %b HTTP/1.1" % (method, target)
        headers = data.draw(st.permutations([b"Host: 127.0.0.1", *some(_HEADERS, 3)]))
        block = b"".join(header + b"\r\n" for header in headers)
        remembered = self._described(self.plans, line, block)
        self.assertEqual(remembered, self._described(self.plans, line, block))
        self.assertEqual(remembered, self._described(_Forgetful(self.hub), line, block))


class _Forgetful(RequestCache):
    """
    Reads each request as a whole.
    """

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub, lambda place: True, lambda isBatch: 1000)

    def known(self, block: bytes) -> Any:
        fields = readFields(block)
        return None if fields is None else self._keep(block, fields)

    def find(self, line: bytes, known: Any) -> Any:
        plan = self._plan(line, known.profile)
        return None if plan is None else plan.asked(known, None)


class KeyTests(SynchronousTestCase):
    """
    Keys of WebSockets are put into what is remembered of requests without them.
    """

    def setUp(self) -> None:
        """
        Have a hub.
        """
        clock = Clock()
        self.plans = RequestCache(
            Hub(MemoryBus(clock), clock), lambda place: True, lambda isBatch: 1000
        )

    def test_remembered(self) -> None:
        """
        What differs only in the key is one thing, with each its own.
        """
        before, after = b"Host: localhost\r\n", b"Upgrade: websocket\r\n"
        keys = [b"%022d==" % number for number in range(5)]
        found: list[Any] = [
            self.plans.known(b"%bSec-WebSocket-Key: %b\r\n%b" % (before, key, after))
            for key in keys
        ]
        self.assertEqual([known.key for known in found], keys)
        self.assertEqual({known.profile for known in found}, {found[0].profile})
        self.assertEqual(len(self.plans._blocks), 1)

    def test_foreign(self) -> None:
        """
        With a key too many, or one header too many, a request is not for here.
        """
        key = b"Sec-WebSocket-Key: " + KEY + b"\r\n"
        for second in (key, key.lower(), b"sec-websocket-key: x\r\n"):
            self.assertIsNone(self.plans.known(key + second), second)
            self.assertIsNone(self.plans.known(second + key), second)
        others = b"".join(b"X-%d: y\r\n" % number for number in range(MOST_FIELDS))
        for _ in range(2):
            self.assertIsNotNone(self.plans.known(others))
            self.assertIsNone(self.plans.known(others + key))


class BoundTests(SynchronousTestCase):
    """
    What is remembered is bounded, whatever clients ask for.
    """

    def setUp(self) -> None:
        """
        Have a hub.
        """
        clock = Clock()
        self.plans = RequestCache(
            Hub(MemoryBus(clock), clock), lambda place: True, lambda isBatch: 1000
        )

    def remembered(self, lines: Iterable[bytes], blocks: Iterable[bytes]) -> int:
        """
        How many bytes more are taken after these requests, each found good.
        """
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for line, block in zip(lines, blocks, strict=False):
            known = self.plans.known(block)
            assert known is not None
            self.assertIsNotNone(self.plans.find(line, known), line)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    def test_parameters(self) -> None:
        """
        Lines with hundreds of parameters, each another, are not kept.
        """
        rest = b"".join(b"&%03d=%s" % (number, b"a" * 24) for number in range(200))
        lines = (
            b"GET /channels/a?transport=poll&z%d=1%s HTTP/1.1" % (number, rest)
            for number in range(1000)
        )
        taken = self.remembered(lines, repeat(b"Host: localhost\r\n"))
        self.assertLess(taken, 2 * MOST_BYTES)

    def test_lines(self) -> None:
        """
        Many lines are kept up to a number of bytes.
        """
        rest = b"".join(b"&%03d=" % number for number in range(160))
        lines = (
            b"GET /channels/a?transport=poll&z%d=1%s HTTP/1.1" % (number, rest)
            for number in range(3000)
        )
        taken = self.remembered(lines, repeat(b"Host: localhost\r\n"))
        self.assertLess(taken, 4 * MOST_BYTES)

    def test_whole(self) -> None:
        """
        So are heads as a whole, with their cursors and what they ask for.
        """
        names = b",".join(b"%03d" % number for number in range(90))
        rest = b"&".join(b"%03d=" % number for number in range(240))
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(MOST_WHOLE):
            line = b"GET /channels/%s?transport=poll&z%d=1&%s" % (names, number, rest)
            head = b"%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % line
            self.assertTrue(MOST_LINE < len(head) < LONGEST_WHOLE)
            self.assertIsNotNone(self.plans.of(head))
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        self.assertLess(taken, MOST_BYTES)

    def test_blocks(self) -> None:
        """
        So are blocks of headers, however small.
        """
        blocks = (b"Host: localhost\r\na:%d\r\n" % number for number in range(50000))
        taken = self.remembered(repeat(b"GET /channels/a?transport=poll HTTP/1.1"), blocks)
        self.assertLess(taken, 2 * MOST_BYTES)
