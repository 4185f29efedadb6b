"""
The base class of the tests of HTTP/2 over sockets.
"""

from __future__ import annotations

from typing import Any

from tests.edge.case import EdgeTestCase
from tests.edge.clients import pathOf, queryOf
from tests.edge.connections import Ended, Site
from tests.edge.envelopes import (
    eventOf,
    readJson,
)
from tests.edge.h2client import Http2Connection, Http2Stream


def ask(
    connection: Http2Connection, names: list[str], transport: str, **parameters: str
) -> Http2Stream:
    """
    Send a request to read.
    """
    query = {"transport": transport, **parameters}
    headers = {"sec-fetch-site": "same-origin"}
    return connection.send("GET", pathOf(names) + queryOf(query), headers)


def linesOf(stream: Http2Stream, count: int, timeout: float = 10) -> list[Any]:
    """
    Read so many envelopes of a C{stream}; a part of a line must not be left.
    """
    text = b""
    while text.count(b"\n") < count or not text.endswith(b"\n"):
        piece = stream.piece(timeout)
        if not piece:
            raise Ended(f"ended with {text[-200:]!r}")
        text += piece
    return [eventOf(readJson(line)) for line in text.splitlines()]


class Http2TestCase(EdgeTestCase):
    """
    A test with a server that speaks HTTP/2, and connections to it.
    """

    def connect(self, site: Site, window: int = 0, receiveBuffer: int = 0) -> Http2Connection:
        """
        Make a connection that is closed when the test is over.
        """
        connection = Http2Connection.to(site, window, receiveBuffer)
        self.addCleanup(connection.close)
        return connection
