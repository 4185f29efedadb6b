"""
What a token's claim, or an answer of the backend, grants: read and checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from comet.errors import BadChannel
from comet.model.channels import isPattern, parseName
from comet.model.grants import NO_RIGHTS, Rights

# How many bytes what others are shown of a client may have, as JSON.
MAX_INFO: Final = 4096

# How many patterns one right may have.
MAX_PATTERNS: Final = 1000

# As a whole segment of a pattern it stands for the name of the client.
SUBJECT: Final = "{sub}"


@frozen
class Granted:
    """
    What is granted to one client.

    @ivar rights: What it may do.

    @ivar info: What others are shown of it: a value of JSON, or L{None}.
    """

    rights: Rights = NO_RIGHTS
    info: Any = None


def readGranted(value: Mapping[str, Any], name: str) -> Granted:
    """
    Read C{subscribe}, C{publish}, C{presence} and C{info}, of which each may be absent.

    @param value: A value of JSON; what else it has is ignored.

    @param name: The name of the client; empty if it has none.

    @raise ValueError: If a value is not allowed; the text says which.
    """
    rights = [_readPatterns(key, value.get(key), name) for key in ("subscribe", "publish")]
    rights.append(_readPatterns("presence", value.get("presence"), name))
    info = value.get("info")
    if info is not None:
        text = json.dumps(info, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > MAX_INFO:
            raise ValueError(f"info has {size} bytes; {MAX_INFO} are allowed")
    return Granted(Rights(*rights), info)


def _readPatterns(key: str, value: object, name: str) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list of channels and patterns")
    if len(value) > MAX_PATTERNS:
        raise ValueError(f"{key} has {len(value)} patterns; {MAX_PATTERNS} are allowed")
    return tuple(_readPattern(key, each, name) for each in value)


def _readPattern(key: str, value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{key} has something else than channels and patterns")
    segments = value.split("/")
    if SUBJECT in segments:
        _checkSubject(name)
        # Replaced segment by segment: a name is no part of a pattern's grammar.
        value = "/".join(name if each == SUBJECT else each for each in segments)
    try:
        return parseName(value)
    except BadChannel as error:
        raise ValueError(f"{key} has what is no channel or pattern: {error.detail}") from None


def _checkSubject(name: str) -> None:
    """
    Check that the name of a client may be a segment of a channel.  One such as C{*} or
    C{a/b} would give it the channels of other clients.
    """
    if not name:
        raise ValueError(f"{SUBJECT} stands for the name of a client, and there is none")
    try:
        parsed = parseName(name)
    except BadChannel:
        parsed = ""
    if not parsed or "/" in name or name.startswith("$") or isPattern(name):
        raise ValueError(f"{SUBJECT} stands for a name that cannot be a segment of a channel")
