"""
Tests of L{comet.http.credentials}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest, Unauthorized
from comet.http.credentials import (
    Credential,
    Credentials,
    CredentialSource,
    cookiesCount,
    headCredential,
    readCookies,
)
from comet.http.origins import Origins
from tests.access.case import headOf

AUTHORIZATION = ("Authorization", "Bearer one")
SUBPROTOCOL = ("Sec-WebSocket-Protocol", "comet.v1, comet.token.two")
COOKIE = ("Cookie", "a=b; comet_token=four")


class CredentialTests(SynchronousTestCase):
    """
    Where a credential is found.
    """

    def found(self, *headers: tuple[str, str], query: str = "") -> Credential | None:
        """
        Find the credential of a request whose cookies count.
        """
        head = headOf(*headers, query=query)
        return Credentials("poll", head, takesCookies=True).credential

    def test_firstPlaceCounts(self) -> None:
        """
        The first place that has a credential decides; what stands in the others
        is not looked at.
        """
        query = "a=b&token=three"
        self.assertEqual(
            self.found(AUTHORIZATION, SUBPROTOCOL, COOKIE, query=query),
            Credential("one", CredentialSource.AUTHORIZATION),
        )
        self.assertEqual(
            self.found(SUBPROTOCOL, COOKIE, query=query),
            Credential("two", CredentialSource.SUBPROTOCOL),
        )
        self.assertEqual(
            self.found(COOKIE, query=query), Credential("three", CredentialSource.PARAMETER)
        )
        self.assertEqual(self.found(COOKIE), Credential("four", CredentialSource.COOKIE))
        self.assertIsNone(self.found(("Cookie", "a=b"), query="a=b"))

    def test_badOneFallsBackToNothing(self) -> None:
        """
        A place that is there and has no good credential is refused.
        """
        for headers, query in (
            ([("Authorization", "Basic YTpi"), COOKIE], "token=x"),
            ([("Authorization", "")], ""),
            ([("Sec-WebSocket-Protocol", "comet.token.")], "token=x"),
            ([COOKIE], "token="),
            ([COOKIE], "token"),
            ([("Cookie", "comet_token=")], ""),
        ):
            self.assertRaises(Unauthorized, self.found, *headers, query=query)
        self.assertRaises(BadRequest, self.found, AUTHORIZATION, AUTHORIZATION)

    def test_restOfQueryMayBeAnything(self) -> None:
        """
        The parameter is decoded, and found whatever else the query has.
        """
        for query, text in (
            ("%ff=%&t%6Fken=a%2Bb", "a+b"),
            ("token=a+b&token=c", "a b"),
            ("token=%ff", "\ufffd"),
        ):
            found = Credential(text, CredentialSource.PARAMETER)
            self.assertEqual(self.found(query=query), found)
        self.assertIsNone(self.found(query="tokens=a&xtoken=b&%ff"))

    def test_boundsSearch(self) -> None:
        """
        A query whose parameters would take long to look through is refused, and so is a
        token of percent signs.
        """
        self.assertIsNotNone(self.found(query="&" * 1024 + "%74oken=a"))
        self.assertRaises(BadRequest, self.found, query="&" * 1025 + "token=a")
        self.assertRaises(Unauthorized, self.found, query="token=" + "%" * 65)

    @settings(deadline=None)
    @given(st.text(), st.text())
    def test_anyQuery(self, query: str, authorization: str) -> None:
        """
        Whatever a client sends, a credential is found, refused, or absent.
        """
        for headers in ((), (("Authorization", authorization),)):
            try:
                found = headCredential(headOf(*headers, query=query))
            except Unauthorized:
                continue
            self.assertTrue(found is None or found.text or headers)

    def test_cookieCountsNotAlways(self) -> None:
        """
        Where cookies do not count they are as if absent, in every form.
        """
        shown = Credentials("jsonp", headOf(COOKIE))
        self.assertIsNone(shown.credential)
        self.assertEqual(shown.cookies, {})
        self.assertIsNone(shown.header("cookie"))
        shown = Credentials("poll", headOf(COOKIE), takesCookies=True)
        self.assertEqual(shown.header("cookie"), COOKIE[1])


class CredentialsTests(SynchronousTestCase):
    """
    What else a request shows.
    """

    def test_showsRequest(self) -> None:
        """
        Headers, parameters without the token, and the address are there.
        """
        head = headOf(("X-User", " ada "), query="a=1&token=x&a=2&b=%C3%A4")
        shown = Credentials("sse", head, lambda: "192.0.2.1", isSecure=True)
        self.assertEqual(
            (shown.transport, shown.address, shown.isSecure), ("sse", "192.0.2.1", True)
        )
        self.assertEqual(shown.header("x-user"), "ada")
        self.assertIsNone(shown.header("X-Other"))
        self.assertEqual(shown.parameters, {"a": "1", "b": "ä"})
        self.assertRaises(BadRequest, lambda: Credentials("sse", headOf(query="%ff")).parameters)

    def test_showsNothingWithoutHead(self) -> None:
        """
        On raw TCP there is an address alone.
        """
        shown = Credentials("tcp")
        self.assertIsNone(shown.credential)
        self.assertIsNone(shown.header("Cookie"))
        self.assertEqual((shown.cookies, shown.parameters, shown.address), ({}, {}, ""))

    def test_readsCookies(self) -> None:
        """
        Of cookies of one name the first counts; what is no cookie is ignored, and
        quotes are a part of the value.
        """
        head = headOf(("Cookie", 'a=1;b="2" ; ; =x; c ;a=3'), ("Cookie", "d=4=5;e="))
        self.assertEqual(readCookies(head), {"a": "1", "b": '"2"', "d": "4=5", "e": ""})


class CookiesCountTests(SynchronousTestCase):
    """
    L{cookiesCount}.
    """

    def counts(
        self, *headers: tuple[str, str], transport: str = "sse", allowed: tuple[str, ...] = ()
    ) -> bool:
        """
        Whether cookies count of a request to C{localhost}.
        """
        head = headOf(*headers)
        cors = Origins(allowed).verdict(head.header("Origin"), "localhost", False)
        return cookiesCount(head, cors, transport)

    def test_ownAndListedPages(self) -> None:
        """
        Cookies count for the server's own pages and for listed ones, by name.
        """
        friend = ("Origin", "https://friend.example")
        self.assertTrue(self.counts(("Origin", "http://localhost")))
        self.assertTrue(self.counts(friend, allowed=("https://friend.example",)))
        self.assertFalse(self.counts(friend))
        self.assertFalse(self.counts(friend, allowed=("*",)))
        self.assertFalse(self.counts(("Origin", "null"), allowed=("null",)))

    def test_withoutOrigin(self) -> None:
        """
        Without C{Origin} the browser tells whose page asks; a program tells
        nothing, and its cookies count.
        """
        self.assertTrue(self.counts())
        for site, counts in (
            *(("same-origin", True), ("none", True)),
            *(("same-site", False), ("cross-site", False), ("", False)),
        ):
            self.assertEqual(self.counts(("Sec-Fetch-Site", site)), counts, site)

    def test_neverForScripts(self) -> None:
        """
        A script of any page is never shown a cookie's rights.
        """
        self.assertFalse(self.counts(("Sec-Fetch-Site", "same-origin"), transport="jsonp"))
