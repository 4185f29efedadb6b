"""
What the server sends, checked: messages, gaps and the end, in envelopes and poll bodies; and
members.
"""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from comet.client.failures import LONGEST_RETRY, MAX_DEPTH, BadAnswer, Ended
from comet.errors import CometError
from comet.framing.strictjson import decode
from comet.model.cursors import Cursor, parseCursor


@frozen
class Message:
    """
    A message.

    @ivar channel: The channel that it was published to.

    @ivar cursor: Its place in the log, for use as C{since}.

    @ivar data: A value of JSON, or L{bytes}.

    @ivar event: The name of its event, or L{None}.

    @ivar time: When it was stored, in seconds since 1970.

    @ivar replay: Whether it is older than the place of other names of the subscription.
    """

    channel: str
    cursor: str
    data: Any
    event: str | None = None
    time: float | None = None
    replay: bool = False


@frozen
class Gap:
    """
    A place at which messages are lost.  The messages that are still held follow.

    @ivar cursor: Where the reader stands.

    @ivar names: The channels and patterns that lost messages, as they were subscribed to.
    """

    cursor: str
    names: tuple[str, ...]


@frozen
class Member:
    """
    A client that is in a channel.

    @ivar client: Its name.

    @ivar info: What its token or the backend shows of it, or L{None}.

    @ivar since: When it came, in seconds since 1970.
    """

    client: str
    info: Any = None
    since: float | None = None


@frozen
class Presence:
    """
    Who is in a channel.

    @ivar cursor: When this was true: a place in the log, for use as C{since} with the channel
        C{$presence/NAME}.

    @ivar count: How many members there are, also those that are not listed.

    @ivar anonymous: How many readers have no name.

    @ivar members: In the order of their coming, 1,000 at most.

    @ivar more: Whether there are others.
    """

    cursor: str
    count: int
    anonymous: int
    members: tuple[Member, ...]
    more: bool = False


@frozen
class History:
    """
    Messages from before a cursor.

    @ivar messages: In the order in which they were stored.

    @ivar more: Whether the server holds older ones.

    @ivar gap: Whether older ones are gone.
    """

    messages: tuple[Message, ...]
    more: bool = False
    gap: bool = False


@frozen
class Closing:
    """
    Why the server ends a connection.

    @ivar retry: After how many seconds to come back, or L{None} for never.
    """

    code: str
    message: str
    retry: float | None


@frozen
class Envelope:
    """
    One envelope or poll body: where the reader stands, and what else it says.

    @ivar messages: The messages, each with its cursor.

    @ivar gap: The names that lost messages.

    @ivar ended: The names that bring nothing more.

    @ivar endedCode: Why they do not.

    @ivar isBody: Whether it is a poll body.

    @ivar more: Whether a limit has cut a poll body short.
    """

    cursor: Cursor
    messages: tuple[tuple[Cursor, Message], ...] = ()
    gap: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    endedCode: str = ""
    close: Closing | None = field(default=None)
    isBody: bool = False
    more: bool = False


def readEnvelope(raw: bytes) -> Envelope:
    """
    Read an envelope.

    @raise BadAnswer: If it is none.
    """
    value = readObject(raw)
    cursor = _cursor(value)
    if "channel" in value:
        return Envelope(cursor, ((cursor, _message(value)),))
    return _standing(value, cursor, ())


def readOK(value: Any) -> Envelope:
    """
    Read the answer to the command that subscribes.

    @return: Where the reader stands before any message, and perhaps a gap.

    @raise BadAnswer: If it is none.
    """
    if not isinstance(value, dict):
        raise BadAnswer("the answer to a command is not an object")
    return _standing(value, _cursor(value), ())


class EnvelopeReader:
    """
    Reads envelopes one after the other.
    """

    def __init__(self) -> None:
        self._failure: BadAnswer | None = None

    def check(self) -> None:
        """
        Raise what was wrong behind the last envelopes that were read.

        @raise BadAnswer: If something was.
        """
        if self._failure is not None:
            raise self._failure

    def read(self, texts: Iterable[bytes]) -> list[Envelope]:
        """
        Read envelopes, up to the first text that is none.

        @raise BadAnswer: If there is none before it.  Else L{check} raises it.
        """
        envelopes: list[Envelope] = []
        for text in texts:
            try:
                envelopes.append(readEnvelope(text))
            except BadAnswer as error:
                if not envelopes:
                    raise
                self._failure = error
                break
        return envelopes


def readPollBody(raw: bytes) -> Envelope:
    """
    Read the body of a poll.

    @raise BadAnswer: If it is none.
    """
    value = readObject(raw)
    items = value.get("messages")
    if not isinstance(items, list):
        raise BadAnswer(f"{raw[:64]!r} is not the body of a poll")
    messages = []
    for each in items:
        if not isinstance(each, dict):
            raise BadAnswer("a message in the body of a poll is not an object")
        messages.append((_cursor(each), _message(each)))
    return _standing(value, _cursor(value), tuple(messages), isBody=True)


def readHistory(raw: bytes) -> History:
    """
    Read the answer that brings messages from before a cursor.

    @raise BadAnswer: If it is none.

    @raise Ended: If the server has closed the reader instead.
    """
    body = readPollBody(raw)
    if body.close is not None:
        raise Ended(body.close.code, body.close.message, ())
    messages = tuple(message for _, message in body.messages)
    return History(messages, body.more, bool(body.gap))


def readPresence(raw: bytes) -> Presence:
    """
    Read the answer that lists the members of a channel.

    @raise BadAnswer: If it is none.
    """
    value = readObject(raw)
    members = []
    for each in _list(value, "members"):
        if not isinstance(each, dict) or not isinstance(each.get("client"), str):
            raise BadAnswer("a member has no name")
        since = each.get("since")
        members.append(Member(each["client"], each.get("info"), _number(since)))
    counts = [value.get(name, 0) for name in ("count", "anonymous")]
    if not all(isinstance(each, int) for each in counts):
        raise BadAnswer("the count of members is not a number")
    text = str(_cursor(value))
    return Presence(text, counts[0], counts[1], tuple(members), value.get("more") is True)


def readObject(raw: bytes) -> dict[str, Any]:
    """
    Read a JSON object.

    @raise BadAnswer: If it is none.
    """
    try:
        value = decode(raw, MAX_DEPTH)
    except CometError as error:
        raise BadAnswer(error.detail) from None
    if not isinstance(value, dict):
        raise BadAnswer(f"{raw[:64]!r} is not a JSON object")
    return value


def _standing(
    value: dict[str, Any],
    cursor: Cursor,
    messages: tuple[tuple[Cursor, Message], ...],
    isBody: bool = False,
) -> Envelope:
    close = value.get("close")
    ended = value.get("ended", {})
    if not isinstance(ended, dict):
        raise BadAnswer("'ended' is not an object")
    code = ended.get("code", "")
    if not isinstance(code, str):
        raise BadAnswer("the code of 'ended' is not a string")
    return Envelope(
        cursor,
        messages,
        gap=_names(value, "gap"),
        ended=_names(ended, "names"),
        endedCode=code,
        close=None if close is None else _closing(close),
        isBody=isBody,
        more=value.get("more") is True,
    )


def _cursor(value: dict[str, Any]) -> Cursor:
    text = value.get("cursor")
    if not isinstance(text, str):
        raise BadAnswer("there is no cursor")
    try:
        return parseCursor(text)
    except CometError as error:
        raise BadAnswer(error.detail) from None


def _message(value: dict[str, Any]) -> Message:
    channel, event, encoding = value.get("channel"), value.get("event"), value.get("encoding")
    if not isinstance(channel, str) or "data" not in value:
        raise BadAnswer("a message has no channel or no data")
    if not (event is None or isinstance(event, str)):
        raise BadAnswer("the event of a message is not a string")
    data = value["data"]
    if encoding is not None:
        data = _bytes(encoding, data)
    time = _number(value.get("time"))
    return Message(channel, value["cursor"], data, event, time, value.get("replay") is True)


def _bytes(encoding: Any, data: Any) -> bytes:
    if encoding != "base64" or not isinstance(data, str):
        raise BadAnswer("the data of a message has an unknown encoding")
    try:
        return b64decode(data, validate=True)
    except ValueError:
        raise BadAnswer("the data of a message is not base64") from None


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadAnswer("a time is not a number")
    return float(value)


def _names(value: dict[str, Any], key: str) -> tuple[str, ...]:
    names = _list(value, key)
    if not all(isinstance(each, str) for each in names):
        raise BadAnswer(f"{key!r} is not a list of names")
    return tuple(names)


def _list(value: dict[str, Any], key: str) -> list[Any]:
    items = value.get(key, [])
    if not isinstance(items, list):
        raise BadAnswer(f"{key!r} is not a list")
    return items


def _closing(value: Any) -> Closing:
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        raise BadAnswer("'close' has no code")
    message, retry = value.get("message", ""), _number(value.get("retry"))
    if not isinstance(message, str):
        raise BadAnswer("the message of 'close' is not a string")
    if retry is not None:
        # strictjson lets no other than finite numbers through; this one is only for the reader.
        retry = min(max(retry, 0.0), LONGEST_RETRY) if math.isfinite(retry) else LONGEST_RETRY
    return Closing(value["code"], message, retry)
