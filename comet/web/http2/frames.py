"""
The frames of a client of HTTP/2, cut and checked before h2 gets them.

What can be told from the frames alone is checked here: lengths, and the order of
frames.  Faults of a connection are raised; a fault of one stream comes as a frame
with C{fault}.  Settings that h2 does not know are left out, since it would keep
each of them for as long as the connection lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from attrs import define
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

# RFC 9113 3.4: what a client sends first.
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

# RFC 9113 4.2: bytes of the largest frame, without its head, unless the settings
# say otherwise.
MOST_FRAME: Final = 16384

# RFC 9113 4.1: bytes of the head of a frame.  Its length does not count them.
_HEAD: Final = 9

# RFC 9113 6.5.1: bytes of one setting, of which the first two are its name.
_SETTING: Final = 6
_KNOWN_SETTINGS: Final = frozenset(code.to_bytes(2, "big") for code in SettingCodes)

_END_STREAM: Final = 0x1
_ACK: Final = 0x1
_END_HEADERS: Final = 0x4
_PADDED: Final = 0x8
_PRIORITY: Final = 0x20


class Kind(IntEnum):
    """
    The types of frames, RFC 9113 6.
    """

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9


class ConnectionFault(Exception):
    """
    A fault that ends the connection, RFC 9113 5.4.1.

    @ivar code: The code for the client.
    """

    def __init__(self, code: ErrorCodes, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@define
class Frame:
    """
    A frame of a client.

    @ivar kind: Its type, or L{None} if it is one that servers ignore.

    @ivar flags: Its flags.

    @ivar ident: The number of its stream, or 0 for the connection.

    @ivar body: What follows the head; empty if the frame is too long.

    @ivar size: The length in bytes that the head declares for the body.

    @ivar fault: The code of the stream error that the frame is, RFC 9113 5.4.2,
        or L{None}.

    @ivar ignored: How many of its settings were left out.
    """

    kind: Kind | None
    flags: int
    ident: int
    body: bytes
    size: int
    fault: ErrorCodes | None = None
    ignored: int = 0

    @property
    def name(self) -> str:
        """
        The name of its type, for the log.
        """
        return "a frame" if self.kind is None else self.kind.name

    @property
    def hasData(self) -> bool:
        """
        Whether a frame of DATA has bytes that are no padding.
        """
        if self.flags & _PADDED and self.body:
            return self.size > 1 + self.body[0]
        return self.size > 0

    @property
    def isBlockEnd(self) -> bool:
        """
        Whether a frame of HEADERS or CONTINUATION is the last of its field block.
        """
        return bool(self.flags & _END_HEADERS)

    @property
    def isEnd(self) -> bool:
        """
        Whether a frame of DATA or HEADERS is the last of its stream, but for
        frames of CONTINUATION.
        """
        return bool(self.flags & _END_STREAM)

    def end(self) -> None:
        """
        Make a frame of DATA or HEADERS the last of its stream.
        """
        self.flags |= _END_STREAM

    def encode(self) -> bytes:
        """
        Return the bytes of the frame.
        """
        assert self.kind is not None, "frames of types that are ignored are not encoded"
        head = self.size.to_bytes(3, "big") + bytes((self.kind, self.flags))
        return head + self.ident.to_bytes(4, "big") + self.body


class FrameReader:
    """
    Cuts the bytes of a client into frames.  It keeps one frame at most.
    """

    __slots__ = (
        "_block",
        "_blockSize",
        "_hasPreface",
        "_hasSettings",
        "_kept",
        "_mostBlock",
        "_skip",
    )

    def __init__(self, mostBlock: int) -> None:
        """
        @param mostBlock: How many bytes a field block may have in all of its
            frames.
        """
        self._mostBlock = mostBlock
        self._kept = bytearray()
        self._hasPreface = False
        self._hasSettings = False
        # Bytes of a frame that are still to be ignored.
        self._skip = 0
        # The stream of a field block that is not complete, and its bytes so far.
        self._block = 0
        self._blockSize = 0

    @property
    def isWithin(self) -> bool:
        """
        Whether the preface, a frame or a field block is not whole.
        """
        return bool(self._kept or self._skip or self._block or not self._hasSettings)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """
        Yield the frames that end in this data.

        @raise ConnectionFault: At the first frame that breaks the protocol.  No
            more data can be fed then.
        """
        kept = self._kept
        kept += data
        if not self._hasPreface and not self._takePreface():
            return
        while True:
            skipped = min(self._skip, len(kept))
            del kept[:skipped]
            self._skip -= skipped
            if len(kept) < _HEAD:
                return
            size = int.from_bytes(kept[:3], "big")
            # RFC 9113 4.1: the first bit of the number is reserved.
            ident = int.from_bytes(kept[5:9], "big") & 0x7FFFFFFF
            kind, flags = kept[3], kept[4]
            self._order(kind, flags, ident, size)
            if size > MOST_FRAME:
                if kind != Kind.DATA or not ident:
                    raise ConnectionFault(
                        ErrorCodes.FRAME_SIZE_ERROR,
                        f"a frame has {size} bytes, {MOST_FRAME} are allowed",
                    )
                # RFC 9113 4.2: a frame that does not change the state of the
                # connection ends its stream.
                frame = Frame(Kind.DATA, flags, ident, b"", size, ErrorCodes.FRAME_SIZE_ERROR)
                del kept[:_HEAD]
                self._skip = size
            elif len(kept) < _HEAD + size:
                return
            else:
                body = bytes(kept[_HEAD : _HEAD + size])
                del kept[: _HEAD + size]
                # RFC 9113 5.5: frames of other types are ignored.
                known = Kind(kind) if kind in _KINDS else None
                frame = Frame(known, flags, ident, body, size)
                self._check(frame)
            yield frame

    def _takePreface(self) -> bool:
        kept = self._kept
        if not PREFACE.startswith(kept[: len(PREFACE)]):
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "the preface is not that of HTTP/2")
        if len(kept) < len(PREFACE):
            return False
        del kept[: len(PREFACE)]
        self._hasPreface = True
        return True

    def _order(self, kind: int, flags: int, ident: int, size: int) -> None:
        """
        Check that a frame of this type may come now.  It may be called several
        times for a frame that is not complete.
        """
        if not self._hasSettings and (kind != Kind.SETTINGS or flags & _ACK):
            # RFC 9113 3.4: the preface includes them.
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
        # RFC 9113 4.3 and 6.10: nothing comes between the frames of a block, and
        # CONTINUATION only there.
        isNext = kind == Kind.CONTINUATION and ident == self._block
        if isNext != bool(self._block) or (kind == Kind.CONTINUATION and not isNext):
            raise ConnectionFault(
                ErrorCodes.PROTOCOL_ERROR, f"a frame of type {kind} in or after a field block"
            )
        if isNext and self._blockSize + size > self._mostBlock:
            raise ConnectionFault(
                ErrorCodes.ENHANCE_YOUR_CALM,
                f"a field block has more than {self._mostBlock} bytes",
            )

    def _check(self, frame: Frame) -> None:
        """
        Check a complete frame, and replace what h2 would not take, or would keep.
        """
        kind, flags, body, size = frame.kind, frame.flags, frame.body, frame.size
        if kind == Kind.SETTINGS:
            self._hasSettings = True
            if flags & _ACK and size:
                raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, "SETTINGS with ACK has a body")
            _keepKnown(frame)
        elif kind == Kind.HEADERS or kind == Kind.CONTINUATION:
            self._blockSize = size + (self._blockSize if kind == Kind.CONTINUATION else 0)
            self._block = 0 if flags & _END_HEADERS else frame.ident
            if kind == Kind.HEADERS and flags & _PRIORITY:
                # RFC 9113 5.3.2: the signal may be ignored.  h2 would end the
                # connection if the stream depended on itself.
                start = 1 if flags & _PADDED else 0
                zeros = bytes(max(0, min(4, size - start)))
                frame.body = body[:start] + zeros + body[start + 4 :]
        elif kind == Kind.PRIORITY:
            if not frame.ident:
                raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "PRIORITY without a stream")
            if size != 5:
                # RFC 9113 6.3
                frame.fault = ErrorCodes.FRAME_SIZE_ERROR
        elif kind == Kind.PUSH_PROMISE:
            # RFC 9113 8.4
            raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "a client must not push")
        elif kind == Kind.GOAWAY:
            if frame.ident:
                raise ConnectionFault(ErrorCodes.PROTOCOL_ERROR, "GOAWAY on a stream")
            if size < 8:
                raise ConnectionFault(ErrorCodes.FRAME_SIZE_ERROR, f"GOAWAY has {size} bytes")
        elif kind == Kind.WINDOW_UPDATE and size == 4:
            # RFC 9113 6.9: the first bit is reserved.
            frame.body = bytes((body[0] & 0x7F,)) + body[1:]
            if frame.ident and not any(frame.body):
                frame.fault = ErrorCodes.PROTOCOL_ERROR


def _keepKnown(frame: Frame) -> None:
    """
    Leave out the settings that h2 does not know, and all but the last value of
    each that it does: RFC 9113 6.5.3 has them replace one another.
    """
    body, size = frame.body, frame.size
    if size % _SETTING:
        # h2 ends the connection.
        return
    starts = range(0, size, _SETTING)
    found = {body[start : start + 2]: body[start : start + _SETTING] for start in starts}
    kept = [setting for name, setting in found.items() if name in _KNOWN_SETTINGS]
    frame.body = b"".join(kept)
    frame.size = len(frame.body)
    frame.ignored = len(starts) - len(kept)


_KINDS: Final = frozenset(Kind)
