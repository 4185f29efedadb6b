"""
Strict parsers of what a reader hears: envelopes, poll bodies and event streams;
and a check of the order in which events may come.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from attrs import frozen

from tests.edge.connections import Violation

CODES: Final = frozenset(
    "draining expired revoked forbidden lagging tooMany unavailable internal".split()
)

_CURSOR = re.compile(r"([A-Za-z0-9]+)-(0|[1-9][0-9]*)")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ORDER: Final = ("channel", "cursor", "time", "event", "encoding", "replay", "data")


class Cursor(NamedTuple):
    """
    A cursor, taken apart to check what the server promises of its parts.
    """

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"


def readCursor(value: object) -> Cursor:
    """
    Read a cursor.
    """
    found = _CURSOR.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Violation(f"not a cursor: {value!r}")
    return Cursor(found[1], int(found[2]))


@frozen
class Message:
    """
    A message.  Where an C{sse} event does not name the channel, it is the one
    channel that the client has asked for.
    """

    channel: str
    cursor: Cursor
    data: Any
    event: str | None = None
    encoding: str | None = None
    replay: bool = False
    time: float | None = None


@frozen
class BareCursor:
    """
    A cursor without a message: at the start, in a heartbeat, at the end of a
    replay, at the end of a poll.
    """

    cursor: Cursor


@frozen
class Gap:
    """
    Names that lost messages.

    @ivar cursor: The cursor of the reader; L{None} in a poll body, which has
        one cursor only, at its end.
    """

    cursor: Cursor | None
    names: tuple[str, ...]


@frozen
class Close:
    """
    The close by which the server dismisses the reader.
    """

    cursor: Cursor | None
    code: str
    message: str
    retry: float | None


Event = Message | BareCursor | Gap | Close


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Violation(f"a key came twice: {[key for key, _ in pairs]}")
    return found


def _constant(name: str) -> None:
    raise Violation(f"{name} is not JSON")


def readJson(raw: bytes | str) -> Any:
    """
    Read strict JSON that has no spaces between its tokens.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except ValueError as error:
        raise Violation(f"not JSON: {raw[:200]!r}: {error}") from error
    if any(character in text for character in "<\u2028\u2029"):
        raise Violation(f"a character that must be escaped is not: {text[:200]!r}")
    if " " in text or "\n" in text or "\t" in text or "\r" in text:
        if re.search(r"\s", _STRING.sub('""', text)):
            raise Violation(f"a space between tokens: {text[:200]!r}")
    return value


def readAnswer(body: bytes) -> Any:
    """
    Read the body of a JSON response, which is one line.
    """
    if not body.endswith(b"\n"):
        raise Violation(f"no line end: {body[-200:]!r}")
    return readJson(body[:-1])


def readClose(value: object) -> tuple[str, str, float | None]:
    """
    Read the value of C{close}.
    """
    if not isinstance(value, dict) or list(value) != ["code", "message", "retry"]:
        raise Violation(f"not a close: {value!r}")
    retry = value["retry"]
    if value["code"] not in CODES or not isinstance(value["message"], str):
        raise Violation(f"not a close: {value!r}")
    if retry is not None and (isinstance(retry, bool) or not isinstance(retry, (int, float))):
        raise Violation(f"not a retry: {value!r}")
    if retry is not None and retry < 0:
        raise Violation(f"a retry in the past: {value!r}")
    return value["code"], value["message"], retry


def readNames(value: object) -> tuple[str, ...]:
    """
    Read the value of C{gap}.
    """
    if not isinstance(value, list) or not value:
        raise Violation(f"not the names of a gap: {value!r}")
    if not all(isinstance(name, str) for name in value) or len(set(value)) != len(value):
        raise Violation(f"not the names of a gap: {value!r}")
    return tuple(value)


def eventOf(value: object) -> Event:
    """
    Read an envelope.
    """
    if not isinstance(value, dict):
        raise Violation(f"an envelope is an object: {value!r}")
    keys = list(value)
    if keys == ["cursor"]:
        return BareCursor(readCursor(value["cursor"]))
    if keys == ["cursor", "gap"]:
        return Gap(readCursor(value["cursor"]), readNames(value["gap"]))
    if keys == ["cursor", "close"]:
        return Close(readCursor(value["cursor"]), *readClose(value["close"]))
    return _messageOf(value)


def _messageOf(value: dict[str, Any]) -> Message:
    keys = list(value)
    if keys != [key for key in _ORDER if key in value] or "data" not in value:
        raise Violation(f"not the keys of an envelope: {keys}")
    if not isinstance(value.get("channel"), str):
        raise Violation(f"an envelope has a channel: {keys}")
    if value.get("replay", True) is not True:
        raise Violation(f"replay is true or absent: {value['replay']!r}")
    if value.get("encoding", "base64") != "base64":
        raise Violation(f"an unknown encoding: {value['encoding']!r}")
    time = value.get("time", 0.0)
    if isinstance(time, bool) or not isinstance(time, (int, float)):
        raise Violation(f"not a time: {time!r}")
    return Message(
        value["channel"],
        readCursor(value.get("cursor")),
        value["data"],
        event=value.get("event"),
        encoding=value.get("encoding"),
        replay="replay" in value,
        time=value.get("time"),
    )


class PollBody(NamedTuple):
    """
    The body of a poll, as events in their order.
    """

    cursor: Cursor
    events: list[Event]
    more: bool


def readPollBody(raw: bytes) -> PollBody:
    """
    Read the body of a poll.
    """
    value = readAnswer(raw)
    if not isinstance(value, dict) or list(value)[:2] != ["cursor", "messages"]:
        raise Violation(f"not a poll body: {raw[:200]!r}")
    if set(value) - {"cursor", "messages", "gap", "more", "close"}:
        raise Violation(f"unknown keys in a poll body: {list(value)}")
    if value.get("more", True) is not True:
        raise Violation("more is true or absent")
    cursor = readCursor(value["cursor"])
    events: list[Event] = []
    if "gap" in value:
        events.append(Gap(None, readNames(value["gap"])))
    events += [_messageOf(item) for item in value["messages"]]
    events.append(BareCursor(cursor))
    if "close" in value:
        events.append(Close(None, *readClose(value["close"])))
    return PollBody(cursor, events, "more" in value)


class Block(NamedTuple):
    """
    One event of an event stream.

    @ivar data: The data; L{None} if there was no C{data} field.

    @ivar ident: The last event ID from here on.
    """

    event: str
    data: str | None
    ident: str
    retry: int | None


class EventStream:
    """
    The parser of U{WHATWG HTML<https://html.spec.whatwg.org/>}, section
    "Interpreting an event stream", but strict: it raises L{Violation} where the
    standard says to ignore something.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._pending = ""
        self._fields: list[tuple[str, str]] = []
        self._ident = ""

    def feed(self, data: bytes) -> list[Block]:
        """
        Take bytes, and return the events that they complete.
        """
        text = self._pending + self._decoder.decode(data)
        # A CR at the end may be the first half of a CR LF.
        held = "\r" if text.endswith("\r") else ""
        lines = re.split(r"\r\n|\r|\n", text[: len(text) - len(held)])
        self._pending = lines.pop() + held
        blocks = []
        for line in lines:
            if line:
                self._field(line)
            elif self._fields:
                blocks.append(self._dispatch())
            else:
                raise Violation("an empty line too many")
        return blocks

    def _field(self, line: str) -> None:
        name, colon, value = line.partition(":")
        if not name:
            return
        if name not in ("id", "event", "data", "retry") or not colon:
            raise Violation(f"not a field of an event stream: {line[:100]!r}")
        self._fields.append((name, value.removeprefix(" ")))

    def _dispatch(self) -> Block:
        fields, self._fields = self._fields, []
        single: dict[str, str] = {}
        lines = []
        for name, value in fields:
            if name == "data":
                lines.append(value)
            elif name in single:
                raise Violation(f"{name} came twice in an event")
            else:
                single[name] = value
        if "\0" in single.get("id", "") or not single.get("retry", "0").isdigit():
            raise Violation(f"a field to be ignored: {single!r}")
        self._ident = single.get("id", self._ident)
        retry = int(single["retry"]) if "retry" in single else None
        data = "\n".join(lines) if lines else None
        return Block(single.get("event", ""), data, self._ident, retry)


class Follower:
    """
    The cursor of a reader, and a check of the order of its events.

    @ivar cursor: The cursor with which the client would resume.
    """

    def __init__(self, since: str | None, loose: bool = False) -> None:
        """
        @param loose: Whether positions may go back without a mark, as in a
            plain C{sse} replay.
        """
        found = _CURSOR.fullmatch(since or "")
        self.cursor: Cursor | None = readCursor(since) if found else None
        self._replayed = -1
        self._loose = loose

    def take(self, event: Event) -> None:
        """
        Check that an event may come now, and adopt its cursor.
        """
        if isinstance(event, Message):
            self._message(event)
        elif isinstance(event, Gap):
            self._gap(event)
        elif isinstance(event, BareCursor):
            self._step(event.cursor, 0)
            self._replayed = -1

    def _message(self, event: Message) -> None:
        if not event.replay:
            self._step(event.cursor, 1)
            return
        current = self.cursor
        if current is not None and event.cursor > current:
            raise Violation(f"a replay of {event.cursor} beyond {current}")
        if event.cursor.position <= self._replayed:
            raise Violation(f"a replay of {event.cursor} after {self._replayed}")
        self._replayed = event.cursor.position

    def _gap(self, event: Gap) -> None:
        self.cursor = event.cursor

    def _step(self, cursor: Cursor, least: int) -> None:
        current = self.cursor
        self.cursor = cursor
        if current is None or self._loose:
            return
        if cursor.epoch != current.epoch:
            raise Violation(f"another epoch without a gap: {cursor} after {current}")
        if cursor.position < current.position + least:
            raise Violation(f"out of order: {cursor} after {current}")


def problemOf(status: int, headers: Mapping[str, str], body: bytes) -> str:
    """
    Read the code of a problem document (RFC 9457, section 3.1).
    """
    if headers.get("content-type") != "application/problem+json":
        raise Violation(f"{status} is not a problem: {dict(headers)} {body[:200]!r}")
    value = readAnswer(body)
    if not isinstance(value, dict) or set(value) != {"type", "title", "status", "detail", "code"}:
        raise Violation(f"not a problem: {value!r}")
    if value["type"] != "about:blank" or value["status"] != status:
        raise Violation(f"not a problem of status {status}: {value!r}")
    if not value["title"] or not value["detail"] or "Traceback" in body.decode():
        raise Violation(f"not a problem to be read by people: {value!r}")
    code = value["code"]
    if not isinstance(code, str):
        raise Violation(f"not a code: {code!r}")
    return code
