"""
Where requests are sent, and what is sent along.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.http.outgoing import headerNames, hookURL


class OutgoingTests(SynchronousTestCase):
    """
    Values that are read.
    """

    def test_url(self) -> None:
        """
        A URL is of http or https, and holds neither a password nor what is not ASCII.
        """
        for url in ("http://127.0.0.1:8000/comet", "https://app.example/hook?a=b", "http://[::1]/"):
            self.assertEqual(hookURL(url), url)
        for bad in (
            *("", None, 5, "ftp://x/", "http:///x", "//x/", "x", "http://[::1/", "http://x:99999/"),
            *("http://x:0/", "http://u:p@x/", "http://u@x/", "http://x/#a", "http://x/ y"),
            *("http://x/\r\nA: b", "http://x/\xe9", "http://x/" + "y" * 2048),
        ):
            self.assertRaises(ValueError, hookURL, bad)

    def test_names(self) -> None:
        """
        Names of headers are in lower case; the credential is shown anyway, and apart.
        """
        self.assertEqual(headerNames("Cookie"), "cookie")
        self.assertEqual(headerNames("Cookie, X-Team"), "cookie,x-team")
        for bad in ("", "a b", "a,", "a:", "Authorization", None, "x" * 65, "\xe9"):
            self.assertRaises(ValueError, headerNames, bad)
