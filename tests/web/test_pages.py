"""
Tests of L{comet.web.pages}: the files of the package that are served.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from hypothesis import given, settings
from hypothesis.strategies import lists, sampled_from
from twisted.web.resource import Resource

import comet
from comet.access.rights import Access
from comet.web.book import findBook
from comet.web.pages import CLIENT, makeFile, readFolder
from comet.web.resources import CometResource
from tests.transports.case import AUTH, HubTestCase, Response, get, post

STATIC = Path(comet.__file__).resolve().parent / "static"
PAGES = ("/", "/chat")
CLIENT_SCRIPT = (STATIC / "client" / "comet.js").read_bytes()
SCRIPTS = (
    *("/lab/page.js", "/chat/chat.js", "/comet.js", "/comet.classic.js"),
    *("/comet.tabs.js", "/comet.presence.js"),
)


class Links(HTMLParser):
    """
    Notes what a page refers to, and what a strict policy would refuse in it.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._isScript = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Note the addresses, and the attributes that are styles or scripts.
        """
        given = dict(attrs)
        self.addresses += [
            value for name in ("href", "src") if (value := given.get(name)) is not None
        ]
        self.inline += [f"{tag} {name}" for name in given if name == "style" or name[:2] == "on"]
        self._isScript = tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        """
        Note what is inside a script or a style.
        """
        if self._isScript and data.strip():
            self.inline.append(data)

    def handle_endtag(self, tag: str) -> None:
        """
        The script or style has ended.
        """
        self._isScript = False


class PagesTestCase(HubTestCase):
    """
    A site with the pages.
    """

    def setUp(self) -> None:
        """
        Make the site.
        """
        super().setUp()
        self.site = self.makeSite(CometResource(self.hub, hasPages=True))


class FileTests(PagesTestCase):
    """
    The response to a request for a file.
    """

    def test_servesPageWithPolicy(self) -> None:
        """
        A page is HTML, other sites may not use it, and its policy allows only
        files of this server, and nothing inline.
        """
        for path in PAGES:
            response = self.ask(get(path))
            self.assertEqual(response.status, 200)
            self.assertEqual(response.header("Content-Type"), "text/html; charset=utf-8")
            self.assertEqual(response.header("X-Content-Type-Options"), "nosniff")
            self.assertEqual(response.header("Referrer-Policy"), "same-origin")
            self.assertEqual(response.header("X-Frame-Options"), "DENY")
            self.assertEqual(response.header("Cross-Origin-Resource-Policy"), "same-origin")
            policy = response.header("Content-Security-Policy") or ""
            directives = dict(each.split(" ", 1) for each in policy.split("; "))
            self.assertEqual(directives.pop("default-src"), "'none'")
            self.assertEqual(directives.pop("frame-ancestors"), "'none'")
            self.assertEqual(set(directives.values()), {"'self'", "'none'"})

    def test_pagesObeyPolicy(self) -> None:
        """
        No page has an inline script or style, and all that it refers to is on
        this server and exists.
        """
        for path in PAGES:
            page = self.ask(get(path)).body.decode("utf-8")
            self.assertIn("<noscript>", page)
            found = Links(page)
            self.assertEqual(found.inline, [])
            self.assertGreater(len(found.addresses), 3)
            for address in found.addresses:
                self.assertNotRegex(address, r"^(/|[a-z]+:)")
                if not address.startswith("#"):
                    self.assertEqual(self.ask(get("/" + address.removeprefix("./"))).status, 200)

    def test_importsExist(self) -> None:
        """
        Every script that a script imports exists.
        """
        for folder in ("lab", "chat"):
            for name, file in readFolder(folder).items():
                if name.endswith(b".js"):
                    for found in re.findall(r'from "(\.[^"]+)"', file.body.decode("utf-8")):
                        # A browser resolves the import against the script's own
                        # address.
                        path = found[2:] if found.startswith("../") else f"/{folder}{found[1:]}"
                        self.assertEqual(self.ask(get(path)).status, 200, (name, found))

    def test_servesScript(self) -> None:
        """
        A script has the content type of one, and a browser may take it for
        nothing else.
        """
        for path in SCRIPTS:
            response = self.ask(get(path))
            self.assertEqual(response.status, 200, path)
            self.assertEqual(response.header("Content-Type"), "text/javascript; charset=utf-8")
            self.assertEqual(response.header("X-Content-Type-Options"), "nosniff")

    def test_servesKnownTypes(self) -> None:
        """
        Files have the content type of their kind; a file of no known kind is
        not served.
        """
        for name, kind in (
            ("a.html", b"text/html; charset=utf-8"),
            ("a.css", b"text/css; charset=utf-8"),
            ("a.js", b"text/javascript; charset=utf-8"),
            ("a.d.ts", b"text/plain; charset=utf-8"),
            ("a.svg", b"image/svg+xml"),
        ):
            file = makeFile(name, b"")
            assert file is not None
            self.assertIn((b"Content-Type", kind), file.headers)
        for name in ("a.json", "a.ts", "html", ".htaccess", "a.html.swp"):
            self.assertIsNone(makeFile(name, b""))

    def test_letsAllSitesUseClient(self) -> None:
        """
        The pages of every site may use the client, and the header that says so
        is sent once, to all origins.
        """
        for name in CLIENT:
            path = "/" + name.decode("ascii")
            for origin in ((), ("Origin: https://friend.example",), ("Origin: https://a.example",)):
                response = self.ask(get(path, *origin))
                self.assertEqual(response.status, 200)
                self.assertEqual(response.header("Access-Control-Allow-Origin"), "*")
                self.assertEqual(response.header("Cross-Origin-Resource-Policy"), "cross-origin")
                self.assertIsNone(response.header("Access-Control-Allow-Credentials"))

    def test_keepsPagesFromOtherSites(self) -> None:
        """
        Only the client is readable by the pages of other sites.
        """
        response = self.ask(get("/lab/page.js", "Origin: https://a.example"))
        self.assertIsNone(response.header("Access-Control-Allow-Origin"))

    def test_answersHead(self) -> None:
        """
        The response to C{HEAD} has the headers of the response to C{GET}, and
        no body.
        """
        for path in (*PAGES, "/comet.js", "/lab/base.css"):
            full, head = self.ask(get(path)), self.ask(get(path, method="HEAD"))
            self.assertEqual(head.status, 200)
            self.assertEqual((head.body, head.rest), (b"", b""))
            self.assertEqual(head.header("Content-Length"), str(len(full.body)))
            full.headers.pop("date")
            head.headers.pop("date")
            self.assertEqual(head.headers, full.headers)

    def test_worksOnPlainSite(self) -> None:
        """
        A site of Twisted's own serves the same files.
        """
        site = self.makePlainSite(CometResource(self.hub, hasPages=True))
        for path in PAGES:
            self.assertEqual(self.ask(get(path), site).body, self.ask(get(path)).body)
            head = self.ask(get(path, method="HEAD"), site)
            self.assertEqual((head.status, head.body, head.rest), (200, b"", b""))

    def test_refusesWrites(self) -> None:
        """
        Files can only be read.
        """
        for path in (*PAGES, "/lab/base.css", "/comet.js", "/lab/state"):
            response = self.ask(post(path, b"x"))
            self.assertProblem(response, 405, "methodNotAllowed")
            self.assertEqual(response.header("Allow"), "GET, HEAD, OPTIONS")
            self.assertEqual(self.ask(get(path, method="OPTIONS")).status, 204)

    def test_checksHost(self) -> None:
        """
        The host is checked: no other site can give its name to these pages.
        """
        for path in (*PAGES, "/lab/state", "/comet.js"):
            request = get(path).replace(b"Host: localhost", b"Host: evil.example")
            self.assertProblem(self.ask(request), 421, "wrongHost")


class UnchangedTests(PagesTestCase):
    """
    Files that the client has already.
    """

    def tagged(self, path: str, tag: str) -> Response:
        """
        Ask for a file with an entity tag.
        """
        return self.ask(get(path, f"If-None-Match: {tag}"))

    def test_answersNotModified(self) -> None:
        """
        A client that has the file gets 304, with the headers that a cache
        needs.
        """
        for path in ("/", "/comet.js"):
            full = self.ask(get(path))
            tag = full.header("ETag") or ""
            self.assertRegex(tag, r'^"[0-9a-f]{16}"$')
            self.assertEqual(full.header("Cache-Control"), "no-cache")
            for sent in (tag, f"W/{tag}", f'"x", {tag}', "*", f'{tag[:-1]}-gzip"'):
                response = self.tagged(path, sent)
                self.assertEqual((response.status, response.rest), (304, b""), sent)
                for name in ("ETag", "Cache-Control", "Access-Control-Allow-Origin"):
                    self.assertEqual(response.header(name), full.header(name))

    def test_pagesNameTheClient(self) -> None:
        """
        The scripts of pages import the client by a URL for which browsers never ask again.
        """
        for path in ("/lab/page.js", "/chat/chat.js"):
            (name,) = re.findall(rb'from "\.\.(/comet\.js[^"]*)"', self.ask(get(path)).body)
            response = self.ask(get(name.decode("ascii")))
            self.assertEqual((response.status, response.body), (200, CLIENT_SCRIPT))
            self.assertIn("immutable", response.header("Cache-Control") or "")

    def test_answersWithNewFile(self) -> None:
        """
        A client that has another version gets the file.
        """
        for sent in ('"x"', '"*"', "", "k3f9a2-1"):
            self.assertEqual(self.tagged("/", sent).status, 200, sent)

    def test_tagsDiffer(self) -> None:
        """
        Different files have different tags.
        """
        tags = [
            file.tag for folder in ("lab", "chat", "client") for file in readFolder(folder).values()
        ]
        self.assertEqual(len(set(tags)), len(tags))


class PathTests(PagesTestCase):
    """
    The paths of files.
    """

    def test_servesOnePath(self) -> None:
        """
        Each file is at one path, and at other paths there is none.
        """
        for path in (
            *("/lab", "/lab/", "/lab/index.html", "/lab/base.css/", "/lab/base.css/x"),
            *("/chat/", "/chat/index.html", "/chat/x", "/comet.js/", "/comet.js/x", "/index.html"),
            *("/package.json", "/client/comet.js", "/static/lab/base.css", "/lab/page.py"),
            *("/lab/..", "/lab/../pages.py", "/lab/%2e%2e/pages.py", "/lab/..%2fpages.py"),
            *("/lab//lab.css", "/lab/base.css%00", "/lab/state/", "/lab/state/x"),
        ):
            self.assertProblem(self.ask(get(path)), 404, "notFound")

    def test_takesEscapes(self) -> None:
        """
        Letters of the path may be escaped, and a query is ignored.
        """
        self.assertEqual(self.ask(get("/l%61b/b%61se.css?v=1")).status, 200)

    @settings(deadline=None, max_examples=200)
    @given(lists(sampled_from(["..", ".", "", "lab", "chat", "%2e%2e", "%2f", "pages.py", "\\"])))
    def test_staysInFolder(self, segments: list[str]) -> None:
        """
        Paths of dots and slashes lead to a file of the pages, or nowhere.
        """
        self.setUp()
        response = self.ask(get("/" + "/".join(segments)))
        served = [file.body for folder in ("lab", "chat") for file in readFolder(folder).values()]
        self.assertTrue(response.status == 404 or response.body in served)

    def test_worksBelowPath(self) -> None:
        """
        All files are served below a path, too.
        """
        root = Resource()
        root.putChild(b"push", CometResource(self.hub, hasPages=True))
        site = self.makeSite(root)
        for path in ("", "chat", "comet.js", "lab/base.css", "lab/state"):
            below = self.ask(get(f"/push/{path}"), site)
            self.assertEqual((below.status, below.body), (200, self.ask(get(f"/{path}")).body))
        self.assertEqual(self.ask(get("/lab/base.css"), site).status, 404)


class WithoutPagesTests(HubTestCase):
    """
    A site without the pages, which is the default.
    """

    def test_servesClientOnly(self) -> None:
        """
        The client for browsers is there, and nothing of the pages.
        """
        for path in (*PAGES, "/lab/state", "/chat/state", "/lab/page.js", "/chat/chat.css"):
            self.assertProblem(self.ask(get(path)), 404, "notFound")
        for name in CLIENT:
            self.assertEqual(self.ask(get(f"/{name.decode('ascii')}")).status, 200)

    def test_servesChannels(self) -> None:
        """
        All else is served.
        """
        self.assertEqual(self.ask(get("/channels/a?transport=poll")).status, 200)
        self.assertEqual(self.ask(get("/health")).status, 200)


class StateTests(PagesTestCase):
    """
    The states that the pages ask for first.
    """

    states = ("/lab/state", "/chat/state")
    hasBook = findBook() is not None

    def test_isClosedByDefault(self) -> None:
        """
        By default visitors may not publish.
        """
        for path in self.states:
            response = self.ask(get(path))
            state = {"open": False, "presence": False, "heartbeat": 25.0, "book": self.hasBook}
            self.assertEqual((response.status, response.json), (200, state))
            self.assertEqual(response.header("Cache-Control"), "no-store, no-transform")

    def test_isOpenIfAllowed(self) -> None:
        """
        If the channels of a page are open, its visitors may publish.
        """
        for number, pattern in enumerate(("lab/**", "chat/**")):
            self.patch(self.hub, "access", Access(None, [pattern]))
            told = [self.ask(get(path)).json["open"] for path in self.states]
            self.assertEqual(told, [number == 0, number == 1])

    def test_tellsWherePresenceIsKept(self) -> None:
        """
        A page is told whether the server knows who is in its channel.
        """
        self.hub.keepPresence([("chat/**", True)], 10.0)
        self.assertEqual(
            [self.ask(get(path)).json["presence"] for path in self.states], [False, True]
        )

    def test_ignoresKey(self) -> None:
        """
        The state is that of an anonymous client, whatever key the request has:
        the page has none.
        """
        for path in self.states:
            request = get(path, AUTH.decode("ascii").strip())
            self.assertIs(self.ask(request).json["open"], False)


class PackageTests(HubTestCase):
    """
    The files in the package.
    """

    def test_servesAllFiles(self) -> None:
        """
        All files that belong to a page are served.
        """
        for folder in ("lab", "chat"):
            names = {path.name.encode("ascii") for path in (STATIC / folder).iterdir()}
            self.assertEqual(names, readFolder(folder).keys())

    def test_pagesAreSmall(self) -> None:
        """
        No page takes more than 100 kB, with all that belongs to it.
        """
        for folder in ("lab", "chat"):
            size = sum(len(file.body) for file in readFolder(folder).values())
            self.assertLess(size, 100_000)
