"""
Tests of the line of polls that come back: other clients are served before them.
"""

from __future__ import annotations

from typing import Any

from comet.access.rights import Access
from comet.lean.http import HTTPConnection
from comet.lean.port import LeanPort
from comet.reactor.turns import SHARE
from tests.lean.case import LeanTestCase, Peer, request
from tests.lean.handreactor import SteppingReactor

CREATED = b"HTTP/1.1 201 Created\r\n"

# How long a poll takes that comes back, and how many there are.
COST = SHARE / 2
POLLS = 60

# How many of them are served in two turns at most.  A client that publishes is read in the
# one and answered in the other at the latest.
IN_TWO_TURNS = 2 * 9


class ReturningTests(LeanTestCase):
    """
    Many polls are answered with one message, and all come back in the same moment.
    """

    makeReactor = SteppingReactor

    def setUp(self) -> None:
        """
        Answer many polls, and let a client publish.
        """
        super().setUp()
        self.hub.access = Access(None, ["**"])
        self.polls = [self.reader("longpoll") for _ in range(POLLS)]
        self.publisher = self.peer(self.post())
        self.publisher.hears(CREATED)
        self.answered(0)
        # The polls that came back, by the numbers that they sent.
        self.back: list[int] = []
        received = HTTPConnection.received

        def slowly(connection: HTTPConnection, data: bytes) -> None:
            if data.startswith(b"GET"):
                self.back.append(int(data.partition(b"User-Agent: ")[2].split()[0]))
                self.reactor.rightNow += COST
            received(connection, data)

        self.patch(HTTPConnection, "received", slowly)

    def post(self) -> bytes:
        """
        Make a request that publishes to a channel that nobody reads.
        """
        return request("/channels/other", method="POST", body=b"1")

    def answered(self, number: int) -> None:
        """
        Publish, and check that every poll is told of it.
        """
        self.publish(number)
        for poll in self.polls:
            self.assertEqual(poll.upTo(number), [number])
            poll.said = b""

    def comeBack(self, polls: list[Peer]) -> None:
        """
        Let polls ask again, in their order.
        """
        for poll in polls:
            headers = f"User-Agent: {self.polls.index(poll)}\r\n"
            more = f"&since={self.hub.end}"
            poll.send(request(f"/channels/c?transport=longpoll{more}", headers))

    def test_publisherBeforeThem(self) -> None:
        """
        A client that publishes behind all of them, time and again, is answered within a
        turn or two, and they are served in their order meanwhile.
        """
        self.comeBack(self.polls)
        for count in range(2, 5):
            before = len(self.back)
            self.publisher.send(self.post())
            self.publisher.hears(CREATED, count)
            self.assertLess(len(self.back) - before, IN_TWO_TURNS)
        self.untilReaders(POLLS)
        self.assertEqual(self.back, list(range(POLLS)))
        self.assertFalse(self.port.returning)
        self.answered(1)

    def test_theyHaveTheirShare(self) -> None:
        """
        Clients that publish without end do not keep them from being served.
        """
        publishers = [self.peer(self.post()) for _ in range(30)]
        for each in publishers:
            each.hears(CREATED)
        add = self.hub.bursts.addRequest

        def slowly(given: Any) -> None:
            self.reactor.rightNow += SHARE
            add(given)

        self.patch(self.hub.bursts, "addRequest", slowly)
        self.comeBack(self.polls)
        turns = 0
        while len(self.back) < POLLS:
            for each in publishers:
                each.send(self.post())
            self.reactor.turn(100)
            turns += 1
        self.assertLessEqual(turns, POLLS * COST / SHARE + 40)
        self.assertEqual(self.back, list(range(POLLS)))

    def test_toldOnce(self) -> None:
        """
        The system tells of them once, not in each turn.
        """
        told: list[int] = []
        handle = LeanPort.handle

        def counting(port: LeanPort, happened: Any, over: float) -> int:
            told.append(len(happened))
            return handle(port, happened, over)

        self.patch(LeanPort, "handle", counting)
        self.comeBack(self.polls)
        self.untilReaders(POLLS)
        self.assertLess(sum(told), 2 * POLLS)
        self.answered(1)

    def test_leavesWhileWaiting(self) -> None:
        """
        One that leaves while it waits is forgotten, and its descriptor may be another's.
        """
        self.comeBack(self.polls)
        self.reactor.turn(100)
        self.assertGreater(len(self.port.returning), 2)
        gone = self.polls.pop()
        gone.cut()
        new = self.peer(self.post())
        new.hears(CREATED)
        self.reactor.until(lambda: self.connections == POLLS + 1)
        self.untilReaders(POLLS - 1)
        self.answered(1)

    def test_closedWhileWaiting(self) -> None:
        """
        The server may close those that wait.
        """
        self.comeBack(self.polls)
        self.reactor.turn(100)
        self.assertTrue(self.port.returning)
        self.port._edge.closeAll()
        self.assertFalse(self.port.returning)
        for poll in self.polls:
            poll.ends()

    def test_notThatPublishes(self) -> None:
        """
        A connection whose last request was no poll, or none that waits, is not among them.
        """
        first = self.polls[0]
        others = self.polls[1:]
        for said, heard in (
            (self.post(), CREATED),
            (request("/channels/c?transport=poll", "User-Agent: 0\r\n"), b"HTTP/1.1 200 OK\r\n"),
        ):
            first.said = b""
            first.send(said)
            first.hears(heard)
            # The system tells of it behind the others from now on.
            self.reactor.settle()
            self.comeBack(others)
            before = len(self.back)
            first.send(self.post())
            first.hears(CREATED, 2 if heard == CREATED else 1)
            self.assertLess(len(self.back) - before, IN_TWO_TURNS)
            self.untilReaders(POLLS - 1)
            self.publish(1)
            for each in others:
                each.upTo(1)
                each.said = b""
