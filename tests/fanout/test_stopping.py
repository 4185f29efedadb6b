"""
Tests of L{comet.fanout.core}: the end of the fan-out, after which nothing is kept.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.coalescing import QueryCoalescer
from comet.fanout.encodingcache import EncodingCache
from comet.framing.ndjson import NDJSONShape
from comet.model.messages import Message
from comet.reactor.timers import TimerWheel
from comet.reactor.turns import Turns


class StopTests(SynchronousTestCase):
    """
    The caches of the fan-out, by one wheel.
    """

    def setUp(self) -> None:
        """
        Make a wheel.
        """
        self.clock = Clock()
        self.wheel = TimerWheel(self.clock)

    def test_encodings(self) -> None:
        """
        A stopped cache of encodings forgets what it had.  It still encodes, and
        keeps nothing of it.
        """
        cache = EncodingCache(self.wheel)
        shape = NDJSONShape(False)
        message = Message("a", "e", 1, 0.0, b"1")
        [piece] = cache.pieces(shape, [message])
        self.assertEqual((cache.bytes, len(self.wheel)), (len(piece), 1))
        cache.stop()
        self.assertEqual((cache.bytes, self.clock.getDelayedCalls()), (0, []))
        self.assertEqual(cache.pieces(shape, [message]), [piece])
        self.assertEqual((cache.bytes, self.clock.getDelayedCalls()), (0, []))

    def test_answers(self) -> None:
        """
        A stopped coalescer forgets the answers that it had, and keeps none of
        those that come.
        """
        queries = QueryCoalescer(self.wheel, Turns(self.clock))
        asked: list[Deferred[str]] = []

        def ask() -> Deferred[str]:
            asked.append(Deferred())
            return asked[-1]

        first = queries.ask("key", ask, len)
        asked[0].callback("answer")
        self.assertEqual((self.successResultOf(first), len(self.wheel)), ("answer", 1))
        queries.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        second = queries.ask("key", ask, len)
        asked[1].callback("other")
        self.assertEqual(self.successResultOf(second), "other")
        self.assertEqual(self.clock.getDelayedCalls(), [])
