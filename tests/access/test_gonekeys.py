"""
What was begun with a key that is taken out of its file: on both edges.
"""

from __future__ import annotations

from typing import Any

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.hub.hub import Hub
from tests.lean.case import LeanTestCase
from tests.transports.case import HubTestCase

OLD, NEW = "o" * 16, "n" * 16

ONE = b"POST /channels/news", b"text/plain", b"1234"
BATCH = b"POST /publish", b"application/x-ndjson", b'{"channel":"a","data":1}\n' * 2 + b"\n\n"


class GoneKeysMixin:
    """
    A server whose keys are replaced.
    """

    hub: Hub
    # Any: that of a test case.
    assertEqual: Any

    def open(self, said: bytes) -> Any:
        """
        Connect a client that sends some bytes.
        """
        raise NotImplementedError

    def go(self) -> None:
        """
        Let everything that is due happen.
        """
        raise NotImplementedError

    def replaceKeys(self, *keys: str) -> None:
        """
        Let other keys count.
        """
        access = self.hub.access
        assert isinstance(access, Access)
        access.configure(AccessSettings(keys))
        if access.gone:
            self.hub.endKeyHolders(access.gone)
        self.go()

    def begin(self, key: str, what: tuple[bytes, bytes, bytes]) -> Any:
        """
        Send a request to publish, but for the end of its body.
        """
        line, kind, body = what
        head = b"%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n" % (
            line,
            key.encode(),
        )
        head += b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        client = self.open(head + body[:-2])
        self.go()
        self.assertEqual(client.take(), b"")
        return client

    def statusOf(self, client: Any, what: tuple[bytes, bytes, bytes]) -> bytes:
        """
        Send the end of a body, and return the status of the response.
        """
        client.send(what[2][-2:])
        self.go()
        said: bytes = client.take()
        return said[9:12]

    def test_underWay(self) -> None:
        """
        What is under way with a key that is gone is refused, and nothing of it is stored;
        what is under way with another one, or with the same key from a later time, is not.
        """
        got: list[Any] = []
        self.hub.subscribe("**", None, got.append)
        for what in (ONE, BATCH):
            self.replaceKeys(OLD, NEW)
            gone, kept = self.begin(OLD, what), self.begin(NEW, what)
            self.replaceKeys(NEW)
            self.assertEqual(self.statusOf(gone, what), b"401")
            self.assertEqual(got, [])
            self.assertEqual(self.statusOf(kept, what), b"201")
            self.replaceKeys(OLD, NEW)
            self.assertEqual(self.statusOf(self.begin(OLD, what), what), b"201")
            got.clear()


class TwistedGoneKeysTests(GoneKeysMixin, HubTestCase):
    """
    Twisted's edge.
    """

    def open(self, said: bytes) -> Any:
        """
        See L{GoneKeysMixin.open}.
        """
        wire = self.connect()
        wire.send(said)
        return wire

    def go(self) -> None:
        """
        See L{GoneKeysMixin.go}.
        """
        self.turn()


class LeanGoneKeysTests(GoneKeysMixin, LeanTestCase):
    """
    The lean edge.
    """

    def open(self, said: bytes) -> Any:
        """
        See L{GoneKeysMixin.open}.
        """
        return self.peer(said)

    def go(self) -> None:
        """
        See L{GoneKeysMixin.go}.
        """
        self.reactor.settle()
