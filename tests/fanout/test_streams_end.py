"""
Tests of streams: the end.
"""

from __future__ import annotations

from comet.fanout.states import State
from comet.fanout.streams import LAST_WORDS
from comet.model.messages import Close
from comet.model.positions import Earliest
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import LineShape

CLOSE = Close("draining", "the server is going down", 1.5)
BIG = b'"' + b"x" * 40000 + b'"'


class EndTests(HubTestCase):
    """
    How a stream ends.
    """

    def test_lastWords(self) -> None:
        """
        The last words have the cursor and when to come back; the coda follows,
        and the connection is closed.  A second close says nothing.
        """
        stream = self.stream("a", shape=LineShape(coda=b'["coda"]\n'))
        self.publish("a")
        self.clock.settle()
        stream.reader.close(CLOSE)
        stream.reader.close(CLOSE)
        self.assertEqual(
            stream.sink.lines[-2:],
            [["close", self.inner.end.epoch, 1, "draining", 1.5], ["coda"]],
        )
        self.assertTrue(stream.sink.isFinished)
        self.assertIn(stream.reader, self.fanout.leaving.readers)
        stream.sink.lose()
        self.assertNotIn(stream.reader, self.fanout.leaving.readers)

    def test_lastWordsNotTaken(self) -> None:
        """
        The connection of a client that does not take the last words in time is
        cut.
        """
        stream = self.stream("a")
        stream.reader.close(CLOSE)
        self.clock.advance(LAST_WORDS - 1)
        self.assertFalse(stream.sink.isAborted)
        self.clock.advance(1.2)
        self.assertTrue(stream.sink.isAborted)
        stream.sink.lose()

    def test_leaveWithoutWords(self) -> None:
        """
        A transport that says goodbye itself has as much time for it as for last
        words.
        """
        stream = self.stream("a")
        stream.reader.leave()
        stream.reader.leave()
        self.assertEqual(stream.kinds, ["standing"])
        self.assertIn(stream.reader, self.fanout.leaving.readers)
        stream.sink.lose()

    def test_closedWhileReplaying(self) -> None:
        """
        During a replay, the last cursor is that of the reader; for clients that
        adopt replayed ids, that of the replay.
        """
        self.publish(*["a"] * 4, "b", payload=BIG)
        begin = {"a": self.cursor(0), "b": self.cursor(5)}
        plain = self.stream("a", "b", begin=begin)
        adopting = self.stream("a", "b", begin=begin, shape=LineShape(adoptsReplay=True))
        for stream, position in ((plain, 5), (adopting, 1)):
            self.assertEqual(stream.positions, [1])
            stream.reader.close(CLOSE)
            self.assertEqual(stream.sink.lines[-1][:3], ["close", self.inner.end.epoch, position])

    def test_removedWhenClosed(self) -> None:
        """
        A closed reader ignores the removal of names.
        """
        stream = self.stream("a")
        stream.sink.lose()
        stream.reader.removeNames(["a"])
        self.assertIs(stream.reader.state, State.CLOSED)


class SlowEndTests(HubTestCase):
    """
    Readers that are closed before the bus has answered.
    """

    isSlow = True

    def test_closedBeforeStart(self) -> None:
        """
        The opening and the prelude come before the last words; with the cursor
        in these the client misses nothing.
        """
        self.publish("a", "a")
        self.rest()
        begun = self.stream("a", begin=self.cursor(1), shape=LineShape(prelude=b"prelude "))
        other = self.stream("a", opening=b"opening ", begin="earliest")
        for stream, position in ((begun, 1), (other, 0)):
            stream.reader.close(CLOSE)
            [words] = stream.sink.writes
            line = words[words.index(b"[") :].decode()
            self.assertIn(f'"{self.inner.end.epoch}", {position}', line)
        self.assertTrue(begun.sink.writes[0].startswith(b"prelude "))
        self.assertTrue(other.sink.writes[0].startswith(b"opening "))
        self.rest()

    def test_resolvedAfterTheClose(self) -> None:
        """
        Names that are resolved after their reader was closed are dropped.
        """
        stream = self.stream("a")
        self.rest()
        added = stream.reader.addNames({"b": Earliest()})
        stream.sink.lose()
        self.rest()
        self.assertEqual(self.successResultOf(added), ())
        self.assertEqual(stream.reader.progress.names, ("a",))

    def test_readAfterTheClose(self) -> None:
        """
        Messages that are read after their reader was closed are dropped.
        """
        self.publish("a")
        self.rest()
        stream = self.stream("a", begin="earliest")
        while self.slow.operations[0].kind != "read":
            self.slow.answer()
        stream.sink.lose()
        self.rest()
        self.assertEqual(stream.positions, [])
