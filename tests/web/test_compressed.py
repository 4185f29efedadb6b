"""
Tests of L{comet.web.pages}: files that are compressed, and kept for long.
"""

from __future__ import annotations

import gzip
import io
import tarfile

from comet.web.pages import PACKAGE, compress, makeFile
from comet.web.resources import CometResource
from tests.transports.case import HubTestCase, Response, get


class CompressedTests(HubTestCase):
    """
    The pages and the client, as browsers ask for them.
    """

    def setUp(self) -> None:
        """
        Make the site.
        """
        super().setUp()
        self.site = self.makeSite(CometResource(self.hub, hasPages=True))

    def fetch(self, path: str, coding: str, *headers: str) -> Response:
        """
        Ask for a file with a header C{Accept-Encoding}.
        """
        return self.ask(get(path, f"Accept-Encoding: {coding}", *headers))

    def tagOf(self, path: str) -> str:
        """
        Return the entity tag of a file that is not compressed, without quotes.
        """
        return (self.ask(get(path)).header("ETag") or "").strip('"')

    def test_compresses(self) -> None:
        """
        A client that takes gzip gets it, with an entity tag of its own, and with the
        headers that depend on who may use the file.
        """
        for path in ("/", "/chat", "/lab/page.js", "/comet.js", "/comet.d.ts", "/comet.js.map"):
            plain = self.ask(get(path))
            self.assertIsNone(plain.header("Content-Encoding"))
            for coding in ("gzip", "br, GZIP;q=0.5", "*", "gzip, identity;q=0"):
                packed = self.fetch(path, coding)
                self.assertEqual(packed.header("Content-Encoding"), "gzip", coding)
                self.assertEqual(gzip.decompress(packed.body), plain.body)
                self.assertLess(len(packed.body), len(plain.body) * 0.6)
                self.assertEqual(packed.header("Content-Length"), str(len(packed.body)))
                self.assertEqual(packed.header("ETag"), f'"{self.tagOf(path)}-gzip"')
            for response in (plain, packed):
                self.assertIn("Accept-Encoding", response.header("Vary") or "")
                self.assertEqual(
                    response.header("Cross-Origin-Resource-Policy"),
                    "cross-origin" if "comet" in path else "same-origin",
                )

    def test_leavesAsItIs(self) -> None:
        """
        A client that does not take gzip gets the file as it is.
        """
        plain = self.ask(get("/comet.js"))
        for coding in ("", "br", "gzip;q=0", "gzip;q=0, *", "*;q=0", "identity", "gzip;q=x"):
            response = self.fetch("/comet.js", coding)
            self.assertEqual(response.body, plain.body, coding)
            self.assertEqual(response.header("ETag"), plain.header("ETag"))

    def test_isUnchanged(self) -> None:
        """
        A client that has the compressed file gets 304, with the tag that it sent.
        """
        tag = f'"{self.tagOf("/comet.js")}-gzip"'
        response = self.fetch("/comet.js", "gzip", f"If-None-Match: {tag}")
        self.assertEqual((response.status, response.rest), (304, b""))
        self.assertEqual(response.header("ETag"), tag)
        self.assertIsNone(response.header("Content-Encoding"))
        self.assertEqual(response.header("Vary"), "Accept-Encoding")

    def test_compressesOnce(self) -> None:
        """
        A file is compressed for the first client that asks for it so.
        """
        self.assertIs(compress(b"a" * 1000), compress(b"a" * 1000))

    def test_leavesPackedFiles(self) -> None:
        """
        What is compressed already is not compressed again.
        """
        for name in ("a.png", "a.tgz", "a.js"):
            file = makeFile(name, b"x" * 1000)
            assert file is not None
            self.assertEqual(file.isPacked, name != "a.js")
        self.assertIsNone(self.fetch(f"/{PACKAGE}", "gzip").header("Content-Encoding"))

    def test_keepsNamedContent(self) -> None:
        """
        A URL that names the content by its tag may be kept for a year; one that
        names other content has to be asked for again.
        """
        for path in ("/comet.js", "/lab/base.css"):
            tag = self.tagOf(path)
            for query, policy in (
                (f"?v={tag}", "public, max-age=31536000, immutable"),
                (f"?v={tag}x", "no-cache"),
                ("?v=", "no-cache"),
                ("?x=1", "no-cache"),
            ):
                for coding in ("gzip", "identity"):
                    response = self.fetch(path + query, coding)
                    self.assertEqual(response.header("Cache-Control"), policy)
                    self.assertEqual(response.status, 200)
            unchanged = self.fetch(f"{path}?v={tag}", "gzip", f'If-None-Match: "{tag}-gzip"')
            self.assertEqual(unchanged.status, 304)
            self.assertIn("immutable", unchanged.header("Cache-Control") or "")

    def test_servesPackage(self) -> None:
        """
        The package for npm is served to all, also without the pages, and holds the
        client that is served.
        """
        site = self.makeSite(CometResource(self.hub))
        response = self.ask(get(f"/{PACKAGE}"), site)
        self.assertEqual(response.header("Content-Type"), "application/gzip")
        self.assertEqual(response.header("Access-Control-Allow-Origin"), "*")
        with tarfile.open(fileobj=io.BytesIO(response.body)) as tar:
            script = tar.extractfile("package/comet.js")
            assert script is not None
            self.assertEqual(script.read(), self.ask(get("/comet.js"), site).body)
