"""
Tests of L{comet.web.book}: the book, where it is made.
"""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from comet.web.book import findBook, putBook
from comet.web.resources import CometResource
from tests.transports.case import HubTestCase, get

_SCRIPT = "document.body.dataset.theme = 'light'"
_PAGE = f'<script>{_SCRIPT}</script><script src="a.js"></script><p style="color: red">Hello</p>'


class BookTests(HubTestCase):
    """
    A checkout with a book.
    """

    def setUp(self) -> None:
        """
        Make the book, and a site with it.
        """
        super().setUp()
        self.checkout = Path(self.mktemp())
        self.folder = self.checkout / "docs" / "_build" / "html"
        (self.folder / "howto").mkdir(parents=True)
        (self.checkout / "setup.cfg").touch()
        for name in ("index.html", "howto/publish.html"):
            (self.folder / name).write_text(_PAGE)
        for name in ("a.js", "objects.inv", ".secret", "picture.png"):
            (self.folder / name).write_bytes(b"x")
        (self.checkout / "docs" / "conf.py").write_text("x")
        root = CometResource(self.hub)
        putBook(root, self.hub, self.folder)
        self.site = self.makeSite(root)

    def test_servesFiles(self) -> None:
        """
        Each file is at its path, and the first page at C{/book/}.
        """
        for path in ("", "index.html", "howto/publish.html"):
            response = self.ask(get(f"/book/{path}"))
            self.assertEqual((response.status, response.body), (200, _PAGE.encode("ascii")))
        for path, kind in (("a.js?v=1", "text/javascript"), ("picture.png", "image/png")):
            response = self.ask(get(f"/book/{path}"))
            self.assertEqual(response.status, 200)
            self.assertTrue((response.header("Content-Type") or "").startswith(kind))

    def test_leadsToFirstPage(self) -> None:
        """
        Without a slash at the end, the links of the page would lead elsewhere.
        """
        response = self.ask(get("/book"))
        self.assertEqual((response.status, response.header("Location")), (308, "book/"))

    def test_servesNothingElse(self) -> None:
        """
        There is nothing at other paths: not files of other kinds, nor what is
        outside the folder.
        """
        for path in (
            *("howto", "howto/", "howto//publish.html", "objects.inv", ".secret", "x.html", "/"),
            *("../conf.py", "../../conf.py", "..%2f..%2fconf.py", "%2e%2e/conf.py"),
        ):
            self.assertProblem(self.ask(get(f"/book/{path}")), 404, "notFound")

    def test_allowsScriptsByHash(self) -> None:
        """
        The policy of the book allows the scripts that are in its pages, one by
        one, and no other inline script.
        """
        policy = self.ask(get("/book/")).header("Content-Security-Policy") or ""
        digest = b64encode(sha256(_SCRIPT.encode("ascii")).digest()).decode("ascii")
        self.assertEqual(re.findall(r"script-src ([^;]*)", policy), [f"'self' 'sha256-{digest}'"])
        self.assertIn("frame-ancestors 'none'", policy)

    def test_findsBookOfCheckout(self) -> None:
        """
        There is a book where it is made, in a checkout.
        """
        self.assertEqual(findBook(self.checkout), self.folder)
        (self.checkout / "setup.cfg").unlink()
        self.assertIsNone(findBook(self.checkout))
        (self.checkout / "setup.cfg").touch()
        (self.folder / "index.html").unlink()
        self.assertIsNone(findBook(self.checkout))
