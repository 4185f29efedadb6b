"""
Tests for L{comet.model.log}.
"""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.model.log import ChannelLog, Retention
from comet.model.messages import MESSAGE_OVERHEAD, Message

WIDE = Retention(1000, 1000.0, 1000000)


def message(position: int, size: int = 1, time: float = 0.0) -> Message:
    """
    Make a message with a payload of some bytes.
    """
    return Message("a", "e", position, time, b"x" * size)


def filled(*positions: int, retention: Retention = WIDE) -> ChannelLog:
    """
    Make a log of messages with these positions.
    """
    log = ChannelLog(retention)
    for position in positions:
        log.append(message(position))
    return log


def held(log: ChannelLog) -> list[int]:
    """
    Return the positions of the messages that a log holds.
    """
    return [each.position for each in log.after(0, 1000)]


class ChannelLogTests(SynchronousTestCase):
    """
    L{ChannelLog}, by examples.
    """

    def test_emptyLogEndsAtFloor(self) -> None:
        """
        The end of an empty log is its floor.
        """
        log = ChannelLog(WIDE, 7)
        self.assertEqual((len(log), log.floor, log.end, log.oldest), (0, 7, 7, None))
        self.assertEqual((log.payloadBytes, log.size), (0, 0))
        self.assertEqual((log.beforeLast(3), log.beforeLast(9)), (7, 7))
        self.assertEqual(list(log.after(0, 10)), [])

    def test_appends(self) -> None:
        """
        A message that is appended is held, counted, and the new end.  The floor
        does not move.
        """
        log = ChannelLog(WIDE, 2)
        first = message(3, 10)
        log.append(first)
        log.append(message(8, 5))
        self.assertEqual((len(log), log.floor, log.end), (2, 2, 8))
        self.assertIs(log.oldest, first)
        self.assertEqual((log.payloadBytes, log.size), (15, 15 + 2 * MESSAGE_OVERHEAD))

    def test_boundsMessages(self) -> None:
        """
        No more messages are held than allowed.  The floor is the newest of the
        dropped ones.
        """
        log = filled(1, 4, 6, 9, retention=Retention(2, 1000.0, 1000))
        self.assertEqual((held(log), log.floor), ([6, 9], 4))

    def test_retentionOfNoMessages(self) -> None:
        """
        If no message is allowed, none is held, and the floor is the end.
        """
        log = filled(1, 4, retention=Retention(0, 1000.0, 1000))
        self.assertEqual((held(log), log.floor, log.end), ([], 4, 4))

    def test_boundsBytes(self) -> None:
        """
        No more bytes of payload are held than allowed.
        """
        log = ChannelLog(Retention(10, 1000.0, 10))
        for position, size in ((1, 4), (2, 3), (3, 3), (4, 5)):
            log.append(message(position, size))
        self.assertEqual((held(log), log.floor, log.payloadBytes), ([3, 4], 2, 8))

    def test_messageLargerThanRetention(self) -> None:
        """
        A message that alone has too many bytes is not held, and neither is any
        other.
        """
        log = filled(1, 2, retention=Retention(10, 1000.0, 10))
        log.append(message(3, 11))
        self.assertEqual((held(log), log.floor, log.end, log.size), ([], 3, 3, 0))

    def test_expires(self) -> None:
        """
        A message is held for as many seconds as allowed, and not longer.
        """
        log = ChannelLog(Retention(10, 5.0, 1000))
        for position in (1, 2, 3):
            log.append(message(position, time=float(position)))
        log.expire(6.999)
        self.assertEqual((held(log), log.floor), ([2, 3], 1))
        log.expire(7.0)
        self.assertEqual((held(log), log.floor), ([3], 2))
        log.expire(100.0)
        self.assertEqual((held(log), log.floor, log.size), ([], 3, 0))

    def test_clearRaisesFloor(self) -> None:
        """
        Clearing raises the floor to the end.  The log goes on after it.
        """
        log = filled(1, 5)
        log.clear()
        self.assertEqual((held(log), log.floor, log.end), ([], 5, 5))
        self.assertEqual((log.payloadBytes, log.size), (0, 0))
        log.append(message(6))
        self.assertEqual((held(log), log.floor, log.end), ([6], 5, 6))

    def test_readsAfterPosition(self) -> None:
        """
        The messages after a position are read in order, up to the limit,
        whether or not the position is that of a message.
        """
        log = filled(2, 4, 6, 8)
        log.dropOldest()
        for position, limit, expected in (
            (0, 10, [4, 6, 8]),
            (0, 2, [4, 6]),
            (4, 10, [6, 8]),
            (5, 1, [6]),
            (8, 10, []),
            (99, 10, []),
        ):
            found = [each.position for each in log.after(position, limit)]
            self.assertEqual(found, expected, f"after {position}")

    def test_resultDoesNotChange(self) -> None:
        """
        The messages that were read do not change when the log changes.
        """
        log = filled(1, 2, 3)
        read = log.after(0, 10)
        log.clear()
        self.assertEqual([each.position for each in read], [1, 2, 3])

    def test_beforeLast(self) -> None:
        """
        The position before the last few messages is just before the oldest of
        them, or before all if fewer are held.
        """
        log = filled(2, 4, 8)
        self.assertEqual([log.beforeLast(count) for count in (1, 2, 3, 4)], [7, 3, 1, 1])


Model: TypeAlias = "list[Message]"

positions = st.integers(0, 30)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3), st.integers(0, 12)),
        st.tuples(st.just("dropOldest"), st.just(0), st.just(0)),
        st.tuples(st.just("expire"), st.just(0), st.just(0)),
        st.tuples(st.just("clear"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 6), st.just(0)),
    ),
    max_size=40,
)
retentions = st.builds(Retention, st.integers(0, 6), st.floats(0.0, 10.0), st.integers(0, 30))


class ModelTests(SynchronousTestCase):
    """
    L{ChannelLog}, compared with a plain list of all messages and a floor.
    """

    @settings(deadline=None, max_examples=300)
    @given(retentions, positions, steps, positions, st.integers(1, 5))
    def test_model(
        self,
        retention: Retention,
        floor: int,
        steps: list[tuple[str, int, int]],
        after: int,
        count: int,
    ) -> None:
        """
        After any changes, the log holds exactly the messages of the list that
        are above the floor.
        """
        log = ChannelLog(retention, floor)
        model: Model = []
        end = floor
        now = 0.0
        for kind, number, size in steps:
            if kind == "wait":
                now += number
            elif kind == "append":
                end += number
                log.append(message(end, size, now))
                model = self.bounded([*model, message(end, size, now)], retention)
            elif kind == "expire":
                log.expire(now)
                model = [each for each in model if each.time + retention.seconds > now]
            elif kind == "clear":
                log.clear()
                model = []
            elif model:
                log.dropOldest()
                model = model[1:]
            self.compare(log, model, end, after, count)

    def bounded(self, model: Model, retention: Retention) -> Model:
        """
        Return the newest messages that are within the limits, as many as
        possible.
        """
        while len(model) > retention.messages or self.bytesOf(model) > retention.bytes:
            model = model[1:]
        return model

    def bytesOf(self, model: Model) -> int:
        """
        Return the bytes of all payloads.
        """
        return sum(len(each.payload) for each in model)

    def compare(self, log: ChannelLog, model: Model, end: int, after: int, count: int) -> None:
        """
        Assert that the log agrees with the list.
        """
        expected = [each.position for each in model]
        self.assertEqual(held(log), expected)
        self.assertEqual((len(log), log.end), (len(model), end))
        oldest = log.oldest
        self.assertEqual(None if oldest is None else oldest.position, [*expected, None][0])
        self.assertEqual(log.payloadBytes, self.bytesOf(model))
        self.assertEqual(log.size, self.bytesOf(model) + len(model) * MESSAGE_OVERHEAD)
        found = [each.position for each in log.after(after, count)]
        self.assertEqual(found, [position for position in expected if position > after][:count])
        last = expected[-count:]
        self.assertEqual(log.beforeLast(count), last[0] - 1 if last else end)
        if expected:
            self.assertLess(log.floor, expected[0])
        else:
            self.assertEqual(log.floor, end)
