"""
Tests of how the fan-out asks a bus that answers later: what readers share, and
what becomes of them where it fails.
"""

from __future__ import annotations

from comet.errors import Forbidden, Unavailable
from comet.fanout.states import State
from comet.model.positions import Now
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import LineShape


class AskingTests(HubTestCase):
    """
    How a slow bus is asked.
    """

    isSlow = True

    def test_readersShareQueries(self) -> None:
        """
        A thousand readers that come back at once make one query for where they
        start, and one for their messages.
        """
        self.publish("a", "a")
        self.rest()
        self.stream("a")
        self.rest()
        self.slow.asked.clear()
        streams = [self.stream("a", begin=self.cursor(1)) for _ in range(1000)]
        while len(self.slow.operations) > 0 and self.slow.operations[0].kind == "resolve":
            self.slow.answer()
        self.assertEqual(self.slow.asked, {"resolve": 1, "read": 1})
        self.slow.answer()
        self.assertEqual({tuple(each.positions) for each in streams}, {(2,)})

    def test_sharedResultLeavesNoHole(self) -> None:
        """
        A reader that shares a result from before it came does not miss what was
        flushed in between.
        """
        self.publish("a")
        self.rest()
        first = self.stream("a", begin=self.cursor(0))
        while self.slow.operations[0].kind != "read":
            self.slow.answer()
        self.slow.do(0)
        published = self.publish("a")
        self.slow.answer(-1)
        self.slow.hear()
        self.clock.settle()
        self.assertEqual(self.successResultOf(published), [2])
        second = self.stream("a", begin=self.cursor(0), shape=LineShape(tag="other"))
        self.assertEqual([each.kind for each in self.slow.operations], ["read"])
        self.rest()
        self.assertEqual((first.positions, second.positions), ([1, 2], [1, 2]))

    def test_sharedFailureClosesAll(self) -> None:
        """
        All readers that share a failed query are closed with its reason.
        """
        self.publish("a")
        self.rest()
        streams = [self.stream("a", begin=self.cursor(0)) for _ in range(2)]
        while self.slow.operations[0].kind != "read":
            self.slow.answer()
        self.slow.operations.pop(0).fail(Unavailable("the bus is down", 7.0))
        for each in streams:
            self.assertEqual(each.sink.lines[-1][0], "close")
            self.assertEqual(each.sink.lines[-1][3:], ["unavailable", 7.0])
            self.assertTrue(each.sink.isFinished)

    def test_clientsThatLeaveAskNothing(self) -> None:
        """
        What a client has asked is not asked of the bus any more, if the client has left
        when its turn comes.  Others are served, and nothing of it is left.
        """
        self.publish("a")
        self.rest()
        self.slow.asked.clear()
        polls = [self.poll("a", begin=f"-{number}", wait=0.0)[1] for number in range(1, 400)]
        begun = self.slow.asked["resolve"]
        self.assertLess(begun, 40)
        for reader in polls:
            reader.ended()
        waiter, _ = self.poll("a", begin="earliest", wait=0.0)
        self.rest()
        self.assertEqual(self.slow.asked["resolve"], begun + 1)
        self.assertEqual([each.position for each, _ in waiter.outcome.messages], [1])
        self.assertEqual(len(self.fanout.readers), 0)

    def test_readAheadOfTheFanout(self) -> None:
        """
        A reader that has read messages before the fan-out heard them does not
        get them again when it does.
        """
        first = self.stream("a")
        self.rest()
        self.publish("a", "a")
        self.slow.answer()
        self.publish("a")
        self.slow.answer()
        second = self.stream("a", begin=self.cursor(0))
        self.slow.answer()
        self.slow.answer()
        self.assertIs(second.reader.state, State.LIVE)
        self.assertEqual((first.positions, second.positions), ([], [1, 2, 3]))
        self.slow.hear()
        self.clock.settle()
        self.slow.hear()
        self.clock.settle()
        self.publish("a")
        self.rest()
        self.assertEqual((first.positions, second.positions), ([1, 2, 3, 4], [1, 2, 3, 4]))

    def test_readsOnceNamesAreHeard(self) -> None:
        """
        The log is read once the names are heard, and not before.
        """
        self.stream("a", "b")
        self.stream("b")
        self.assertEqual(self.slow.asked, {"listen": 1})
        self.slow.answer()
        self.assertEqual(self.slow.asked, {"listen": 1, "resolve": 2})

    def test_namesThatCannotBeHeard(self) -> None:
        """
        If the bus cannot let a name be heard, the readers of the name are
        closed with the reason; a reader that comes later is not.
        """
        first = self.stream("a", "b")
        second = self.stream("b", "c/x", opening=b"head ", shape=LineShape(prelude=b"prelude "))
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        third = self.stream("b")
        self.assertEqual(first.sink.lines[-1][3], "unavailable")
        self.rest()
        self.assertIs(third.reader.state, State.LIVE)
        [words] = second.sink.writes
        self.assertTrue(words.startswith(b'head prelude ["close", '), words)
        self.assertTrue(second.sink.isFinished)

    def test_deniedPattern(self) -> None:
        """
        A reader of a pattern that the bus denies is sent away for good.  A
        reader that waits for another name of the same reader goes on.
        """
        first = self.stream("a", "c/*")
        second = self.stream("a")
        _, denied = self.slow.operations
        self.slow.operations.remove(denied)
        denied.fail(Forbidden("the bus may not read 'c/*'"))
        self.assertEqual(first.sink.lines[-1][3:], ["forbidden", None])
        self.rest()
        self.publish("a")
        self.rest()
        self.assertEqual(second.positions, [1])

    def test_failedGroupFailsAtOnce(self) -> None:
        """
        Listening for a group that just failed fails at once with the same
        reason.
        """
        group = self.fanout.registry.group(self.stream("a").reader, ("a",))
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(self.fanout.registry.listen(group), Unavailable)

    def test_lateFailureOfARetiredName(self) -> None:
        """
        A late failure for a name that was retired meanwhile does no harm to a
        reader that has asked for the name again.
        """
        self.stream("a", "b")
        self.stream("b", "c/x")
        first, second = self.slow.operations
        self.slow.operations.clear()
        first.fail(Unavailable("the bus is down"))
        stream = self.stream("c/x")
        second.fail(Unavailable("the bus is down"))
        self.rest()
        self.publish("c/x")
        self.rest()
        self.assertEqual(stream.positions, [1])

    def test_failedAddChangesNothing(self) -> None:
        """
        A name that cannot be heard is not added, and the reader stays as it
        was.
        """
        stream = self.stream("a")
        self.rest()
        added = stream.reader.addNames({"b": Now()})
        self.slow.operations.pop(0).fail(Unavailable("the bus is down"))
        self.failureResultOf(added, Unavailable)
        self.publish("a", "b")
        self.rest()
        self.assertEqual((stream.reader.progress.names, stream.positions), (("a",), [1]))
