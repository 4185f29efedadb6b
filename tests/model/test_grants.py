"""
Tests of what tokens and backends grant.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from comet.model.clients import ADMIN, ANONYMOUS, KEY_HOLDER, Client, Known
from comet.model.grants import NO_RIGHTS, Rights, permits


class PermitsTests(SynchronousTestCase):
    """
    L{permits}.
    """

    def test_oneHasToCoverAll(self) -> None:
        """
        One pattern has to cover all that is asked for; two that do so together are
        not enough.
        """
        self.assertTrue(permits(["chat/*"], "chat/a"))
        self.assertTrue(permits(["news", "chat/**"], "chat/*"))
        self.assertFalse(permits(["chat/*"], "chat/**"))
        self.assertFalse(permits(["chat/*", "chat/*/**"], "chat/**"))
        self.assertFalse(permits([], "chat/a"))

    def test_givesNothingReserved(self) -> None:
        """
        No pattern gives a channel of the server's, even one that spells it.
        """
        for pattern, name in (("**", "$events"), ("$events", "$events"), ("a/$b", "a/$b")):
            self.assertFalse(permits([pattern], name), (pattern, name))


class ClientTests(SynchronousTestCase):
    """
    L{Client}.
    """

    def test_whoIsAnonymous(self) -> None:
        """
        A client is anonymous if nothing is known of it: one with a token that has
        no name is not.
        """
        self.assertTrue(ANONYMOUS.isAnonymous)
        self.assertTrue(Client("").isAnonymous)
        others = (
            *(KEY_HOLDER, ADMIN, Client("ada"), Client("", user=object())),
            Client("", known=Known.TOKEN),
        )
        for client in others:
            self.assertFalse(client.isAnonymous, client)

    def test_noNameIsAnotherPublisher(self) -> None:
        """
        No name of a client makes it the publisher that the key holder, the
        application or nobody is.
        """
        for name in ("key", "server", "client:ada", "ada"):
            taken = {KEY_HOLDER.publisher, ANONYMOUS.publisher, "server"}
            self.assertNotIn(Client(name).publisher, taken)
        self.assertNotEqual(Client("client:ada").publisher, Client("ada").publisher)
        self.assertEqual(Client("ada", True).publisher, KEY_HOLDER.publisher)

    def test_rightsAreTuples(self) -> None:
        """
        Rights are kept as tuples, so that nobody changes them later.
        """
        self.assertEqual(Rights(["a"]).subscribe, ("a",))
        self.assertEqual(NO_RIGHTS, Rights())
