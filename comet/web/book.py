"""
The book of a checkout, as C{make docs} makes it.

An installed package has no book.  All files are read once, as those of the
L{pages<comet.web.pages>} are.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from attrs import evolve
from twisted.web.resource import Resource

from comet.http.responses import Headers, Response
from comet.hub.hub import Hub
from comet.transports.exchange import Exchange
from comet.web.pages import HTML, File, FilesResource, makeFile, policyOf

CHECKOUT: Final = Path(__file__).resolve().parents[2]

_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def findBook(checkout: Path = CHECKOUT) -> Path | None:
    """
    Return the folder of the book, or L{None} if it is not made.
    """
    folder = checkout / "docs" / "_build" / "html"
    # The folder above an installed package is full of other projects.
    isCheckout = (checkout / "setup.cfg").is_file()
    return folder if isCheckout and (folder / "index.html").is_file() else None


@cache
def readBook(folder: Path) -> Mapping[bytes, File]:
    """
    Read the book.

    @return: The files by their paths in the folder.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    files = {
        path.relative_to(folder).as_posix().encode("utf-8"): makeFile(path.name, path.read_bytes())
        for path in paths
    }
    read = {name: file for name, file in files.items() if file is not None}
    policy = _policy(file.body for name, file in read.items() if name.endswith(b".html"))
    return {name: _ofBook(file, policy) for name, file in read.items()}


def _policy(pages: Iterable[bytes]) -> Headers:
    """
    Make the policy of the book: as that of the pages, but for what its theme has
    inline.  Scripts are allowed one by one, by their hashes (CSP3 2.3.1).
    """
    scripts = {script for page in pages for script in _INLINE.findall(page)}
    hashes = sorted(b64encode(sha256(script).digest()).decode("ascii") for script in scripts)
    return policyOf(
        script=" ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)]),
        style="'self' 'unsafe-inline'",
        img="'self' data:",
    )


def _ofBook(file: File, policy: Headers) -> File:
    if (b"Content-Type", HTML) not in file.headers:
        return file
    others = (each for each in file.headers if each[0] != policy[0][0])
    return evolve(file, headers=(*others, *policy))


class BookResource(FilesResource):
    """
    Serves the book, with its first page at the path that ends with a slash.
    """

    def find(self, segments: Sequence[bytes]) -> File | None:
        """
        See L{FilesResource.find}.
        """
        return self.files.get(b"/".join(segments) or b"index.html")

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Send a file, or the way to the first page.
        """
        if exchange.head.segments:
            super().answer_GET(exchange)
            return
        location = ((b"Location", b"book/"), (b"Content-Type", b"text/plain"))
        exchange.respond(Response(308, location, b"book/\n"))

    answer_HEAD = answer_GET


def putBook(tree: Resource, hub: Hub, folder: Path) -> None:
    """
    Put the book into a tree of resources.
    """
    tree.putChild(b"book", BookResource(hub, readBook(folder)))
