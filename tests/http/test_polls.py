"""
The responses to polls.
"""

from __future__ import annotations

import gzip
import json
from sys import getrefcount

from twisted.trial.unittest import SynchronousTestCase

from comet.framing.compression import Compression
from comet.framing.jsonp import encodeCall
from comet.http import polls
from comet.http.http1 import encodeResponse
from comet.http.polls import (
    MOST_NEW,
    HTTP1CallShape,
    HTTP1PollShape,
    Outcome,
    PollResponseShape,
    entityTag,
    respondEmpty,
)
from comet.http.responses import COMMON, JSON, SCRIPT
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

CURSOR = Cursor("k3", 7)
MESSAGE = Message("news", "k3", 7, 1.5, b'"hello"')


class PollResponseShapeTests(SynchronousTestCase):
    """
    Responses that are framed later.
    """

    def test_tellsOutcome(self) -> None:
        """
        The entity tag is the cursor, and the body tells all of the outcome.
        """
        outcome = Outcome(CURSOR, [(MESSAGE, True)], ("news",), True, Close("draining", "later"))
        response = PollResponseShape(10, True).respond(outcome)
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers, (entityTag(CURSOR), *JSON))
        body = json.loads(response.body)
        self.assertEqual(body["cursor"], "k3-7")
        self.assertEqual(
            [(each["cursor"], each["time"], each["replay"]) for each in body["messages"]],
            [("k3-7", 1.5, True)],
        )
        self.assertEqual((body["gap"], body["more"]), (["news"], True))
        self.assertEqual(body["close"]["code"], "draining")

    def test_notModified(self) -> None:
        """
        The response of status 304 has the entity tag, and neither a body nor
        its type.
        """
        response = PollResponseShape(10, False).notModified(CURSOR)
        self.assertEqual((response.status, response.body), (304, b""))
        self.assertEqual(response.headers, ((b"ETag", b'"k3-7"'), *COMMON))


class CompressedTests(SynchronousTestCase):
    """
    Responses whose messages are compressed.
    """

    def outcome(self, *texts: str) -> Outcome:
        """
        Make an outcome with messages of some texts.
        """
        made = [Message("news", "k3", 7, 1.5, b'"%b"' % text.encode()) for text in texts]
        return Outcome(CURSOR, [(message, False) for message in made], ("news",), True)

    def test_sameBody(self) -> None:
        """
        A client that undoes the coding has the body of the same response without it.
        """
        plain, shape = PollResponseShape(10, True), PollResponseShape(10, True, Compression(50))
        for texts in (["a" * 100], ["a", "b" * 100, "c"], ["a" * 100] * 3, ["a" * 100, "b"]):
            outcome = self.outcome(*texts)
            response = shape.respond(outcome)
            tag = (b"ETag", b'"k3-7-gzip"')
            self.assertEqual(response.headers, (tag, *JSON, (b"Content-Encoding", b"gzip")))
            self.assertEqual(gzip.decompress(response.body), plain.respond(outcome).body)
            # What was compressed is remembered.
            self.assertEqual(shape.respond(outcome), response)

    def test_nothingCompressed(self) -> None:
        """
        A response in which nothing is compressed, since all is small or would not become
        shorter, is that without the coding.
        """
        plain, shape = PollResponseShape(10, True), PollResponseShape(10, True, Compression(20))
        dense = "aZ3k9QxW0pLm7vRt5yUe1NsB"
        for outcome in (Outcome(CURSOR), self.outcome("a", "b"), self.outcome(dense)):
            self.assertEqual(shape.respond(outcome), plain.respond(outcome))
        self.assertEqual(shape.notModified(CURSOR), plain.notModified(CURSOR))

    def test_bound(self) -> None:
        """
        Of what was not compressed before, a response has no more than can be compressed
        without a pause; the next one goes on from there.
        """
        shape = PollResponseShape(1000, False, Compression(50))
        outcome = self.outcome(*(f"{number:05d}" * 400 for number in range(100)))
        sizes = [len(shape.respond(outcome).body) for _ in range(3)]
        self.assertGreater(sizes[0], 2 * sizes[1])
        self.assertEqual(sizes[1], sizes[2])
        plain = PollResponseShape(1000, False).respond(outcome).body
        self.assertLess(sizes[0], len(plain) - MOST_NEW // 2)
        self.assertEqual(gzip.decompress(shape.respond(outcome).body), plain)

    def test_memory(self) -> None:
        """
        What is remembered is bounded, and a large message is not.
        """
        shape = PollResponseShape(1000, False, Compression(50))
        for number in range(300):
            shape.respond(self.outcome(f"{number:05d}" * 2000))
        shape.respond(self.outcome("a" * 250_000))
        self.assertLess(polls._deflated._bytes, 1 << 20)
        kept = polls._deflated._blocks
        self.assertEqual(
            sum(len(each) + len(made) for each, made in kept.items()), polls._deflated._bytes
        )

    def test_http1(self) -> None:
        """
        The bytes of HTTP/1 are those of the response that is framed later.
        """
        framed = PollResponseShape(10, False, Compression(50))
        shape = HTTP1PollShape(framed, (1, 1), True, ())
        for texts in (["a" * 100], ["a"]):
            outcome = self.outcome(*texts)
            encoded, response = shape.respond(outcome), framed.respond(outcome)
            date = encoded.split(b"\r\n")[1].removeprefix(b"Date: ")
            self.assertEqual(
                encoded,
                encodeResponse((1, 1), 200, response.headers, response.body, True, date),
            )


class HTTP1PollShapeTests(SynchronousTestCase):
    """
    Responses that are all the bytes of HTTP/1.
    """

    def test_encodesWhatIsFramed(self) -> None:
        """
        The bytes are those of the response that is framed later, in the
        version and with the headers of the shape.
        """
        own = ((b"X-A", b"k3-7 Content-Length: 0"),)
        outcome = Outcome(CURSOR, [(MESSAGE, False)])
        for version, persistent in (((1, 1), True), ((1, 1), False), ((1, 0), True)):
            framed = PollResponseShape(10, False)
            shape = HTTP1PollShape(framed, version, persistent, own)
            self.assertEqual(shape.limit, 10)
            for encoded, response in (
                (shape.respond(outcome), framed.respond(outcome)),
                (shape.notModified(CURSOR), framed.notModified(CURSOR)),
            ):
                date = encoded.split(b"\r\n")[1].removeprefix(b"Date: ")
                headers = (*response.headers, *own)
                self.assertEqual(
                    encoded,
                    encodeResponse(
                        version, response.status, headers, response.body, persistent, date
                    ),
                )


class HTTP1CallShapeTests(SynchronousTestCase):
    """
    Scripts that are all the bytes of HTTP/1.1.
    """

    own = ((b"X-A", b"b"),)
    framed = PollResponseShape(10, False)

    def script(self, shape: HTTP1CallShape, outcome: Outcome, date: bytes) -> bytes:
        """
        Encode the response whose body calls the function with the poll body.
        """
        headers = (entityTag(outcome.cursor), *SCRIPT, *self.own)
        body = encodeCall(shape.callback, shape.framed.body(outcome))
        return encodeResponse((1, 1), 200, headers, body, True, date)

    def test_encodesCall(self) -> None:
        """
        Each function is called with the body of its own outcome, whatever the last
        body was.
        """
        outcomes = (
            Outcome(CURSOR, [(MESSAGE, False)]),
            Outcome(CURSOR, [(MESSAGE, True)]),
            Outcome(CURSOR),
            Outcome(CURSOR, gap=["news"]),
            Outcome(CURSOR, [(MESSAGE, False)], more=True),
        )
        for outcome in (*outcomes, *outcomes[::-1]):
            for framed in (self.framed, PollResponseShape(10, True)):
                for callback in ("f", "a.b"):
                    shape = HTTP1CallShape(framed, callback, self.own)
                    self.assertEqual(shape.limit, 10)
                    encoded = shape.respond(outcome)
                    date = encoded.split(b"\r\n")[1].removeprefix(b"Date: ")
                    self.assertEqual(encoded, self.script(shape, outcome, date))

    def test_alwaysRuns(self) -> None:
        """
        A response without messages has the status 200 also for a client that has the
        cursor: a browser runs no script that was not modified.
        """
        shape = HTTP1CallShape(self.framed, "f", self.own)
        self.assertEqual(shape.notModified(CURSOR), shape.respond(Outcome(CURSOR)))

    def test_keepsNoLargeBody(self) -> None:
        """
        A large body is not kept for the next group.
        """
        large = Message("news", "k3", 7, 1.5, b'"%b"' % (b"x" * (1 << 20)))
        shape = HTTP1CallShape(self.framed, "f", ())
        shape.respond(Outcome(CURSOR, [(MESSAGE, False)]))
        before = getrefcount(large)
        shape.respond(Outcome(CURSOR, [(large, False)]))
        self.assertEqual(getrefcount(large), before)


class RespondEmptyTests(SynchronousTestCase):
    """
    L{respondEmpty}
    """

    def test_respondsNotModified(self) -> None:
        """
        A client that has the cursor is told that nothing is modified.
        """
        response = respondEmpty(PollResponseShape(10, False), frozenset({"k3-7"}), CURSOR)
        self.assertEqual(response.status, 304)

    def test_respondsEmptyBody(self) -> None:
        """
        A client that does not have the cursor gets it in a body without
        messages.
        """
        response = respondEmpty(PollResponseShape(10, False), frozenset({"k3-6"}), CURSOR)
        self.assertEqual(response.status, 200)
        self.assertEqual(json.loads(response.body), {"cursor": "k3-7", "messages": []})
