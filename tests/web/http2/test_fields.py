"""
Tests of L{comet.web.http2.fields}: what the connection makes of these is in
C{test_connections_faults}.
"""

from __future__ import annotations

from h2.errors import ErrorCodes
from hpack import Decoder, Encoder, OversizedHeaderListError
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.web.http2.fields import (
    MOST_IN_BLOCK,
    CompressionFault,
    FieldDecoder,
    Malformed,
    checkTrailers,
    hasMoreFields,
    readRequest,
)
from tests.web.http2.rawclient import request

PARTS = st.sampled_from(
    (b":method", b":scheme", b":authority", b":path", b"host", b"cookie", b"content-length")
)


class FieldDecoderTests(SynchronousTestCase):
    """
    The blocks of a connection, one after the other.
    """

    def test_keepsFields(self) -> None:
        """
        The fields of the last block are kept until they are taken, and none are
        returned.
        """
        encoder, decoder = Encoder(), FieldDecoder(1000)
        for fields in (request(), [(b"a", b"b")], request(b"GET", b"/")):
            self.assertEqual(list(decoder.decode(encoder.encode(fields), raw=True)), [])
            self.assertEqual(list(decoder.take()), list(fields))
            self.assertEqual(decoder.take(), ())

    def test_boundsFields(self) -> None:
        """
        A block with too many bytes of fields is refused.
        """
        block = Encoder().encode([(b"a", b"b" * 1000)])
        self.assertRaises(OversizedHeaderListError, FieldDecoder(1000).decode, block)

    def test_boundsNumberOfFields(self) -> None:
        """
        A block with too many fields is refused before it is decoded; one with as
        many as are allowed is not.
        """
        for field in ((b":method", b"GET"), (b"a", b""), (b"b" * 20, b"c" * 200)):
            for count, isRefused in ((MOST_IN_BLOCK, False), (MOST_IN_BLOCK + 1, True)):
                decoder = FieldDecoder(10**7)
                block = Encoder().encode([field] * count)
                if isRefused:
                    self.assertRaises(OversizedHeaderListError, decoder.decode, block)
                    self.assertEqual(decoder.take(), ())
                else:
                    decoder.decode(block)
                    self.assertEqual(len(decoder.take()), count)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from((b":path", b":method", b"a", b"b" * 300)),
                st.sampled_from((b"/", b"GET", b"", b"1" * 130, b"x")),
            ),
            max_size=20,
        ),
        st.lists(st.integers(0, 4096), max_size=2),
        st.booleans(),
    )
    def test_countsFields(
        self, fields: list[tuple[bytes, bytes]], sizes: list[int], isShort: bool
    ) -> None:
        """
        Fields are counted as they are decoded, however they are encoded.
        """
        encoder = Encoder()
        for size in sizes:
            encoder.header_table_size = size
        block = b"".join(encoder.encode([field], huffman=isShort) for field in fields)
        count = len(list(Decoder(10**6).decode(block, raw=True)))
        self.assertEqual(count, len(fields))
        self.assertFalse(hasMoreFields(block, count))
        self.assertEqual(count > 0 and hasMoreFields(block, count - 1), count > 0)

    def test_refusesResizes(self) -> None:
        """
        A block may change the size of the table twice at its beginning.  Of a frame full of
        such changes none is made.
        """
        smallest, largest = b"\x20", b"\x3f\xe1\x1f"
        field = Encoder().encode([(b"a", b"b")])
        decoder = FieldDecoder(1000)
        decoder.decode(smallest + largest + field)
        self.assertEqual(list(decoder.take()), [(b"a", b"b")])
        for block in (
            smallest * 3 + field,
            (largest + smallest) * 4000 + field,
            largest * 4000,
        ):
            self.assertRaises(CompressionFault, decoder.decode, block)
            self.assertEqual(decoder.header_table_size, 4096)

    def test_refusesLateResizes(self) -> None:
        """
        A block does not change the size of the table behind a field.
        """
        block = Encoder().encode([(b"a", b"b")]) + b"\x20"
        self.assertRaises(CompressionFault, FieldDecoder(1000).decode, block)

    @settings(deadline=None)
    @given(st.binary(max_size=50))
    def test_refusesGarbage(self, block: bytes) -> None:
        """
        A block is decoded, or refused with the code of RFC 9113 4.3.
        """
        try:
            FieldDecoder(1000).decode(block)
        except OversizedHeaderListError:
            pass
        except CompressionFault as fault:
            self.assertEqual(fault.error_code, ErrorCodes.COMPRESSION_ERROR)


class HeadTests(SynchronousTestCase):
    """
    The head of a request.
    """

    def test_readsRequest(self) -> None:
        """
        The authority becomes the only host, cookies are joined, and the other
        fields keep their order.
        """
        head = readRequest(
            request(
                b"POST",
                b"/a?b",
                (b"cookie", b"a=b"),
                (b"x-one", b"1"),
                (b"content-length", b"007"),
                (b"host", b"Localhost"),
                (b"x-one", b""),
                (b"cookie", b"c=d"),
            )
        )
        self.assertEqual((head.method, head.target, head.length), (b"POST", b"/a?b", 7))
        self.assertEqual(
            head.fields,
            [
                (b"host", b"localhost"),
                (b"x-one", b"1"),
                (b"x-one", b""),
                (b"cookie", b"a=b; c=d"),
                (b"content-length", b"7"),
            ],
        )

    def test_readsOtherTargets(self) -> None:
        """
        OPTIONS may ask for all of the server, and CONNECT names an authority.
        """
        self.assertEqual(readRequest(request(b"OPTIONS", b"*")).target, b"*")
        head = readRequest([(b":method", b"CONNECT"), (b":authority", b"a.example:80")])
        self.assertEqual((head.method, head.target), (b"CONNECT", b"a.example:80"))
        self.assertRaises(Malformed, readRequest, [(b":method", b"CONNECT"), (b"host", b"a")])

    def test_comparesHosts(self) -> None:
        """
        Only the port that the scheme implies may be left out of the authority or
        the field Host.
        """
        for host, isSame in (
            (b"LOCALHOST", True),
            (b"localhost:443", True),
            (b"localhost:80", False),
            (b"localhost:8443", False),
        ):
            fields = request(b"GET", b"/", (b"host", host))
            if isSame:
                self.assertEqual(readRequest(fields).fields, [(b"host", b"localhost")])
            else:
                self.assertRaises(Malformed, readRequest, fields)

    @settings(deadline=None)
    @given(st.lists(st.tuples(PARTS | st.binary(max_size=8), st.binary(max_size=8)), max_size=8))
    def test_readsOrRefuses(self, fields: list[tuple[bytes, bytes]]) -> None:
        """
        Any fields are read or refused; those that are read have no character
        with which HTTP/1.1 ends a line.
        """
        for start in ([], request()):
            try:
                head = readRequest([*start, *fields])
            except Malformed:
                continue
            written = [head.method, head.target, *(part for each in head.fields for part in each)]
            self.assertNotRegex(b"".join(written), rb"[\0\r\n]")
        try:
            checkTrailers(fields)
        except Malformed:
            return
        self.assertFalse([name for name, _ in fields if name.startswith(b":")])
