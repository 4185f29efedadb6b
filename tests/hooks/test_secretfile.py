"""
The file of the hook's secrets.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import comet
from comet.access.keys import DEFAULT_FILE
from comet.hooks.secretfile import DEFAULT, loadSecrets, readSecrets
from comet.hooks.signing import writeSecret

# The folder of the repository, or of its archive.
ROOT = Path(comet.__file__).resolve().parent.parent

OLD, NEW = writeSecret(bytes(32)), writeSecret(bytes([1] * 32))


class SecretFileTests(SynchronousTestCase):
    """
    Reading and making it.
    """

    def write(self, content: str) -> str:
        """
        Write a file.
        """
        path: str = self.mktemp()
        with open(path, "w", encoding="latin-1") as file:
            file.write(content)
        return path

    def test_made(self) -> None:
        """
        Where no file is named, one is made that only its owner may read, and read at the
        next start.
        """
        path = self.mktemp()
        secrets, made = loadSecrets(None, path)
        self.assertEqual(made, path)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(loadSecrets(None, path), (secrets, path))
        self.assertEqual(len(secrets[0]), 32)

    def test_isLeftOut(self) -> None:
        """
        Neither the repository nor its archive takes up the secrets of a server that runs in
        this folder: all that start there would sign with what the world knows.
        """
        for name in (".gitignore", "MANIFEST.in"):
            path = ROOT / name
            # The archive has no first one.
            if path.exists():
                self.assertLessEqual({DEFAULT, DEFAULT_FILE}, set(path.read_text().split()), name)

    def test_several(self) -> None:
        """
        Each line is a secret; line ends of any kind and empty lines do not matter.
        """
        path = self.write(f"{OLD}\r\n\n{NEW}")
        self.assertEqual(loadSecrets(path), ((bytes(32), bytes([1] * 32)), path))

    def test_refused(self) -> None:
        """
        A file that is empty, too long, or has another form is refused without its secrets.
        """
        for content in ("", "\n\n", f"{OLD}x\n", f"{OLD}\n" * 9, "\n" * 5000, "secret"):
            error = self.assertRaises(ValueError, readSecrets, self.write(content))
            self.assertNotIn(OLD, str(error))
            self.assertIn("whsec_", str(error))
        self.assertRaises(OSError, readSecrets, self.mktemp())
