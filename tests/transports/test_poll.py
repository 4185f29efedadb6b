"""
Tests of L{comet.transports.poll}.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from comet.fanout.polls import BUS_SECONDS
from comet.model.clients import KEY_HOLDER
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

    def test_scrollsBack(self) -> None:
        """
        With C{before} the poll body has the newest messages before the cursor; its
        own cursor is the one given.
        """
        cursors = self.publish("a", *range(4))
        response = self.ask(get(f"/channels/a?transport=poll&before={cursors[3]}&limit=2"))
        envelopes = [{"channel": "a", "cursor": cursors[n], "data": n} for n in (1, 2)]
        body = {"cursor": cursors[3], "messages": envelopes, "more": True}
        self.assertEqual(response.json, body)
        self.assertEqual(response.header("ETag"), f'"{cursors[3]}"')
        self.hub.forget(KEY_HOLDER, ["a"])
        response = self.ask(get(f"/channels/a?before={cursors[1]}"))
        self.assertEqual(response.json, {"cursor": cursors[1], "messages": [], "gap": ["a"]})
        self.assertNothingLeft()

    def test_nothingBeforeIsNotModified(self) -> None:
        """
        Where nothing is before the cursor, a client that names the cursor as a tag
        is told so with 304.
        """
        [cursor] = self.publish("a", 1)
        path = f"/channels/a?transport=poll&before={cursor}"
        response = self.ask(get(path, f'If-None-Match: "{cursor}"'))
        self.assertEqual((response.status, response.header("ETag")), (304, f'"{cursor}"'))
        response = self.ask(get(path, f'If-None-Match: "{self.hub.end.epoch}-0"'))
        self.assertEqual(response.json, {"cursor": cursor, "messages": []})

    def test_servesAtAnyPath(self) -> None:
        """
        The resource serves alone, at any path.
        """
        self.publish("a/b", 1)
        response = self.ask(get("/a/b?since=-1"), self.makeSite(PollResource(self.hub)))
        self.assertEqual([m["channel"] for m in response.json["messages"]], ["a/b"])
