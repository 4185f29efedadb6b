"""
Publications that spare their own client's readers, on the lean edge.
"""

from __future__ import annotations

from comet.access.rights import Access
from tests.lean.case import LeanTestCase, read, request

MINE = "mine-0001"


def post(data: bytes, headers: str = "") -> bytes:
    """
    Make a request that publishes.
    """
    return request("/channels/open/a", headers, "POST", data)


class ExcludeTests(LeanTestCase):
    """
    The parameter C{reader}, and what excludes it.
    """

    def test_transports(self) -> None:
        """
        On each transport a reader with the id gets what others publish, and nothing that
        its own client does; everybody else gets all.
        """
        self.hub.access = Access(openPatterns=["open/**"])
        publisher = self.peer()
        count = 0
        for transport in ("stream", "sse", "multipart", "iframe", "websocket", "longpoll"):
            before = len(self.hub.fanout.readers)
            own = f"&callback=cb&wait=30&reader={MINE}"
            mine = self.peer(read(transport, "open/a", own))
            other = self.peer(read(transport, "open/a", "&callback=cb&wait=30"))
            self.untilReaders(before + 2)
            for data, headers in (
                (b"first", f"Comet-Exclude: {MINE}\r\n"),
                (b"second", "Comet-Exclude: others-01\r\n"),
            ):
                publisher.send(post(data, headers))
                count += 1
                publisher.hears(b"201 Created", count)
            mine.hears(b"second")
            other.hears(b"first")
            self.assertNotIn(b"first", mine.said, transport)
            held = self.peer(read("poll", "open/a", f"&since=-2&reader={MINE}"))
            self.assertNotIn(b"first", held.hears(b"second"))

    def test_sameFirstLine(self) -> None:
        """
        A client of raw TCP that comes again with the line that it began with gets nothing
        that its own client publishes.
        """
        self.hub.access = Access(openPatterns=["open/**"])
        line = b'{"id":1,"subscribe":["open/a"],"reader":"%b"}\n' % MINE.encode()
        publisher = self.peer()
        peers = []
        for _ in range(2):
            peers.append(self.peer(line, isTCP=True))
            peers[-1].hears(b'"ok"')
        publisher.send(post(b"first", f"Comet-Exclude: {MINE}\r\n") + post(b"second"))
        for peer in peers:
            self.assertNotIn(b"first", peer.hears(b"second"))
