"""
Tests of L{comet.fanout.catchups}: polls that come back late to the same messages.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.fanout import catchups
from comet.fanout.catchups import KEPT_SECONDS, MOST_CURSORS
from comet.fanout.logquestions import FIRST_MESSAGES
from comet.framing.publications import Limits
from comet.hub.hubsettings import Settings
from comet.interfaces.busabilities import INodesBus
from comet.model.cursors import Cursor, parseCursor
from tests.benchmarks.test_work import Work
from tests.lean import case
from tests.lean.accesses import Closed
from tests.lean.case import LeanTestCase, Peer, read, request

POLLS = 20


class CatchUpTests(LeanTestCase):
    """
    Many polls begin at a cursor behind which there is something.
    """

    settings = Settings(limits=Limits(maxMessage=1 << 20))

    def setUp(self) -> None:
        """
        Keep the channels open to all, with a held poll.
        """
        super().setUp()
        self.hub.access = Access(None, ["**"])
        self.publish(0)
        self.first = self.hub.end
        self.held = self.reader("longpoll")
        self.peers = [self.peer() for _ in range(POLLS)]
        self.reactor.settle()
        self.asked = 0
        bus: Any = self.bus
        readLog = bus.read

        def counting(*given: Any) -> Any:
            self.asked += 1
            return readLog(*given)

        self.patch(bus, "read", counting)

    def ask(
        self, since: Cursor, peers: list[Peer] | None = None, more: str = "", channel: str = "c"
    ) -> Work:
        """
        Let polls ask in one turn, and count the calls of that.
        """
        for peer in self.peers if peers is None else peers:
            peer.said = b""
            peer.send(read("longpoll", channel, f"&since={since}{more}"))
        return Work().of(lambda: self.reactor.settle())

    def assertHeard(self, *numbers: int, peers: list[Peer] | None = None) -> None:
        """
        Check that each of the polls was told just these numbers, and no cursor before them.
        """
        for peer in self.peers if peers is None else peers:
            self.assertEqual(peer.upTo(numbers[-1]), list(numbers))
            body = json.loads(peer.said.partition(b"\r\n\r\n")[2])
            last = parseCursor(body["messages"][-1]["cursor"])
            self.assertLessEqual(last, parseCursor(body["cursor"]))

    def test_readOnce(self) -> None:
        """
        The log is read for the first of them, and the others take fewer calls by far.
        """
        self.publish(1, 2, 3)
        alone = self.ask(self.first, self.peers[:1])
        self.assertHeard(1, 2, 3, peers=self.peers[:1])
        self.reactor.advance(2 * KEPT_SECONDS)
        self.asked = 0
        together = self.ask(self.first)
        self.assertHeard(1, 2, 3)
        self.assertEqual(together.names["encodePollBody"], 1)
        self.assertLess(together.calls, alone.calls + (POLLS - 1) * alone.calls * 0.6)

    def test_delivered(self) -> None:
        """
        What they are told is counted as for the first.
        """
        self.publish(*range(1, 5))
        before = self.hub.fanout.tally.delivered
        self.ask(self.first)
        self.assertEqual(self.hub.fanout.tally.delivered - before, 4 * POLLS)

    def test_manyMessages(self) -> None:
        """
        Those that have read a part when the first has read all get its response; what they
        have read counts once.
        """
        numbers = list(range(1, FIRST_MESSAGES + 30))
        self.publish(*numbers)
        before = self.hub.fanout.tally.delivered
        work = self.ask(self.first, more="&limit=1000")
        self.assertHeard(*numbers)
        self.assertEqual(work.names["encodePollBody"], 1)
        self.assertEqual(self.hub.fanout.tally.delivered - before, len(numbers) * POLLS)

    def test_comesBackAgain(self) -> None:
        """
        A poll that got the response of another one is held when it comes back, and told of
        all that follows.
        """
        for round in range(3):
            since = self.hub.end
            first = 10 * round + 1
            self.publish(first, first + 1)
            self.ask(since)
            self.assertHeard(first, first + 1)
            self.ask(self.hub.end)
            self.publish(first + 2)
            self.assertHeard(first + 2)

    def test_grown(self) -> None:
        """
        Once there is more, polls get that, too: what was stored in this turn, and what
        was written to the readers.
        """
        self.publish(1)
        self.ask(self.first, self.peers[:5])
        self.assertHeard(1, peers=self.peers[:5])
        self.hub.publish("c", 2)
        self.hub.bursts.store()
        self.ask(self.first, self.peers[5:10])
        self.assertHeard(1, 2, peers=self.peers[5:10])
        self.publish(3)
        self.ask(self.first)
        self.assertHeard(1, 2, 3)

    def test_heardInThisTurn(self) -> None:
        """
        A message that is stored, and not written to the readers yet, is in the response,
        though the response before it is kept.
        """
        self.publish(1)
        self.ask(self.first, self.peers[:2])
        for peer in self.peers[:2]:
            peer.said = b""
        post = request("/channels/c", method="POST", body=b"2")
        asks = read("longpoll", "c", f"&since={self.first}")
        self.peers[0].send(post + asks)
        self.reactor.settle()
        body = json.loads(self.peers[0].take().rpartition(b"\r\n\r\n")[2])
        self.assertEqual([each["data"] for each in body["messages"]], [1, "2"])

    def test_otherChannels(self) -> None:
        """
        What is published to other channels meanwhile changes nothing: the log is not read
        again.
        """
        self.publish(1)
        self.ask(self.first, self.peers[:1])
        for peer in self.peers[1:6]:
            self.hub.publish("other", 5)
            self.asked = 0
            work = self.ask(self.first, [peer])
            self.assertHeard(1, peers=[peer])
            self.assertEqual((self.asked, work.names["encodePollBody"]), (0, 0))

    def test_otherCursors(self) -> None:
        """
        Each cursor has its own.
        """
        cursors = []
        for number in range(1, 4):
            cursors.append(self.hub.end)
            self.publish(number)
        for _ in range(2):
            for index, cursor in enumerate(cursors):
                self.ask(cursor, self.peers[:3])
                self.assertHeard(*range(index + 1, 4), peers=self.peers[:3])

    def test_otherShapes(self) -> None:
        """
        Polls that ask for something else get that.
        """
        self.publish(1, 2)
        self.ask(self.first, self.peers[:2])
        self.ask(self.first, self.peers[2:4], "&limit=1")
        self.assertHeard(1, peers=self.peers[2:4])
        self.ask(self.first, self.peers[4:6], channel="c,d")
        self.assertHeard(1, 2, peers=self.peers[4:6])

    def test_deleted(self) -> None:
        """
        What a client has deleted is told to none.
        """
        self.publish(1)
        self.ask(self.first)
        self.assertHeard(1)
        self.hub.access = Access("k" * 16, ["**"])
        deletes = request("/channels/c", "Authorization: Bearer " + "k" * 16 + "\r\n", "DELETE")
        self.peers[0].said = b""
        self.peers[0].send(deletes)
        self.peers[0].hears(b"HTTP/1.1 2")
        self.ask(self.first, self.peers[1:3])
        for peer in self.peers[1:3]:
            body = json.loads(peer.take().partition(b"\r\n\r\n")[2])
            self.assertEqual((body["messages"], body["gap"]), ([], ["c"]))

    def test_interrupted(self) -> None:
        """
        After an interruption the log is read again.
        """
        self.publish(1)
        self.ask(self.first, self.peers[:2])
        self.assertHeard(1, peers=self.peers[:2])
        self.hub.fanout.interrupted()
        self.assertEqual(len(self.hub.fanout.catchUps), 0)
        self.ask(self.first)
        self.assertHeard(1)

    def test_opensAgain(self) -> None:
        """
        A reader that is opened again begins elsewhere: what it reads from the log then is
        not for those that begin where it began before.
        """
        self.publish(1)
        peers, others = self.peers[:4], self.peers[4:8]
        self.ask(self.first, peers)
        self.assertHeard(1, peers=peers)
        self.ask(self.hub.end, peers)
        self.hub.publish("c", 2)
        self.hub.bursts.store()
        self.hub.fanout.interrupted()
        self.hub.publish("other", 5)
        self.reactor.settle()
        self.assertHeard(2, peers=peers)
        self.ask(self.first, others)
        self.assertHeard(1, 2, peers=others)

    def test_excluded(self) -> None:
        """
        A reader that is spared a message does not get the response of one that is not; nor
        does another one get its.
        """
        headers = "Comet-Exclude: reader-01\r\n"
        said = request("/channels/c", headers, "POST", b"1")
        self.publish(7)
        self.peers[0].send(said)
        self.peers[0].hears(b"201")
        mine, others = self.peers[1:3], self.peers[3:5]
        for _ in range(2):
            self.ask(self.first, mine, "&reader=reader-01")
            self.ask(self.first, others)
            for peer in mine:
                self.assertEqual(peer.upTo(7), [7])
            self.assertHeard(7, 1, peers=others)

    def test_dropped(self) -> None:
        """
        A response is kept for a moment only, and no timer is left.
        """
        self.publish(1)
        self.ask(self.first)
        self.assertEqual(len(self.hub.fanout.catchUps), 1)
        self.reactor.advance(2 * KEPT_SECONDS)
        self.assertEqual(len(self.hub.fanout.catchUps), 0)
        readers: list[Any] = list(self.hub.fanout.readers)
        groups = [each.group for each in readers]
        self.assertEqual([each.catchUps for each in groups if each], [None] * len(groups))

    def test_bounded(self) -> None:
        """
        No more bytes are kept in all than there may be, nor more cursors of a group.
        """
        for number in range(1, 3 * MOST_CURSORS):
            self.publish(number)
        for position in range(1, 2 * MOST_CURSORS):
            self.ask(self.first._replace(position=position), self.peers[:1])
        (group,) = self.hub.fanout.catchUps._groups
        self.assertLessEqual(len(group.catchUps or ()), MOST_CURSORS)
        self.patch(catchups, "MOST_BYTES", 40000)
        for number in range(30):
            self.hub.publish(f"d{number}", "x" * 4000)
            since = self.first
            self.peers[0].said = b""
            self.peers[0].send(read("longpoll", f"d{number}", f"&since={since}"))
            self.peers[0].hears(b"xxx")
            self.assertLessEqual(self.hub.fanout.catchUps._bytes, 40000)

    def test_rights(self) -> None:
        """
        A poll that may not read the channel gets nothing.
        """
        self.publish(1)
        self.ask(self.first)
        self.assertHeard(1)
        self.hub.access = Closed()
        self.ask(self.first, self.peers[:1])
        self.peers[0].hears(b"HTTP/1.1 401")


@implementer(INodesBus)
class NodesBus(MemoryBus):
    """
    A bus that others might have, too.
    """

    def countListening(self, channel: str) -> Deferred[int]:
        """
        See L{INodesBus.countListening<comet.interfaces.busabilities.INodesBus.countListening>}.
        """
        return succeed(1)


class NodesTests(LeanTestCase):
    """
    Where there are other nodes.
    """

    def setUp(self) -> None:
        """
        Have a bus with other nodes.
        """
        self.patch(case, "MemoryBus", NodesBus)
        super().setUp()

    def test_deletedElsewhere(self) -> None:
        """
        What a client of another node has deleted is told to nobody.
        """
        self.hub.access = Access(None, ["**"])
        self.publish(0)
        said = read("longpoll", "c", f"&since={self.hub.end}")
        self.reader("longpoll")
        self.publish(1)
        for isDeleted in (False, True):
            peers = [self.peer(said) for _ in range(3)]
            self.reactor.settle()
            heard = [b'"data":1' in peer.take() for peer in peers]
            self.assertEqual(heard, [not isDeleted] * 3)
            # Nobody calls the hub of this node for that.
            self.bus.forget("c")
