"""
Tests of L{comet.access.rights}.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.jwtform import MAX_TOKEN, isJWTForm
from comet.access.rights import Access
from comet.access.tokens import TokenVerifier
from comet.errors import BadCredential, CometError, Forbidden, Unauthorized
from comet.http.credentials import Credential, CredentialSource
from comet.model.clients import ADMIN, ANONYMOUS, KEY_HOLDER, Client, Known
from comet.model.grants import Rights
from tests.access.case import bearer, showing

KEY = "Zx8-correct_horse.battery~staple"

VERIFIER = TokenVerifier([], ClaimRules(), lambda: 0.0)


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
            self.assertEqual(Access(KEY).identify(showing(scheme + KEY)), ADMIN)
        self.assertEqual(KEY_HOLDER, Client("", True))

    def test_whatLooksLikeATokenIsOne(self) -> None:
        """
        A text of three parts whose first is a header is a token, however long it is, and
        never the backend's to judge where tokens are verified here.
        """
        header = "eyJhbGciOiJub25lIn0"
        for text in (f"{header}.e30.", f"{header}.{'a' * 20_000}.x"):
            self.assertTrue(isJWTForm(text))
            self.assertRaises(BadCredential, VERIFIER.clientOf, bearer(text))
        for size, told in ((MAX_TOKEN, "no key"), (MAX_TOKEN + 1, f"more than {MAX_TOKEN}")):
            text = f"{header}.e30.".ljust(size, "a")
            error = self.assertRaises(BadCredential, VERIFIER.clientOf, bearer(text))
            self.assertIn(told, str(error))
        for text in ("a.b.c", f"{header}.e30", f".{header}.", "e30.e30.e30", header):
            self.assertFalse(isJWTForm(text), text)

    def test_severalKeys(self) -> None:
        """
        Each of the keys counts.  With a key of its own only the admin is one.
        """
        keys = ("a" * 20, "b" * 20)
        access = Access(settings=AccessSettings(keys))
        self.assertEqual([access.clientOf(bearer(key)) for key in keys], [ADMIN, ADMIN])
        access.configure(AccessSettings(keys, ("c" * 20,)))
        self.assertEqual([access.clientOf(bearer(key)) for key in keys], [KEY_HOLDER] * 2)
        self.assertEqual(access.clientOf(bearer("c" * 20)), ADMIN)
        access.configure(AccessSettings(keys[1:]))
        self.assertRaises(BadCredential, access.clientOf, bearer(keys[0]))
        self.assertRaises(ValueError, AccessSettings, ("no key",))
        self.assertRaises(ValueError, AccessSettings, openReadPatterns=("a//b",))

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
        self.assertTrue(
            may(
                self.access.checkSubscribe,
                ANONYMOUS,
                "news",
                "**",
                "$stats/mine",
                "$lab/tcp/5a",
                "$presence/a",
            )
        )

    def test_whoReadsReserved(self) -> None:
        """
        An admin reads the server's own channels, but not those of the nodes, which
        nobody reads.  Whoever knows an account reads its statistics.
        """
        check = self.access.checkSubscribe
        for name in ("$stats", "$events", "$stats/*", "a/$b", "$other/**", "$stats/$x"):
            self.assertTrue(may(check, ADMIN, name), name)
            self.assertRaises(Unauthorized, check, ANONYMOUS, name)
            self.assertRaises(Forbidden, check, KEY_HOLDER, name)
            self.assertRaises(Forbidden, check, Client("ada"), name)
        for name in ("$control", "$control/a", "$nodes", "$nodes/**", "$session/x", "$session/*"):
            for client in (ADMIN, KEY_HOLDER, ANONYMOUS, Client("ada")):
                self.assertRaises(Forbidden, check, client, name)
                self.assertRaises(Forbidden, self.access.checkPublish, client, name)

    def test_rightsWhereTokensAre(self) -> None:
        """
        Where there are tokens, only those read who have a right, or all what is open.
        """
        settings = AccessSettings(
            (KEY,),
            (),
            ("lab/**",),
            ("news", "open/*"),
            tokens=TokenVerifier((), ClaimRules(), float),
        )
        access = Access(settings=settings)
        rights = Rights(["chat/*", "$events"], ["chat/a"], ["chat/*"])
        ada = Client("ada", rights=rights, known=Known.TOKEN)
        check = access.checkSubscribe
        self.assertTrue(may(check, ANONYMOUS, "news", "open/a", "open/*"))
        self.assertTrue(may(check, KEY_HOLDER, "secret", "**", "$presence/secret"))
        self.assertTrue(may(check, ada, "chat/a", "chat/*", "news", "$presence/chat/a"))
        self.assertTrue(may(access.checkPublish, ada, "chat/a", "lab/b"))
        for name in ("secret", "chat/**", "open/**", "lab/a", "$presence/news", "$presence/chat/a"):
            self.assertRaises(Unauthorized, check, ANONYMOUS, name)
        for name in ("secret", "chat/**", "open/**", "lab/a", "$presence/news", "$events"):
            self.assertRaises(Forbidden, check, ada, name)
        self.assertRaises(Forbidden, access.checkPublish, ada, "chat/b")
        self.assertRaises(Unauthorized, access.checkPublish, ANONYMOUS, "chat/b")
        access.checkPublisher(ada)
        access.configure(AccessSettings((KEY,), tokens=TokenVerifier((), ClaimRules(), float)))
        self.assertRaises(Unauthorized, check, ANONYMOUS, "news")
        self.assertRaises(Unauthorized, access.checkPublisher, ANONYMOUS)
        self.assertRaises(Forbidden, access.checkPublisher, Client("bob", known=Known.TOKEN))

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

    def test_singlePattern(self) -> None:
        """
        A pattern alone is opened, and not its letters.
        """
        access = Access(KEY, "**")
        self.assertTrue(may(access.checkPublish, ANONYMOUS, "a", "a/b"))
        self.assertFalse(may(Access(KEY, "news").checkPublish, ANONYMOUS, "n"))

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

    def test_namesNoKeyWhereThereIsNone(self) -> None:
        """
        Without keys, as in an application, the error does not ask for one.
        """
        access = Access(openPatterns=["news"])
        error = self.assertRaises(Unauthorized, access.checkPublish, ANONYMOUS, "weather")
        self.assertIn("to publish to 'weather', a client needs a right", error.detail)
        self.assertIn("openPatterns", error.detail)
        error = self.assertRaises(Unauthorized, Access().checkPublisher, ANONYMOUS)
        self.assertNotIn("key", error.detail)

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
