"""
Sending one request to the backend.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.python.failure import Failure
from twisted.web.client import ResponseNeverReceived
from twisted.web.http import PotentialDataLoss

from comet.errors import Forbidden
from comet.hooks.sender import HookFailure
from tests.hooks.case import NOW, SECRET, FakeResponse, HookTestCase


class SenderTests(HookTestCase):
    """
    Requests to a backend that answers when a test does.
    """

    def send(self, **content: Any) -> Deferred[dict[str, Any]]:
        """
        Ask the backend.
        """
        return self.sender.send("connect", content, lambda answer: answer)

    def sendFor(self, holder: str, **content: Any) -> Deferred[dict[str, Any]]:
        """
        Ask the backend for a client.
        """
        return self.sender.send("connect", content, lambda answer: answer, holder)

    def assertFails(self, asked: Deferred[Any], text: str) -> None:
        """
        Check that a question has failed, and why.
        """
        self.assertIn(text, str(self.failureResultOf(asked, HookFailure).value))

    def assertCounts(self, **counts: float) -> None:
        """
        Check all counts, by what is not 0.
        """
        counted = self.sender.counts.of["connect"].asDict()
        self.assertEqual({name: count for name, count in counted.items() if count}, counts)

    def test_signed(self) -> None:
        """
        A request is a signed POST of JSON, and each has an id of its own.
        """
        asked = self.send(client=None, address="192.0.2.1")
        self.send()
        first, second = self.sent
        self.assertEqual((first.method, first.url), (b"POST", b"http://127.0.0.1:9/hook"))
        self.assertEqual(
            first.json,
            {"type": "connect", "time": NOW, "client": None, "address": "192.0.2.1"},
        )
        self.assertEqual(first.header("content-type"), "application/json")
        id, timestamp = first.header("webhook-id"), first.header("webhook-timestamp")
        self.assertEqual(int(timestamp), NOW)
        content = f"{id}.{timestamp}.".encode() + first.body
        made = base64.b64encode(hmac.new(SECRET, content, hashlib.sha256).digest()).decode()
        self.assertEqual(first.header("webhook-signature"), f"v1,{made}")
        self.assertNotEqual(id, second.header("webhook-id"))
        first.reply({"client": "ada"})
        self.assertEqual(self.successResultOf(asked), {"client": "ada"})
        self.assertEqual(self.sender.load, (1, 0))
        second.reply({})
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertCounts(asked=2, answered=2)

    def test_refused(self) -> None:
        """
        The backend refuses with the error that the client is told.
        """
        asked = self.send()
        self.sent[0].reply({"error": {"code": "forbidden", "message": "no"}})
        self.assertEqual(self.failureResultOf(asked, Forbidden).value.detail, "no")
        self.assertCounts(asked=1, refused=1)

    def test_otherStatus(self) -> None:
        """
        Only 200 is an answer.  A redirect is none, and nothing of its body is read.
        """
        for code in (201, 204, 301, 302, 307, 400, 500, 503):
            asked = self.send()
            response = FakeResponse(code)
            self.sent[-1].answer.callback(response)
            self.assertTrue(response.transport.disconnecting)
            self.assertFails(asked, f"the status is {code}")
        self.assertEqual(self.sender.load, (0, 0))
        self.assertCounts(asked=8, failed=8)
        self.assertEqual(len(self.sent), 8)

    def test_nonsense(self) -> None:
        """
        What is not allowed is no answer.
        """
        for body in (b"", b"<html>", b"[]", b'{"error":"no"}'):
            asked = self.send()
            self.sent[-1].reply(body)
            self.assertFails(asked, "the answer is not allowed")

    def test_tooLarge(self) -> None:
        """
        An answer is read up to its limit, and its connection is closed at the first byte
        beyond; one that says its length is not read at all.
        """
        asked = self.send()
        response = FakeResponse()
        self.sent[0].answer.callback(response)
        for _ in range(64):
            response.protocol.dataReceived(b" " * 1024)
        self.assertNoResult(asked)
        self.assertFalse(response.transport.disconnecting)
        response.protocol.dataReceived(b" ")
        self.assertFails(asked, "more than 65536 bytes")
        self.assertTrue(response.transport.disconnecting)
        response.give(b"{}")
        asked = self.send()
        response = FakeResponse(length=65537)
        self.sent[1].answer.callback(response)
        response.protocol.dataReceived(b"{")
        self.assertFails(asked, "more than 65536 bytes")

    def test_cut(self) -> None:
        """
        A body that ends with its connection counts if it is whole.
        """
        for body, reason, isWhole in (
            (b'{"client":"ada"}', PotentialDataLoss(), True),
            (b'{"client":"ad', PotentialDataLoss(), False),
            (b'{"client":"ada"}', ConnectionDone(), False),
        ):
            asked = self.send()
            response = FakeResponse()
            self.sent[-1].answer.callback(response)
            response.give(body, reason)
            if isWhole:
                self.successResultOf(asked)
            else:
                self.failureResultOf(asked, HookFailure)

    def test_late(self) -> None:
        """
        Just before its time a backend may answer; at its time the request is given up,
        before its head or within its body.
        """
        head, body, inTime = self.send(), self.send(), self.send()
        response = FakeResponse()
        self.sent[1].answer.callback(response)
        response.protocol.dataReceived(b"{")
        self.clock.advance(4.9)
        self.sent[2].reply({})
        self.successResultOf(inTime)
        self.clock.advance(0.2)
        self.assertFails(head, "longer than 5 seconds")
        self.assertFails(body, "longer than 5 seconds")
        self.assertTrue(self.sent[0].isCancelled)
        self.assertTrue(response.transport.disconnecting)
        self.assertEqual(self.sender.load, (0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_concurrency(self) -> None:
        """
        Only so many are under way; others wait in their order, within their time.
        """
        self.makeSender(concurrency=2)
        asked = [self.send(number=number) for number in range(4)]
        self.assertEqual(self.sender.load, (2, 2))
        self.clock.advance(3)
        self.sent[0].reply({})
        self.assertEqual([each.json["number"] for each in self.sent], [0, 1, 2])
        asked[3].cancel()
        self.failureResultOf(asked[3])
        last = self.send()
        self.clock.advance(2.1)
        self.assertFails(asked[1], "longer than")
        self.assertFails(asked[2], "longer than")
        self.assertEqual(len(self.sent), 4)
        self.sent[3].reply({})
        self.successResultOf(last)
        self.assertEqual(self.sender.load, (0, 0))

    def test_counts(self) -> None:
        """
        Questions are counted by kind, and the time for which they have waited, for their
        turn too.
        """
        self.makeSender(concurrency=1)
        asked = [self.send() for _ in range(3)]
        self.assertCounts(asked=3, underWay=1, waiting=2)
        self.clock.advance(1.5)
        self.sent[0].reply({})
        self.successResultOf(asked[0])
        asked[2].cancel()
        self.failureResultOf(asked[2])
        self.assertCounts(asked=3, answered=1, cancelled=1, underWay=1, seconds=3.0)
        self.clock.advance(0.25)
        self.sent[1].reply({"error": {"code": "forbidden"}})
        self.failureResultOf(asked[1])
        self.assertCounts(asked=3, answered=1, refused=1, cancelled=1, seconds=4.75)
        self.assertEqual(self.sender.counts.of["publish"].asked, 0)

    def test_inTurn(self) -> None:
        """
        What one client has waiting does not hold up others: each client is served in turn,
        and each in its order.
        """
        self.makeSender(concurrency=1)
        self.send()
        for holder, number in (("eve", 1), ("eve", 2), ("eve", 3), ("ada", 4), ("ada", 5)):
            self.sendFor(holder, number=number)
        cancelled = self.sendFor("ben", number=6)
        self.sendFor("ben", number=7)
        cancelled.cancel()
        self.failureResultOf(cancelled)
        for sent in self.sent:
            # Grows meanwhile.
            sent.reply({})
        self.assertEqual([each.json.get("number") for each in self.sent], [None, 1, 4, 7, 2, 5, 3])
        self.assertEqual((self.sender.load, self.sender.places.bytes), ((0, 0), 0))

    def test_share(self) -> None:
        """
        A client that has as many requests waiting as there are places left is refused more;
        others are not.
        """
        self.makeSender(concurrency=1).places.most = 10
        self.send()
        asked = [self.sendFor("eve") for _ in range(6)]
        self.assertFails(asked[5], "too many requests of this client")
        waits = [self.sendFor(name) for name in ("ada", "ben", "ada")]
        for sent in self.sent:
            sent.reply({})
        for each in (*asked[:5], *waits):
            self.successResultOf(each)

    def test_noPlace(self) -> None:
        """
        A request that finds no place in time is none, and the backend does not hear of it.
        """
        self.makeSender(concurrency=1)
        first = self.send()
        self.clock.advance(0.5)
        second = self.send()
        self.clock.advance(4.4)
        self.sent[0].answer.callback(FakeResponse())
        self.clock.advance(0.2)
        self.failureResultOf(first)
        self.assertEqual(len(self.sent), 2)
        self.clock.advance(0.5)
        self.assertFails(second, "longer than")

    def test_givenUp(self) -> None:
        """
        A request that is of no use any more is cancelled.
        """
        asked = self.send()
        asked.cancel()
        self.failureResultOf(asked)
        self.assertTrue(self.sent[0].isCancelled)
        self.assertEqual(self.sender.load, (0, 0))
        self.assertCounts(asked=1, cancelled=1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedMeanwhile(self) -> None:
        """
        Where the backend has closed the connection before it answers, the same request is
        sent once more, and not again.
        """
        asked = self.send()
        closed = ResponseNeverReceived([Failure(ConnectionDone())])
        self.sent[0].answer.errback(closed)
        self.assertEqual(self.sent[0].body, self.sent[1].body)
        self.assertEqual(self.sent[0].header("webhook-id"), self.sent[1].header("webhook-id"))
        self.sent[1].answer.errback(closed)
        self.assertFails(asked, "Connection was closed cleanly")
        self.assertEqual(len(self.sent), 2)

    def test_cannotConnect(self) -> None:
        """
        A backend that is not there is asked once, and the failures are logged once in ten
        seconds, without the query of the URL.
        """
        self.makeSender(url="http://127.0.0.1:9/hook?key=sesame")
        self.watchLog()
        for _ in range(3):
            asked = self.send()
            self.sent[-1].answer.errback(ConnectionRefusedError())
            self.assertFails(asked, "refused")
        self.assertEqual(len(self.sent), 3)
        self.clock.advance(10)
        self.send().addErrback(lambda _: None)
        self.sent[-1].answer.errback(ConnectionRefusedError())
        logged = self.warnings()
        self.assertEqual([each["count"] for each in logged], [0, 2])
        self.assertNotIn("sesame", str(logged))

    def test_brokenAgent(self) -> None:
        """
        An agent that cannot send, for thousands that wait, is no answer for any of them.
        """
        self.makeSender(concurrency=1)
        first = self.send()
        waiting = [self.send() for _ in range(2000)]
        self.backend.error = ImportError("no TLS")
        self.sent[0].reply({})
        self.successResultOf(first)
        for asked in waiting:
            self.assertFails(asked, "no TLS")
        self.assertEqual(self.sender.load, (0, 0))
