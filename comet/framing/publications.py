"""
Reads what a publisher sends, in the body of a request, a line of a batch, a
command or as a Python value, into the L{Publication} that is stored.

Size, form and count are checked here.  Rights are not: the hub checks them for
the publication afterwards.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from reprlib import Repr
from typing import Any, Final

from attrs import evolve, frozen

from comet.errors import BadChannel, BadMessage, BadRequest, TooLarge
from comet.framing.contenttypes import parseContentType
from comet.framing.jsonoutline import isBareLarger
from comet.framing.strictjson import decode, encode, encodeRawText, encodeText
from comet.model.channels import parseChannel, parseEvent
from comet.model.messages import Publication
from comet.model.readerids import checkReaderID

_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_BASE64: Final = "base64"

# What a message may have beside its channel and its data.
_FURTHER: Final = frozenset({"event", "encoding", "key", "exclude"})

_KEY = re.compile(r"[\x20-\x7e]{1,128}")

_brief = Repr()
_brief.maxlevel = 2


@frozen
class Limits:
    """
    Limits of one request or command of a publisher.

    @ivar maxMessage: The size of the data of one message in bytes: of a string in UTF-8,
        of bytes as they are, and of any other value as
        L{encode<comet.framing.strictjson.encode>} counts them.

    @ivar maxDepth: How many levels of arrays and objects the data of a message
        may have.

    @ivar maxBatch: How many lines a batch may have.

    @ivar maxChannels: How many channels a publication may have, and how many
        names a command.
    """

    maxMessage: int = 65536
    maxDepth: int = 64
    maxBatch: int = 1000
    maxChannels: int = 100

    @property
    def maxBatchBytes(self) -> int:
        """
        The size of a whole batch in bytes.
        """
        return 64 * self.maxMessage

    @property
    def maxLineBytes(self) -> int:
        """
        The size of the first line of a request in bytes: room for as many names
        as are allowed, each percent-encoded, with a start position of its own.
        """
        return 8192 + 1600 * self.maxChannels

    @property
    def maxCommandBytes(self) -> int:
        """
        The size of a command, or of a line of a batch, in bytes: room for a
        message in which every byte is escaped, and for the fields around it.
        """
        return 6 * self.maxMessage + 4096

    @property
    def maxBareBytes(self) -> int:
        """
        How many bytes a command, or a line of a batch, may have outside of its strings:
        room for the data of a message, which have no escapes there, for all names with a
        start position each, and for the other fields.
        """
        return self.maxMessage + 10 * self.maxChannels + 4096


def shown(value: Any) -> str:
    """
    Shorten a value for the detail of an error, to at most 64 characters.
    """
    return (repr(value[:64]) if isinstance(value, str) else _brief.repr(value))[:64]


def checkKey(key: Any) -> str:
    """
    Check an idempotency key.

    @raise BadRequest: If the key is not a string of 1 to 128 printable ASCII
        characters.
    """
    if not isinstance(key, str) or _KEY.fullmatch(key) is None:
        raise BadRequest(
            f"{shown(key)} is not an idempotency key; 1 to 128 printable ASCII characters are"
        )
    return key


def readBody(
    channels: Sequence[str],
    contentType: str | None,
    body: bytes,
    limits: Limits,
    event: str | None = None,
    key: str | None = None,
    publisher: str = "",
    exclude: str | None = None,
) -> Publication:
    """
    Read the body of a request that publishes one message.

    The media type decides how the body is read.  C{application/json} and types
    that end with C{+json} are a JSON value.  C{text/*}, a form, and a body
    without a type are text in UTF-8.  Any other body is bytes, whatever its
    charset.

    @param channels: The decoded names in the path; one that is there twice
        counts once.

    @param contentType: The value of C{Content-Type}, or L{None}.

    @param event: The name of the event, not yet checked.

    @param key: The idempotency key, not yet checked.

    @param exclude: The id of the readers that are spared the message, not yet checked.

    @raise TooLarge: If the body, or its JSON, has more bytes than the limit.

    @raise BadChannel: If one of the names is not the name of a channel.

    @raise BadRequest: If there is no channel, if there are too many, or if the
        key, the id or the content type is not valid.

    @raise Unsupported: If the body is text in another charset than UTF-8.

    @raise BadMessage: If the body is not what its type says, or the name of the
        event is not valid.
    """
    _checkSize(len(body), limits.maxMessage)
    reader = PublicationReader(contentType, limits, event, key, exclude)
    return reader.read(checkChannels(channels, limits), body, publisher)


class PublicationReader:
    """
    Reads the bodies of requests that publish one message each, and have all but the
    body and the channels in common: that is checked once.  The parameters, and the
    errors, are those of L{readBody}.
    """

    __slots__ = (
        *("_event", "_exclude", "_isJSON", "_isText", "_key"),
        *("_maxDepth", "_maxMessage"),
    )

    def __init__(
        self,
        contentType: str | None,
        limits: Limits,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> None:
        parsed = parseContentType(contentType or "")
        kind = parsed.mediaType
        # RFC 6839 3.1: a type that ends in "+json" can be read as JSON.
        self._isJSON = kind == "application/json" or kind.endswith("+json")
        self._isText = kind in ("", _FORM_TYPE) or kind.startswith("text/")
        if self._isJSON or self._isText:
            parsed.checkCharset()
        self._event = None if event is None else parseEvent(event)
        self._key = None if key is None else checkKey(key)
        self._exclude = None if exclude is None else checkReaderID(exclude)
        self._maxMessage = limits.maxMessage
        self._maxDepth = limits.maxDepth

    def read(self, channels: tuple[str, ...], body: bytes, publisher: str = "") -> Publication:
        """
        Read one body.

        @param channels: As L{checkChannels} returns them.

        @raise TooLarge: If it, or its JSON, has more bytes than the limit.

        @raise BadMessage: If it is not what its type says.
        """
        most, encoding = self._maxMessage, None
        if len(body) > most:
            _checkSize(len(body), most)
        # The size of text and of bytes is that of their body, or less.
        if self._isText:
            try:
                payload = encodeRawText(body)
            except UnicodeDecodeError as error:
                raise _notText(body, error) from None
        elif self._isJSON:
            value = decode(body, self._maxDepth)
            payload = encode(value, self._maxDepth, isDecoded=True, most=most)
        else:
            payload, encoding = b'"' + b64encode(body) + b'"', _BASE64
        return Publication(
            channels, payload, self._event, encoding, publisher, self._key, self._exclude
        )


def readObject(
    fields: Mapping[str, Any], limits: Limits, publisher: str = "", channelKey: str = "channel"
) -> Publication:
    """
    Read a message from an object with the keys C{channel} and C{data}, and
    perhaps C{event}, C{encoding}, C{key} and C{exclude}.  Other keys are ignored.  C{null}
    is a value, not the absence of one.

    @param channelKey: The key that stands for the channel.

    @raise BadMessage: If C{channel} or C{data} is missing, or the data, the
        event or the encoding is not valid.

    @raise BadChannel: If C{channel} is not the name of one channel.

    @raise BadRequest: If the key, or the id to exclude, is not valid.

    @raise TooLarge: If the data has more bytes than the limit.
    """
    try:
        channel, value = fields[channelKey], fields["data"]
    except KeyError as missing:
        raise BadMessage(
            f"{missing.args[0]!r} is missing; a message needs 'channel' and 'data'"
        ) from None
    if not isinstance(channel, str):
        raise BadChannel(f"{shown(channel)} is not the name of a channel: it is not a string")
    # Most messages have nothing else.
    if _FURTHER.isdisjoint(fields):
        return fromValue(channel, value, limits, None, None, publisher, isDecoded=True)
    event = fields.get("event")
    if "event" in fields and not isinstance(event, str):
        raise BadMessage(f"{shown(event)} is not the name of an event: it is not a string")
    key = checkKey(fields["key"]) if "key" in fields else None
    if "encoding" in fields:
        value = checkBase64(fields["encoding"], value)
    made = fromValue(channel, value, limits, event, key, publisher, isDecoded=True)
    return evolve(made, exclude=checkReaderID(fields["exclude"])) if "exclude" in fields else made


def fromValue(
    channels: str | Sequence[str],
    value: Any,
    limits: Limits,
    event: str | None = None,
    key: str | None = None,
    publisher: str = "",
    isDecoded: bool = False,
) -> Publication:
    """
    Make a publication from a Python value.

    @param channels: The names, or one name.

    @param value: Bytes, which are sent as base64, or a value that JSON has.

    @param isDecoded: Whether the value was read from JSON: see L{encode}.

    @raise BadChannel: If one of the names is not the name of a channel.

    @raise BadRequest: If there is no channel, if there are too many, or if the
        key is not valid.

    @raise BadMessage: If JSON does not have the value, or the name of the event
        is not valid.

    @raise TooLarge: If it has more bytes than L{Limits.maxMessage}.
    """
    # Most messages have one channel.
    isOne = isinstance(channels, str)
    names = (parseChannel(channels),) if isOne else checkChannels(channels, limits)
    if event is not None:
        event = parseEvent(event)
    if key is not None:
        key = checkKey(key)
    encoding = None
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value)
        _checkSize(len(value), limits.maxMessage)
        payload = b'"' + b64encode(value) + b'"'
        encoding = _BASE64
    elif isinstance(value, str):
        payload = encodeText(value, limits.maxMessage)
    else:
        payload = encode(value, limits.maxDepth, isDecoded, limits.maxMessage)
    return Publication(names, payload, event, encoding, publisher, key)


def _checkSize(size: int, most: int) -> None:
    if size > most:
        raise TooLarge(f"the message has {size} bytes; at most {most} are allowed")


def decodeFields(text: bytes, limits: Limits, maxDepth: int) -> Any:
    """
    Decode a command, or a line of a batch.

    Its size has room for escapes.  There are none outside of strings, where a byte takes up
    to a hundred times as long to decode: there it has as many as a message, and few more.

    @return: What it stands for, perhaps no object.

    @raise TooLarge: If it has more bytes outside of its strings than
        L{Limits.maxBareBytes}.

    @raise BadMessage: As L{decode} does.
    """
    if isBareLarger(text, limits.maxBareBytes):
        raise TooLarge(
            f"it has more than {limits.maxBareBytes} bytes outside of strings, the most that "
            "are allowed"
        )
    return decode(text, maxDepth)


def checkChannels(channels: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """
    Check the names to which a message is to be published.

    @return: Each once.

    @raise BadChannel: If one of them is not the name of a channel.

    @raise BadRequest: If there is none, or there are too many.
    """
    # Each name is parsed once, and none is if there are too many.
    names = dict.fromkeys(channels)
    if not 1 <= len(names) <= limits.maxChannels:
        raise BadRequest(f"{len(names)} channels were named; 1 to {limits.maxChannels} are allowed")
    return tuple(map(parseChannel, names))


def _notText(body: bytes, error: UnicodeDecodeError) -> BadMessage:
    """
    Return the error for a body that is to be text and cannot be decoded.
    """
    return BadMessage(
        f"{shown(body[error.start : error.end])} at byte {error.start} is not UTF-8; "
        "bytes are published with a content type such as application/octet-stream"
    )


def checkBase64(encoding: Any, data: Any) -> bytes:
    """
    Decode data that stand for bytes.

    @raise BadMessage: If the encoding is not known, or the data are not in it.
    """
    if encoding != _BASE64:
        raise BadMessage(f"{shown(encoding)} is not an encoding; the only one is 'base64'")
    if not isinstance(data, str):
        raise BadMessage(f"{shown(data)} is not base64: it is not a string")
    try:
        decoded = b64decode(data, validate=True)
    except ValueError:
        decoded = b""
    # RFC 4648 3.3, 3.5: no characters outside of the alphabet, and padding bits
    # are zero, so that the same bytes always have the same text.
    if b64encode(decoded).decode("ascii") != data:
        raise BadMessage(
            f"{shown(data)} is not base64: A-Z, a-z, 0-9, '+' and '/', padded with '='"
        )
    return decoded
