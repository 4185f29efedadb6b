"""
Tests of L{comet.transports.poll}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from comet.fanout.polls import BUS_SECONDS
from comet.transports.poll import PollResource
from tests.transports.case import HubTestCase, get, readResponse


class PollTests(HubTestCase):
    """
    A poll is answered at once.
    """

    def test_answersWithoutMessages(self) -> None:
        """
        A poll without new messages is answered at once, also if it asks for a
        hold.
        """
        for more in ("", "&wait=300"):
            response = self.ask(get("/channels/news?transport=poll" + more, "Prefer: wait=60"))
            self.assertEqual(response.json, {"cursor": str(self.hub.end), "messages": []})
        self.assertNothingLeft()

    def test_answersPipelinedRequestsInOrder(self) -> None:
        """
        Requests that arrive together are answered in order.
        """
        self.publish("a", "of a")
        self.publish("b", "of b")
        wire = self.connect()
        wire.send(
            get("/channels/a?transport=poll&since=-1") + get("/channels/b?transport=poll&since=-1")
        )
        first = readResponse(wire.take())
        second = readResponse(first.rest)
        data = [r.json["messages"][0]["data"] for r in (first, second)]
        self.assertEqual(data, ["of a", "of b"])
        self.assertEqual(second.rest, b"")
        self.assertTrue(wire.isOpen)

    def test_busThatNeverAnswers(self) -> None:
        """
        A poll that need not wait for a message is answered although the bus
        never answers.
        """
        self.patch(self.hub.bus, "resolve", lambda names: Deferred())
        for more in ("transport=poll", "wait=0"):
            wire = self.connect()
            wire.send(get(f"/channels/a?since=earliest&{more}"))
            self.turn(BUS_SECONDS - 0.3)
            self.assertEqual(wire.take(), b"")
            self.turn(0.6)
            self.assertEqual(readResponse(wire.take()).json["close"]["code"], "unavailable")
        self.assertNothingLeft()

    def test_servesAtAnyPath(self) -> None:
        """
        The resource serves alone, at any path.
        """
        self.publish("a/b", 1)
        response = self.ask(get("/a/b?since=-1"), self.makeSite(PollResource(self.hub)))
        self.assertEqual([m["channel"] for m in response.json["messages"]], ["a/b"])
