"""
Tests of L{comet.access.keys}.
"""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from comet.access.keys import (
    MAX_KEY_LENGTH,
    MAX_KEYS,
    loadPublishKeys,
    makePublishKey,
    readKeys,
)
from comet.access.rights import Access
from comet.model.clients import ADMIN
from tests.access.case import bearer

KEY = "Zx8-correct_horse.battery~staple"


class KeyFileTests(SynchronousTestCase):
    """
    The file of the publish key.
    """

    def setUp(self) -> None:
        """
        Choose a path where there is no file.
        """
        self.path: str = self.mktemp()

    def write(self, content: bytes) -> str:
        """
        Write the file.
        """
        with open(self.path, "wb") as file:
            file.write(content)
        return self.path

    def test_makesSecretKey(self) -> None:
        """
        A new key can be read from its file, which only its owner may read.  It
        is a valid key, and no two are alike.
        """
        key = makePublishKey(self.path)
        self.assertEqual(readKeys(self.path), (key,))
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode) & ~0o600, 0)
        self.assertEqual(Access(key).clientOf(bearer(key)), ADMIN)
        self.assertGreaterEqual(len(key), 43)
        self.assertNotEqual(makePublishKey(self.mktemp()), key)

    def test_doesNotOverwrite(self) -> None:
        """
        Making a key where there is a file raises, and changes neither the file
        nor the target of a link.
        """
        self.write(b"precious")
        self.assertRaises(FileExistsError, makePublishKey, self.path)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"precious")
        link, target = self.mktemp(), self.mktemp()
        os.symlink(os.path.abspath(target), link)
        self.assertRaises(FileExistsError, makePublishKey, link)
        self.assertFalse(os.path.exists(target))

    def test_ignoresLineEnd(self) -> None:
        """
        One line end after the key is ignored.
        """
        for end in (b"", b"\n", b"\r\n"):
            self.assertEqual(readKeys(self.write(KEY.encode("ascii") + end)), (KEY,))
        longest = b"k" * MAX_KEY_LENGTH
        self.assertEqual(readKeys(self.write(longest + b"\r\n")), (longest.decode("ascii"),))

    def test_refusesBadKeys(self) -> None:
        """
        A file without a valid key, or with one that could be guessed, is
        refused.  The error has the name of the file, and not the key.
        """
        for content in (
            b"",
            b"\n",
            b"changeme\n",
            b"123456789012345\n",
            b"two words and two more\n",
            b"1234567890123456\n\n",
            b"1234567890123456\nshort\n",
            b"1234567890123456\n" * (MAX_KEYS + 1),
            "schlüssel-schlüssel".encode(),
            b"k" * (MAX_KEY_LENGTH + 1),
            b"\0" * 100000,
        ):
            error = self.assertRaises(ValueError, readKeys, self.write(content))
            self.assertIn(repr(self.path), str(error))
            self.assertNotIn("changeme", str(error))
            self.assertIn("16 to 1024", str(error))

    def test_tellsLine(self) -> None:
        """
        The error says which line is no key.
        """
        for content, fault in (
            (b"", "it is empty, or begins with an empty line; "),
            (b"short\n", "line 1 has 5 characters; "),
            (b"1234567890123456\nshort\n", "line 2 has 5 characters; "),
            (b"1234567890123456\n12345678 12345678\n", "line 2 has other characters; "),
        ):
            error = self.assertRaises(ValueError, readKeys, self.write(content))
            self.assertIn(f"is not allowed: {fault}", str(error))

    def test_readsSeveral(self) -> None:
        """
        Each line is a key: the old one and the new one, while a key is replaced.
        """
        for end in ("\n", "\r\n"):
            path = self.write(f"{KEY}{end}another-key-of-ours{end}".encode("ascii"))
            self.assertEqual(readKeys(path), (KEY, "another-key-of-ours"))

    def test_loadsNamedFile(self) -> None:
        """
        A file that the caller names must exist.
        """
        self.assertRaises(FileNotFoundError, loadPublishKeys, self.path)
        self.assertFalse(os.path.exists(self.path))
        self.write(KEY.encode("ascii"))
        self.assertEqual(loadPublishKeys(self.path), ((KEY,), self.path))

    def test_makesDefaultFile(self) -> None:
        """
        The default file is made if it is missing, and read from then on.
        """
        keys, path = loadPublishKeys(None, self.path)
        self.assertEqual(path, self.path)
        self.assertEqual(readKeys(path), keys)
        self.assertEqual(loadPublishKeys(None, self.path), (keys, path))

    def test_defaultFileIsCometKey(self) -> None:
        """
        The default file is C{comet.key} in the working directory.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(directory)
        keys, path = loadPublishKeys(None)
        self.assertEqual(path, "comet.key")
        self.assertEqual(readKeys("comet.key"), keys)
