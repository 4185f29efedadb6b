"""
What a client may say on a transport that carries both ways, and how it is
answered.

A command is a JSON object with exactly one of the keys C{subscribe},
C{unsubscribe}, C{publish} and C{ping}, perhaps an C{id}, which the answer
echoes, and what the command needs besides.  Other keys are ignored.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from comet.errors import BadChannel, BadCursor, BadMessage, BadRequest, CometError
from comet.framing.publications import Limits, readObject, shown
from comet.framing.strictjson import decode, encode
from comet.model.channels import parseName
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import Now, StartPosition, StartPositions, parseStartPosition

# What a client calls its command by, to know the answer; None where it does
# not want to know.
Id = str | int | None

# What an answer repeats was bounded when it was read.
_ANSWER_DEPTH: Final = sys.maxsize
_MOST_ID: Final = 128
_ID_RANGE: Final = range(-(2**63), 2**64)


class CommandError(Exception):
    """
    A command that cannot be read.  The connection stays.

    @ivar id: What the command is called by, or L{None} where it has no name or
        the name cannot be read.

    @ivar error: What is wrong with it.
    """

    def __init__(self, id: Id, error: CometError) -> None:
        super().__init__(error.detail)
        self.id = id
        self.error = error


@frozen
class Subscribe:
    """
    Read these names too.

    @ivar id: What the answer is called by, or L{None}.

    @ivar names: Channels and patterns, at least one, none twice.

    @ivar since: Where each of them begins.
    """

    id: Id
    names: tuple[str, ...]
    since: StartPositions


@frozen
class Unsubscribe:
    """
    Read these names no longer.

    @ivar id: What the answer is called by, or L{None}.

    @ivar names: Channels and patterns, at least one, none twice.
    """

    id: Id
    names: tuple[str, ...]


@frozen
class Publish:
    """
    Publish one message to one channel.

    @ivar id: What the answer is called by, or L{None}.

    @ivar publication: The message.
    """

    id: Id
    publication: Publication


@frozen
class Ping:
    """
    Say something back.

    @ivar id: What the answer is called by, or L{None}.

    @ivar value: What to say: anything that JSON can say.
    """

    id: Id
    value: Any


Command = Subscribe | Unsubscribe | Publish | Ping


def readCommand(raw: bytes, limits: Limits, publisher: str = "") -> Command:
    """
    Read one command.

    @param raw: One message of the client, without a terminator.  Whoever
        received it has bounded its size.

    @param publisher: Who is speaking, as in L{Publication.publisher}.

    @raise CommandError: If it is not a command; nothing else is raised.
    """
    id: Id = None
    try:
        # The object of the command is one level around the data, and one is
        # to spare for what a ping brings.
        fields = decode(raw, limits.maxDepth + 2)
        if not isinstance(fields, dict):
            raise BadMessage(f"{shown(fields)} is not a command, which is an object")
        if "id" in fields:
            id = _readID(fields["id"])
        return _READERS[_commandKey(fields)](id, fields, limits, publisher)
    except CometError as error:
        raise CommandError(id, error) from None


def encodeOK(id: Id, fields: Mapping[str, Any]) -> bytes:
    """
    The answer to a command that was carried out, as one line of JSON without
    its terminator.

    @param fields: What the answer tells.  A L{Cursor} among the values is
        written as clients know it.

    @raise BadMessage: If JSON cannot say one of the values.
    """
    ok = {
        name: str(value) if isinstance(value, Cursor) else value for name, value in fields.items()
    }
    return _encodeAnswer(id, {"ok": ok})


def encodeError(id: Id, error: CometError) -> bytes:
    """
    The answer to a command that was not carried out, as one line of JSON
    without its terminator.
    """
    # A detail may quote what is not text, such as the name of a file.
    message = error.detail.encode("utf-8", "backslashreplace").decode("utf-8")
    return _encodeAnswer(id, {"error": {"code": error.code, "message": message}})


def _encodeAnswer(id: Id, answer: Mapping[str, Any]) -> bytes:
    return encode(dict(answer) if id is None else {"id": id, **answer}, _ANSWER_DEPTH)


def _readID(value: Any) -> Id:
    if isinstance(value, str) and len(value) <= _MOST_ID:
        return value
    # A bool is an int to Python, and not to JSON.
    if isinstance(value, int) and not isinstance(value, bool) and value in _ID_RANGE:
        return value
    raise BadRequest(
        f"{shown(value)} is not an id: a string of at most {_MOST_ID} characters, or an "
        "integer from -2^63 to 2^64-1"
    )


def _commandKey(fields: Mapping[str, Any]) -> str:
    keys = [key for key in _READERS if key in fields]
    if len(keys) != 1:
        found = " and ".join(map(repr, keys)) if keys else f"none in {shown(list(fields))}"
        raise BadRequest(f"a command has exactly one of {', '.join(_READERS)}: {found}")
    return keys[0]


def _readNames(value: Any, limits: Limits) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadRequest(f"{shown(value)} is not a list of names")
    # A name is parsed once however often it comes, and none if there are too many.
    names: dict[str, None] = {}
    for item in value:
        if not isinstance(item, str):
            raise BadChannel(f"{shown(item)} is not a channel or a pattern, which is a string")
        names[item] = None
    if not 1 <= len(names) <= limits.maxChannels:
        raise BadRequest(f"{len(names)} names; 1 to {limits.maxChannels} are allowed")
    return tuple(map(parseName, names))


def _readBeginning(value: Any) -> StartPosition:
    if not isinstance(value, str):
        raise BadCursor(
            f"{shown(value)} is not a place to begin at, which is a string: a cursor, 'now', "
            "'earliest', or '-N' with N >= 1"
        )
    return parseStartPosition(value)


def _readSince(value: Any, names: tuple[str, ...]) -> StartPositions:
    if not isinstance(value, dict):
        return StartPositions(_readBeginning(value))
    places = {name: _readBeginning(value[name]) for name in names if name in value}
    return StartPositions(Now(), places)


def _readSubscribe(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    names = _readNames(fields["subscribe"], limits)
    since = _readSince(fields["since"], names) if "since" in fields else StartPositions()
    return Subscribe(id, names, since)


def _readUnsubscribe(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    return Unsubscribe(id, _readNames(fields["unsubscribe"], limits))


def _readPublish(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    message = {**fields, "channel": fields["publish"]}
    return Publish(id, readObject(message, limits, publisher))


def _readPing(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    return Ping(id, fields["ping"])


_READERS: Final[Mapping[str, Callable[[Id, dict[str, Any], Limits, str], Command]]] = {
    "subscribe": _readSubscribe,
    "unsubscribe": _readUnsubscribe,
    "publish": _readPublish,
    "ping": _readPing,
}
