"""
Tests of L{comet.web.npm}: the client as a package of npm.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path

from hypothesis import given
from hypothesis.strategies import binary, integers
from twisted.trial.unittest import SynchronousTestCase

from comet.web.npm import CLIENT, makePackage, storeGzip


class StoreTests(SynchronousTestCase):
    """
    L{storeGzip}.
    """

    @given(binary(max_size=300))
    def test_isUndone(self, content: bytes) -> None:
        """
        Any gzip undoes it.
        """
        self.assertEqual(gzip.decompress(storeGzip(content)), content)

    @given(integers(-2, 2), integers(1, 3))
    def test_splitsLongContent(self, more: int, blocks: int) -> None:
        """
        Content of any length is split into blocks.
        """
        content = b"x" * (65535 * blocks + more)
        self.assertEqual(gzip.decompress(storeGzip(content)), content)


class PackageTests(SynchronousTestCase):
    """
    L{makePackage}.
    """

    def test_holdsFilesOfTheFolder(self) -> None:
        """
        The package has the files that C{package.json} lists, and what npm always
        packs, as they are.
        """
        with tarfile.open(fileobj=io.BytesIO(makePackage()), mode="r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("package/")
                content = tar.extractfile(member)
                assert content is not None
                self.assertEqual(content.read(), (CLIENT / name).read_bytes())
                self.assertEqual((member.mode, member.mtime, member.uid), (0o644, 0, 0))
            names = {name.removeprefix("package/") for name in tar.getnames()}
        listed = json.loads((CLIENT / "package.json").read_bytes())["files"]
        self.assertEqual(names, {"package.json", "README.md", *listed})

    def test_hasAlwaysTheSameBytes(self) -> None:
        """
        The same files make the same bytes, on every system: npm notes their hash.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "package.json").write_text('{"files": ["a.js"]}', "utf-8")
        (folder / "README.md").write_bytes(b"read me\n")
        (folder / "a.js").write_bytes(b"a" * 70000)
        made = sha256(makePackage(folder)).hexdigest()
        self.assertEqual(made[:16], "36ff13bb503cf4ac")
