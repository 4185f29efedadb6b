"""
Tests of L{comet.fanout.aheadreaders}: readers that have read some messages of a flush.
"""

from __future__ import annotations

from comet.model.messages import Close
from tests.fanout.case import HubTestCase, Stream
from tests.fanout.test_busygroups import PartsCase


class SharingTests(HubTestCase):
    """
    What readers share that have read the same.
    """

    def test_oneTailForAll(self) -> None:
        """
        Readers that have read the same messages of a flush are written the same object, and
        stand where the others do from then on.
        """
        old = self.stream("a")
        self.publish("a")
        first = [self.stream("a") for _ in range(2)]
        self.publish("a")
        second = [self.stream("a") for _ in range(2)]
        self.publish("a")
        self.clock.settle()
        self.assertEqual([each.positions for each in first + second], [[2, 3]] * 2 + [[3]] * 2)
        for some in (first, second):
            self.assertIs(some[0].sink.writes[-1], some[1].sink.writes[-1])
        self.publish("a")
        self.clock.settle()
        for each in [*first, *second]:
            self.assertIs(each.sink.writes[-1], old.sink.writes[-1])


class PartsTests(PartsCase):
    """
    The same where a turn has time for one reader only.
    """

    def begin(self, isDirect: bool) -> list[Stream]:
        """
        Publish three messages, the first of which all but one reader have read.
        """
        streams = self.streams(1, isDirect=isDirect)
        self.publish("a")
        kind = type(streams[0].sink)
        streams += [self.stream("a", sink=kind()) for _ in range(3)]
        self.publish("a", "a")
        return streams

    def test_oneInATurn(self) -> None:
        """
        Those that have read some messages are written to in later turns, too; each gets the
        rest, and then what is published meanwhile.
        """
        for isDirect in (True, False):
            streams = self.begin(isDirect)
            last = self.fanout.end().position
            counts = []
            for _ in streams:
                self.clock.turn()
                counts.append(sum([last in each.positions for each in streams]))
            self.assertEqual(counts, [1, 2, 3, 4])
            self.publish("a")
            self.rest()
            given = [last - 1, last, last + 1]
            self.assertEqual(self.given(streams), [[last - 2, *given]] + [given] * 3)
            for stream in streams:
                stream.sink.lose()

    def test_standing(self) -> None:
        """
        Until such a reader is written to, it stands where it has read to: it is told so when
        it is closed, and reads from there after an interruption.
        """
        streams = self.begin(isDirect=False)
        self.clock.turn()
        self.assertEqual([each.reader.position.position for each in streams], [3, 1, 1, 1])
        streams[1].reader.close(Close("later", "", 1.0))
        self.assertEqual(streams[1].sink.lines[-1][2], 1)
        self.fanout.interrupted()
        self.rest()
        self.assertEqual(self.given(streams), [[1, 2, 3], [], [2, 3], [2, 3]])
