"""
Connections that were opened with keys which are taken away.
"""

from __future__ import annotations

import json

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.framing.ndjson import NDJSONShape
from comet.http.credentials import Credential, CredentialSource
from comet.model.clients import ANONYMOUS, Client
from comet.model.positions import StartPositions
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.settings.configuration import Configuration
from tests.fanout.doubles import MemorySink

OLD, NEW, ADMIN = "the-old-key-of-ours", "the-new-key-of-ours", "the-key-of-the-admin"


def holder(access: Access, key: str) -> Client:
    """
    Return who has a key.
    """
    client = access.clientOf(Credential(key, CredentialSource.AUTHORIZATION))
    assert client is not None
    return client


class KeysGoneTests(SynchronousTestCase):
    """
    L{Server.configure} with fewer keys.
    """

    def stream(self, server: Server, client: Client) -> tuple[StreamReader, MemorySink]:
        """
        Open a stream.
        """
        hub, sink = server.hub, MemorySink()

        def make() -> StreamReader:
            return StreamReader(hub.fanout, NDJSONShape(chunked=False), sink)

        return hub.openStream(client, ["news"], StartPositions(), make), sink

    def test_ended(self) -> None:
        """
        What was begun with a key that is gone ends; those with another key, and nobody, do
        not notice.
        """
        reactor, configuration = MemoryReactorClock(), Configuration({}, {})
        server = Server(configuration, reactor, Secrets((OLD, NEW)))
        access = server.access
        assert isinstance(access, Access)
        before = holder(access, NEW)
        gone, sink = self.stream(server, holder(access, OLD))
        kept = [self.stream(server, each)[0] for each in (before, ANONYMOUS)]
        reactor.advance(0)
        server.configure(Loaded({}, configuration, Secrets((NEW,))))
        reactor.advance(0)
        self.assertIs(gone.state, State.CLOSED)
        close = json.loads(b"".join(sink.writes).splitlines()[-1])["close"]
        self.assertEqual(close["code"], "disconnected")
        self.assertIsNotNone(close["retry"])
        for reader in kept:
            self.assertIsNot(reader.state, State.CLOSED)
        self.assertIs(holder(access, NEW), before)

    def test_ownAccess(self) -> None:
        """
        An access object that takes the settings in a way of its own has no key that is gone.
        """

        class Own(Access):
            def configure(self, settings: AccessSettings) -> None:
                self.configured = settings

        reactor, configuration = MemoryReactorClock(), Configuration({}, {})
        server = Server(configuration, reactor, Secrets((OLD, NEW)))
        access = server.makeAccess(Own)
        server.configure(Loaded({}, configuration, Secrets((NEW,))))
        self.assertEqual(access.configured.publishKeys, (NEW,))

    def test_demoted(self) -> None:
        """
        A publish key that is the admin's no more is gone as such, and one that comes twice
        is the same.
        """
        access = Access(settings=AccessSettings((OLD, OLD)))
        admin = holder(access, OLD)
        access.configure(AccessSettings((OLD,)))
        self.assertIs(holder(access, OLD), admin)
        self.assertFalse(any(admin is each for each in access.gone))
        access.configure(AccessSettings((OLD,), (ADMIN,)))
        self.assertTrue(any(admin is each for each in access.gone))
        self.assertFalse(holder(access, OLD).mayAdmin)
