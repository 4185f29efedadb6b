"""
Tests of L{comet.http.origins}.
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
    Whether L{Origins.checkHost} lets a host pass.
    """
    try:
        origins.checkHost(host, version)
    except WrongHost:
        return False
    return True


class ConstructionTests(SynchronousTestCase):
    """
    The origins and URLs that may be configured.
    """

    def test_acceptsOrigins(self) -> None:
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
            "file://",
            "app://",
            "https://b\u00fccher.example",
            "https://xn--bcher-kva.example:8443",
            "https://a.example.",
            "https://a.example:",
        ):
            verdict = Origins([origin]).verdict(origin, "b.example", False)
            self.assertTrue(verdict.isAllowed, origin)

    def test_refusesOtherThanOrigins(self) -> None:
        """
        A text that is not an origin is refused, and the error shows it.
        """
        for origin in (
            "",
            "a.example",
            "https://",
            "http://:80",
            "wss://",
            "file:///",
            "file:",
            "https://b\u00fcc her.example",
            "https://\u2603.example",
            "https://a\uff0fb.example",
            "https://.",
            "https://a.example/",
            "https://a.example/path",
            "https://user@a.example",
            "https://*.a.example",
            "https://a.example:65536",
            "https://a.example\n",
            "http://[:::]",
            "https://a.example https://b.example",
            "Null",
        ):
            error = self.assertRaises(ValueError, Origins, ["*", origin])
            self.assertIn(repr(origin), str(error))
            self.assertIn("scheme://host", str(error))

    def test_acceptsPublicURLs(self) -> None:
        """
        A public URL has the scheme C{http} or C{https}, and perhaps a path.
        """
        for url in ("http://a.example", "https://a.example/", "HTTPS://A.example:8443/b/c"):
            self.assertTrue(accepts(Origins(publicURLs=[url]), "a.example"), url)

    def test_acceptsSingles(self) -> None:
        """
        An origin or a URL may stand for a list of one.
        """
        origins = Origins(PAGE, "https://a.example")
        self.assertTrue(accepts(origins, "a.example"))
        self.assertEqual(origins.verdict(PAGE, "a.example", False), CORS(PAGE, True, True))

    def test_refusesOtherURLs(self) -> None:
        """
        Any other URL is refused, and the error shows it.
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
    L{Origins.checkHost}.
    """

    def test_acceptsAddresses(self) -> None:
        """
        IP addresses and C{localhost} are always accepted: an attacker cannot
        point these to the server.
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

    def test_acceptsPublicHosts(self) -> None:
        """
        The hosts of the public URLs are accepted with any port, and similar
        hosts are not.
        """
        origins = Origins(["https://page.example"], ["https://Push.example:8443/comet"])
        for host in ("push.example", "push.example:80", "PUSH.EXAMPLE:8443"):
            self.assertTrue(accepts(origins, host), host)
        for host in ("page.example", "a.push.example", "example", "push.example.evil.example"):
            self.assertFalse(accepts(origins, host), host)

    def test_acceptsOtherFormsOfHosts(self) -> None:
        """
        A port may be empty, and a name may end with the dot of an absolute name:
        the host and the own origin are the same.
        """
        origins = Origins([], ["https://www.example.com."])
        for host in (
            "127.0.0.1:",
            "localhost.",
            "LOCALHOST.:8080",
            "[::1]:",
            "127.0.0.1.",
            "www.example.com",
            "www.example.com.:",
        ):
            self.assertTrue(accepts(origins, host), host)
        for host in ("localhost..", ".", "", ":", ":80", "www.example.com..", ".localhost"):
            self.assertFalse(accepts(origins, host), host)
        for origin, host in (
            ("http://localhost", "localhost."),
            ("http://localhost.:8080", "localhost:8080"),
            ("http://127.0.0.1", "127.0.0.1:"),
            ("http://127.0.0.1", "127.0.0.1:80"),
        ):
            self.assertEqual(origins.verdict(origin, host, False), CORS(origin, True, True))
        self.assertEqual(origins.own("localhost.:80", False), "http://localhost")

    def test_refusesUnknownHosts(self) -> None:
        """
        Any other host is refused, and the error names the option that would
        help.
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

    def test_demandsHost(self) -> None:
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
    L{Origins.verdict}.
    """

    def test_allowsWithoutOrigin(self) -> None:
        """
        A request without the header C{Origin} may do everything, and its
        response needs no headers of CORS.
        """
        cors = Origins().verdict(None, "a.example", False)
        self.assertEqual(cors, CORS(None, False, True))

    def test_allowsOwnOrigin(self) -> None:
        """
        A page of this server may do everything, with and without the port in
        its origin.
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

    def test_refusesOtherOrigins(self) -> None:
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

    def test_refusesWithoutHost(self) -> None:
        """
        Without a host only the origins of the public URLs are the server's own.
        """
        origins = Origins(publicURLs=[PAGE])
        self.assertEqual(origins.verdict("http://none", None, False), REFUSED)
        self.assertEqual(origins.verdict("http://", "", False), REFUSED)
        self.assertEqual(origins.verdict(PAGE, None, False), CORS(PAGE, True, True))

    def test_allowsPublicURLBehindTLS(self) -> None:
        """
        A page of a public URL may do everything, also if TLS ended at a proxy.
        """
        origins = Origins(publicURLs=["https://a.example:443/comet"])
        cors = origins.verdict("https://a.example", "a.example", False)
        self.assertEqual(cors, CORS("https://a.example", True, True))
        self.assertEqual(origins.verdict("https://a.example:8443", "localhost", True), REFUSED)

    def test_allowsListed(self) -> None:
        """
        A page of a listed origin may do everything, and its origin is echoed
        as the browser sent it.
        """
        origins = Origins(["HTTPS://Page.example:443"])
        cors = origins.verdict(PAGE, "a.example", False)
        self.assertEqual(cors, CORS(PAGE, True, True))
        self.assertEqual(origins.verdict("http://page.example", "a.example", False), REFUSED)

    def test_allowsAllWithoutCredentials(self) -> None:
        """
        With C{*} a page of an origin that is not listed is allowed without
        credentials.
        """
        origins = Origins(["*", PAGE])
        anyone = CORS("*", False, True)
        self.assertEqual(origins.verdict("http://evil.example", "a.example", False), anyone)
        self.assertEqual(origins.verdict("file://", "a.example", False), anyone)
        self.assertEqual(origins.verdict(PAGE, "a.example", False), CORS(PAGE, True, True))
        own = origins.verdict("http://a.example", "a.example", False)
        self.assertEqual(own, CORS("http://a.example", True, True))

    def test_refusesLongInternationalizedNames(self) -> None:
        """
        A very long name with other letters than those of ASCII is no origin.
        """
        for name in ("\u00fc" * 256, "\u00fc." * 100000):
            self.assertIsNone(readOrigin(f"https://{name}"))

    def test_internationalizedNames(self) -> None:
        """
        A name with other letters than those of ASCII is the same as its form in
        ASCII, which browsers send, wherever each of them stands.
        """
        page, ascii = "https://B\u00dcCHER.example", "https://xn--bcher-kva.example"
        for listed in (page, ascii, ascii.upper().replace("HTTPS", "https")):
            origins = Origins([listed], ["https://fa\u00df.example/x"])
            for origin in (page, ascii):
                verdict = origins.verdict(origin, "localhost", False)
                self.assertEqual(verdict, CORS(ascii, True, True), (listed, origin))
                self.assertIn(
                    (b"Access-Control-Allow-Origin", ascii.encode()), origins.headers(verdict)
                )
            self.assertTrue(accepts(origins, "xn--fa-hia.example"))
            self.assertTrue(accepts(origins, "fa\u00df.example:80"))
            self.assertFalse(accepts(origins, "fass.example"))
            self.assertIn("xn--bcher-kva.example", origins.hosts)

    def test_allowsFiles(self) -> None:
        """
        Pages that are files of an app are allowed if their origin is listed, and
        no other file is.
        """
        verdict = Origins(["file://"]).verdict("file://", "localhost", False)
        self.assertEqual(verdict, CORS("file://", True, True))
        for allowed in ((), ("app://",), ("null",), ("https://a.example",)):
            self.assertEqual(Origins(allowed).verdict("file://", "localhost", False), REFUSED)
        for origin in ("null", "file:///", "http://", "app://"):
            self.assertEqual(Origins(["file://"]).verdict(origin, "localhost", False), REFUSED)
        self.assertEqual(Origins(["file://"]).hosts, {"localhost"})

    def test_nullOnlyIfListed(self) -> None:
        """
        The origin C{null} is allowed only if it is listed itself, and never
        with credentials.
        """
        self.assertEqual(Origins(["*"]).verdict("null", "a.example", False), REFUSED)
        cors = Origins(["null"]).verdict("null", "a.example", False)
        self.assertEqual(cors, CORS("null", False, True))

    @settings(deadline=None)
    @given(st.text() | st.text("htps:/.[]0189a@ ").map("http://a.example{}".format), st.text())
    def test_echoesOnlySafeText(self, origin: str, host: str) -> None:
        """
        Any text as an origin gets a verdict, and an origin that is echoed has
        no line break.
        """
        origins = Origins([PAGE])
        cors = origins.verdict(origin, "a.example", False)
        self.assertEqual(cors.isAllowed, cors.allowOrigin is not None)
        for _, value in origins.headers(cors):
            self.assertEqual(set(value) & {0, 10, 13}, set())
        self.assertIn(accepts(origins, host), (True, False))


class OwnTests(SynchronousTestCase):
    """
    L{Origins.own}, L{Origins.hosts}, L{Origins.allowsAll} and L{readOrigin}.
    """

    def test_normalizesOrigin(self) -> None:
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

    def test_ownOriginHasHost(self) -> None:
        """
        The server's own origin has the host of the request.
        """
        for host, isSecure, origin in (
            ("A.example", False, "http://a.example"),
            ("a.example:443", True, "https://a.example"),
            ("[::1]:8080", False, "http://[::1]:8080"),
            (None, False, None),
            ("", True, None),
        ):
            self.assertEqual(Origins().own(host, isSecure), origin)

    def test_ownOriginBehindTLS(self) -> None:
        """
        If only the other scheme is that of a public URL, the own origin has the
        other scheme.
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

    def test_allowsAllOnlyWithStar(self) -> None:
        """
        All origins are allowed only if C{*} is listed.
        """
        self.assertTrue(Origins([PAGE, "*"]).allowsAll)
        self.assertFalse(Origins([PAGE, "null"], [PAGE]).allowsAll)

    def test_hostsOfAllowedPages(self) -> None:
        """
        The hosts are the server's own and those of all allowed origins, or
        C{*}.
        """
        self.assertEqual(Origins().hosts, {"localhost"})
        origins = Origins([PAGE + ":8443", "http://[::1]", "null"], ["https://A.example/b"])
        self.assertEqual(origins.hosts, {"localhost", "page.example", "[::1]", "a.example"})
        self.assertEqual(Origins(["*", PAGE]).hosts, {"*"})


class HeaderTests(SynchronousTestCase):
    """
    L{Origins.headers} and L{Origins.preflight}.
    """

    def setUp(self) -> None:
        """
        Make origins with the defaults.
        """
        self.origins = Origins()

    def test_headersOfResponse(self) -> None:
        """
        A response has the origin that may read it, and the headers that the
        page may read.
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

    def test_noHeadersWithoutAllowOrigin(self) -> None:
        """
        A page that is not allowed, or needs no permission, gets no headers.
        """
        for cors in (REFUSED, CORS(None, False, True)):
            self.assertEqual(self.origins.headers(cors), ())
            self.assertEqual(self.origins.preflight(cors), ())

    def test_headersOfPreflight(self) -> None:
        """
        The response to a preflight request has all methods and headers that
        are allowed, for one day.
        """
        headers = dict(self.origins.preflight(CORS(PAGE, True, True)))
        self.assertEqual(
            headers,
            {
                b"Access-Control-Allow-Origin": b"https://page.example",
                b"Access-Control-Allow-Credentials": b"true",
                b"Access-Control-Allow-Methods": b"GET, HEAD, POST, PUT, DELETE, OPTIONS",
                b"Access-Control-Allow-Headers": b"Authorization, Cache-Control, Comet-Event, "
                b"Comet-Exclude, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, "
                b"Last-Event-ID, Prefer, X-Requested-With",
                b"Access-Control-Max-Age": b"86400",
            },
        )
