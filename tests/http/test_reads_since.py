"""
Tests of L{comet.http.reads}: the start positions of a request.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadCursor
from comet.http.reads import StartSource, entityTags, readSince, readStarts, startSource
from comet.model.cursors import Cursor
from comet.model.positions import At, Earliest, Last, Now, StartPosition, StartPositions, Unreadable
from tests.http.heads import Values, makeHead

CURSORS = st.builds(
    Cursor,
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=32),
    st.integers(0, 10**19 - 1),
)


class SinceTests(SynchronousTestCase):
    """
    L{readSince} and L{startSource}.
    """

    def since(
        self, query: bytes = b"", headers: Mapping[str, Values] | None = None
    ) -> StartPositions:
        """
        Read the start positions of a request for two channels.
        """
        return readSince(makeHead(query, headers), ("news", "a/b+c"), "now1")

    def test_defaultsToNow(self) -> None:
        """
        A request whose sources are absent or empty starts now.
        """
        self.assertEqual(self.since(), StartPositions(Now()))
        self.assertEqual(
            self.since(b"since=&since.news=", {"Last-Event-ID": b""}), StartPositions(Now())
        )

    @settings(deadline=None)
    @given(CURSORS)
    def test_readsCursorOfEverySource(self, cursor: Cursor) -> None:
        """
        A cursor is read from each of the three sources.
        """
        text = str(cursor).encode("ascii")
        expected = StartPositions(At(cursor))
        self.assertEqual(self.since(b"since=" + text), expected)
        self.assertEqual(self.since(headers={"Last-Event-ID": text}), expected)
        self.assertEqual(self.since(headers={"If-None-Match": b'"%b"' % text}), expected)

    def test_readsWords(self) -> None:
        """
        The words for start positions are read from the parameter and from
        C{Last-Event-ID}, and mean nothing in C{If-None-Match}.
        """
        for text, beginning in ((b"now", Now()), (b"earliest", Earliest()), (b"-3", Last(3))):
            self.assertEqual(self.since(b"since=" + text), StartPositions(beginning))
            self.assertEqual(self.since(headers={"Last-Event-ID": text}), StartPositions(beginning))
            self.assertEqual(self.since(headers={"If-None-Match": text}), StartPositions(Now()))

    def test_firstSourceDecides(self) -> None:
        """
        The first source that is not empty decides.
        """
        headers = {"Last-Event-ID": b"x", "If-None-Match": b'"x"'}
        query = b"since=x&since.news=x"
        for source, empty in (
            (StartSource.LAST_EVENT_ID, None),
            (StartSource.SINCE, "Last-Event-ID"),
            (StartSource.ENTITY_TAGS, "since"),
        ):
            if empty == "since":
                query = b"since=&since.news=x"
            elif empty is not None:
                headers[empty] = b""
            self.assertIs(startSource(makeHead(query, headers)), source)
        self.assertIs(startSource(makeHead()), StartSource.ENTITY_TAGS)

    def test_readsFirstSource(self) -> None:
        """
        The start position is that of C{Last-Event-ID}, or of the parameter if
        the former is empty, or of C{If-None-Match} if both are.
        """
        headers = {"Last-Event-ID": b"now1-3", "If-None-Match": b'"now1-1"'}
        self.assertEqual(self.since(b"since=now1-2", headers).default, At(Cursor("now1", 3)))
        headers["Last-Event-ID"] = b""
        self.assertEqual(self.since(b"since=now1-2", headers).default, At(Cursor("now1", 2)))
        self.assertEqual(self.since(b"since=", headers).default, At(Cursor("now1", 1)))

    def test_unreadableOrBadCursor(self) -> None:
        """
        An invalid C{Last-Event-ID} is an unreadable start position; an invalid
        parameter is an error.
        """
        for text in (b"x", b"now1-01", b"-0", b"\xff", b"now1-1, now1-2"):
            self.assertEqual(
                self.since(headers={"Last-Event-ID": text}), StartPositions(Unreadable())
            )
        for query in (b"since=x", b"since.news=x", b"since=now1-1&since.news=-0"):
            self.assertRaises(BadCursor, self.since, query)

    def test_readsSingleNames(self) -> None:
        """
        A name may have its own start position beside the common one.  A
        parameter for another name is ignored, valid or not.
        """
        query = b"since=earliest&since.news=now1-2&since.a%2Fb%2Bc=-1&since.other=x"
        expected: dict[str, StartPosition] = {"news": At(Cursor("now1", 2)), "a/b+c": Last(1)}
        self.assertEqual(self.since(query), StartPositions(Earliest(), expected))
        since = self.since(b"since.news=now1-2", {"If-None-Match": b'"now1-9"'})
        self.assertEqual(
            since, StartPositions(At(Cursor("now1", 9)), {"news": At(Cursor("now1", 2))})
        )

    def test_lastEventIDOverrulesSingleNames(self) -> None:
        """
        C{Last-Event-ID} overrules the parameters for single names in the
        repeated URL, even if these are not valid.
        """
        for query in (b"since.news=now1-2", b"since=x&since.news=x"):
            since = self.since(query, {"Last-Event-ID": b"now1-7"})
            self.assertEqual(since, StartPositions(At(Cursor("now1", 7))))

    def test_readsLastEventIdFromParameter(self) -> None:
        """
        A parameter in any of the usual spellings counts like the header
        C{Last-Event-ID}: it overrules C{since}, the parameters for single names
        and C{If-None-Match}, and an invalid value is an unreadable start
        position.
        """
        headers = {"If-None-Match": b'"now1-1"'}
        for name in (b"lastEventId", b"lastEventID", b"last_event_id", b"Last-Event-ID"):
            for value, beginning in (
                (b"now1-7", At(Cursor("now1", 7))),
                (b"earliest", Earliest()),
                (b"x", Unreadable()),
            ):
                query = b"since=now1-2&since.news=x&%b=%b" % (name, value)
                self.assertEqual(self.since(query, headers), StartPositions(beginning))
                head = makeHead(query, headers)
                self.assertIs(startSource(head), StartSource.LAST_EVENT_ID)

    def test_headerBeforeParameter(self) -> None:
        """
        The header C{Last-Event-ID} overrules the parameters that stand for it.
        An empty one counts as absent.
        """
        query = b"lastEventId=&last_event_id=now1-2&Last-Event-ID=now1-3&since=now1-4"
        given = {"Last-Event-ID": b"now1-1"}
        self.assertEqual(self.since(query, given).default, At(Cursor("now1", 1)))
        self.assertEqual(self.since(query).default, At(Cursor("now1", 2)))
        empty = b"lastEventId=&Last-Event-ID=&since=now1-4"
        self.assertEqual(self.since(empty).default, At(Cursor("now1", 4)))

    def test_lowestEntityTagDecides(self) -> None:
        """
        Of several cursors in C{If-None-Match} the one of this epoch with the
        lowest position decides, or one of another epoch if there is none.
        """
        tags = [b'"now1-10", "old1-1"', b'W/"now1-9-gzip"']
        self.assertEqual(self.since(headers={"If-None-Match": tags}).default, At(Cursor("now1", 9)))
        tags = [b'*, "x", "old1-5"']
        self.assertEqual(self.since(headers={"If-None-Match": tags}).default, At(Cursor("old1", 5)))


class StartsTests(SynchronousTestCase):
    """
    L{readStarts}.
    """

    def test_readsStartsOfAnyNames(self) -> None:
        """
        The starts of single names are read without the path.
        """
        head = makeHead(b"since=-3&since.a/b=earliest&since.=now1-4&since.c=")
        expected = {"a/b": Earliest(), "": Last(3)}
        self.assertEqual(readStarts(head, "now1"), expected)
        self.assertEqual(readStarts(makeHead(b"since=-3"), "now1"), {"": Last(3)})
        self.assertEqual(readStarts(makeHead(), "now1"), {"": Now()})

    def test_unreadableStart(self) -> None:
        """
        A start that cannot be read does not fail.
        """
        for query in (b"since=x", b"since.a=x"):
            self.assertEqual(readStarts(makeHead(query), "now1"), {"": Unreadable()})


class EntityTagTests(SynchronousTestCase):
    """
    L{entityTags}.
    """

    def tags(self, *values: bytes) -> frozenset[str]:
        """
        Read the tags of a request.
        """
        return entityTags(makeHead(headers={"If-None-Match": list(values)}))

    def test_normalizes(self) -> None:
        """
        Every form in which a client or a proxy may send a tag gives the same
        tag.
        """
        for form in (
            b'"k3-7"',
            b'W/"k3-7"',
            b'"k3-7-gzip"',
            b'"k3-7"-gzip',
            b'W/"k3-7-gzip"',
            b"k3-7",
            b"W/k3-7-gzip",
            b'  ,"k3-7",, ',
        ):
            self.assertEqual(self.tags(form), {"k3-7"}, form)

    def test_readsLists(self) -> None:
        """
        All headers are one list, and a comma or a backslash within quotes is
        part of a tag.
        """
        self.assertEqual(self.tags(b'"a,b\\", "c"', b"d"), {"a,b\\", "c", "d"})

    def test_readsStar(self) -> None:
        """
        The star is read without quotes, and dropped with quotes.
        """
        self.assertEqual(self.tags(b"*"), {"*"})
        self.assertEqual(self.tags(b'"*"'), frozenset())

    def test_readsNone(self) -> None:
        """
        A header may have no tags.
        """
        for values in ((), (b"",), (b'""',), (b",,",)):
            self.assertEqual(self.tags(*values), frozenset())

    def test_readsUnbalancedQuotes(self) -> None:
        """
        A quote without its other half does not hide another tag.
        """
        self.assertEqual(self.tags(b'"a", "b'), {"a", "b"})
