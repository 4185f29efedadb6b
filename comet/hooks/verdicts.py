"""
Reading what the backend answered.  What is not allowed counts as no answer.
"""

from __future__ import annotations

import math
from typing import Any, Final

from attrs import frozen

from comet.access.granted import Granted, readGranted
from comet.errors import (
    BadChannel,
    BadCursor,
    BadMessage,
    BadRequest,
    CometError,
    Forbidden,
    Internal,
    KeyReused,
    NotFound,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    Unknown,
    Unsupported,
    WrongHost,
)
from comet.framing.publications import checkBase64
from comet.framing.strictjson import MAX_DEPTH, decode
from comet.logging.clientlog import printable
from comet.model.channels import parseName
from comet.model.clients import checkClientName
from comet.model.hookanswers import UNCHANGED, Allowed, Rewritten
from comet.model.positions import parseStartPosition

# How many characters of a message the client is told.
MAX_MESSAGE: Final = 256

# For how many seconds an answer holds that does not say, and at least, and at most.
DEFAULT_EXPIRES: Final = 60.0
LEAST_EXPIRES: Final = 1.0
MOST_EXPIRES: Final = 3600.0

_KINDS: Final[tuple[type[CometError], ...]] = (
    *(BadChannel, BadCursor, BadMessage, BadRequest, Unauthorized, Forbidden, NotFound),
    *(TooLarge, Unsupported, WrongHost, KeyReused, TooMany, Internal, Unavailable, Unknown),
)
_BY_CODE: Final = {kind.code: kind for kind in _KINDS}


class BadRefusal(ValueError):
    """
    The answer has an error that is not allowed: it meant to refuse.
    """


@frozen
class ConnectAnswer:
    """
    Which client it is, as the backend says.

    @ivar name: The client's name; empty if it has none.

    @ivar granted: What it may do.

    @ivar expires: For how many seconds that holds.

    @ivar isNobody: Whether the backend does not know the client.
    """

    name: str
    granted: Granted
    expires: float
    isNobody: bool


def readAnswer(body: bytes) -> dict[str, Any] | CometError:
    """
    Read the body of an answer.

    @return: The object that it is; or, where the backend refuses, the error that the
        client is told.

    @raise BadRefusal: If it refuses with an error that is not allowed.

    @raise ValueError: If it is not allowed otherwise; the text says why.
    """
    try:
        answer = decode(body, MAX_DEPTH)
    except BadMessage:
        # The text would have the beginning of what was answered.
        raise ValueError("it is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("it is not a JSON object")
    return answer if answer.get("error") is None else _readError(answer["error"])


def _readError(error: object) -> CometError:
    if not isinstance(error, dict) or not isinstance(error.get("code"), str):
        raise BadRefusal("error is not an object with a code")
    message = error.get("message")
    if message is not None and not isinstance(message, str):
        raise BadRefusal("the message of error is not a text")
    kind = _BY_CODE.get(error["code"], Forbidden)
    told = message or "the backend refuses it"
    return kind(printable(told[:MAX_MESSAGE], MAX_MESSAGE))


def readConnect(answer: dict[str, Any]) -> ConnectAnswer:
    """
    Read the answer to the question which client it is.

    @raise ValueError: If it is not allowed; the text says why.
    """
    given = answer.get("client")
    name = "" if given is None else checkClientName(given)
    granted = readGranted(answer, name)
    expires = _readExpires(answer.get("expires"))
    isNobody = not (name or granted != Granted())
    return ConnectAnswer(name, granted, expires, isNobody)


def readSubscribe(answer: dict[str, Any]) -> Allowed | None:
    """
    Read the answer to the question whether names may be read.

    @raise ValueError: If it is not allowed; the text says why.
    """
    since = answer.get("since")
    expires = _readExpires(answer.get("expires"))
    starts = since.items() if isinstance(since, dict) else [(None, since)]
    try:
        for name, start in starts:
            if name is not None:
                parseName(name)
            if start is not None:
                parseStartPosition(_readText("since", start))
    except CometError as error:
        raise ValueError(error.detail) from None
    return Allowed(since, expires)


def readPublish(answer: dict[str, Any]) -> Rewritten | None:
    """
    Read the answer to the question whether a message may be stored.  What it makes of the
    message is checked where it is used.

    @raise ValueError: If it is not allowed; the text says why.
    """
    event: Any = answer.get("event", UNCHANGED)
    if event is not UNCHANGED and event is not None:
        _readText("event", event)
    data: Any = _readData(answer) if "data" in answer else UNCHANGED
    if data is UNCHANGED and answer.get("encoding") is not None:
        raise ValueError("it has an encoding without data")
    return None if data is UNCHANGED and event is UNCHANGED else Rewritten(data, event)


def readCalled(answer: dict[str, Any]) -> Any:
    """
    Read the answer to a client's call.

    @return: A value of JSON, or bytes.

    @raise ValueError: If it is not allowed; the text says why.
    """
    return _readData(answer)


def _readData(answer: dict[str, Any]) -> Any:
    """
    Read the data of an answer, which an encoding may go with.
    """
    data, encoding = answer.get("data"), answer.get("encoding")
    try:
        return data if encoding is None else checkBase64(encoding, data)
    except BadMessage as error:
        raise ValueError(error.detail) from None


def _readText(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a text")
    return value


def _readExpires(value: object) -> float:
    if value is None:
        return DEFAULT_EXPIRES
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("expires is not a number of seconds")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError("expires is not a number of seconds from 0")
    return min(max(float(value), LEAST_EXPIRES), MOST_EXPIRES)
