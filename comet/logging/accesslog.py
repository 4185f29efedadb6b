"""
The access log: a line for each request that is answered, and for each stream and
two-way connection once it has ended.

A line is a JSON object in ASCII.  It has no query of a URL, no header and no data, and
what a client has chosen is shortened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from comet.logging.clientlog import MAX_VALUE, printable

# How many names of one reader are told.
MAX_NAMES: Final = 10


class AccessLog:
    """
    Writes the lines.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        now: Callable[[], float] = time.time,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        @param write: Writes a line.

        @param now: Returns the time, in seconds since 1970.

        @param seconds: Returns the time of a clock that goes on.
        """
        self._write = write
        self._now = now
        self._seconds = seconds
        # The readers that have begun: what is told of each, and when it began.
        self._readers: dict[Any, tuple[dict[str, Any], float]] = {}

    def answered(
        self,
        address: str,
        client: str,
        transport: str,
        method: str,
        path: str,
        status: int,
        size: int,
    ) -> None:
        """
        A request is answered.

        @param client: The name of its client; empty if it has none, or none is known.

        @param path: The path of its URL, without the query.

        @param size: How many bytes the body of the response has.
        """
        fields = self._begin(address, client, transport)
        fields["method"] = printable(method, 16)
        fields["path"] = printable(path, MAX_VALUE)
        fields.update(status=status, bytes=size)
        self._write(_line(fields))

    def _begin(self, address: str, client: str, transport: str) -> dict[str, Any]:
        told = datetime.fromtimestamp(self._now(), timezone.utc).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {"time": told.replace("+00:00", "Z"), "address": address}
        if client:
            fields["client"] = printable(client, MAX_VALUE)
        fields["transport"] = transport
        return fields

    def readerBegun(self, reader: Any, address: str, transport: str) -> None:
        """
        A client begins to read.
        """
        self._readers[reader] = self._begin(address, "", transport), self._seconds()

    def readerEnded(self, reader: Any) -> None:
        """
        A reader has ended; one that was not told of as it began is none of a client's.
        """
        begun = self._readers.pop(reader, None)
        if begun is None:
            return
        fields, since = begun
        if reader.client.name:
            fields["client"] = printable(reader.client.name, MAX_VALUE)
        names: Sequence[str] = reader.progress.names
        fields["names"] = [printable(name, MAX_VALUE) for name in names[:MAX_NAMES]]
        if len(names) > MAX_NAMES:
            fields["more"] = len(names) - MAX_NAMES
        fields["seconds"] = round(self._seconds() - since, 3)
        self._write(_line(fields))


def _line(fields: dict[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))
