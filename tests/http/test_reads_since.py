"""
Where an HTTP request is understood to begin.
"""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadCursor
from comet.http.reads import StartSource, entityTags, readSince, startSource
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
    Where a request begins.
    """

    def since(
        self, query: bytes = b"", headers: Mapping[str, Values] | None = None
    ) -> StartPositions:
        """
        Where a request for two channels begins.
        """
        return readSince(makeHead(query, headers), ("news", "a/b+c"), "now1")

    def test_default(self) -> None:
        """
        A request that says nothing begins now; so does one that says it with
        nothing.
        """
        self.assertEqual(self.since(), StartPositions(Now()))
        self.assertEqual(
            self.since(b"since=&since.news=", {"Last-Event-ID": b""}), StartPositions(Now())
        )

    @settings(deadline=None)
    @given(CURSORS)
    def test_anywhere(self, cursor: Cursor) -> None:
        """
        A cursor is read wherever it may be.
        """
        text = str(cursor).encode("ascii")
        expected = StartPositions(At(cursor))
        self.assertEqual(self.since(b"since=" + text), expected)
        self.assertEqual(self.since(headers={"Last-Event-ID": text}), expected)
        self.assertEqual(self.since(headers={"If-None-Match": b'"%b"' % text}), expected)

    def test_words(self) -> None:
        """
        The words for a place to begin at are read in the parameter and in
        C{Last-Event-ID}, and mean nothing in C{If-None-Match}.
        """
        for text, beginning in ((b"now", Now()), (b"earliest", Earliest()), (b"-3", Last(3))):
            self.assertEqual(self.since(b"since=" + text), StartPositions(beginning))
            self.assertEqual(self.since(headers={"Last-Event-ID": text}), StartPositions(beginning))
            self.assertEqual(self.since(headers={"If-None-Match": text}), StartPositions(Now()))

    def test_source(self) -> None:
        """
        The source that decides is the first that is not empty.
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

    def test_precedence(self) -> None:
        """
        C{Last-Event-ID} comes before the parameter, and that before
        C{If-None-Match}, which comes in where the others are empty.
        """
        headers = {"Last-Event-ID": b"now1-3", "If-None-Match": b'"now1-1"'}
        self.assertEqual(self.since(b"since=now1-2", headers).default, At(Cursor("now1", 3)))
        headers["Last-Event-ID"] = b""
        self.assertEqual(self.since(b"since=now1-2", headers).default, At(Cursor("now1", 2)))
        self.assertEqual(self.since(b"since=", headers).default, At(Cursor("now1", 1)))

    def test_unreadable(self) -> None:
        """
        A C{Last-Event-ID} that cannot be read is a gap; a parameter that
        cannot be is an error.
        """
        for text in (b"x", b"now1-01", b"-0", b"\xff", b"now1-1, now1-2"):
            self.assertEqual(
                self.since(headers={"Last-Event-ID": text}), StartPositions(Unreadable())
            )
        for query in (b"since=x", b"since.news=x", b"since=now1-1&since.news=-0"):
            self.assertRaises(BadCursor, self.since, query)

    def test_particular(self) -> None:
        """
        A name may have a place of its own beside the general one; a place of
        another name is ignored, whatever it is.
        """
        query = b"since=earliest&since.news=now1-2&since.a%2Fb%2Bc=-1&since.other=x"
        expected: dict[str, StartPosition] = {"news": At(Cursor("now1", 2)), "a/b+c": Last(1)}
        self.assertEqual(self.since(query), StartPositions(Earliest(), expected))
        since = self.since(b"since.news=now1-2", {"If-None-Match": b'"now1-9"'})
        self.assertEqual(
            since, StartPositions(At(Cursor("now1", 9)), {"news": At(Cursor("now1", 2))})
        )

    def test_reconnect(self) -> None:
        """
        C{Last-Event-ID} overrules what the repeated URL says of single names,
        even where it could not be read.
        """
        for query in (b"since.news=now1-2", b"since=x&since.news=x"):
            since = self.since(query, {"Last-Event-ID": b"now1-7"})
            self.assertEqual(since, StartPositions(At(Cursor("now1", 7))))

    def test_lowest(self) -> None:
        """
        Of several cursors in C{If-None-Match} the lowest of this epoch counts,
        by its number; those of other epochs count where there is none.
        """
        tags = [b'"now1-10", "old1-1"', b'W/"now1-9-gzip"']
        self.assertEqual(self.since(headers={"If-None-Match": tags}).default, At(Cursor("now1", 9)))
        tags = [b'*, "x", "old1-5"']
        self.assertEqual(self.since(headers={"If-None-Match": tags}).default, At(Cursor("old1", 5)))


class EntityTagTests(SynchronousTestCase):
    """
    The tags in C{If-None-Match}.
    """

    def tags(self, *values: bytes) -> frozenset[str]:
        """
        The tags of a request.
        """
        return entityTags(makeHead(headers={"If-None-Match": list(values)}))

    def test_forms(self) -> None:
        """
        Every form in which a tag comes back is the same tag.
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

    def test_several(self) -> None:
        """
        The tags of all headers are one list, and a comma or a backslash within
        quotes is part of a tag.
        """
        self.assertEqual(self.tags(b'"a,b\\", "c"', b"d"), {"a,b\\", "c", "d"})

    def test_any(self) -> None:
        """
        The star is there only where it was not a tag in quotes.
        """
        self.assertEqual(self.tags(b"*"), {"*"})
        self.assertEqual(self.tags(b'"*"'), frozenset())

    def test_none(self) -> None:
        """
        There may be no tags.
        """
        for values in ((), (b"",), (b'""',), (b",,",)):
            self.assertEqual(self.tags(*values), frozenset())

    def test_unbalanced(self) -> None:
        """
        A quote without its other half hides no other tag.
        """
        self.assertEqual(self.tags(b'"a", "b'), {"a", "b"})
