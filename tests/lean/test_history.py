"""
Tests of L{comet.lean.polls}: requests to scroll back.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from comet.fanout.polls import BUS_SECONDS
from comet.model.positions import HistoryPage
from tests.lean.case import LeanTestCase, Peer, read, request

OK = b"HTTP/1.1 200 OK\r\n"


class HistoryTests(LeanTestCase):
    """
    Polls with C{before}.
    """

    def setUp(self) -> None:
        """
        Publish some messages.
        """
        super().setUp()
        self.publish(1, 2, 3, 4)
        self.epoch = self.hub.end.epoch

    def before(self, position: int, more: str = "") -> bytes:
        """
        Make a request.
        """
        return read("poll", "c", f"&before={self.epoch}-{position}{more}")

    def bodies(self, peer: Peer, count: int) -> list[Any]:
        """
        Wait for responses, and return their bodies.
        """
        said = peer.hears(OK, count)
        return [json.loads(each.partition(b"\r\n\r\n")[2]) for each in said.split(OK)[1:]]

    def test_answers(self) -> None:
        """
        Such requests are answered here, in their order, and the connection goes on;
        no page is given in the place of another.
        """
        asked = (self.before(4, "&limit=2"), self.before(3, "&limit=2"), self.before(4))
        peer = self.peer(b"".join(asked) + self.before(4, "&limit=2"))
        bodies = self.bodies(peer, 4)
        self.assertEqual(
            [[each["data"] for each in body["messages"]] for body in bodies],
            [[2, 3], [1, 2], [1, 2, 3], [2, 3]],
        )
        self.assertEqual(["more" in body for body in bodies], [True, False, False, True])
        self.assertEqual(bodies[1]["cursor"], f"{self.epoch}-3")
        self.assertEqual(self.connections, 1)

    def test_notModified(self) -> None:
        """
        A client that names the cursor as a tag is told that nothing is before it.
        """
        cursor = f"{self.epoch}-1"
        target = f"/channels/c?transport=poll&before={cursor}"
        for _ in range(2):
            peer = self.peer(request(target, f'If-None-Match: "{cursor}"\r\n'))
            peer.hears(b"HTTP/1.1 304 ")
        peer = self.peer(request(target, f'If-None-Match: "{self.epoch}-2"\r\n'))
        self.assertEqual(self.bodies(peer, 1), [{"cursor": cursor, "messages": []}])

    def test_leavesErrors(self) -> None:
        """
        A request that cannot be answered is left to Twisted's edge, also where the
        rest of it is known here.
        """
        self.bodies(self.peer(self.before(4)), 1)
        for more in (f"&since={self.epoch}-1", "&since.c=-1", "&limit=0"):
            peer = self.peer(self.before(4, more))
            peer.hears(b"HTTP/1.1 400 ")
            self.assertIn(b'"code":"badRequest"', peer.hears(b"}"))
        self.peer(read("poll", "c", "&before=now")).hears(b'"code":"badCursor"')

    def test_busThatAnswersLate(self) -> None:
        """
        A request waits for the bus, and those behind it wait for its response; the
        client may leave meanwhile.
        """
        waiting: list[Deferred[HistoryPage]] = []

        def history(*asked: Any) -> Deferred[HistoryPage]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.bus, "history", history)
        peer = self.peer(self.before(4) + read("poll"))
        self.reactor.until(lambda: waiting)
        gone = self.peer(self.before(3))
        self.reactor.until(lambda: len(waiting) == 2)
        gone.cut()
        self.untilReaders(1)
        self.assertEqual(peer.take(), b"")
        for each in waiting:
            each.callback(HistoryPage(isGap=True))
        bodies = self.bodies(peer, 2)
        self.assertEqual(bodies[0], {"cursor": f"{self.epoch}-4", "messages": [], "gap": ["c"]})
        self.assertEqual(bodies[1], {"cursor": str(self.hub.end), "messages": []})

    def test_busThatNeverAnswers(self) -> None:
        """
        A request is not held for long if the bus does not answer.
        """
        self.patch(self.bus, "history", lambda *asked: Deferred())
        peer = self.peer(self.before(4))
        self.untilReaders(1)
        self.reactor.advance(BUS_SECONDS + 0.5)
        [body] = self.bodies(peer, 1)
        self.assertEqual(
            (body["cursor"], body["close"]["code"]), (f"{self.epoch}-4", "unavailable")
        )
