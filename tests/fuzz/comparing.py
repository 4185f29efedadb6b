"""
What two edges have to agree on in their answers to the same bytes: not cursors,
dates and messages, which depend on what other clients do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_STATUS: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3})[^\r\n]*\r\n")
_CURSOR: Final = re.compile(r"[a-z0-9]{6}-[0-9]+")
_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)\r\n")

# Headers whose values have to agree.
_VALUES: Final = frozenset(
    {
        *("content-type", "allow", "vary", "cache-control", "access-control-allow-origin"),
        *("connection", "access-control-allow-credentials", "www-authenticate"),
    }
)

# What an envelope may have that no other client has caused.
_OWN: Final = frozenset({"ok", "error", "close", "id"})


def ofHTTP(data: bytes) -> list[object]:
    """
    Return what has to agree in the responses of HTTP/1 to one client.
    """
    return list(_responses(data))


def _responses(data: bytes) -> Iterator[object]:
    while data:
        found = _STATUS.match(data)
        head, end, rest = data.partition(b"\r\n\r\n")
        if found is None or not end:
            yield ("no response", data[:200])
            return
        status = int(found[1])
        headers = dict(_headers(head))
        length = _LENGTH.search(head + b"\r\n")
        size = 0 if length is None else int(length[1])
        body, data = rest[:size], rest[size:]
        values = {name: value for name, value in headers.items() if name in _VALUES}
        if status >= 400:
            # Whether a refusal ends the connection depends on whether all of the
            # request had come.
            others = sorted({*headers} - {"connection"})
            values.pop("connection", None)
            yield (status, others, values, _body(headers, body))
            return
        yield (status, sorted(headers), values, _body(headers, body))
        if status == 101 or "transfer-encoding" in headers:
            # What follows never ends, and is not the same for two clients.
            return
        if length is None and status not in (100, 204, 304):
            return


def _headers(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        yield name.lower(), value.strip()


def _body(headers: Mapping[str, str], body: bytes) -> object:
    if "json" not in headers.get("content-type", ""):
        return None
    try:
        value = json.loads(body)
    except ValueError:
        # A response to HEAD has none.
        return len(body)
    if "detail" in value:
        return value["code"], _CURSOR.sub("CURSOR", value["detail"])
    return sorted(value)


def ofLines(data: bytes) -> list[object]:
    """
    Return what has to agree in the lines to one client of raw TCP.  A publication
    is answered when its turn ends, which may be before or after the next command.
    """
    pieces = re.split(rb"[\n\0]", data)
    return sorted((each for each in map(_envelope, pieces) if each is not None), key=repr)


def ofFrames(data: bytes) -> list[object]:
    """
    Return what has to agree in the frames to one client of a WebSocket, after the
    response to its handshake.
    """
    head, _, rest = data.partition(b"\r\n\r\n")
    found: list[object] = []
    while len(rest) >= 2:
        opcode, size, at = rest[0] & 15, rest[1] & 127, 2
        if size > 125:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(rest[2 : 2 + wide], "big"), 2 + wide
        payload, rest = rest[at : at + size], rest[at + size :]
        if opcode == 1:
            envelope = _envelope(payload)
            if envelope is not None:
                found.append(envelope)
        else:
            found.append((opcode, payload))
    return [head[:12], *sorted(found, key=repr)]


def _envelope(piece: bytes) -> object:
    """
    Return the part of an envelope that depends on this client alone; None if there
    is none.
    """
    try:
        value: Any = json.loads(piece)
    except ValueError:
        # Such as the policy file of Flash, which has the number of the port.
        return re.sub(rb"[0-9]+", b"0", piece[:100]) or None
    if not isinstance(value, dict) or not _OWN & set(value):
        return None
    text = json.dumps({name: value[name] for name in sorted(_OWN & set(value))})
    # Whether there is a gap depends on what others have published.
    return _CURSOR.sub("CURSOR", re.sub(r', "gap": \[[^]]*\]', "", text))
