"""
The publish key, and what is open without it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.access.keys import MAX_KEY_LENGTH, loadPublishKey, makePublishKey, readPublishKey
from comet.access.rights import Access
from comet.errors import CometError, Forbidden, Unauthorized
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client

KEY = "Zx8-correct_horse.battery~staple"


def may(check: Callable[[Client, str], None], client: Client, *names: str) -> bool:
    """
    Whether a client may do something with all of these channels.
    """
    try:
        for name in names:
            check(client, name)
    except CometError:
        return False
    return True


class IdentifyTests(SynchronousTestCase):
    """
    Who asks.
    """

    def test_absent(self) -> None:
        """
        Without a credential it is somebody anonymous, who may do nothing that
        needs one.
        """
        self.assertEqual(Access(KEY).identify(None), ANONYMOUS)
        self.assertEqual(ANONYMOUS, Client("", False))

    def test_key(self) -> None:
        """
        Who shows the publish key holds it, however the scheme is written.
        """
        for scheme in ("Bearer ", "bearer ", "BEARER   "):
            self.assertEqual(Access(KEY).identify(scheme + KEY), KEY_HOLDER)
        self.assertEqual(KEY_HOLDER, Client("key", True))

    def test_bad(self) -> None:
        """
        Any other credential is nobody's, and is not shown again.
        """
        for credential in (
            "",
            "Bearer",
            "Bearer ",
            KEY,
            f"Bearer{KEY}",
            f"Basic {KEY}",
            f"Bearer {KEY}x",
            f"Bearer {KEY[:-1]}",
            f"Bearer {KEY.lower()}",
            f"Bearer {KEY} ",
            f"Bearer {KEY}\n",
            f"Bearer {KEY}, Bearer {KEY}",
            "Bearer \ud800é",
        ):
            error = self.assertRaises(Unauthorized, Access(KEY).identify, credential)
            self.assertNotIn(KEY[:-1].lower(), error.detail.lower())

    def test_noKey(self) -> None:
        """
        Where there is no key nobody holds it.
        """
        for credential in ("Bearer ", f"Bearer {KEY}", "Bearer None", "Bearer x"):
            self.assertRaises(Unauthorized, Access().identify, credential)

    @settings(deadline=None)
    @given(st.text() | st.text().map("Bearer {}".format))
    def test_anyText(self, authorization: str) -> None:
        """
        Whatever comes, nobody guesses the key.
        """
        self.assertRaises(Unauthorized, Access(KEY).identify, authorization)

    def test_badKey(self) -> None:
        """
        What no header could carry is not taken for a key, least of all
        nothing.
        """
        for key in ("", "two words", "schlüssel", "key\n"):
            error = self.assertRaises(ValueError, Access, key)
            self.assertIn("publish key", str(error))


class RightTests(SynchronousTestCase):
    """
    What a client may do.
    """

    def setUp(self) -> None:
        """
        A lab is open, and the rest is not.
        """
        self.access = Access(KEY, ["lab/**", "chat/*", "hall"])

    def test_subscribe(self) -> None:
        """
        Anyone may read everything.
        """
        self.assertTrue(may(self.access.checkSubscribe, ANONYMOUS, "news", "**", "$stats"))

    def test_publishAnywhere(self) -> None:
        """
        Who holds the key may publish to every channel, open or not.
        """
        self.assertTrue(may(self.access.checkPublish, KEY_HOLDER, "news", "lab/a", "lab"))

    def test_publishOpen(self) -> None:
        """
        Anyone may publish to what is open.
        """
        names = ("lab/a", "lab/a/b", "chat/a", "hall")
        self.assertTrue(may(self.access.checkPublish, ANONYMOUS, *names))

    def test_publishClosed(self) -> None:
        """
        Nobody may publish to the rest without the key, and is told how.
        """
        for name in ("news", "lab", "laboratory/a", "chat/a/b", "hall/a"):
            error = self.assertRaises(Unauthorized, self.access.checkPublish, ANONYMOUS, name)
            self.assertIn(repr(name), error.detail)
            self.assertIn("publish key", error.detail)
            self.assertIn("--open", error.detail)

    def test_nothingOpen(self) -> None:
        """
        Nothing is open that was not opened.
        """
        self.assertRaises(Unauthorized, Access(KEY).checkPublish, ANONYMOUS, "lab/a")

    def test_reserved(self) -> None:
        """
        Nobody may publish to the server's own channels, nor delete them.
        """
        access = Access(KEY, ["**", "$stats"])
        for name in ("$stats", "$presence/a", "a/$b"):
            for client in (ANONYMOUS, KEY_HOLDER):
                error = self.assertRaises(Forbidden, access.checkPublish, client, name)
                self.assertIn(repr(name), error.detail)
                self.assertRaises(Forbidden, access.checkDelete, client, name)

    def test_delete(self) -> None:
        """
        Only who holds the key may delete, also what is open.
        """
        self.assertTrue(may(self.access.checkDelete, KEY_HOLDER, "news", "lab/a"))
        for name in ("news", "lab/a"):
            error = self.assertRaises(Unauthorized, self.access.checkDelete, ANONYMOUS, name)
            self.assertIn("publish key", error.detail)

    def test_known(self) -> None:
        """
        Who is known, and may not, is not asked who they are.
        """
        client = Client("joe", False)
        self.assertRaises(Forbidden, self.access.checkPublish, client, "news")
        self.assertRaises(Forbidden, self.access.checkDelete, client, "news")
        self.assertTrue(may(self.access.checkPublish, client, "lab/a"))

    def test_badPattern(self) -> None:
        """
        What is to be open must be a channel or a pattern.
        """
        for pattern in ("", "a//b", "**/a", "a*"):
            error = self.assertRaises(ValueError, Access, KEY, ["lab/**", pattern])
            self.assertIn(repr(pattern), str(error))


class KeyFileTests(SynchronousTestCase):
    """
    The file that holds the publish key.
    """

    def setUp(self) -> None:
        """
        A path where there is no file.
        """
        self.path: str = self.mktemp()

    def write(self, content: bytes) -> str:
        """
        Make the file.
        """
        with open(self.path, "wb") as file:
            file.write(content)
        return self.path

    def test_make(self) -> None:
        """
        A key that is made is read from its file, which nobody else can read;
        it can be sent, and is not made twice alike.
        """
        key = makePublishKey(self.path)
        self.assertEqual(readPublishKey(self.path), key)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode) & ~0o600, 0)
        self.assertEqual(Access(key).identify(f"Bearer {key}"), KEY_HOLDER)
        self.assertGreaterEqual(len(key), 43)
        self.assertNotEqual(makePublishKey(self.mktemp()), key)

    def test_makeTwice(self) -> None:
        """
        A file that is there is left alone, and so is what a link points to.
        """
        self.write(b"precious")
        self.assertRaises(FileExistsError, makePublishKey, self.path)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"precious")
        link, target = self.mktemp(), self.mktemp()
        os.symlink(os.path.abspath(target), link)
        self.assertRaises(FileExistsError, makePublishKey, link)
        self.assertFalse(os.path.exists(target))

    def test_read(self) -> None:
        """
        One end of a line after the key does not count.
        """
        for end in (b"", b"\n", b"\r\n"):
            self.assertEqual(readPublishKey(self.write(KEY.encode("ascii") + end)), KEY)
        longest = b"k" * MAX_KEY_LENGTH
        self.assertEqual(readPublishKey(self.write(longest + b"\r\n")), longest.decode("ascii"))

    def test_readBad(self) -> None:
        """
        What is no key, or one that could be guessed, is refused with the name
        of the file and without the key.
        """
        for content in (
            b"",
            b"\n",
            b"changeme\n",
            b"123456789012345\n",
            b"two words and two more\n",
            b"1234567890123456\n\n",
            b"1234567890123456\n1234567890123456\n",
            "schlüssel-schlüssel".encode(),
            b"k" * (MAX_KEY_LENGTH + 1),
            b"\0" * 100000,
        ):
            error = self.assertRaises(ValueError, readPublishKey, self.write(content))
            self.assertIn(repr(self.path), str(error))
            self.assertNotIn("changeme", str(error))
            self.assertIn("16 to 1024", str(error))

    def test_loadGiven(self) -> None:
        """
        A file that was named must be there.
        """
        self.assertRaises(FileNotFoundError, loadPublishKey, self.path)
        self.assertFalse(os.path.exists(self.path))
        self.write(KEY.encode("ascii"))
        self.assertEqual(loadPublishKey(self.path), (KEY, self.path))

    def test_loadDefault(self) -> None:
        """
        The default file is made where it is missing, and read from then on.
        """
        key, path = loadPublishKey(None, self.path)
        self.assertEqual(path, self.path)
        self.assertEqual(readPublishKey(path), key)
        self.assertEqual(loadPublishKey(None, self.path), (key, path))

    def test_defaultName(self) -> None:
        """
        Where nothing is said, it is C{comet.key} in the working directory.
        """
        directory = self.mktemp()
        os.mkdir(directory)
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        os.chdir(directory)
        key, path = loadPublishKey(None)
        self.assertEqual(path, "comet.key")
        self.assertEqual(readPublishKey("comet.key"), key)
