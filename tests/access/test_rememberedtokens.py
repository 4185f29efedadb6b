"""
Tests of L{comet.access.rememberedtokens}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.access import rememberedtokens
from comet.access.rememberedtokens import RememberedTokens
from comet.model.clients import Client
from comet.model.grants import Rights


class RememberedTests(SynchronousTestCase):
    """
    L{RememberedTokens}.
    """

    def setUp(self) -> None:
        """
        Remember nothing at second 0.
        """
        self.now = 0.0
        self.remembered = RememberedTokens(lambda: self.now)

    def test_ends(self) -> None:
        """
        A token is remembered until it ends, and one without an end longer.
        """
        ada, bob = Client("ada", until=5.0), Client("bob")
        self.remembered.add("a", ada)
        self.remembered.add("b", bob)
        self.now = 4.9
        self.assertIs(self.remembered.find("a"), ada)
        self.assertIs(self.remembered.find("c"), None)
        self.now = 5.0
        self.assertIs(self.remembered.find("a"), None)
        self.assertIs(self.remembered.find("b"), bob)
        self.assertEqual(len(self.remembered), 1)

    def test_forgets(self) -> None:
        """
        Those of some clients can be forgotten, and all.
        """
        for name in ("ada", "bob"):
            self.remembered.add(name, Client(name))
        self.remembered.forget(lambda client: client.name == "ada")
        self.assertIs(self.remembered.find("ada"), None)
        self.assertIsNot(self.remembered.find("bob"), None)
        self.remembered.clear()
        self.assertEqual(len(self.remembered), 0)

    def test_bounds(self) -> None:
        """
        There is a bound of tokens, and one of bytes; the rights count.  One that is
        added again counts once.
        """
        self.patch(rememberedtokens, "MAX_TOKENS", 2)
        for token in ("a", "b", "b", "c"):
            self.remembered.add(token, Client(token))
        self.assertIs(self.remembered.find("a"), None)
        self.assertEqual(len(self.remembered), 2)
        self.patch(rememberedtokens, "MAX_TOKEN_BYTES", 20_000)
        self.remembered.add("d", Client("d", rights=Rights(["x" * 200] * 50)))
        self.assertEqual(len(self.remembered), 2)
        self.remembered.add("e", Client("e", rights=Rights(["x" * 200] * 50)))
        self.assertEqual(len(self.remembered), 1)
