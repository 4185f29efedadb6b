"""
Checks what a store gives back, as strictly as what a client sends.

The encoders copy the payload, event and channel of a L{Message} into pages,
events and envelopes, and trust them.  A bus whose store can be written by other
programs has to make each of its messages here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from secrets import token_hex
from typing import Any, Final, NamedTuple

from comet.errors import BadChannel, BadMessage
from comet.framing.publications import checkBase64
from comet.framing.strictjson import decode
from comet.model.channels import parseChannel, parseEvent
from comet.model.cursors import Cursor
from comet.model.messages import ExcludingMessage, Message
from comet.model.readerids import isReaderID

# The highest values that --max-message and --max-depth can have: a node with
# lower values reads what another has stored.
MOST_BYTES: Final = 1 << 26
MOST_LEVELS: Final = 256

# Redis counts in doubles, and so do the programs that read cursors.
MOST_POSITION: Final = 2**53

# 9999-12-31, in seconds since 1970.
_MOST_TIME: Final = 253402300799.0

# Stands before the id of the readers that are spared a message.
_EXCLUDE: Final = ";exclude="

_EPOCH: Final = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)

# No store can know it.  It has no digits, which would be checked as numbers are.
_MARK: Final = token_hex(16).translate(str.maketrans("0123456789", "ghijklmnop")).encode()

# What strictjson.encode never writes, and strictjson.decode accepts.
_NEVER_WRITTEN: Final = (b"<", b"\n", b"\r", b"\t", b"\xe2\x80\xa8", b"\xe2\x80\xa9")


class NotOurs(Exception):
    """
    A part of a stored message that comet has not written.

    @ivar field: The name of the part.

    @ivar fault: What is wrong with it.
    """

    def __init__(self, field: str, fault: str) -> None:
        super().__init__(f"{field}: {fault}")
        self.field = field
        self.fault = fault


class StoredMessage(NamedTuple):
    """
    What a store has of a message; any of it may be wrong.
    """

    channel: Any
    epoch: Any
    position: Any
    time: Any
    payload: Any
    event: Any = None
    encoding: Any = None


def checkStored(
    channel: Any,
    epoch: Any,
    position: Any,
    time: Any,
    payload: Any,
    event: Any = None,
    encoding: Any = None,
    isPayloadGood: bool = False,
) -> Message:
    """
    Make a message of what a store has of it.

    @param isPayloadGood: Whether the payload was checked, for a message without an
        encoding.

    @raise NotOurs: If a part could not come from a publisher of comet's.
    """
    checkStoredChannel(channel)
    checkStoredEpoch(epoch)
    checkStoredPosition(position)
    checkStoredTime(time)
    if event is not None:
        try:
            parseEvent(_text("event", event))
        except BadMessage as error:
            raise NotOurs("event", error.detail) from None
    exclude = None
    if encoding not in (None, "base64"):
        encoding, exclude = _splitMarks(encoding)
    if encoding is not None or not isPayloadGood:
        checkStoredPayload(payload, encoding)
    if exclude is not None:
        return ExcludingMessage(channel, epoch, position, time, payload, event, encoding, exclude)
    return Message(channel, epoch, position, time, payload, event, encoding)


def checkManyStored(stored: Sequence[StoredMessage]) -> tuple[list[Message], list[NotOurs]]:
    """
    Make messages of what a store has of them: as L{checkStored} does for each, in half of
    the time.

    @return: The messages, and what is wrong with those that are left out.
    """
    payloads = [each.payload for each in stored]
    isGood = {type(payload) for payload in payloads} == {bytes} and areStoredPayloads(payloads)
    messages, refused = [], []
    for each in stored:
        try:
            messages.append(checkStored(*each, isPayloadGood=isGood))
        except NotOurs as error:
            refused.append(error)
    return messages, refused


def joinMarks(encoding: str | None, exclude: str | None) -> str | None:
    """
    Join the encoding of a message and the id of the readers that are spared it into one
    text, as stores keep it.
    """
    return encoding if exclude is None else f"{encoding or ''}{_EXCLUDE}{exclude}"


def _splitMarks(marks: Any) -> tuple[str | None, str]:
    """
    Undo L{joinMarks}, where there is more than an encoding.

    @raise NotOurs: If comet cannot have written it.
    """
    encoding, separator, exclude = _text("encoding", marks).partition(_EXCLUDE)
    if encoding not in ("", "base64") or not separator or not isReaderID(exclude):
        raise NotOurs("encoding", f"{_shown(marks)} is not an encoding")
    return encoding or None, exclude


def checkStoredChannel(channel: Any) -> str:
    """
    Check the name of a channel, which a reader may not have asked for.

    @raise NotOurs: If no channel can have this name.
    """
    try:
        return parseChannel(_text("channel", channel))
    except BadChannel as error:
        raise NotOurs("channel", error.detail) from None


def checkStoredEpoch(epoch: Any) -> str:
    """
    Check the name of an epoch.

    @raise NotOurs: If no epoch can have this name.
    """
    if _EPOCH.fullmatch(_text("epoch", epoch)) is None:
        raise NotOurs("epoch", f"{_shown(epoch)} is not an epoch")
    checked: str = epoch
    return checked


def checkStoredEnd(epoch: Any, position: Any) -> Cursor:
    """
    Check where a log ends.

    @raise NotOurs: If no log can end there, or no position could follow.
    """
    if type(position) is not int or not 0 <= position < MOST_POSITION:
        raise NotOurs("end", f"{_shown(position)} is not the end of a log")
    return Cursor(checkStoredEpoch(epoch), position)


def checkStoredPosition(position: Any) -> int:
    """
    Check the position of a message.

    @raise NotOurs: If no message can have this position.
    """
    if type(position) is not int or not 1 <= position <= MOST_POSITION:
        raise NotOurs("position", f"{_shown(position)} is not a position")
    return position


def checkStoredTime(time: Any) -> float:
    """
    Check a time, in seconds since 1970.

    @raise NotOurs: If it is none.
    """
    # A comparison with nan is false.
    if type(time) not in (float, int) or not 0 <= time <= _MOST_TIME:
        raise NotOurs("time", f"{_shown(time)} is not a time")
    return float(time)


def checkStoredPayload(payload: Any, encoding: str | None = None) -> bytes:
    """
    Check data as JSON.

    @raise NotOurs: If L{comet.framing.strictjson.encode} cannot have written it, or
        it does not fit the encoding.
    """
    if type(payload) is not bytes:
        raise NotOurs("payload", f"it is a {type(payload).__name__} and not bytes")
    if len(payload) > MOST_BYTES:
        raise NotOurs("payload", f"it has {len(payload)} bytes; {MOST_BYTES} are allowed")
    isForeign = b" " in (payload[:1], payload[-1:])
    # Each worker checks each message: a generator would take twice as long.
    for part in _NEVER_WRITTEN:
        isForeign = isForeign or part in payload
    if isForeign:
        raise NotOurs("payload", f"{payload[:64]!r} has a character that is always escaped")
    try:
        value = decode(payload, MOST_LEVELS)
        if encoding is not None:
            checkBase64(encoding, value)
    except BadMessage as error:
        raise NotOurs("payload", error.detail) from None
    checked: bytes = payload
    return checked


def areStoredPayloads(payloads: Sequence[bytes]) -> bool:
    """
    Check many data at once, in a fraction of the time.

    @return: L{True} if L{checkStoredPayload} takes each of them.  If not, it may take
        each of them all the same.
    """
    between = b',"%b",' % _MARK
    joined = between.join(payloads)
    if len(joined) > MOST_BYTES or any(part in joined for part in _NEVER_WRITTEN):
        return False
    if b" " in (joined[:1], joined[-1:]) or between + b" " in joined or b" " + between in joined:
        return False
    try:
        values = decode(b"[%b]" % joined, MOST_LEVELS)
    except BadMessage:
        return False
    # Each mark stands outside of all strings, lists and objects, so each text between
    # two of them is one value.
    marks = values[1::2]
    isWhole = len(values) == max(0, 2 * len(payloads) - 1)
    return isWhole and marks.count(_MARK.decode()) == len(marks)


def _text(field: str, value: Any) -> str:
    if type(value) is not str:
        raise NotOurs(field, f"{_shown(value)} is not a text")
    return value


def _shown(value: object) -> str:
    return f"{value!r:.64}" if isinstance(value, (int, float, str, bytes)) else type(value).__name__
