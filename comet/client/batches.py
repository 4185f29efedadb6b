"""
Publications as lines of a batch, each with a key of its own, so that it may be sent again.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from comet.client.failures import MAX_DEPTH, BadAnswer
from comet.client.received import readObject
from comet.errors import BadMessage
from comet.framing.strictjson import encode

CONTENT_TYPE: Final = "application/x-ndjson"

#: How many lines one request has at most: a server takes so many unless it is told otherwise.
BATCH: Final = 1000

# How many bytes one request has, unless one line has more.
_BATCH_BYTES: Final = 2**20

_FIELDS: Final = frozenset({"channel", "data", "event", "encoding", "key", "exclude"})


def encodeLine(publication: object) -> bytes:
    """
    Write a publication as one line.

    @param publication: A mapping of C{channel} and C{data}, and perhaps C{event}, C{encoding},
        C{key} and C{exclude}.  The data are a value of JSON, or C{bytes}.  Without a key it gets a
        random one.

    @raise BadMessage: If it is no mapping, has other fields, or JSON does not have its values.
    """
    if not isinstance(publication, Mapping):
        kind = type(publication).__name__
        raise BadMessage(f"a publication is a mapping with channel and data, not of type {kind}")
    others = publication.keys() - _FIELDS
    if others:
        raise BadMessage(f"a publication has {str(sorted(others)[0])[:64]!r}, which is no field")
    for name in ("channel", "data"):
        if name not in publication:
            raise BadMessage(f"a publication has no {name}")
    fields = {name: value for name, value in publication.items() if value is not None}
    fields["data"] = data = publication["data"]
    if isinstance(data, (bytes, bytearray, memoryview)):
        fields["data"] = b64encode(data).decode("ascii")
        fields["encoding"] = "base64"
    fields.setdefault("key", secrets.token_hex(16))
    return encode(fields, MAX_DEPTH) + b"\n"


def batches(publications: Iterable[Mapping[str, Any]], most: int = BATCH) -> Iterator[list[bytes]]:
    """
    Write publications, and yield the lines of each request.

    @param most: How many lines a request has at most.

    @raise BadMessage: As L{encodeLine} does.
    """
    lines: list[bytes] = []
    size = 0
    for publication in publications:
        line = encodeLine(publication)
        if lines and (len(lines) >= most or size + len(line) > _BATCH_BYTES):
            yield lines
            lines, size = [], 0
        lines.append(line)
        size += len(line)
    if lines:
        yield lines


def readCursors(body: bytes, count: int) -> list[str]:
    """
    Read the answer to a batch.

    @param count: How many lines it had.

    @raise BadAnswer: If it does not have so many cursors.
    """
    cursors = readObject(body).get("cursors")
    if isinstance(cursors, list) and len(cursors) == count:
        if all(isinstance(each, str) for each in cursors):
            return cursors
    raise BadAnswer(f"the answer to {count} publications does not have a cursor for each")
