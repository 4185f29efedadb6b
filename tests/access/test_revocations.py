"""
Tests of L{comet.access.revocations}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.access import revocations
from comet.access.revocations import Revocation, Revocations
from comet.errors import BadCredential, TooMany, Unavailable
from comet.model.clients import KEY_HOLDER, Client, Known


def holder(name: str = "ada", issued: float | None = 100.0, token: str = "") -> Client:
    """
    Make a client that has a token.
    """
    return Client(name, known=Known.TOKEN, issued=issued, credentialID=token)


class RevocationsTests(SynchronousTestCase):
    """
    L{Revocations}.
    """

    def setUp(self) -> None:
        """
        Make an empty table, whose clock is at 200 s.
        """
        self.clock = Clock()
        self.clock.advance(200)
        self.revocations = Revocations(self.clock.seconds)

    def test_client(self) -> None:
        """
        The tokens of one client are refused that were issued up to the end of a second,
        or do not say when they were issued; those of others are not.
        """
        self.revocations.add(Revocation("1", client="ada", issuedBefore=100.2))
        for issued, expected in ((99.0, True), (100.9, True), (101.0, False), (None, True)):
            self.assertIs(self.revocations.isRevoked(holder(issued=issued)), expected, issued)
        self.assertFalse(self.revocations.isRevoked(holder("bob")))
        self.assertFalse(self.revocations.isRevoked(holder("", token="ada")))

    def test_token(self) -> None:
        """
        One token is refused whenever it was issued; others of the same client are not.
        """
        self.revocations.add(Revocation("1", token="t1"))
        self.assertTrue(self.revocations.isRevoked(holder(issued=1e9, token="t1")))
        self.assertFalse(self.revocations.isRevoked(holder(token="t2")))
        self.assertFalse(self.revocations.isRevoked(holder("t1")))

    def test_onlyTokens(self) -> None:
        """
        Clients with a key, and those that the backend or the application knows, are not
        refused.
        """
        self.revocations.add(Revocation("1", client="ada", issuedBefore=200))
        for known in (Known.HOOK, Known.APPLICATION):
            self.assertFalse(self.revocations.isRevoked(Client("ada", known=known)))
        self.assertFalse(self.revocations.isRevoked(KEY_HOLDER))

    def test_channels(self) -> None:
        """
        A token that lost some channels is not refused; it has lost each name that could
        reach one of these.
        """
        self.revocations.add(Revocation("1", client="ada", channels=("chat/*",), issuedBefore=200))
        self.assertFalse(self.revocations.isRevoked(holder()))
        for name, expected in (
            ("chat/a", True),
            ("*/a", True),
            ("**", True),
            ("chat/a/b", False),
            ("news", False),
        ):
            self.assertIs(self.revocations.hasLost(holder(), name), expected, name)
        self.assertFalse(self.revocations.hasLost(holder("bob"), "chat/a"))

    def test_refusedHasLostAll(self) -> None:
        """
        A token that is refused has lost every name.
        """
        self.revocations.add(Revocation("1", client="ada", issuedBefore=200))
        self.assertTrue(self.revocations.hasLost(holder(), "news"))

    def test_ends(self) -> None:
        """
        A revocation is in force until its time is over, or it is removed; another of the
        same client stays.
        """
        self.revocations.add(Revocation("1", client="ada", issuedBefore=200, until=210))
        self.revocations.add(Revocation("2", client="ada", issuedBefore=50))
        self.assertEqual([each.id for each in self.revocations], ["1", "2"])
        self.clock.advance(10)
        self.assertFalse(self.revocations.isRevoked(holder()))
        self.assertTrue(self.revocations.isRevoked(holder(issued=50)))
        self.assertEqual([each.id for each in self.revocations], ["2"])
        self.assertIsNotNone(self.revocations.remove("2"))
        self.assertIsNone(self.revocations.remove("2"))
        self.assertFalse(self.revocations.isRevoked(holder(issued=50)))

    def test_replaces(self) -> None:
        """
        A revocation takes the place of the one with the same id, also of another client.
        """
        self.revocations.add(Revocation("1", client="ada", issuedBefore=200))
        self.revocations.add(Revocation("1", client="bob", issuedBefore=200))
        self.assertFalse(self.revocations.isRevoked(holder()))
        self.assertTrue(self.revocations.isRevoked(holder("bob")))
        self.assertEqual(len(self.revocations), 1)

    def test_bounded(self) -> None:
        """
        Only so many may be in force; those that have ended make room.
        """
        self.patch(revocations, "MAX_REVOCATIONS", 2)
        self.revocations.add(Revocation("1", client="ada", issuedBefore=200, until=210))
        self.revocations.add(Revocation("2", client="bob", issuedBefore=200))
        self.assertRaises(TooMany, self.revocations.add, Revocation("3", token="t1"))
        self.assertEqual([each.id for each in self.revocations], ["1", "2"])
        self.clock.advance(10)
        self.revocations.add(Revocation("3", token="t1"))
        self.assertEqual([each.id for each in self.revocations], ["2", "3"])

    def test_eitherClientOrToken(self) -> None:
        """
        A revocation of both, or of neither, is not made.
        """
        self.assertRaises(ValueError, Revocation, "1")
        self.assertRaises(ValueError, Revocation, "1", client="ada", token="t1")

    def test_loaded(self) -> None:
        """
        Until it is known what is in force, no token is judged; what is loaded takes the
        place of what was in force.
        """
        self.assertTrue(self.revocations.isQuiet)
        self.revocations.add(Revocation("1", client="bob", issuedBefore=100))
        self.revocations.unload()
        for name in ("ada", "bob"):
            self.assertRaises(Unavailable, self.revocations.admit, holder(name))
        self.assertIs(self.revocations.admit(KEY_HOLDER), KEY_HOLDER)
        self.revocations.load([Revocation("2", client="ada", issuedBefore=100)])
        self.assertRaises(BadCredential, self.revocations.admit, holder("ada"))
        self.assertEqual(self.revocations.admit(holder("bob")), holder("bob"))
        self.assertFalse(self.revocations.isQuiet)
        self.revocations.remove("2")
        self.assertTrue(self.revocations.isQuiet)
        self.revocations.unload()
        self.revocations.load([])
        self.assertTrue(self.revocations.isQuiet)

    def test_loadsNotTooMany(self) -> None:
        """
        As many are loaded as may be in force.  With one more nothing is known.
        """
        self.patch(revocations, "MAX_REVOCATIONS", 3)
        found = [Revocation(str(number), client=str(number)) for number in range(4)]
        self.revocations.unload()
        self.assertRaises(TooMany, self.revocations.load, found)
        self.assertFalse(self.revocations.isLoaded)
        self.revocations.load(found[:3])
        self.assertEqual([each for each in found if each.id in self.revocations], found[:3])
        self.assertTrue(self.revocations.isLoaded)

    def test_presence(self) -> None:
        """
        With a channel goes the right to see who is in it, which may also be taken alone.
        """
        self.revocations.add(Revocation("1", client="ada", channels=["a/*"], issuedBefore=100))
        self.revocations.add(
            Revocation("2", client="ada", channels=["$presence/b"], issuedBefore=100)
        )
        for name, isLost in (
            *(("a/b", True), ("$presence/a/b", True), ("$presence/a/*", True)),
            *(("b", False), ("$presence/b", True), ("$presence/c", False)),
        ):
            self.assertIs(self.revocations.hasLost(holder(), name), isLost, name)

    def test_fields(self) -> None:
        """
        What is told of a revocation has only what it says.
        """
        one = Revocation("1", client="ada", channels=["a/*"], issuedBefore=5.0, until=9.0)
        told = {"id": "1", "client": "ada", "channels": ["a/*"], "issuedBefore": 5.0, "until": 9.0}
        self.assertEqual(one.fields, told)
        self.assertEqual(Revocation("2", token="t").fields, {"id": "2", "token": "t"})
