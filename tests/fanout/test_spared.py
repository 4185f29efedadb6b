"""
Tests of L{comet.fanout.spared}: readers that do not get what their own client publishes.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import integers, lists, none, sampled_from, tuples

from comet.fanout.reader import Reader
from comet.model.messages import Publication
from comet.model.positions import Earliest
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import ANYONE
from tests.fanout.slowbus import now

MINE, OTHERS = "mine-0001", "others-01"


class SparedTests(HubTestCase):
    """
    Streams and polls over a bus in memory.
    """

    def put(self, *excluded: str | None, channel: str = "a") -> None:
        """
        Publish some messages in one turn, each excluding some readers.
        """
        for exclude in excluded:
            self.hub.store(ANYONE, [Publication((channel,), b"1", exclude=exclude)])
        self.rest()

    def mine(self, reader: Reader) -> None:
        """
        Give a reader the id.
        """
        self.hub.spareReader(reader, MINE)

    def test_live(self) -> None:
        """
        Of what is published in a turn a live reader is given all but its own, in order; a
        reader of the same group all of it.
        """
        mine, other = self.stream("a"), self.stream("a")
        self.mine(mine.reader)
        self.put(MINE)
        self.put(None, MINE, OTHERS, MINE)
        self.put(None)
        self.assertEqual(mine.positions, [2, 4, 6])
        self.assertEqual(other.positions, [1, 2, 3, 4, 5, 6])
        self.assertEqual(mine.reader.position.position, 6)

    def test_replayed(self) -> None:
        """
        What is read from the log is left out, too.
        """
        self.put(None, MINE, OTHERS)
        stream = self.stream("b")
        self.mine(stream.reader)
        added = stream.reader.addNames({"a": Earliest()})
        self.rest()
        now(added)
        stream.reader.resume()
        self.rest()
        self.assertEqual(stream.positions, [1, 3])

    def test_heldPoll(self) -> None:
        """
        A poll goes on waiting at its own messages, and stands behind them; the next one
        answers it.
        """
        waiter, reader = self.poll("a")
        self.mine(reader)
        self.put(MINE)
        self.put(MINE, MINE)
        self.assertEqual(waiter.isAnswered, False)
        self.assertEqual(reader.position.position, 3)
        self.put(MINE, None, MINE)
        outcome = waiter.outcome
        self.assertEqual([message.position for message, _ in outcome.messages], [5])
        self.assertEqual(outcome.cursor.position, 6)

    def test_takesNothing(self) -> None:
        """
        A reader whose client takes nothing goes on where it was, without its own.
        """
        stream = self.stream("a")
        self.mine(stream.reader)
        stream.sink.fill()
        self.put(None, MINE)
        self.put(MINE, None)
        stream.sink.drain()
        self.rest()
        self.assertEqual(stream.positions, [1, 4])

    def test_anotherID(self) -> None:
        """
        The id that was given last counts.
        """
        stream = self.stream("a")
        self.mine(stream.reader)
        self.hub.spareReader(stream.reader, OTHERS)
        self.put(MINE, OTHERS)
        self.assertEqual(stream.positions, [1])

    def test_nothingIsKept(self) -> None:
        """
        Nothing is kept of a reader that is closed, in whatever way.
        """
        stream, (_, held) = self.stream("a"), self.poll("a")
        for reader in (stream.reader, held):
            self.mine(reader)
        self.assertEqual(len(self.hub._spared), 1)
        self.put(None)
        stream.reader.ended()
        self.assertEqual(len(self.hub._spared), 0)
        self.mine(stream.reader)
        self.assertEqual(len(self.hub._spared), 0)

    @settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
    @given(
        lists(
            tuples(
                lists(sampled_from([None, MINE, OTHERS]), max_size=4),
                none() | integers(0, 3),
            ),
            max_size=12,
        )
    )
    def test_model(self, turns: list[tuple[list[Any], int | None]]) -> None:
        """
        However messages come in turns, and clients stop and go on taking them, each reader
        gets all but those that exclude it, each once and in order.
        """
        streams = [self.stream("a", "b") for _ in range(4)]
        ids = [MINE, OTHERS, MINE, None]
        for stream, id in zip(streams, ids, strict=True):
            if id is not None:
                self.hub.spareReader(stream.reader, id)
        start = self.inner.end.position
        published: list[Any] = []
        for excluded, stopped in turns:
            if stopped is not None:
                sink = streams[stopped].sink
                sink.fill() if sink.budget is None else sink.drain()
            published += excluded
            self.put(*excluded, channel="b" if len(excluded) % 2 else "a")
        for stream in streams:
            stream.sink.drain()
        self.rest()
        for stream, id in zip(streams, ids, strict=True):
            expected = [
                start + index
                for index, exclude in enumerate(published, 1)
                if id is None or exclude != id
            ]
            self.assertEqual(stream.positions, expected)
            stream.reader.ended()
            stream.reader.sinkLost()


class SparedInPartsTests(SparedTests):
    """
    The same where flushes go on for many turns, one reader in each.
    """

    def setUp(self) -> None:
        """
        Make each flush take long.
        """
        super().setUp()
        parts = self.fanout.parts
        parts.most = parts.left = 0
        parts.seconds = 0.0
        parts.eachAtOnce = 1

    def put(self, *excluded: str | None, channel: str = "a") -> None:
        """
        Publish some messages in one turn, and go on for some turns only.
        """
        for exclude in excluded:
            self.hub.store(ANYONE, [Publication((channel,), b"1", exclude=exclude)])
        for _ in range(2):
            self.clock.turn()
