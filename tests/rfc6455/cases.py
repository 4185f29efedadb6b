"""
The table of cases: what a client sends, and what an echo has to answer.

The sections are those of the Autobahn testsuite, whose documentation describes its
cases: 1 messages, 2 pings, 3 reserved bits, 4 opcodes, 5 fragments, 6 UTF-8,
7 closing, 9 sizes, 10 the rest.  The cases themselves are made after RFC 6455.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from tests.rfc6455.utf8 import TEXTS, firstWrong, isUTF8
from tests.rfc6455.wire import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Heard,
    closing,
    cut,
    fragments,
    frame,
)

# RFC 6455, 7.4.1
NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NOT_UTF8: Final = 1007

KIB: Final = 1024
MIB: Final = 1024 * KIB
LARGEST: Final = 16 * MIB


@frozen
class Case:
    """
    One case.

    @ivar name: Its section, and what is special about it.

    @ivar sent: What the client sends: packets.

    @ivar heard: What it gets, before any closing frame.

    @ivar status: The status with which the server closes, of itself or as its answer
        to a close; L{None} if it does not close.

    @ivar begun: What it sends before that, to which there is no answer.

    @ivar rest: What is left of its last frame when the server has closed.

    @ivar mayBeSilent: Whether the server may also close without a closing frame: the
        client's own was broken.
    """

    name: str
    sent: Sequence[bytes]
    heard: Sequence[Heard] = ()
    status: int | None = None
    mayBeSilent: bool = False
    begun: bytes = b""
    rest: bytes = b""

    @property
    def section(self) -> str:
        """
        The first number of the name.
        """
        return self.name.partition(" ")[0].partition(".")[0]


_KINDS: Final = (("text", TEXT, b"*"), ("binary", BINARY, b"\xfe"))


def _inPackets(
    name: str, frames: Sequence[bytes], heard: Sequence[Heard], status: int | None = None
) -> Iterator[Case]:
    """
    Yield a case for frames that come in one packet, in one each, and in one for each
    byte.
    """
    for how, sent in (
        ("at once", [b"".join(frames)]),
        ("frame by frame", list(frames)),
        ("byte by byte", cut(b"".join(frames), 1)),
    ):
        yield Case(f"{name}, {how}", sent, heard, status)


def _messages() -> Iterator[Case]:
    for kind, opcode, byte in _KINDS:
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536):
            payload = byte * size
            sent = frame(opcode, payload)
            heard = [Heard(opcode, payload)]
            yield Case(f"1.{opcode} {kind} of {size} bytes", [sent], heard)
            if size > 128:
                name = f"1.{opcode} {kind} of {size} bytes in packets of 997"
                yield Case(name, cut(sent, 997), heard)
            else:
                name = f"1.{opcode} {kind} of {size} bytes, byte by byte"
                yield Case(name, cut(sent, 1), heard)


def _pings() -> Iterator[Case]:
    for name, payload in (
        ("empty", b""),
        ("with text", b"Hello, world!"),
        ("with bytes that are not UTF-8", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"),
        ("of 125 bytes", b"\xfe" * 125),
    ):
        yield from _inPackets(f"2 a ping {name}", [frame(PING, payload)], [Heard(PONG, payload)])
    # RFC 6455, 5.5: at most 125 bytes.
    yield from _inPackets("2 a ping of 126 bytes", [frame(PING, bytes(126))], [], PROTOCOL_ERROR)
    yield from _inPackets("2 a pong of 126 bytes", [frame(PONG, bytes(126))], [], PROTOCOL_ERROR)
    # RFC 6455, 5.5.3: it needs no answer.
    pongs = [frame(PONG), frame(PONG, b"unsolicited")]
    pinged = [Heard(PONG, b"then")]
    yield from _inPackets("2 pongs that answer nothing", pongs, [])
    yield from _inPackets("2 a pong, then a ping", [*pongs, frame(PING, b"then")], pinged)
    payloads = [b"payload-%d" % number for number in range(10)]
    pings = [frame(PING, payload) for payload in payloads]
    yield from _inPackets("2 ten pings", pings, [Heard(PONG, payload) for payload in payloads])


def _reservedBits() -> Iterator[Case]:
    # RFC 6455, 5.2: no extension is agreed on, so all three are 0.
    good, pinged = frame(TEXT, b"good"), frame(PING)
    echo = [Heard(TEXT, b"good")]
    for rsv in range(1, 8):
        for kind, opcode in (
            ("text", TEXT),
            ("binary", BINARY),
            ("a ping", PING),
            ("a pong", PONG),
        ):
            bad = frame(opcode, b"bad", rsv=rsv)
            name = f"3 reserved bits {rsv} in {kind}"
            yield Case(name, [bad], [], PROTOCOL_ERROR)
            yield from _inPackets(f"{name} after text", [good, bad, pinged], echo, PROTOCOL_ERROR)
        yield Case(
            f"3 reserved bits {rsv} in a close",
            [frame(8, b"\x03\xe8", rsv=rsv)],
            [],
            PROTOCOL_ERROR,
        )
        later = [*fragments(TEXT, [b"a", b"b"])[:1], frame(CONTINUATION, b"b", rsv=rsv)]
        yield Case(f"3 reserved bits {rsv} in a continuation", later, [], PROTOCOL_ERROR)


def _opcodes() -> Iterator[Case]:
    good, pinged = frame(TEXT, b"good"), frame(PING)
    echo = [Heard(TEXT, b"good")]
    for opcode in (*range(3, 8), *range(11, 16)):
        for payload in (b"", b"reserved"):
            name = f"4 opcode {opcode} with {len(payload)} bytes"
            bad = frame(opcode, payload)
            yield Case(name, [bad], [], PROTOCOL_ERROR)
            yield from _inPackets(f"{name} after text", [good, bad, pinged], echo, PROTOCOL_ERROR)


def _fragmentation() -> Iterator[Case]:
    good = frame(TEXT, b"good")
    ping, pong = frame(PING, b"between"), Heard(PONG, b"between")
    # RFC 6455, 5.5: control frames are not fragmented.
    for kind, opcode in (("ping", PING), ("pong", PONG), ("close", 8)):
        pieces = fragments(opcode, [b"\x03\xe8", b"b"])
        yield from _inPackets(f"5 a {kind} in fragments", pieces, [], PROTOCOL_ERROR)
        yield Case(f"5 the first fragment of a {kind}", pieces[:1], [], PROTOCOL_ERROR)
    for kind, opcode, _ in _KINDS:
        for parts in (
            [b"one", b"two"],
            [b"", b""],
            [b"", b"two", b""],
            [b"1", b"2", b"3", b"4", b"5"],
        ):
            pieces, heard = fragments(opcode, parts), Heard(opcode, b"".join(parts))
            name = f"5 {kind} in {len(parts)} fragments with {len(heard.payload)} bytes"
            yield from _inPackets(name, pieces, [heard])
            among = [each for piece in pieces for each in (ping, piece)]
            yield from _inPackets(f"{name}, and pings", among, [*[pong] * len(parts), heard])
            twice = [heard, heard]
            yield from _inPackets(f"{name}, twice", [*pieces, *pieces], twice)
            # RFC 6455, 5.4: messages are not mixed.
            mixed = [pieces[0], frame(opcode, b"other"), good]
            yield from _inPackets(f"{name}, another within", mixed, [], PROTOCOL_ERROR)
            begun = [pieces[0], frame(opcode, b"other", fin=False)]
            yield from _inPackets(f"{name}, another begun within", begun, [], PROTOCOL_ERROR)
    for fin in (True, False):
        for payload in (b"", b"nothing to continue"):
            bad = frame(CONTINUATION, payload, fin)
            name = f"5 a continuation of nothing, fin {fin}, {len(payload)} bytes"
            yield from _inPackets(name, [bad, good], [], PROTOCOL_ERROR)
            echo = [Heard(TEXT, b"onetwo")]
            after = [*fragments(TEXT, [b"one", b"two"]), bad, good]
            yield from _inPackets(f"{name}, after a message", after, echo, PROTOCOL_ERROR)


def _texts() -> Iterator[Case]:
    for parts in ([b""], [b"", b"", b""], [b"", b"middle", b""]):
        name = f"6.1 {len(parts)} fragments with {len(b''.join(parts))} bytes"
        yield from _inPackets(name, fragments(TEXT, parts), [Heard(TEXT, b"".join(parts))])
    for section, text in TEXTS:
        yield from _text(section, text)
    # RFC 6455, 8.1: it is the message that is UTF-8, not the frame; and binary
    # messages and pings need not be.
    for _, text in TEXTS:
        yield Case(f"6 binary {text[:16]!r}", [frame(BINARY, text)], [Heard(BINARY, text)])
        yield Case(f"6 ping {text[:16]!r}", [frame(PING, text[:125])], [Heard(PONG, text[:125])])


def _text(section: str, text: bytes) -> Iterator[Case]:
    """
    Yield the cases of one text: whole, and in fragments cut at every place.
    """
    isGood = isUTF8(text)
    heard = [Heard(TEXT, text)] if isGood else []
    status = None if isGood else NOT_UTF8
    name = f"{section} {text[:16]!r}"
    yield from _inPackets(name, [frame(TEXT, text)], heard, status)
    yield Case(f"{name}, a byte a fragment", fragments(TEXT, cut(text, 1)), heard, status)
    for at in range(1, len(text)):
        pieces = fragments(TEXT, [text[:at], text[at:]])
        yield Case(f"{name}, cut at {at}", [b"".join(pieces)], heard, status)
        among = [pieces[0], frame(PING), pieces[1]]
        wrong = firstWrong(text)
        pongs = [] if wrong is not None and wrong <= at else [Heard(PONG, b"")]
        yield Case(f"{name}, a ping at {at}", among, [*pongs, *heard], status)
    wrong = firstWrong(text)
    if wrong is not None:
        # Neither the frame nor the message has to end.
        sent = frame(TEXT, text + b"more", fin=False)
        at = len(sent) - len(text + b"more") + wrong
        name = f"{name}, failed at its first wrong byte"
        begun, last, rest = sent[: at - 1], sent[at - 1 : at], sent[at:]
        yield Case(name, [last], [], NOT_UTF8, begun=begun, rest=rest)


def _closing() -> Iterator[Case]:
    hello, echo = frame(TEXT, b"hello"), Heard(TEXT, b"hello")
    closed = closing(NORMAL)
    yield from _inPackets("7.1 text, then a close", [hello, closed], [echo], NORMAL)
    # RFC 6455, 5.5.1: after a close, nothing more is sent, and nothing is read.
    for kind, late in (
        ("close", closed),
        ("ping", frame(PING)),
        ("text", hello),
        ("frame that is wrong", frame(3)),
        ("continuation", frame(CONTINUATION, b"two")),
    ):
        yield from _inPackets(f"7.1 a {kind} after a close", [closed, late], [], NORMAL)
    half = fragments(TEXT, [b"one", b"two"])
    yield from _inPackets("7.1 a close in a message", [half[0], closed, half[1]], [], NORMAL)
    large = bytes(256 * KIB)
    sent = [frame(BINARY, large), closed, frame(PING)]
    yield Case("7.1 256 KiB, a close and a ping", sent, [Heard(BINARY, large)], NORMAL)
    for length in (None, 0, 1, 122, 123):
        name = (
            "7.3 a close without a status" if length is None else f"7.3 a reason of {length} bytes"
        )
        close = closing(None) if length is None else closing(NORMAL, b"*" * length)
        yield from _inPackets(name, [close], [], NORMAL)
    yield Case("7.3 a reason of 124 bytes", [closing(NORMAL, b"*" * 124)], [], PROTOCOL_ERROR)
    yield Case("7.3 a status of one byte", [frame(8, b"\x03")], [], PROTOCOL_ERROR, True)
    for section, text in TEXTS:
        if len(text) <= 123:
            status = NORMAL if isUTF8(text) else NOT_UTF8
            name = f"7.5 a reason as of {section}, {text[:16]!r}"
            yield Case(name, [closing(NORMAL, text)], [], status, status != NORMAL)
    # RFC 6455, 7.4, and those of IANA's registry that are older than Autobahn.
    for code in (*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999):
        yield Case(f"7.7 status {code}", [closing(code)], [], NORMAL)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield Case(f"7.9 status {code}", [closing(code)], [], PROTOCOL_ERROR, True)
        reason = closing(code, b"reason")
        yield Case(f"7.9 status {code} and a reason", [reason], [], PROTOCOL_ERROR, True)


def _sizes() -> Iterator[Case]:
    for kind, opcode, byte in _KINDS:
        for size in (64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, LARGEST):
            payload = byte * size
            heard = [Heard(opcode, payload)]
            yield Case(f"9.1 {kind} of {size} bytes", cut(frame(opcode, payload), 64 * KIB), heard)
        # Small pieces take long, and what a message is made of changes nothing there.
        least = 64 if opcode == TEXT else KIB
        payload, heard = byte * (4 * MIB), [Heard(opcode, byte * (4 * MIB))]
        for size in (64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB):
            if size >= least:
                stream = b"".join(fragments(opcode, cut(payload, size)))
                name = f"9.3 {kind} of 4 MiB in fragments of {size}"
                yield Case(name, cut(stream, 64 * KIB), heard)
        payload, heard = byte * MIB, [Heard(opcode, byte * MIB)]
        for size in (64, 128, 256, 512, KIB, 2 * KIB):
            if size >= least:
                name = f"9.5 {kind} of 1 MiB in packets of {size}"
                yield Case(name, cut(frame(opcode, payload), size), heard)
        for size in (0, 16, 64, 256, KIB, 4 * KIB):
            sent = [frame(opcode, byte * size)] * 1000
            name = f"9.7 a thousand times {kind} of {size} bytes"
            yield Case(name, sent, [Heard(opcode, byte * size)] * 1000)


def _rest() -> Iterator[Case]:
    payload = b"*" * 65536
    pieces = fragments(TEXT, cut(payload, 1300))
    yield Case("10 64 KiB in fragments of 1300", pieces, [Heard(TEXT, payload)])
    yield Case("10 nothing", [])
    # RFC 6455, 5.1: a client masks; 5.2: a length has its shortest form, and no more
    # than 63 bits.
    yield Case("10 a frame without a mask", [b"\x81\x05hello"], [], PROTOCOL_ERROR)
    yield Case("10 a close without a mask", [b"\x88\x02\x03\xe8"], [], PROTOCOL_ERROR)
    for length, size in ((0, 2), (125, 2), (0, 8), (125, 8), (65535, 8), (1 << 63, 8)):
        head = bytes([0x81, {2: 0xFE, 8: 0xFF}[size]]) + length.to_bytes(size, "big")
        yield Case(f"10 a length of {length} in {size} bytes", [head + b"mask"], [], PROTOCOL_ERROR)


def allCases() -> Iterator[Case]:
    """
    Yield all cases.
    """
    for make in (
        *(_messages, _pings, _reservedBits, _opcodes, _fragmentation, _texts),
        *(_closing, _sizes, _rest),
    ):
        yield from make()
