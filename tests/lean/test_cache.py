"""
Tests of L{comet.lean.cache}: what a request asks for does not depend on what is
cached, and what is cached is bounded.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from itertools import count, islice
from sys import getsizeof
from typing import Any
from weakref import ref

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.lean import cache
from comet.lean.cache import MAX_HEAD_BYTES, MAX_PLAN, RequestCache
from comet.lean.footprint import footprint
from comet.lean.parser import MAX_FIELDS, readFields
from comet.lean.plans import ParsedHeaders, ParsedRequest, ReadPlan
from comet.lean.routes import findRoutes
from comet.model.channels import NAME_CACHE_SIZE, parseName
from comet.model.clients import ANONYMOUS
from comet.model.messages import Publication
from comet.web.resources import CometResource
from comet.web.site import CometSite

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="

_PATHS = (b"/channels/a", b"/channels/a,b", b"/channels/a&since=%b", b"/socket", b"/publish")
_PARAMETERS = (
    *(b"since=%b", b"since=", b"since=now", b"since=x", b"%%73ince=now", b"x=?since=%b"),
    *(b"since.a=%b", b"since.b=earliest", b"transport=poll", b"transport=sse", b"wait=3"),
    *(b"wait=x", b"", b"a", b"transport=websocket", b"since=%b-gzip"),
    *(b"before=%b", b"%%62efore=%b", b"before=now"),
    *(b"lastEventId=%b", b"last_event_id=", b"Last-Event-ID=x"),
    *(b"transport=jsonp", b"transport=iframe", b"callback=f", b"callback=%b"),
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
    *(b"Sec-Fetch-Site: none", b"Referer: http://127.0.0.1/?since=%b", b"Referer: http://a/"),
)

# The attributes of plans that change the response.
_FEATURES = (
    *("transport", "names", "ownHeaders", "account", "credential", "shape", "_shape"),
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
        self.patch(self.hub.bus, "end", self.hub.end._replace(epoch="old"))
        second = self.cache.parse(head)
        assert second is not None
        self.assertNotEqual(first.since, second.since)


class KnownTests(CacheTestCase):
    """
    L{RequestCache.isKnown}.
    """

    def test_known(self) -> None:
        """
        A request is known once one with the same headers was parsed, whatever it asks
        for; also where only a part of its head has come, which costs nothing.
        """
        head = b"GET /channels/a?transport=poll HTTP/1.1\r\nHost: localhost\r\n\r\n"
        self.assertFalse(self.cache.isKnown(head))
        for size in range(len(head)):
            self.assertTrue(self.cache.isKnown(head[:size]))
        self.assertIsNotNone(self.cache.parse(head))
        for known in (head, head.replace(b"/a?", b"/b?"), head * 2, head + b"rest"):
            self.assertTrue(self.cache.isKnown(known), known)
        for unknown in (head.replace(b"local", b"other"), head.replace(b"Host", b"A: b\r\nHost")):
            self.assertFalse(self.cache.isKnown(unknown), unknown)


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
        Twisted's edge, also where all but the one that is cut out are cached.
        """
        key = b"Sec-WebSocket-Key: " + KEY + b"\r\n"
        for second in (key, key.lower(), b"sec-websocket-key: x\r\n"):
            self.assertIsNone(self.cache.parseHeaders(key + second), second)
            self.assertIsNone(self.cache.parseHeaders(second + key), second)
        others = b"".join(b"X-%d: y\r\n" % number for number in range(MAX_FIELDS))
        for _ in range(2):
            self.assertIsNotNone(self.cache.parseHeaders(others))
            self.assertIsNone(self.cache.parseHeaders(others + key))
            self.assertIsNone(self.cache.parseHeaders(others + b'If-None-Match: "e-1"\r\n'))


def _heads(line: bytes, *headers: bytes) -> Iterator[bytes]:
    """
    Make heads that differ in the numbers which stand for C{%d} in them.
    """
    head = b"".join(each + b"\r\n" for each in (line, b"Host: localhost", *headers, b""))
    places = head.count(b"%d")
    for number in count(10**6):
        yield head.replace(b"%d", b"%d" % number) if places else head


_POLL = b"GET /channels/a?transport=poll HTTP/1.1"
_POLLS = b"GET /channels/a?transport=poll&z=%d HTTP/1.1"
# Names that no two requests have in common: common ones are kept elsewhere.
_NAMES = b",".join(b"%x/%%d" % number for number in range(80))
_SOME_NAMES = b",".join(b"%x/%%d" % number for number in range(32))
_SINCE = b"&".join(b"since.%x/%%d=-1" % number for number in range(32))
_PARAMETERS_240 = b"&".join(b"%x=" % number for number in range(240))

# Requests of many kinds, most of which no two are alike.
_SHAPES = {
    "alike": (_POLL,),
    "lines": (_POLLS,),
    "long lines": (_POLLS[:-9] + b"&" + b"x" * 900 + b" HTTP/1.1",),
    "parameters": (_POLLS[:-9] + b"&" + _PARAMETERS_240 + b" HTTP/1.1",),
    "names": (b"GET /channels/%b?transport=poll HTTP/1.1" % _NAMES,),
    "starts": (b"GET /channels/%b?%b HTTP/1.1" % (_SOME_NAMES, _SINCE),),
    "streams": (b"GET /channels/a?transport=sse&z=%d HTTP/1.1",),
    "sockets": (
        b"GET /channels/a?z=%d HTTP/1.1",
        *(b"Upgrade: websocket", b"Connection: upgrade", b"Sec-WebSocket-Version: 13"),
        b"Sec-WebSocket-Key: " + KEY,
    ),
    "publications": (b"POST /channels/a?z=%d HTTP/1.1", b"Content-Length: 3"),
    "keys": (b"POST /channels/a HTTP/1.1", b"Content-Length: 3", b"Idempotency-Key: %d"),
    "lengths": (b"POST /channels/a HTTP/1.1", b"Content-Length: %d"),
    "tag": (_POLL, b'If-None-Match: "e-%d"'),
    "tag and more": (_POLL, b'If-None-Match: "e-%d"', b"X: " + b"x" * 1900),
    "pages": (b"GET /channels/a?transport=poll&before=e-%d HTTP/1.1",),
    "since": (b"GET /channels/a?transport=poll&since=e-%d HTTP/1.1",),
    "some tags": (_POLLS, b"If-None-Match: " + b",".join(b"t-%x" % n for n in range(30))),
    "many tags": (_POLL, b"If-None-Match: %d," + b",".join(b"%x" % n for n in range(1200))),
    "lines and tags": (_POLLS, b"If-None-Match: " + b",".join(b"%x" % n for n in range(1200))),
    "blocks": (_POLL, b"User-Agent: %d" + b"u" * 100),
    "small blocks": (_POLL, b"a:%d"),
    "long blocks": (_POLL, b"User-Agent: %d" + b"u" * 3900),
    "longer blocks": (_POLL, b"User-Agent: %d" + b"u" * 7000),
    "profiles": (_POLL, b"Accept: %d"),
    "large profiles": (
        *(_POLL, b"Accept: %d", b"Comet-Event: x", b"Prefer: wait=3", b"Connection: keep-alive"),
        *(b"Idempotency-Key: %d", b"Last-Event-ID: e-1"),
    ),
    "credentials": (_POLL, b"Authorization: Bearer %d" + b"x" * 1500),
    "lines and credentials": (_POLLS, b"Authorization: Bearer " + b"x" * 1500),
    "long credentials": (_POLL, b"Authorization: Bearer %d" + b"x" * 7000),
    "lines and long credentials": (_POLLS, b"Authorization: Bearer " + b"x" * 7000),
    "others": (b"GET /chat/%d HTTP/1.1",),
}


# Those of which each takes long to parse.
_SLOW_SHAPES = ("many tags", "lines and tags")


class BoundTests(CacheTestCase):
    """
    The cache is bounded, whatever requests come.
    """

    def fill(self, name: str) -> Iterator[tuple[int, int]]:
        """
        Parse requests of one shape, without the help of the collector.

        @return: After some of them, how many bytes are allocated, and how many
            the cache counts.
        """
        # Python keeps some freed tuples to use them again.  What other tests have freed
        # would be used here without being allocated, and not be counted.
        gc.collect()
        gc.disable()
        tracemalloc.start()
        try:
            some = 50 if name in _SLOW_SHAPES else 150
            for number, head in enumerate(islice(_heads(*_SHAPES[name]), some)):
                self.cache.parse(head)
                if number % 50 == 49:
                    taken, _ = tracemalloc.get_traced_memory()
                    yield taken, self.cache.size
        finally:
            tracemalloc.stop()
            gc.enable()

    def test_countsWhatItTakes(self) -> None:
        """
        The bytes that the cache counts are those that it takes, within a
        quarter, for requests of every kind.
        """
        for number in range(NAME_CACHE_SIZE):
            # Fill the cache of names, which is not a part of this one.
            parseName(f"{number}/a")
        for name in _SHAPES:
            self.cache = self.makeCache(RequestCache)
            largest, size = max(self.fill(name))
            # One large request that is not cached takes some of this.
            if largest > 160000 or size > 50000:
                self.assertTrue(0.8 < size / largest < 1.25, (name, largest, size))

    def test_emptiesItself(self) -> None:
        """
        However many requests come, the cache takes no more than its bytes.
        """
        self.patch(cache, "_PLANS_BYTES", 30000)
        self.patch(cache, "_HEADS_BYTES", 10000)
        for name in _SHAPES:
            self.cache = self.makeCache(RequestCache)
            sizes = list(self.fill(name))
            # The largest plan may come on top of the limit.
            self.assertLess(max(counted for _, counted in sizes), 40000 + MAX_PLAN, name)
            if name not in ("names", "starts"):
                # These names are remembered elsewhere as well.
                self.assertLess(max(taken for taken, _ in sizes), 200000, name)

    def test_readersLeavePublishersAlone(self) -> None:
        """
        However many polls come back with new cursors, the heads of publishers stay: these
        come again with each message.
        """
        self.patch(cache, "_HEADS_BYTES", 40000)
        publishing = [
            next(_heads(b"POST /channels/%d HTTP/1.1" % number, b"Content-Length: 3"))
            for number in range(20)
        ]
        parsed = [self.cache.parse(head) for head in publishing]
        for name in ("tag", "since", "lines"):
            for head in islice(_heads(*_SHAPES[name]), 500):
                self.cache.parse(head)
            for head, first in zip(publishing, parsed, strict=True):
                self.assertIs(self.cache.parse(head), first, name)

    def test_manyPublishersArePlacedAnew(self) -> None:
        """
        Heads of publishers that take most of the room are forgotten, too: the heads of
        readers have room again.
        """
        self.patch(cache, "_HEADS_BYTES", 10000)
        for head in islice(_heads(*_SHAPES["publications"]), 100):
            self.cache.parse(head)
        reading = next(_heads(*_SHAPES["tag"]))
        first = self.cache.parse(reading)
        for head in islice(_heads(*_SHAPES["since"]), 3):
            self.cache.parse(head)
        self.assertIs(self.cache.parse(reading), first)

    def test_ordinaryRequestsAreCached(self) -> None:
        """
        A request of a browser with a hundred names and a token is answered from
        the cache when it comes again.
        """
        names = b",".join(b"room/%03d" % number for number in range(100))
        head = next(
            _heads(
                b"GET /channels/%b?transport=poll HTTP/1.1" % names,
                b"User-Agent: " + b"u" * 120,
                b"Authorization: Bearer " + b"x" * 600,
            )
        )
        self.assertTrue(len(head) < MAX_HEAD_BYTES)
        self.assertIs(self.cache.parse(head), self.cache.parse(head))

    def test_largePlanIsNotCached(self) -> None:
        """
        A plan that takes much is made anew for each request, and so is the whole
        head; and neither is measured to the end.
        """
        head = next(_heads(*_SHAPES["many tags"]))
        first, second = self.cache.parse(head), self.cache.parse(head)
        assert first is not None
        assert second is not None
        self.assertIsNot(first.plan, second.plan)
        self.assertEqual(len(first.tags), 1201)
        self.assertLess(self.cache.size, 20000)
        self.assertLess(footprint(first.plan, first.plan.shared, 1000), 100000)

    def test_likePlanIsCounted(self) -> None:
        """
        A plan that is made like another counts what it adds: what both have in common is
        counted once.
        """
        heads = (b"POST /channels/room/%03d HTTP/1.1" % number for number in range(200))
        parsed = [self.cache.parse(next(_heads(head, b"Content-Length: 1"))) for head in heads]
        plans = [request.plan for request in parsed if request is not None]
        shared = plans[0].shared
        taken = footprint(plans, shared) - footprint(plans[:1], shared)
        counted = sum(plan.size(MAX_PLAN) for plan in plans[1:])
        self.assertLess(taken, 1.3 * counted)
        self.assertLess(counted, 1.3 * taken)
        self.assertLess(counted, sum(footprint(plan, shared) for plan in plans[1:]))

    def test_keepsNoRetiredGroup(self) -> None:
        """
        A cached plan keeps no group of readers that is gone.
        """
        request = self.cache.parse(next(_heads(_POLL)))
        assert request is not None
        plan: Any = request.plan
        joinPoint = plan.opener.__self__
        reader = self.hub.openPoll(
            ANONYMOUS, plan.names, request.since, plan.shape, _Waiter(), 25.0, plan.opener
        )
        group = ref(joinPoint._group())
        self.assertIs(group(), reader.group)
        reader.ended()
        del reader
        idle = group()
        assert idle is not None
        self.hub.fanout.registry.retire(idle)
        del idle
        gc.collect()
        self.assertIsNone(group())


class _Waiter:
    """
    A connection that waits for the answer to a poll.
    """

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class FootprintTests(SynchronousTestCase):
    """
    L{footprint}.
    """

    def test_countsOnce(self) -> None:
        """
        What a value refers to in several ways is counted once, and what is set
        apart is not.
        """
        inner = ["x" * 100]
        both, one = footprint([inner, inner]), footprint([inner])
        self.assertEqual(both - one, getsizeof([0, 0]) - getsizeof([0]))
        self.assertEqual(footprint([inner], (inner,)), getsizeof([0]))

    def test_leavesClassesOut(self) -> None:
        """
        Classes, functions and modules are not counted, and nothing that they
        refer to.
        """
        for each in (FootprintTests, footprint, gc, None, gc.collect):
            self.assertEqual(footprint(each), 0)
        self.assertLess(footprint(Publication(("a",), b"x")), 500)

    def test_stops(self) -> None:
        """
        With a limit, little more is looked at.
        """
        parts = [["x" * number] for number in range(10000)]
        self.assertGreater(footprint(parts), 10**7)
        found = footprint(parts, (), 10**6)
        self.assertTrue(10**6 < found < 2 * 10**6)
