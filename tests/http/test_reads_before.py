"""
Tests of L{comet.http.reads}: the parameter C{before}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadChannel, BadCursor, BadRequest, CometError
from comet.http.reads import ReadRequest, parseReadRequest
from comet.model.cursors import Cursor
from tests.http.heads import makeHead

CURSOR = Cursor("now1", 7)


def parse(query: bytes, *names: str, **headers: bytes) -> ReadRequest:
    """
    Read a request for some names, or for the channel C{a}.
    """
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return parseReadRequest(makeHead(query, given), names or ("a",), "now1")


class BeforeTests(SynchronousTestCase):
    """
    L{parseReadRequest}, of requests to scroll back.
    """

    def assertRefused(
        self, error: type[CometError], query: bytes, *names: str, **headers: bytes
    ) -> None:
        """
        Check that a request is refused.
        """
        self.assertRaises(error, parse, query, *names, **headers)

    def test_readsCursor(self) -> None:
        """
        The cursor is read, of whatever epoch; without one, the request reads on.
        """
        self.assertIsNone(parse(b"transport=poll").before)
        self.assertEqual(parse(b"transport=poll&before=now1-7").before, CURSOR)
        self.assertEqual(parse(b"transport=poll&%62efore=old-0").before, Cursor("old", 0))

    def test_readsFifty(self) -> None:
        """
        Without C{limit} a page has 50 messages; with it, at most 1,000.
        """
        for query, limit in ((b"", 50), (b"&limit=7", 7), (b"&limit=1000000", 1000)):
            self.assertEqual(parse(b"before=now1-7" + query).limit, limit)
        self.assertRefused(BadRequest, b"before=now1-7&limit=0")

    def test_polls(self) -> None:
        """
        A request that names no transport is a poll, if it would be a long poll
        otherwise.
        """
        for headers in ({}, {"Accept": b"application/json"}, {"Accept": b"*/*"}):
            self.assertEqual(parse(b"before=now1-7", **headers).transport, "poll")

    def test_refusesOtherTransports(self) -> None:
        """
        No other transport reads before a cursor.
        """
        for transport in (b"longpoll", b"stream", b"sse", b"jsonp&callback=a", b"websocket"):
            self.assertRefused(BadRequest, b"before=now1-7&transport=" + transport)
        self.assertRefused(BadRequest, b"before=now1-7&callback=a")
        self.assertRefused(BadRequest, b"before=now1-7", Accept=b"text/event-stream")
        self.assertRefused(BadRequest, b"before=now1-7", Upgrade=b"websocket")

    def test_refusesOtherThanOneChannel(self) -> None:
        """
        Several names are refused, and a pattern is.
        """
        self.assertRefused(BadRequest, b"before=now1-7", "a", "b")
        self.assertRefused(BadChannel, b"before=now1-7", "a/*")

    def test_refusesStartPosition(self) -> None:
        """
        A start position is refused.  Tags and what is empty are none.
        """
        for more in (b"since=now", b"since=now1-3", b"since.a=-3", b"lastEventId=now1-3"):
            self.assertRefused(BadRequest, b"before=now1-7&" + more)
        self.assertRefused(BadRequest, b"before=now1-7", Last_Event_ID=b"now1-3")
        for more in (b"since=", b"since.a=", b"since.b=now1-3"):
            self.assertEqual(parse(b"before=now1-7&" + more).before, CURSOR)
        request = parse(b"before=now1-7", If_None_Match=b'"now1-3"')
        self.assertEqual((request.before, request.tags), (CURSOR, frozenset({"now1-3"})))

    def test_refusesOtherThanCursor(self) -> None:
        """
        What is not a cursor is refused, also where it is a start position.
        """
        for text in (
            b"",
            b"now",
            b"earliest",
            b"-3",
            b"7",
            b"now1",
            b"now1-07",
            b"now1-" + b"9" * 20,
        ):
            self.assertRefused(BadCursor, b"transport=poll&before=" + text)
