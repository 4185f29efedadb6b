"""
Tests of L{comet.framing.tcp}.
"""

from __future__ import annotations

import json
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.envelope import encodeCursor, encodeEnvelope
from comet.framing.tcp import Line, LineDecoder, LineShape, Overlong
from comet.model.messages import Message
from tests.framing.readers import CURSOR, CUTS, MESSAGES, LinesReader, cut, readAll


class ShapeTests(SynchronousTestCase):
    """
    L{LineShape}.
    """

    def test_encodesLines(self) -> None:
        """
        An envelope is a line, and several are written together.
        """
        for shape, terminator in ((LineShape(), b"\n"), (LineShape(b"\0"), b"\0")):
            line = b'{"cursor":"k3f9a2-1042"}' + terminator
            self.assertEqual(shape.cursor(CURSOR), line)
            self.assertEqual(shape.frame([line, line]), line * 2)
        self.assertNotEqual(LineShape(), LineShape(b"\0"))
        self.assertEqual((shape.prelude, shape.coda, shape.adoptsReplay), (b"", b"", False))

    @settings(deadline=None)
    @given(st.lists(MESSAGES, max_size=3), st.sampled_from([b"\n", b"\0"]), CUTS)
    def test_anySplit(self, messages: list[Message], terminator: bytes, sizes: list[int]) -> None:
        """
        A client that splits the lines gets every envelope, for any split of the
        stream.
        """
        shape: Shape = LineShape(terminator, time=True)
        stream = shape.frame([shape.cursor(CURSOR), *map(shape.message, messages)])
        reader = LinesReader(terminator)
        readAll(reader, stream, sizes)
        envelopes = [encodeCursor(CURSOR)]
        envelopes += [encodeEnvelope(message, time=True) for message in messages]
        self.assertEqual(reader.values, [json.loads(envelope) for envelope in envelopes])
        self.assertEqual(reader.rest, b"")


def reference(stream: bytes, maxLength: int) -> list[Line]:
    """
    Split a whole stream as a decoder must.
    """
    ends = [at for at in (stream.find(b"\n"), stream.find(b"\0")) if at >= 0]
    if not ends:
        return []
    terminator = stream[min(ends) :][:1]
    lines: list[Line] = []
    for raw in stream.split(terminator)[:-1]:
        line = raw[:-1] if terminator == b"\n" and raw.endswith(b"\r") else raw
        if line:
            lines.append(line if len(line) <= maxLength else Overlong(len(raw)))
    return lines


class DecoderTests(SynchronousTestCase):
    """
    L{LineDecoder}.
    """

    def test_returnsLinesAtOnce(self) -> None:
        """
        Lines are returned without terminators, as soon as they end.
        """
        decoder = LineDecoder(10)
        self.assertEqual(decoder.feed(b"on"), [])
        self.assertIs(decoder.terminator, None)
        self.assertEqual(decoder.feed(b"e\ntwo\r\nthr"), [b"one", b"two"])
        self.assertEqual(decoder.terminator, b"\n")
        self.assertEqual(decoder.feed(b"ee\n"), [b"three"])

    def test_firstLineDecides(self) -> None:
        """
        The terminator of the first line ends all others, and the other
        character is then an ordinary one.
        """
        for stream, terminator, lines in (
            (b"a\0b\nc\0d\r\0", b"\0", [b"a", b"b\nc", b"d\r"]),
            (b"a\nb\0c\nd\r\r\n", b"\n", [b"a", b"b\0c", b"d\r"]),
        ):
            decoder = LineDecoder(10)
            self.assertEqual(decoder.feed(stream), lines)
            self.assertEqual(decoder.terminator, terminator)

    def test_endsLastLine(self) -> None:
        """
        The end of the stream ends the last line, within the limit of its length.
        """
        for data, last in (
            (b"", []),
            (b"one\n", []),
            (b"one\n\r", []),
            (b"one", [b"one"]),
            (b"one\ntwo\r", [b"two"]),
            (b"one\0two\r", [b"two\r"]),
            (b"one\n" + b"x" * 12, [Overlong(12)]),
        ):
            decoder = LineDecoder(10)
            decoder.feed(data)
            self.assertEqual(decoder.end(), last, data)
            self.assertEqual(decoder.end(), [])

    def test_dropsEmptyLines(self) -> None:
        """
        Empty lines are left out, though the first one decides the terminator.
        """
        decoder = LineDecoder(10)
        self.assertEqual(decoder.feed(b"\r\n\n\r\na\n\n"), [b"a"])
        self.assertEqual(decoder.terminator, b"\n")

    def test_marksOverlongLine(self) -> None:
        """
        A line that is too long is marked at its place, and the next lines are
        returned.
        """
        decoder = LineDecoder(3)
        lines = [b"abc", Overlong(4), b"d", b"efg", Overlong(5), Overlong(1003), b"h"]
        stream = b"abc\nabcd\nd\nefg\r\nefgh\r\n" + b"x" * 1003 + b"\nh\n"
        self.assertEqual(decoder.feed(stream), lines)

    def test_overlongFirstLineDecides(self) -> None:
        """
        A first line that is too long decides the terminator.
        """
        decoder = LineDecoder(3)
        self.assertEqual(decoder.feed(b"abcdef\0a\n\0"), [Overlong(6), b"a\n"])

    @settings(deadline=None)
    @given(
        st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\0", b"\r", b"defg"])),
        st.integers(1, 6),
        CUTS,
    )
    def test_anySplit(self, parts: list[bytes], maxLength: int, sizes: list[int]) -> None:
        """
        The lines are the same for any split of the stream, and the decoder
        never holds more than a line and a byte.
        """
        stream = b"".join(parts)
        decoder = LineDecoder(maxLength)
        lines: list[Line] = []
        for piece in cut(stream, sizes):
            lines += decoder.feed(piece)
            self.assertTrue(len(decoder._held) <= maxLength + 1)
        self.assertEqual(lines, reference(stream, maxLength))

    def test_isLinear(self) -> None:
        """
        A line in single bytes, and many lines at once, take time in proportion
        to their length.
        """
        before = process_time()
        decoder = LineDecoder(500_000)
        for _ in range(500_000):
            decoder.feed(b"a")
        self.assertEqual(decoder.feed(b"\n"), [b"a" * 500_000])
        self.assertEqual(decoder.feed(b"\n" * 500_000), [])
        self.assertEqual(decoder.feed(b"a\n" * 500_000), [b"a"] * 500_000)
        self.assertLess(process_time() - before, 10)
