"""
Tests of L{comet.framing.publications}: batches, and the objects in them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import thread_time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import (
    BadChannel,
    BadMessage,
    BadRequest,
    CometError,
    Forbidden,
    KeyReused,
    TooLarge,
    Unsupported,
)
from comet.framing.batchreader import BatchReader, readBatch
from comet.framing.publications import Limits, readObject
from comet.model.messages import Publication
from tests.framing.test_publications import nested, values

LIMITS = Limits()
SMALL = Limits(maxMessage=10, maxDepth=2, maxBatch=3, maxChannels=2)
NDJSON = "application/x-ndjson"


def batch(*lines: Any) -> bytes:
    """
    Make a batch of these objects.
    """
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class ReadObjectTests(SynchronousTestCase):
    """
    L{readObject}.
    """

    def test_readsEverything(self) -> None:
        """
        Every known key is read, and unknown keys are ignored.
        """
        fields = {
            "channel": "chat/a",
            "data": "AQI=",
            "event": "tick",
            "encoding": "base64",
            "key": "k",
            "other": object(),
        }
        expected = Publication(("chat/a",), b'"AQI="', "tick", "base64", "me", "k")
        self.assertEqual(readObject(fields, LIMITS, "me"), expected)

    def test_acceptsNullOnlyAsData(self) -> None:
        """
        The data may be null, and no other value may.
        """
        fields: dict[str, Any] = {"channel": "a", "data": None}
        self.assertEqual(readObject(fields, LIMITS), Publication(("a",), b"null"))
        for name, kind in (
            ("channel", BadChannel),
            ("event", BadMessage),
            ("encoding", BadMessage),
            ("key", BadRequest),
        ):
            error = self.assertRaises(kind, readObject, {**fields, name: None}, LIMITS)
            self.assertIn("None", error.detail)

    def test_needsChannelAndData(self) -> None:
        """
        An object without a channel or without data is a bad message.
        """
        for fields, missing in (({"data": 1}, "channel"), ({"channel": "a"}, "data")):
            error = self.assertRaises(BadMessage, readObject, fields, LIMITS)
            self.assertIn(f"{missing!r} is missing", error.detail)

    def test_refusesBadChannel(self) -> None:
        """
        The channel must be one channel, not a pattern.
        """
        for channel in ("chat/*", "", ["a"], 5):
            self.assertRaises(BadChannel, readObject, {"channel": channel, "data": 1}, LIMITS)

    def test_checksEventEncodingAndKey(self) -> None:
        """
        An invalid event, encoding or key is refused.
        """
        for extra, kind in (
            ({"event": "$gap"}, BadMessage),
            ({"event": 5}, BadMessage),
            ({"encoding": "gzip"}, BadMessage),
            ({"encoding": ["base64"]}, BadMessage),
            ({"key": ""}, BadRequest),
            ({"key": 5}, BadRequest),
        ):
            fields = {"channel": "a", "data": "", **extra}
            self.assertRaises(kind, readObject, fields, LIMITS)

    def test_readsOnlyCanonicalBase64(self) -> None:
        """
        Base64 is a string in the one form that its bytes have.
        """
        fields: dict[str, Any] = {"channel": "a", "encoding": "base64"}
        for data in ("", "AA==", "AAA=", "AAAA", "+/+/"):
            fields["data"] = data
            self.assertEqual(readObject(fields, LIMITS).payload, json.dumps(data).encode())
        for bad in (
            "A",
            "AA",
            "AA=",
            "AB==",
            "AAB=",
            "A===",
            "=",
            "====",
            "AA==AA==",
            "AAAA\n",
            " AAAA",
            "-_-_",
            "é",
            "\ud800",
            5,
            None,
            ["AAAA"],
        ):
            fields["data"] = bad
            self.assertRaises(BadMessage, readObject, fields, LIMITS)

    def test_boundsSizeOfData(self) -> None:
        """
        The limit applies to the data, for base64 to its bytes.  The channel,
        the event and the key do not count.
        """
        good = {"channel": "c" * 200, "data": "AAAAAAAAAAAAAA==", "encoding": "base64"}
        self.assertEqual(readObject(good, SMALL).encoding, "base64")
        bad = {"channel": "c", "data": "AAAAAAAAAAAAAAA=", "encoding": "base64"}
        self.assertRaises(TooLarge, readObject, bad, SMALL)
        self.assertRaises(TooLarge, readObject, {"channel": "c", "data": "a" * 11}, SMALL)

    @settings(deadline=None)
    @given(
        st.dictionaries(st.sampled_from(["channel", "data", "event", "encoding", "key"]), values)
    )
    def test_readsOrRefusesAnyObject(self, fields: dict[str, Any]) -> None:
        """
        Any object is a publication or an error.
        """
        try:
            publication = readObject(fields, SMALL)
        except CometError as error:
            self.assertEqual(error.status // 100, 4)
        else:
            self.assertEqual(publication.channels, (fields["channel"],))
            self.assertEqual(json.loads(publication.payload), fields["data"])


class ReadBatchTests(SynchronousTestCase):
    """
    L{readBatch}.
    """

    def read(self, body: bytes, limits: Limits = LIMITS) -> list[Publication]:
        """
        Read a batch of the right type.
        """
        return readBatch(NDJSON, body, limits, "me")

    def test_readsLines(self) -> None:
        """
        Each line is a message, in order, with any line ends.
        """
        lines = [b'{"channel":"a","data":1}', b'{"channel":"b","data":"x","event":"e"}']
        expected = [
            Publication(("a",), b"1", publisher="me"),
            Publication(("b",), b'"x"', "e", publisher="me"),
        ]
        for body in (
            b"\n".join(lines),
            b"\n".join(lines) + b"\n",
            b"\r\n".join(lines) + b"\r\n",
            b"\n \t\r\n".join(lines) + b"\n\n \n",
        ):
            self.assertEqual(self.read(body), expected)

    def test_onlyLineFeedEndsLine(self) -> None:
        """
        Only a line feed ends a line, not the other characters at which Python
        or a browser would split.
        """
        for separator in (b"\r", b"\x0b", b"\x0c", b"\x00", "\u2028".encode(), "\x85".encode()):
            body = separator.join([b'{"channel":"a","data":1}'] * 2)
            self.assertRaises(BadMessage, self.read, body)
        publications = self.read('{"channel":"a","data":"\u2028\x85"}'.encode())
        self.assertEqual(publications[0].payload, '"\\u2028\x85"'.encode())

    def test_needsContentType(self) -> None:
        """
        Only the type of a batch is accepted.
        """
        body = batch({"channel": "a", "data": 1})
        self.assertEqual(len(readBatch("Application/X-NDJSON; charset=utf-8", body, LIMITS)), 1)
        for kind in (None, "", "application/json", "text/plain", "application/ndjson"):
            error = self.assertRaises(BadRequest, readBatch, kind, body, LIMITS)
            self.assertIn(NDJSON, error.detail)
        self.assertRaises(Unsupported, readBatch, NDJSON + ";charset=utf-16", body, LIMITS)

    def test_boundsSize(self) -> None:
        """
        The whole body may be 64 times as large as one message.
        """
        line = b'{"channel":"a","data":1}'
        self.assertEqual(len(self.read(line.ljust(640), SMALL)), 1)
        error = self.assertRaises(TooLarge, self.read, line.ljust(641), SMALL)
        self.assertIn("641 bytes; at most 640", error.detail)

    def test_boundsLines(self) -> None:
        """
        There is at least one line, and at most as many as the limit.
        """
        line = {"channel": "a", "data": 1}
        self.assertEqual(len(self.read(batch(*[line] * 3) + b"\n\n", SMALL)), 3)
        error = self.assertRaises(BadRequest, self.read, batch(*[line] * 4), SMALL)
        self.assertIn("more than 3 lines", error.detail)
        for body in (b"", b"\n", b" \r\n\t\n"):
            self.assertRaises(BadRequest, self.read, body)

    def test_refusesLineFeedsQuickly(self) -> None:
        """
        A body of many line feeds between two lines is refused without being
        split.
        """
        line = b'{"channel":"a","data":1}'
        body = line + b"\n" * (LIMITS.maxBatchBytes - 2 * len(line)) + line
        start = thread_time()
        self.assertRaises(BadRequest, self.read, body)
        self.assertLess(thread_time() - start, 0.5)

    def test_errorHasLineNumber(self) -> None:
        """
        One bad line refuses the batch, with the code of the line's own error.
        The detail has the number of the line, blank lines counted.
        """
        good = b'{"channel":"a","data":1}\n\n'
        for line, kind in (
            (b"{", BadMessage),
            (b"[1]", BadMessage),
            (b"null", BadMessage),
            (b'{"channel":"a"}', BadMessage),
            (b'{"channel":"*","data":1}', BadChannel),
            (b'{"channel":"a","data":1,"key":""}', BadRequest),
            (b'{"channel":"a","data":"12345678901"}', TooLarge),
        ):
            error = self.assertRaises(kind, self.read, good + line, SMALL)
            self.assertTrue(error.detail.startswith("line 3: "), error.detail)

    def test_boundsDepth(self) -> None:
        """
        The data of a line may have as many levels as that of any message.
        """
        self.assertEqual(len(self.read(batch({"channel": "a", "data": nested(64)}))), 1)
        self.assertRaises(BadMessage, self.read, batch({"channel": "a", "data": nested(65)}))

    def test_acceptsKeyTwice(self) -> None:
        """
        A key may be there twice with the same message, and with other messages
        to other channels.
        """
        line = {"channel": "a", "data": 1, "key": "k"}
        other = {"channel": "b", "data": 2, "key": "k"}
        self.assertEqual(len(self.read(batch(line, other, line))), 3)

    def test_refusesReusedKey(self) -> None:
        """
        A key that is there twice with different messages refuses the batch, and
        the detail names the key and both lines.
        """
        line = {"channel": "a", "data": 1, "key": "k"}
        for change in ({"data": 2}, {"event": "e"}):
            body = batch(line, {"channel": "a", "data": 3}, {**line, **change})
            error = self.assertRaises(KeyReused, self.read, body)
            self.assertIn("line 3: the key 'k' is that of line 1", error.detail)

    @settings(deadline=None)
    @given(st.binary(max_size=100) | st.lists(values, max_size=4).map(lambda all: batch(*all)))
    def test_readsOrRefusesAnyBody(self, body: bytes) -> None:
        """
        Any body is a list of publications or an error.
        """
        try:
            publications = self.read(body, SMALL)
        except CometError as error:
            self.assertEqual(error.status // 100, 4)
        else:
            self.assertTrue(publications)

    @settings(deadline=None)
    @given(st.lists(values, min_size=1, max_size=10))
    def test_roundTrip(self, data: list[Any]) -> None:
        """
        Every value is read as it was written, with any other values beside it.
        """
        publications = self.read(batch(*({"channel": "a", "data": one} for one in data)))
        self.assertEqual([json.loads(one.payload) for one in publications], data)


class LongLineTests(SynchronousTestCase):
    """
    A line that is longer than any message can make it.
    """

    def test_bareBytes(self) -> None:
        """
        A line of more bytes outside of its strings than fit into a message is refused
        before they are read.
        """
        most = LIMITS.maxBareBytes
        line = b'{"channel":"a","data":[%b1]}' % (b"1," * (most // 2))
        error = self.assertRaises(TooLarge, readBatch, NDJSON, b"\n" + line, LIMITS)
        self.assertTrue(error.detail.startswith("line 2: it has more than"), error.detail)
        # A few less are read, and are too large as a message.
        fits = line.replace(b"1,", b"", 20)
        error = self.assertRaises(TooLarge, readBatch, NDJSON, fits, LIMITS)
        self.assertTrue(error.detail.startswith("line 1: the message has"), error.detail)

    def test_repeatedMembers(self) -> None:
        """
        A line that has a member twice is refused.
        """
        line = b'{"channel":"a","data":1,"channel":"b"}'
        error = self.assertRaises(BadRequest, readBatch, NDJSON, line, LIMITS)
        self.assertTrue(error.detail.startswith("line 1: an object has the member 'channel'"))

    def test_refusedByLength(self) -> None:
        """
        A line that is too long is refused by its length, without being decoded.
        A line with just the greatest length is decoded.
        """
        limits = Limits(maxMessage=200)
        most = limits.maxCommandBytes
        for line in (b"{" * (most + 1), b"{" + b" " * most, b'"' + b"\\" * most):
            with self.assertRaises(TooLarge) as caught:
                readBatch(NDJSON, batch({"channel": "a", "data": 1}) + line + b"\n", limits)
            self.assertIn(f"line 2: it has more than {most} bytes", caught.exception.detail)
        start = b'{"channel":"a","data":1'
        whole = start + b" " * (most - len(start) - 1) + b"}"
        (publication,) = readBatch(NDJSON, whole + b"\n", limits)
        self.assertEqual((len(whole), publication.payload), (most, b"1"))

    def test_largestMessageFits(self) -> None:
        """
        A message of the greatest size fits into a line, with any escapes.
        """
        limits = Limits(maxMessage=600)
        line = b'{"channel":"' + b"a" * 255 + b'","data":"' + b"\\u0041" * 598 + b'"}\n'
        (publication,) = readBatch(NDJSON, line, limits)
        self.assertEqual(len(publication.payload), limits.maxMessage)


class PiecesTests(SynchronousTestCase):
    """
    A batch that arrives in pieces.
    """

    def outcome(self, body: bytes, size: int, limits: Limits = SMALL) -> object:
        """
        Read a batch in pieces of some size.

        @return: What was read, or the error.
        """
        try:
            reader = BatchReader(NDJSON, limits, "me")
            for start in range(0, len(body), size):
                reader.received(body[start : start + size])
            return reader.finish()
        except CometError as error:
            return type(error), error.detail

    def test_sameInAnyPieces(self) -> None:
        """
        However a body is cut into pieces, it is read, or refused, as the whole
        body is.
        """
        line = b'{"channel":"a","data":1}'
        limits = Limits(maxMessage=10, maxBatch=5)
        most = limits.maxCommandBytes
        for body in (
            line,
            b"\r\n".join([line] * 5) + b"\n \n\n\n\n",
            b"\n \n" + line + b"\n\n" + line + b"\n",
            b"\n".join([line] * 6),
            line + b"\n" * 6 + line,
            line + b"\n{\n" + line,
            b" " * most + line + b" " * 500,
            line + b" " * most,
            line + b"\n" + b"[" * (most + 1),
            b"",
            b" \n \n",
        ):
            whole = self.outcome(body, max(len(body), 1), limits)
            for size in (1, 2, 7, 100, 4000):
                self.assertEqual(self.outcome(body, size, limits), whole, (body[:100], size))

    def test_refusesWithoutTheRest(self) -> None:
        """
        What is wrong is told as soon as it has arrived: a line, a line that has
        too many bytes although it has not ended, a line too many.
        """
        line = b'{"channel":"a","data":1}\n'
        for body, kind in (
            (line + b"{\n", BadMessage),
            (line + b"[" * (SMALL.maxCommandBytes + 1), TooLarge),
            (line * SMALL.maxBatch + b"{", BadRequest),
        ):
            reader = BatchReader(NDJSON, SMALL)
            self.assertRaises(kind, reader.received, body)

    def test_keepsNoWhiteSpace(self) -> None:
        """
        White space before a line and after the last is not kept.
        """
        reader = BatchReader(NDJSON, SMALL)
        for _ in range(3):
            reader.received(b" " * (SMALL.maxCommandBytes + 1))
        reader.received(b'{"channel":"a","data":1}\n')
        for _ in range(3):
            reader.received(b" " * (SMALL.maxCommandBytes + 1))
        self.assertEqual(len(reader.finish()), 1)

    def test_asksForEachLine(self) -> None:
        """
        The right to publish is asked for with each line, as soon as it has
        arrived, and its error goes to the caller as it is.
        """
        asked: list[Sequence[str]] = []

        def check(channels: Sequence[str]) -> None:
            asked.append(channels)
            if channels == ("shut",):
                raise Forbidden("it is shut")

        reader = BatchReader(NDJSON, LIMITS, check=check)
        reader.received(b'{"channel":"a","data":1}\n{"channel":"b","data":')
        self.assertEqual(asked, [("a",)])
        reader.received(b"2}\n")
        self.assertEqual(asked, [("a",), ("b",)])
        error = self.assertRaises(Forbidden, reader.received, b'{"channel":"shut","data":1}\n{')
        self.assertEqual(error.detail, "it is shut")
