"""
Tests of L{comet.access.rights}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.access.rights import Access
from comet.errors import CometError, Forbidden, Unauthorized
from comet.http.credentials import Credential, CredentialSource
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from tests.access.case import showing

KEY = "Zx8-correct_horse.battery~staple"


def may(check: Callable[[Client, str], None], client: Client, *names: str) -> bool:
    """
    Whether a check lets a client pass for all of these channels.
    """
    try:
        for name in names:
            check(client, name)
    except CometError:
        return False
    return True


class IdentifyTests(SynchronousTestCase):
    """
    L{Access.identify}.
    """

    def test_anonymousWithoutCredential(self) -> None:
        """
        A client without a credential is anonymous, and may not publish to all
        channels.
        """
        self.assertEqual(Access(KEY).identify(showing(None)), ANONYMOUS)
        self.assertEqual(ANONYMOUS, Client("", False))

    def test_identifiesKeyHolder(self) -> None:
        """
        A client with the publish key is the key holder, with the scheme in any
        case.
        """
        for scheme in ("Bearer ", "bearer ", "BEARER   "):
            self.assertEqual(Access(KEY).identify(showing(scheme + KEY)), KEY_HOLDER)
        self.assertEqual(KEY_HOLDER, Client("key", True))

    def test_refusesOtherCredentials(self) -> None:
        """
        Any other credential is refused, and the error does not repeat it.
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
            f"Bearer {KEY}\n",
            f"Bearer {KEY}, Bearer {KEY}",
            "Bearer \ud800é",
        ):
            error = self.assertRaises(Unauthorized, Access(KEY).identify, showing(credential))
            self.assertNotIn(KEY[:-1].lower(), error.detail.lower())

    def test_refusesAllWithoutPublishKey(self) -> None:
        """
        Without a publish key every credential is refused.
        """
        for credential in ("Bearer ", f"Bearer {KEY}", "Bearer None", "Bearer x"):
            self.assertRaises(Unauthorized, Access().identify, showing(credential))

    @settings(deadline=None)
    @given(st.text() | st.text().map("Bearer {}".format))
    def test_refusesAnyText(self, authorization: str) -> None:
        """
        Any text that is not the key is L{Unauthorized}, and raises no other error.
        """
        self.assertRaises(Unauthorized, Access(KEY).identify, showing(authorization))

    def test_keyCountsInTwoPlaces(self) -> None:
        """
        The publish key is refused anywhere but in C{Authorization} and the command
        C{token}: elsewhere it could come into logs and histories.
        """
        for source in CredentialSource:
            if source not in (CredentialSource.AUTHORIZATION, CredentialSource.COMMAND):
                error = self.assertRaises(
                    Unauthorized, Access(KEY).clientOf, Credential(KEY, source)
                )
                self.assertIn(source.value, error.detail)

    def test_refusesInvalidPublishKey(self) -> None:
        """
        A publish key that is empty, or that no header could carry, is refused.
        """
        for key in ("", "two words", "schlüssel", "key\n"):
            error = self.assertRaises(ValueError, Access, key)
            self.assertIn("publish key", str(error))


class RightTests(SynchronousTestCase):
    """
    The checks of L{Access}.
    """

    def setUp(self) -> None:
        """
        Open some channels.
        """
        self.access = Access(KEY, ["lab/**", "chat/*", "hall"])

    def test_anyoneReads(self) -> None:
        """
        Every client may read every channel and pattern.
        """
        self.assertTrue(may(self.access.checkSubscribe, ANONYMOUS, "news", "**", "$stats"))

    def test_keyHolderPublishesAnywhere(self) -> None:
        """
        The key holder may publish to every channel, open or not.
        """
        self.assertTrue(may(self.access.checkPublish, KEY_HOLDER, "news", "lab/a", "lab"))

    def test_anyonePublishesToOpen(self) -> None:
        """
        Every client may publish to the open channels.
        """
        names = ("lab/a", "lab/a/b", "chat/a", "hall")
        self.assertTrue(may(self.access.checkPublish, ANONYMOUS, *names))

    def test_asksForKeyToPublish(self) -> None:
        """
        An anonymous client that publishes to another channel is asked for the
        key, and told of C{--open}.
        """
        for name in ("news", "lab", "laboratory/a", "chat/a/b", "hall/a"):
            error = self.assertRaises(Unauthorized, self.access.checkPublish, ANONYMOUS, name)
            self.assertIn(repr(name), error.detail)
            self.assertIn("publish key", error.detail)
            self.assertIn("--open", error.detail)

    def test_nothingOpenByDefault(self) -> None:
        """
        No channel is open by default.
        """
        self.assertRaises(Unauthorized, Access(KEY).checkPublish, ANONYMOUS, "lab/a")

    def test_noClientChangesReserved(self) -> None:
        """
        No client may publish to a reserved channel, nor delete its messages,
        also if it is open.
        """
        access = Access(KEY, ["**", "$stats"])
        for name in ("$stats", "$presence/a", "a/$b"):
            for client in (ANONYMOUS, KEY_HOLDER):
                error = self.assertRaises(Forbidden, access.checkPublish, client, name)
                self.assertIn(repr(name), error.detail)
                self.assertRaises(Forbidden, access.checkDelete, client, name)

    def test_onlyKeyHolderDeletes(self) -> None:
        """
        Only the key holder may delete messages, also those of open channels.
        """
        self.assertTrue(may(self.access.checkDelete, KEY_HOLDER, "news", "lab/a"))
        for name in ("news", "lab/a"):
            error = self.assertRaises(Unauthorized, self.access.checkDelete, ANONYMOUS, name)
            self.assertIn("publish key", error.detail)

    def test_doesNotAskIdentifiedClient(self) -> None:
        """
        A client that was identified and lacks the right is told that it is
        forbidden, rather than asked for a credential.
        """
        client = Client("joe", False)
        self.assertRaises(Forbidden, self.access.checkPublish, client, "news")
        self.assertRaises(Forbidden, self.access.checkDelete, client, "news")
        self.assertTrue(may(self.access.checkPublish, client, "lab/a"))

    def test_refusesInvalidOpenPattern(self) -> None:
        """
        An open pattern that is not a channel or a pattern is refused.
        """
        for pattern in ("", "a//b", "**/a", "a*"):
            error = self.assertRaises(ValueError, Access, KEY, ["lab/**", pattern])
            self.assertIn(repr(pattern), str(error))
