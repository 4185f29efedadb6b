"""
Which web pages may talk to the server, and by which names it is known.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import BadRequest, WrongHost
from comet.http.origins import CORS, Origins, readOrigin

PAGE = "https://page.example"
REFUSED = CORS(None, False, False)


def accepts(origins: Origins, host: str | None, version: tuple[int, int] = (1, 1)) -> bool:
    """
    Whether the server is known by this host.
    """
    try:
        origins.checkHost(host, version)
    except WrongHost:
        return False
    return True


class ConstructionTests(SynchronousTestCase):
    """
    What may be configured.
    """

    def test_allowed(self) -> None:
        """
        An origin is a scheme, a host, and perhaps a port.
        """
        for origin in (
            "*",
            "null",
            "https://a.example",
            "HTTP://A.example:8080",
            "http://[::1]:80",
            "capacitor://localhost",
            "chrome-extension://abcdef",
        ):
            verdict = Origins([origin]).verdict(origin, "b.example", False)
            self.assertTrue(verdict.isAllowed, origin)

    def test_badAllowed(self) -> None:
        """
        What is no origin is refused, and shown.
        """
        for origin in (
            "",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/path",
            "https://user@a.example",
            "https://*.a.example",
            "https://a.example:",
            "https://a.example:65536",
            "https://a.example\n",
            "https://ä.example",
            "http://[:::]",
            "https://a.example https://b.example",
            "Null",
        ):
            error = self.assertRaises(ValueError, Origins, ["*", origin])
            self.assertIn(repr(origin), str(error))
            self.assertIn("scheme://host", str(error))

    def test_publicURL(self) -> None:
        """
        A public URL is one of HTTP, perhaps with a path.
        """
        for url in ("http://a.example", "https://a.example/", "HTTPS://A.example:8443/b/c"):
            self.assertTrue(accepts(Origins(publicURLs=[url]), "a.example"), url)

    def test_badPublicURL(self) -> None:
        """
        What is no such URL is refused, and shown.
        """
        for url in (
            "",
            "*",
            "a.example",
            "ftp://a.example",
            "http://",
            "http://user@a.example/",
            "http://a.example/?b",
            "http://a.example/#b",
            "http://a.example/b c",
            "http://a.example:65536/",
            "http://[:::]/",
        ):
            error = self.assertRaises(ValueError, Origins, (), [url])
            self.assertIn(repr(url), str(error))
            self.assertIn("http://host", str(error))


class HostTests(SynchronousTestCase):
    """
    The hosts by which the server is known.
    """

    def test_local(self) -> None:
        """
        An address is always known, and so is the machine itself: no page can
        have a name that is one of them.
        """
        for host in (
            "127.0.0.1",
            "192.0.2.1:8080",
            "[::1]",
            "[2001:DB8::1]:8080",
            "[::ffff:192.0.2.1]",
            "localhost",
            "LocalHost:8080",
        ):
            self.assertTrue(accepts(Origins(), host), host)

    def test_public(self) -> None:
        """
        The hosts of the public URLs are known with every port, and no others
        are, however alike.
        """
        origins = Origins(["https://page.example"], ["https://Push.example:8443/comet"])
        for host in ("push.example", "push.example:80", "PUSH.EXAMPLE:8443"):
            self.assertTrue(accepts(origins, host), host)
        for host in ("page.example", "a.push.example", "example", "push.example.evil.example"):
            self.assertFalse(accepts(origins, host), host)

    def test_unknown(self) -> None:
        """
        Everything else is refused, and the option named that would help.
        """
        for host in (
            "",
            "evil.example",
            "localhost.evil.example",
            "a.localhost",
            "127.1",
            "0x7f.0.0.1",
            "127.0.0.01",
            "127.0.0.1.evil.example",
            "::1",
            "[::1",
            "[:::]",
            "[::1%eth0]",
            "localhost:",
            "localhost:port",
            "localhost:80:80",
            "localhost\n",
            "user@localhost",
            "localhost/",
            "localhost, localhost",
            "localho\u017ft",
        ):
            error = self.assertRaises(WrongHost, Origins().checkHost, host, (1, 1))
            self.assertIn(repr(host), error.detail)
            self.assertIn("--public-url", error.detail)

    def test_missing(self) -> None:
        """
        Only a client of HTTP/1.0 may leave the host out.
        """
        origins = Origins()
        self.assertTrue(accepts(origins, None, (1, 0)))
        self.assertRaises(BadRequest, origins.checkHost, None, (1, 1))
        self.assertRaises(BadRequest, origins.checkHost, None, (2, 0))
        self.assertRaises(WrongHost, origins.checkHost, "evil.example", (1, 0))


class VerdictTests(SynchronousTestCase):
    """
    What the page of an origin may do.
    """

    def test_none(self) -> None:
        """
        What comes from no page may do everything, and needs no headers.
        """
        cors = Origins().verdict(None, "a.example", False)
        self.assertEqual(cors, CORS(None, False, True))

    def test_own(self) -> None:
        """
        The server's own pages may, whether the port is written or not.
        """
        for origin, host, isSecure in (
            ("http://a.example", "a.example", False),
            ("http://a.example", "A.example:80", False),
            ("http://a.example:8080", "a.example:8080", False),
            ("https://a.example", "a.example:443", True),
            ("http://[::1]:8080", "[0::1]:8080", False),
        ):
            cors = Origins().verdict(origin, host, isSecure)
            self.assertEqual(cors, CORS(origin, True, True), origin)

    def test_other(self) -> None:
        """
        Another scheme, host or port is another origin.
        """
        for origin in (
            "https://a.example",
            "http://a.example:81",
            "http://b.example",
            "http://a.example.evil.example",
            "http://evil-a.example",
            "http://sub.a.example",
            "http://a.example/",
            "http://a.example@evil.example",
            "http://a.example evil",
            "http://a.example\n",
            "http://",
            "a.example",
            "null",
            "",
            "http://None",
        ):
            self.assertEqual(Origins().verdict(origin, "a.example", False), REFUSED, origin)

    def test_noHost(self) -> None:
        """
        Where no host is named there is no own origin but that of the public
        URLs.
        """
        origins = Origins(publicURLs=[PAGE])
        self.assertEqual(origins.verdict("http://none", None, False), REFUSED)
        self.assertEqual(origins.verdict("http://", "", False), REFUSED)
        self.assertEqual(origins.verdict(PAGE, None, False), CORS(PAGE, True, True))

    def test_public(self) -> None:
        """
        The pages of a public URL are the server's own, though something before
        it took the TLS away.
        """
        origins = Origins(publicURLs=["https://a.example:443/comet"])
        cors = origins.verdict("https://a.example", "a.example", False)
        self.assertEqual(cors, CORS("https://a.example", True, True))
        self.assertEqual(origins.verdict("https://a.example:8443", "localhost", True), REFUSED)

    def test_listed(self) -> None:
        """
        An origin that is listed may, and is told so in its own words.
        """
        origins = Origins(["HTTPS://Page.example:443"])
        cors = origins.verdict(PAGE, "a.example", False)
        self.assertEqual(cors, CORS(PAGE, True, True))
        self.assertEqual(origins.verdict("http://page.example", "a.example", False), REFUSED)

    def test_any(self) -> None:
        """
        Where all are allowed, those that are not named are so without
        credentials.
        """
        origins = Origins(["*", PAGE])
        anyone = CORS("*", False, True)
        self.assertEqual(origins.verdict("http://evil.example", "a.example", False), anyone)
        self.assertEqual(origins.verdict("file://", "a.example", False), anyone)
        self.assertEqual(origins.verdict(PAGE, "a.example", False), CORS(PAGE, True, True))
        own = origins.verdict("http://a.example", "a.example", False)
        self.assertEqual(own, CORS("http://a.example", True, True))

    def test_null(self) -> None:
        """
        The origin of all that have none is allowed only by its name, and never
        with credentials.
        """
        self.assertEqual(Origins(["*"]).verdict("null", "a.example", False), REFUSED)
        cors = Origins(["null"]).verdict("null", "a.example", False)
        self.assertEqual(cors, CORS("null", False, True))

    @settings(deadline=None)
    @given(st.text() | st.text("htps:/.[]0189a@ ").map("http://a.example{}".format), st.text())
    def test_anyText(self, origin: str, host: str) -> None:
        """
        Whatever comes, a verdict is given, and what is echoed can be a header.
        """
        origins = Origins([PAGE])
        cors = origins.verdict(origin, "a.example", False)
        self.assertEqual(cors.isAllowed, cors.allowOrigin is not None)
        for _, value in origins.headers(cors):
            self.assertEqual(set(value) & {0, 10, 13}, set())
        self.assertIn(accepts(origins, host), (True, False))


class OwnTests(SynchronousTestCase):
    """
    What the server knows of itself and of those that it allows.
    """

    def test_readOrigin(self) -> None:
        """
        An origin is read into the form in which origins are compared.
        """
        for text, origin in (
            ("HTTPS://Page.example:443", PAGE),
            ("http://[0::1]:8080", "http://[::1]:8080"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("null", None),
            ("*", None),
            (PAGE + "/", None),
            (PAGE + "\n", None),
        ):
            self.assertEqual(readOrigin(text), origin)

    def test_own(self) -> None:
        """
        The server's own origin is that of the host that is named.
        """
        for host, isSecure, origin in (
            ("A.example", False, "http://a.example"),
            ("a.example:443", True, "https://a.example"),
            ("[::1]:8080", False, "http://[::1]:8080"),
            (None, False, None),
            ("", True, None),
        ):
            self.assertEqual(Origins().own(host, isSecure), origin)

    def test_ownBehindTLS(self) -> None:
        """
        Where only the other scheme is that of a public URL, it is meant.
        """
        origins = Origins([PAGE], ["https://a.example", "http://b.example", "https://b.example"])
        for host, isSecure, origin in (
            ("a.example", False, "https://a.example"),
            ("a.example", True, "https://a.example"),
            ("a.example:8080", False, "http://a.example:8080"),
            ("b.example", False, "http://b.example"),
            ("b.example", True, "https://b.example"),
            ("page.example", False, "http://page.example"),
            (None, False, None),
        ):
            self.assertEqual(origins.own(host, isSecure), origin)

    def test_allowsAll(self) -> None:
        """
        All are allowed only where that is said.
        """
        self.assertTrue(Origins([PAGE, "*"]).allowsAll)
        self.assertFalse(Origins([PAGE, "null"], [PAGE]).allowsAll)

    def test_hosts(self) -> None:
        """
        The hosts are the server's own and those of all origins that are
        allowed, or any.
        """
        self.assertEqual(Origins().hosts, {"localhost"})
        origins = Origins([PAGE + ":8443", "http://[::1]", "null"], ["https://A.example/b"])
        self.assertEqual(origins.hosts, {"localhost", "page.example", "[::1]", "a.example"})
        self.assertEqual(Origins(["*", PAGE]).hosts, {"*"})


class HeaderTests(SynchronousTestCase):
    """
    What a browser is told.
    """

    def setUp(self) -> None:
        """
        The verdicts there are.
        """
        self.origins = Origins()

    def test_headers(self) -> None:
        """
        An answer tells who may read it, and its headers.
        """
        expose = (b"Access-Control-Expose-Headers", b"ETag, Retry-After")
        self.assertEqual(
            self.origins.headers(CORS(PAGE, True, True)),
            (
                (b"Access-Control-Allow-Origin", b"https://page.example"),
                (b"Access-Control-Allow-Credentials", b"true"),
                expose,
            ),
        )
        self.assertEqual(
            self.origins.headers(CORS("*", False, True)),
            ((b"Access-Control-Allow-Origin", b"*"), expose),
        )

    def test_nothing(self) -> None:
        """
        Whoever is not allowed, or needs no leave, is told nothing.
        """
        for cors in (REFUSED, CORS(None, False, True)):
            self.assertEqual(self.origins.headers(cors), ())
            self.assertEqual(self.origins.preflight(cors), ())

    def test_preflight(self) -> None:
        """
        A preflight request is told everything that may be sent, for a day.
        """
        headers = dict(self.origins.preflight(CORS(PAGE, True, True)))
        self.assertEqual(
            headers,
            {
                b"Access-Control-Allow-Origin": b"https://page.example",
                b"Access-Control-Allow-Credentials": b"true",
                b"Access-Control-Allow-Methods": b"GET, HEAD, POST, PUT, DELETE, OPTIONS",
                b"Access-Control-Allow-Headers": b"Authorization, Comet-Event, Content-Type, "
                b"Idempotency-Key, If-None-Match, Last-Event-ID, Prefer",
                b"Access-Control-Max-Age": b"86400",
            },
        )
