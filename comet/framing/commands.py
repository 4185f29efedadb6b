"""
The commands that a client sends on a two-way transport, and their answers.

A command is a JSON object with exactly one of the keys C{subscribe},
C{unsubscribe}, C{publish}, C{presence}, C{leave}, C{ping}, C{token} and C{call}; perhaps
an C{id}, which the answer repeats; and the other keys that the command needs.  Unknown
keys are ignored.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from comet.errors import BadChannel, BadCursor, BadMessage, BadRequest, CometError, TooLarge
from comet.framing.publications import Limits, checkBase64, decodeFields, readObject, shown
from comet.framing.strictjson import checkMembers, checkUnique, decode, encode, isPlainText
from comet.model.channels import parseChannel, parseName
from comet.model.cursors import Cursor
from comet.model.messages import Publication, Published
from comet.model.positions import Now, StartPosition, StartPositions, parseStartPosition
from comet.model.presence import MOST_LISTED
from comet.model.readerids import checkReaderID

# Names a command, so that the client can tell which command an answer is for;
# None if the client does not need to.
Id = str | int | None

# What a command says, by its keys.
Fields = dict[str, Any]

# The depth of the values in an answer was checked when the command was read.
_ANSWER_DEPTH: Final = sys.maxsize
_MAX_ID: Final = 128
_ID_RANGE: Final = range(-(2**63), 2**64)

# A command to publish as nearly all are written, in plain ASCII up to its data.
_USUAL: Final = re.compile(
    rb'\{"id": ?(0|[1-9][0-9]{0,17}), ?"publish": ?"([ !#-\[\]-~]+)", ?"data": ?(.+)\}', re.DOTALL
)


class CommandError(Exception):
    """
    A command that is not valid.  The connection stays open.

    @ivar id: The id of the command, or L{None} if it has none or an invalid
        one.

    @ivar error: The error that the client is told.
    """

    def __init__(self, id: Id, error: CometError) -> None:
        super().__init__(error.detail)
        self.id = id
        self.error = error


@frozen
class Subscribe:
    """
    Read these names, too.

    @ivar id: The id of the command, or L{None}.

    @ivar names: Channels and patterns, at least one, none twice.

    @ivar since: Where each of them starts.

    @ivar reader: The id that the client gives its readers from now on, or L{None} if this
        does not change.
    """

    id: Id
    names: tuple[str, ...]
    since: StartPositions
    reader: str | None = None


@frozen
class Unsubscribe:
    """
    Stop reading these names.

    @ivar id: The id of the command, or L{None}.

    @ivar names: Channels and patterns, at least one, none twice.
    """

    id: Id
    names: tuple[str, ...]


# Not frozen, as a Publication is not: one is made for each message.
@define(unsafe_hash=True)
class Publish:
    """
    Publish one message to one channel.  It is never changed once it is made.

    @ivar id: The id of the command, or L{None}.

    @ivar publication: The message.
    """

    id: Id
    publication: Publication


@frozen
class Presence:
    """
    Tell who is in a channel.

    @ivar id: The id of the command, or L{None}.

    @ivar channel: The channel.

    @ivar after: The name of the member after which to begin, or L{None} for all.

    @ivar limit: How many members to tell of, at most.
    """

    id: Id
    channel: str
    after: str | None = None
    limit: int = MOST_LISTED


@frozen
class Leave:
    """
    Stop reading these names, and be no member of these channels any more.

    @ivar id: The id of the command, or L{None}.

    @ivar names: Channels and patterns, at least one, none twice.
    """

    id: Id
    names: tuple[str, ...]


@frozen
class Ping:
    """
    Send a value back.

    @ivar id: The id of the command, or L{None}.

    @ivar json: The value, anything that JSON has, encoded as by
        L{encode<comet.framing.strictjson.encode>}.
    """

    id: Id
    json: bytes


@frozen
class Token:
    """
    Show a credential: what the client does from then on, it does with the rights
    that this gives.

    @ivar id: The id of the command, or L{None}.

    @ivar token: The credential, which is not checked yet.
    """

    id: Id
    token: str = field(repr=False)


@frozen
class Call:
    """
    Have a method of the backend's, or the application's, answer.

    @ivar id: The id of the command, or L{None}.

    @ivar method: Its name, which is not checked yet.

    @ivar data: A value of JSON, or bytes.
    """

    id: Id
    method: str
    data: Any


Command = Subscribe | Unsubscribe | Publish | Presence | Leave | Ping | Token | Call


def readFields(raw: bytes, limits: Limits) -> Fields:
    """
    Read the fields of one command, and check none of them but that each is there once: of
    two, one program takes the first, and another one the last.  The data are not looked at.

    @param raw: One frame or line of the client, without a terminator.  The
        transport has checked its size.

    @raise CommandError: If it is not a JSON object; nothing else is raised.
    """
    try:
        # The command itself is one level around the data; one more is allowed
        # for the value of a ping.
        fields = decodeFields(raw, limits, limits.maxDepth + 2)
    except BadMessage as error:
        raise CommandError(None, _withoutToken(raw, error)) from None
    except TooLarge as error:
        raise CommandError(None, error) from None
    if not isinstance(fields, dict):
        other = f"{shown(fields)} is not a command: it is not an object"
        raise CommandError(None, BadMessage(other))
    try:
        checkMembers(raw, fields)
        if isinstance(fields.get("since"), dict):
            checkUnique(raw)
    except BadRequest as error:
        raise CommandError(_idOf(fields), error) from None
    return fields


def _withoutToken(raw: bytes, error: BadMessage) -> BadMessage:
    """
    Return the error for a text that is not JSON without its beginning, if there may be a
    token in it: an error may be shown and logged where a token must not be.
    """
    isQuoting = error.detail.startswith(("'", '"', "b'", 'b"'))
    if not (isQuoting and b"token" in raw.lower()):
        return error
    # The last of these words: those before may be the client's.
    _, isTold, why = error.detail.rpartition(" is not JSON")
    return BadMessage(f"the command is not JSON{why if isTold else ''}")


def readCommand(raw: bytes | Fields, limits: Limits, publisher: str = "") -> Command:
    """
    Read one command.

    @param raw: The command as L{readFields} takes it, or what that has returned.

    @param publisher: The name of the client, as in L{Publication.publisher}.

    @raise CommandError: If it is not a valid command; nothing else is raised.
    """
    id: Id = None
    if isinstance(raw, dict):
        fields = raw
    else:
        usual = _readUsual(raw, limits, publisher)
        if usual is not None:
            return usual
        fields = readFields(raw, limits)
    try:
        if "id" in fields:
            id = _readID(fields["id"])
        return _READERS[_commandKey(fields)](id, fields, limits, publisher)
    except CometError as error:
        raise CommandError(id, error) from None


def encodePong(command: Ping) -> bytes:
    """
    Encode the answer to a ping, as L{encodeOK} does.
    """
    return encodeRawOK(command.id, b'{"pong":%b}' % command.json)


def _readUsual(raw: bytes, limits: Limits, publisher: str) -> Publish | None:
    """
    Read a command to publish that is written in the usual way, without decoding what is
    around its data, nor data that are plain text.  It takes a third to half of the time.

    @return: L{None} for all other commands, and for those that are not valid: they are read
        field by field, which tells what is wrong.
    """
    found = _USUAL.fullmatch(raw) if len(raw) <= limits.maxMessage else None
    if found is None:
        return None
    id, channel, payload = found.groups()
    try:
        # What follows the data, as another field, is no part of a value.
        if not isPlainText(payload):
            value = decode(payload, limits.maxDepth)
            payload = encode(value, limits.maxDepth, isDecoded=True)
        if len(payload) > limits.maxMessage:
            return None
        channels = (parseChannel(channel.decode("ascii")),)
    except CometError:
        return None
    return Publish(int(id), Publication(channels, payload, None, None, publisher))


def encodeOK(id: Id, fields: Mapping[str, Any]) -> bytes:
    """
    Encode the answer to a command that was carried out, as one line of JSON
    without its terminator.

    @param fields: The values in the answer: such as L{decode} makes, or a
        L{Cursor}, which is written as text.
    """
    ok = {
        name: str(value) if isinstance(value, Cursor) else value for name, value in fields.items()
    }
    return _encodeAnswer(id, {"ok": ok})


def encodeStored(id: Id, result: Published) -> bytes:
    """
    Encode the answer to a publication that was stored, as L{encodeOK} does.
    """
    # Nothing in a cursor needs an escape.
    epoch, position = result.epoch.encode("ascii"), max(result.positions.values())
    if type(id) is int:
        return b'{"id":%d,"ok":{"cursor":"%b-%d"}}' % (id, epoch, position)
    return encodeRawOK(id, b'{"cursor":"%b-%d"}' % (epoch, position))


def encodeRawOK(id: Id, ok: bytes) -> bytes:
    """
    Encode the answer to a command that was carried out, as L{encodeOK} does.

    @param ok: The object in the answer, encoded as by
        L{encode<comet.framing.strictjson.encode>}.
    """
    if type(id) is int:
        return b'{"id":%d,"ok":%b}' % (id, ok)
    named = b"" if id is None else b'"id":%b,' % encode(id)
    return b'{%b"ok":%b}' % (named, ok)


def encodeError(id: Id, error: CometError) -> bytes:
    """
    Encode the answer to a command that failed, as one line of JSON without its
    terminator.
    """
    detail = error.detail if error.commandDetail is None else error.commandDetail
    # The detail may have lone surrogates, as in the name of a file.
    message = detail.encode("utf-8", "backslashreplace").decode("utf-8")
    return _encodeAnswer(id, {"error": {"code": error.code, "message": message}})


def _encodeAnswer(id: Id, answer: Mapping[str, Any]) -> bytes:
    whole = dict(answer) if id is None else {"id": id, **answer}
    return encode(whole, _ANSWER_DEPTH, isDecoded=True)


def _readID(value: Any) -> Id:
    # In Python, but not in JSON, a bool is an int.
    if type(value) is int and value in _ID_RANGE:
        return value
    if isinstance(value, str) and len(value) <= _MAX_ID:
        return value
    raise BadRequest(
        f"{shown(value)} is not an id; a string of at most {_MAX_ID} characters, or an "
        "integer from -2^63 to 2^64-1, is"
    )


def _idOf(fields: Fields) -> Id:
    """
    Return the id of a command that is refused, or L{None} if it has no valid one.
    """
    try:
        return _readID(fields.get("id"))
    except BadRequest:
        return None


def _commandKey(fields: Mapping[str, Any]) -> str:
    found = _READERS.keys() & fields.keys()
    if len(found) == 1:
        return found.pop()
    raise _noCommand([key for key in _READERS if key in found], fields)


def _noCommand(keys: Sequence[str], fields: Mapping[str, Any]) -> BadRequest:
    """
    Make the error for an object that is no command, or several.

    @param keys: Those of its keys that stand for a command.
    """
    found = " and ".join(map(repr, keys)) if keys else f"none of them, but {shown(list(fields))}"
    return BadRequest(f"a command must have exactly one of {', '.join(_READERS)}; this has {found}")


def _readNames(value: Any, limits: Limits) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadRequest(f"{shown(value)} is not a list of names")
    # Each name is parsed once, and none is if there are too many.
    names: dict[str, None] = {}
    for item in value:
        if not isinstance(item, str):
            raise BadChannel(f"{shown(item)} is not a channel or a pattern: it is not a string")
        names[item] = None
    if not 1 <= len(names) <= limits.maxChannels:
        raise BadRequest(f"{len(names)} names are given; 1 to {limits.maxChannels} are allowed")
    return tuple(map(parseName, names))


def _readStart(value: Any) -> StartPosition:
    if not isinstance(value, str):
        raise BadCursor(
            f"{shown(value)} is not a start position; a cursor, 'now', 'earliest', or '-N' with "
            "N >= 1 is, each a string"
        )
    return parseStartPosition(value)


def _readSince(value: Any, names: tuple[str, ...]) -> StartPositions:
    if not isinstance(value, dict):
        return StartPositions(_readStart(value), isGiven=True)
    starts = {name: _readStart(value[name]) for name in names if name in value}
    return StartPositions(Now(), starts)


def _readSubscribe(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    names = _readNames(fields["subscribe"], limits)
    since = _readSince(fields["since"], names) if "since" in fields else StartPositions()
    reader = checkReaderID(fields["reader"]) if "reader" in fields else None
    return Subscribe(id, names, since, reader)


def _readUnsubscribe(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    return Unsubscribe(id, _readNames(fields["unsubscribe"], limits))


def _readPublish(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    return Publish(id, readObject(fields, limits, publisher, "publish"))


def _readPresence(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    channel, after, limit = (fields.get(key) for key in ("presence", "after", "limit"))
    if not isinstance(channel, str):
        raise BadChannel(f"{shown(channel)} is not a channel: it is not a string")
    if after is not None and not isinstance(after, str):
        raise BadRequest(f"{shown(after)} is not the name of a client: it is not a string")
    if limit is None:
        limit = MOST_LISTED
    if type(limit) is not int or not 0 <= limit <= MOST_LISTED:
        raise BadRequest(f"limit is {shown(limit)}; 0 to {MOST_LISTED} is allowed")
    return Presence(id, parseChannel(channel), after, limit)


def _readLeave(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    return Leave(id, _readNames(fields["leave"], limits))


def _readPing(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    return Ping(
        id, encode(fields["ping"], limits.maxDepth + 1, isDecoded=True, most=limits.maxMessage)
    )


def _readToken(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    token = fields["token"]
    if not isinstance(token, str) or not token:
        # What it is may be secret, and is not repeated.
        raise BadRequest("the token is not a string of one character or more")
    return Token(id, token)


def _readCall(id: Id, fields: dict[str, Any], limits: Limits, publisher: str) -> Command:
    method, data = fields["call"], fields.get("data")
    if not isinstance(method, str):
        raise BadRequest(f"{shown(method)} is not the name of a method: it is not a string")
    if "encoding" in fields:
        data = checkBase64(fields["encoding"], data)
    return Call(id, method, data)


_READERS: Final[Mapping[str, Callable[[Id, dict[str, Any], Limits, str], Command]]] = {
    "subscribe": _readSubscribe,
    "unsubscribe": _readUnsubscribe,
    "publish": _readPublish,
    "presence": _readPresence,
    "leave": _readLeave,
    "ping": _readPing,
    "token": _readToken,
    "call": _readCall,
}
