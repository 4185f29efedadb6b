"""
Tests of the tokens that the book shows how to make.
"""

from __future__ import annotations

import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from comet.access.claims import ClaimRules
from comet.access.tokenkeys import readTokenKeys
from comet.access.tokens import TokenVerifier
from comet.http.credentials import Credential, CredentialSource
from comet.model.clients import Client
from comet.model.grants import Rights
from comet.testing import MemoryClient, MemoryHub
from tests.docs.running import EXAMPLES, load


class TokenTests(SynchronousTestCase):
    """
    C{tokens.py}.
    """

    def test_serverTakesIt(self) -> None:
        """
        The server takes the token, with the rights that the page says.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"x" * 40 + b"\n")
        token = load(EXAMPLES / "tokens.py").tokenFor("ada", str(path))
        verifier = TokenVerifier(readTokenKeys(path.read_bytes()), ClaimRules(), time.time)
        client = verifier.clientOf(Credential(token, CredentialSource.AUTHORIZATION))
        assert client is not None
        self.assertEqual((client.name, client.info), ("ada", {"name": "Ada"}))
        self.assertEqual(client.rights, Rights(("inbox/ada", "rooms/*"), ("rooms/*",)))


class LogoutTests(SynchronousTestCase):
    """
    C{logout.py}.
    """

    def test_endsWhatWasBegun(self) -> None:
        """
        What the user reads ends, and nothing of others.
        """
        hub = MemoryHub()
        users = [MemoryClient(hub, Client(name)) for name in ("ada", "bob")]
        for each in users:
            each.subscribe("news")
        hub.advance()
        done = load(EXAMPLES / "logout.py").loggedOut(hub, "ada")
        hub.advance()
        self.assertEqual(self.successResultOf(done), 1)
        self.assertEqual(
            [each.closed and each.closed.code for each in users], ["disconnected", None]
        )
