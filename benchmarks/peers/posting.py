"""
The common part of the peers that are written in Python: C{POST /pub/NAME} for
asyncio, and the readers of each channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

_ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


class Posting(asyncio.Protocol):
    """
    As much of HTTP as publishing needs.
    """

    def __init__(self, publish: Callable[[str, str], None]) -> None:
        self._publish = publish
        self._held = b""

    def connection_made(self, transport: Any) -> None:
        """
        Keep the transport for the answers.
        """
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """
        Publish the bodies of the requests that are complete.
        """
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            first, *headers = self._held[:end].decode("latin-1").split("\r\n")
            values = dict(header.lower().split(": ", 1) for header in headers)
            behind = end + 4 + int(values.get("content-length", "0"))
            if len(self._held) < behind:
                return
            body = self._held[end + 4 : behind].decode("utf-8")
            self._held = self._held[behind:]
            self._publish(first.split(" ")[1].removeprefix("/pub/"), body)
            self._transport.write(_ANSWER)


class Channels(dict[str, set[Any]]):
    """
    The readers of each channel.
    """

    def join(self, names: Iterable[str], reader: Any) -> None:
        """
        Add a reader to channels.
        """
        for name in names:
            self.setdefault(name, set()).add(reader)

    def leave(self, names: Iterable[str], reader: Any) -> None:
        """
        Remove a reader from channels.
        """
        for name in names:
            self[name].discard(reader)
