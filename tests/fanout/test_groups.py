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
    Cannot encode messages.
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

    def test_sameBytes(self) -> None:
        """
        Readers of one group are written the same object, in whatever order
        their names are; once for all that is published in a turn.
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

    def test_encodedOnce(self) -> None:
        """
        A message is encoded once for a shape, also where several groups get
        it, and those who read it from the log.
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

    def test_shapes(self) -> None:
        """
        Readers in other shapes are in other groups.
        """
        self.stream("a")
        self.stream("a", shape=LineShape(tag="other"))
        self.poll("a")
        self.poll("a", shape=OutcomeShape(7))
        self.subscribe("a")
        self.assertEqual(len(self.fanout.registry), 5)

    def test_onceForTwoNames(self) -> None:
        """
        Who is reached by two of its names gets a message once.
        """
        stream = self.stream("a", "*", "**")
        self.publish("a", "c/x")
        self.clock.settle()
        self.assertEqual(stream.positions, [1, 2])

    def test_samePollAnswer(self) -> None:
        """
        Waiting polls are given the same response.
        """
        waiters = [self.poll("a")[0] for _ in range(3)]
        self.publish("a")
        self.clock.settle()
        self.assertIs(waiters[0].outcome, waiters[1].outcome)
        self.assertIs(waiters[0].outcome, waiters[2].outcome)

    def test_joinedInTheSameTurn(self) -> None:
        """
        Who has read some of what the group is about to be given gets the rest
        of it only.
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

    def test_broken(self) -> None:
        """
        Readers that cannot be given something are sent away; the others get
        it, and the publisher is answered.
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

    def test_brokenSink(self) -> None:
        """
        A reader that cannot be written to is sent away; the others are written
        to all the same.
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

    def test_members(self) -> None:
        """
        A group knows who of its readers is live, not who is behind.
        """
        streams = [self.stream("a"), self.stream("a")]
        streams[0].sink.fill()
        self.publish("a")
        self.clock.settle()
        group = self.fanout.registry.group(streams[1].reader, ("a",))
        self.assertEqual((group.live, len(group), group.members), ([streams[1].reader], 1, 2))


class RetiringTests(HubTestCase):
    """
    When groups are forgotten.
    """

    def test_linger(self) -> None:
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

    def test_again(self) -> None:
        """
        A reader that comes meanwhile keeps the group.
        """
        self.stream("a").sink.lose()
        self.clock.advance(LINGER - 1)
        stream = self.stream("a")
        self.clock.advance(LINGER)
        self.publish("a")
        self.clock.settle()
        self.assertEqual((len(self.fanout.registry), stream.positions), (1, [1]))

    def test_most(self) -> None:
        """
        Of groups without readers only so many are kept, the newest.
        """
        for number in range(MOST_IDLE + 5):
            self.stream(f"a{number}").sink.lose()
        self.assertEqual(len(self.fanout.registry), MOST_IDLE)
        self.stream("a0")
        self.assertEqual(len(self.fanout.registry), MOST_IDLE + 1)

    def test_mostNames(self) -> None:
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

    def test_passing(self) -> None:
        """
        A poll that does not wait makes no group, and lets nothing be heard,
        though it is answered.
        """
        listened: list[object] = []
        self.patch(self.inner, "listen", lambda *asked: listened.append(asked))
        self.publish("a")
        for begin in ("earliest", "now", self.cursor(0)):
            waiter, _ = self.poll("a", "*", begin=begin, wait=0.0)
            self.assertTrue(waiter.isAnswered)
        self.assertEqual((len(self.fanout.registry), listened), (0, []))

    def test_names(self) -> None:
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
