"""
Tests of groups: readers that share every byte, and when they are forgotten.
"""

from __future__ import annotations

from comet.fanout.registry import LINGER, MOST_IDLE, MOST_IDLE_NAMES
from comet.fanout.streams import StreamReader
from comet.model.messages import Message
from tests.fanout.case import HubTestCase, since
from tests.fanout.doubles import ANYONE, LineShape, MemorySink, OutcomeShape


class CountingShape(LineShape):
    """
    Counts how often it is asked for a message.
    """

    made: list[int]

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        A line for a message.
        """
        self.made.append(message.position)
        return super().message(message, replay)


class BrokenShape(LineShape):
    """
    A shape that cannot encode messages.
    """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Fail.
        """
        raise RuntimeError("broken")


class SharingTests(HubTestCase):
    """
    What readers of the same names share.
    """

    def test_writesOneObjectToAll(self) -> None:
        """
        Readers of one group are written the same object, whatever the order of
        their names; once for all that is published in a turn.
        """
        streams = [self.stream("a", "b"), self.stream("b", "a"), self.stream("a", "b")]
        before = [len(stream.sink.writes) for stream in streams]
        self.publish("a", "b")
        self.publish("a")
        self.clock.settle()
        for stream, count in zip(streams, before, strict=True):
            self.assertEqual(len(stream.sink.writes), count + 1)
            self.assertIs(stream.sink.writes[-1], streams[0].sink.writes[-1])
            self.assertEqual(stream.positions, [1, 2, 3])

    def test_encodesOnceForAllGroups(self) -> None:
        """
        A message is encoded once for a shape, though several groups get it, and
        readers that catch up read it from the log.
        """
        shape = CountingShape()
        object.__setattr__(shape, "made", [])
        streams = [self.stream("a", shape=shape), self.stream("a", "b", shape=shape)]
        self.publish("a", "b")
        self.clock.settle()
        streams.append(self.stream("*", begin="earliest", shape=shape))
        self.clock.settle()
        self.assertEqual([stream.positions for stream in streams], [[1], [1, 2], [1, 2]])
        self.assertEqual(shape.made, [1, 2])

    def test_groupsByKindAndShape(self) -> None:
        """
        Readers of the same names in other shapes, or of other kinds, are in
        other groups.
        """
        self.stream("a")
        self.stream("a", shape=LineShape(tag="other"))
        self.poll("a")
        self.poll("a", shape=OutcomeShape(7))
        self.subscribe("a")
        self.assertEqual(len(self.fanout.registry), 5)

    def test_oneMessageForTwoNames(self) -> None:
        """
        A reader gets a message once, though two of its names match it.
        """
        stream = self.stream("a", "*", "**")
        self.publish("a", "c/x")
        self.clock.settle()
        self.assertEqual(stream.positions, [1, 2])

    def test_heldPollsShareOneResponse(self) -> None:
        """
        Held polls of one group are given the same response.
        """
        waiters = [self.poll("a")[0] for _ in range(3)]
        self.publish("a")
        self.clock.settle()
        self.assertIs(waiters[0].outcome, waiters[1].outcome)
        self.assertIs(waiters[0].outcome, waiters[2].outcome)

    def test_readerAheadGetsTheTail(self) -> None:
        """
        A reader that has read some of the messages of a flush gets only the
        rest of them.
        """
        old = self.stream("a")
        self.publish("a")
        fresh = self.stream("a", begin="earliest")
        self.publish("a", "a")
        late = self.stream("a", begin="-1")
        self.clock.settle()
        self.assertEqual(old.positions, [1, 2, 3])
        self.assertEqual(fresh.positions, [1, 2, 3])
        self.assertEqual(late.positions, [3])
        self.assertEqual(len({stream.sink.writes[-1] for stream in (old, fresh)}), 2)
        self.publish("a")
        self.clock.settle()
        self.assertIs(old.sink.writes[-1], fresh.sink.writes[-1])
        self.assertIs(old.sink.writes[-1], late.sink.writes[-1])

    def test_shapeThatCannotEncode(self) -> None:
        """
        If messages cannot be prepared, the readers of that shape are closed;
        the others get them, and the publisher is answered.
        """
        broken = [self.stream("a", shape=BrokenShape()) for _ in range(2)]
        fine = self.stream("a")
        published = self.publish("a")
        self.clock.settle()
        self.assertEqual(self.successResultOf(published), [1])
        self.assertEqual(fine.positions, [1])
        for stream in broken:
            self.assertEqual(stream.sink.lines[-1][0], "close")
            self.assertEqual(stream.sink.lines[-1][3], "internal")
            self.assertTrue(stream.sink.isFinished)
        # It was tried once for all of them.
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_sinkThatCannotWrite(self) -> None:
        """
        A reader that cannot be written to is closed; the others of its group
        are written to.
        """

        class BrokenSink(MemorySink):
            def write(self, data: bytes) -> bool:
                if b"message" in data:
                    raise RuntimeError("broken")
                return super().write(data)

        streams = [self.stream("a"), self.stream("a", sink=BrokenSink()), self.stream("a")]
        self.publish("a")
        self.clock.settle()
        self.assertEqual([each.positions for each in streams], [[1], [], [1]])
        self.assertEqual(
            streams[1].sink.lines[-1][:4], ["close", self.inner.end.epoch, 0, "internal"]
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_liveAndBehindMembers(self) -> None:
        """
        A group tells its live readers from those that are behind.
        """
        streams = [self.stream("a"), self.stream("a")]
        streams[0].sink.fill()
        self.publish("a")
        self.clock.settle()
        group = self.fanout.registry.group(streams[1].reader, ("a",))
        self.assertEqual((group.live, len(group), group.members), ([streams[1].reader], 1, 2))


class RetiringTests(HubTestCase):
    """
    When groups are retired.
    """

    def test_outlivesItsLastReader(self) -> None:
        """
        A group outlives its last reader for a while, and hears what is
        published; then nothing of it is left.
        """
        stream = self.stream("a")
        stream.sink.lose()
        self.clock.advance(LINGER - 1)
        self.assertEqual(len(self.fanout.registry), 1)
        self.clock.advance(1.2)
        self.assertEqual(len(self.fanout.registry), 0)

    def test_newReaderKeepsTheGroup(self) -> None:
        """
        A reader that comes while a group is idle keeps the group.
        """
        self.stream("a").sink.lose()
        self.clock.advance(LINGER - 1)
        stream = self.stream("a")
        self.clock.advance(LINGER)
        self.publish("a")
        self.clock.settle()
        self.assertEqual((len(self.fanout.registry), stream.positions), (1, [1]))

    def test_boundsIdleGroups(self) -> None:
        """
        At most L{MOST_IDLE} idle groups are kept, the newest.
        """
        for number in range(MOST_IDLE + 5):
            self.stream(f"a{number}").sink.lose()
        self.assertEqual(len(self.fanout.registry), MOST_IDLE)
        self.stream("a0")
        self.assertEqual(len(self.fanout.registry), MOST_IDLE + 1)

    def test_boundsNamesOfIdleGroups(self) -> None:
        """
        Groups without readers are kept only up to a total length of their names.
        Groups with readers do not count.
        """
        name = "a" * 200
        kept = MOST_IDLE_NAMES // (4 * 204)
        streams = []
        for number in range(kept + 7):
            names = [f"{name}{each}{number:03}" for each in "bcde"]
            streams.append(self.stream(*names))
            self.assertEqual(len(self.fanout.registry), number + 1)
        for stream in streams:
            stream.sink.lose()
        self.assertEqual(len(self.fanout.registry), kept)
        # The one that is longest without a reader goes first.
        for number in (7, 8):
            self.stream(*[f"{name}{each}{number:03}" for each in "bcde"])
        self.assertEqual(len(self.fanout.registry), kept)
        # There is room for as many as are read again.
        for number in range(3):
            self.stream(*[f"{name}{each}{number:03}" for each in "bcde"]).sink.lose()
        self.assertEqual(len(self.fanout.registry), kept + 2)

    def test_pollThatDoesNotWaitMakesNoGroup(self) -> None:
        """
        A poll that does not wait is answered without a group, and without a
        call of C{listen}.
        """
        listened: list[object] = []
        self.patch(self.inner, "listen", lambda *asked: listened.append(asked))
        self.publish("a")
        for begin in ("earliest", "now", self.cursor(0)):
            waiter, _ = self.poll("a", "*", begin=begin, wait=0.0)
            self.assertTrue(waiter.isAnswered)
        self.assertEqual((len(self.fanout.registry), listened), (0, []))

    def test_changedNamesChangeTheGroup(self) -> None:
        """
        A reader that changes its names changes its group.
        """
        sink = MemorySink()
        reader = self.hub.openStream(
            ANYONE, [], since("now"), lambda: StreamReader(self.fanout, LineShape(), sink, None)
        )
        self.assertEqual(len(self.fanout.registry), 1)
        reader.addNames({"a": since("now").default}).addCallback(lambda gap: reader.resume())
        self.clock.settle()
        self.publish("a")
        self.clock.settle()
        self.assertEqual(sink.lines[-1][3], 1)
        reader.removeNames(["a"])
        self.publish("a")
        self.clock.settle()
        self.assertEqual(len(sink.lines), 1)
        self.clock.advance(LINGER + 0.2)
        self.assertEqual(len(self.fanout.registry), 1)
