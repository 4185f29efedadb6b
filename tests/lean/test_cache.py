"""
Tests of L{comet.lean.cache}: what a request asks for does not depend on what is
cached, and what is cached is bounded.
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
from comet.hub import Hub
from comet.lean.cache import MAX_BYTES, MAX_HEAD_BYTES, MAX_HEADS, MAX_LINE, RequestCache
from comet.lean.parser import MAX_FIELDS, readFields
from comet.lean.plans import ParsedHeaders, ParsedRequest, ReadPlan
from comet.lean.routes import findRoutes
from comet.web.resources import CometResource
from comet.web.site import CometSite

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

_PATHS = (b"/channels/a", b"/channels/a,b", b"/channels/a&since=%b", b"/socket", b"/publish")
_PARAMETERS = (
    *(b"since=%b", b"since=", b"since=now", b"since=x", b"%%73ince=now", b"x=?since=%b"),
    *(b"since.a=%b", b"since.b=earliest", b"transport=poll", b"transport=sse", b"wait=3"),
    *(b"wait=x", b"", b"a", b"transport=websocket", b"since=%b-gzip"),
    *(b"lastEventId=%b", b"last_event_id=", b"Last-Event-ID=x"),
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

# The attributes of plans that change the response.
_FEATURES = (
    *("transport", "names", "ownHeaders", "account", "authorization", "shape", "_shape"),
    *("_template", "wait", "isBare", "isBatch", "maxBody", "_contentType", "_event", "_key"),
)


class _Uncached(RequestCache):
    """
    Parses each request as a whole, with its cursor and key in place.
    """

    def parseHeaders(self, block: bytes) -> ParsedHeaders | None:
        """
        See L{RequestCache.parseHeaders}.
        """
        fields = readFields(block)
        return None if fields is None else self._keep(block, fields)

    def parseLine(self, line: bytes, headers: ParsedHeaders) -> ParsedRequest | None:
        """
        See L{RequestCache.parseLine}.
        """
        plan = self._plan(line, headers.profile)
        return None if plan is None else plan.parsed(headers, None)


class CacheTestCase(SynchronousTestCase):
    """
    A cache for the requests to a site.
    """

    def setUp(self) -> None:
        """
        Make a site, and an empty cache.
        """
        clock = Clock()
        self.hub = Hub(MemoryBus(clock), clock)
        self.cache = self.makeCache(RequestCache)

    def makeCache(self, kind: type[RequestCache]) -> RequestCache:
        """
        Make a cache of a class.
        """
        routes = findRoutes(CometSite(CometResource(self.hub), 1000, reactor=Clock()))
        assert routes is not None
        return kind(self.hub, routes.makePlan)


class CursorTests(CacheTestCase):
    """
    Cursors are cut out of requests, and put into what is cached of the rest.
    """

    def setUp(self) -> None:
        """
        Name cursors of this epoch and another, in good form and bad.
        """
        super().setUp()
        own = self.hub.end.epoch.encode("ascii")
        self.cursors = (own + b"-5", own + b"-0", own + b"-05", b"other-7", own + b"-" + b"9" * 19)

    def _described(self, cache: RequestCache, line: bytes, block: bytes) -> Any:
        headers = cache.parseHeaders(block)
        request = None if headers is None else cache.parseLine(line, headers)
        if headers is None or request is None:
            return None
        plan = request.plan
        features: list[Any] = [type(plan), *(getattr(plan, name, None) for name in _FEATURES)]
        if isinstance(plan, ReadPlan):
            features.append(evolve(plan.request, since=request.since, tags=request.tags))
            features.append(getattr(plan.opener, "__name__", None))
        return features, headers.key, headers.length

    @settings(deadline=None, max_examples=500)
    @given(st.data())
    def test_parsesAlikeWhateverIsCached(self, data: st.DataObject) -> None:
        """
        A request is parsed alike without a cache, with one that earlier
        requests have filled, and a second time.
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
        cached = self._described(self.cache, line, block)
        self.assertEqual(cached, self._described(self.cache, line, block))
        self.assertEqual(cached, self._described(self.makeCache(_Uncached), line, block))

    def test_emptiedByNewEpoch(self) -> None:
        """
        A new epoch of the bus empties the cache, since it changes which cursor
        of several counts.
        """
        tags = f'"old-7", "{self.hub.end.epoch}-9"'
        head = b"GET /channels/a?transport=poll HTTP/1.1\r\nHost: localhost\r\n"
        head += b"If-None-Match: %b\r\n\r\n" % tags.encode("ascii")
        first = self.cache.parse(head)
        assert first is not None
        self.assertIs(self.cache.parse(head), first)
        self.hub.bus.end = self.hub.end._replace(epoch="old")
        second = self.cache.parse(head)
        assert second is not None
        self.assertNotEqual(first.since, second.since)


class KeyTests(CacheTestCase):
    """
    Keys of WebSockets are cut out of headers, and put into what is cached of
    the rest.
    """

    def test_cachesOneBlockForAllKeys(self) -> None:
        """
        Headers that differ only in the key are cached once.
        """
        before, after = b"Host: localhost\r\n", b"Upgrade: websocket\r\n"
        keys = [b"%022d==" % number for number in range(5)]
        found: list[Any] = [
            self.cache.parseHeaders(b"%bSec-WebSocket-Key: %b\r\n%b" % (before, key, after))
            for key in keys
        ]
        self.assertEqual([headers.key for headers in found], keys)
        self.assertEqual({headers.profile for headers in found}, {found[0].profile})
        self.assertEqual(len(self.cache._blocks), 1)

    def test_leavesSecondKeyAndManyHeaders(self) -> None:
        """
        Headers with a second key, or with one header too many, are left to
        Twisted's edge.
        """
        key = b"Sec-WebSocket-Key: " + KEY + b"\r\n"
        for second in (key, key.lower(), b"sec-websocket-key: x\r\n"):
            self.assertIsNone(self.cache.parseHeaders(key + second), second)
            self.assertIsNone(self.cache.parseHeaders(second + key), second)
        others = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_FIELDS))
        for _ in range(2):
            self.assertIsNotNone(self.cache.parseHeaders(others))
            self.assertIsNone(self.cache.parseHeaders(others + key))


class BoundTests(CacheTestCase):
    """
    The cache is bounded, whatever requests come.
    """

    def cached(self, lines: Iterable[bytes], blocks: Iterable[bytes]) -> int:
        """
        Parse requests that are all answered.

        @return: How many bytes more are allocated then.
        """
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for line, block in zip(lines, blocks, strict=False):
            headers = self.cache.parseHeaders(block)
            assert headers is not None
            self.assertIsNotNone(self.cache.parseLine(line, headers), line)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return taken

    def test_longLines(self) -> None:
        """
        Lines with hundreds of parameters are not cached.
        """
        rest = b"".join(b"&%03d=%s" % (number, b"a" * 24) for number in range(200))
        lines = (
            b"GET /channels/a?transport=poll&z%d=1%s HTTP/1.1" % (number, rest)
            for number in range(1000)
        )
        taken = self.cached(lines, repeat(b"Host: localhost\r\n"))
        self.assertLess(taken, 2 * MAX_BYTES)

    def test_manyLines(self) -> None:
        """
        Lines are cached up to a number of bytes.
        """
        rest = b"".join(b"&%03d=" % number for number in range(160))
        lines = (
            b"GET /channels/a?transport=poll&z%d=1%s HTTP/1.1" % (number, rest)
            for number in range(3000)
        )
        taken = self.cached(lines, repeat(b"Host: localhost\r\n"))
        self.assertLess(taken, 4 * MAX_BYTES)

    def test_manyHeads(self) -> None:
        """
        Whole heads, each of another plan with many names, are cached up to a
        number.
        """
        names = b",".join(b"%03d" % number for number in range(90))
        rest = b"&".join(b"%03d=" % number for number in range(240))
        gc.collect()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        for number in range(MAX_HEADS):
            line = b"GET /channels/%s?transport=poll&z%d=1&%s" % (names, number, rest)
            head = b"%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % line
            self.assertTrue(MAX_LINE < len(head) < MAX_HEAD_BYTES)
            self.assertIsNotNone(self.cache.parse(head))
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
        self.assertLess(taken, MAX_BYTES)

    def test_manySmallBlocks(self) -> None:
        """
        Blocks of headers are cached up to a number of bytes, however small
        they are.
        """
        blocks = (b"Host: localhost\r\na:%d\r\n" % number for number in range(50000))
        taken = self.cached(repeat(b"GET /channels/a?transport=poll HTTP/1.1"), blocks)
        self.assertLess(taken, 2 * MAX_BYTES)
