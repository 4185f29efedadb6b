"""
Tests of L{comet.client.partsplitting}.
"""

from __future__ import annotations

import json
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.client import splitting
from comet.client.failures import BadAnswer
from comet.client.partsplitting import PartSplitter
from comet.framing.multipart import BOUNDARY, MultipartShape
from comet.framing.strictjson import encode
from tests.client.test_splitting import split

TYPE = f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}"
KIND = b"Content-Type: application/json\r\n\r\n"
BODY = (
    b'--b\r\nContent-Type: application/json\r\n\r\n{"a":1}\r\n--b\r\ncontent-type:application/json'
    b'\r\nX: y\r\n\r\n{"b":\r\n2}\r\n--b\r\nContent-Type: application/json\r\n\r\n{"c":"--b"}\r\n'
    b"--b--\r\nwhat follows is no part\r\n--b\r\n"
)
FOUND = [b'{"a":1}', b'{"b":\n2}', b'{"c":"--b"}']


class PartTests(SynchronousTestCase):
    """
    L{PartSplitter}.
    """

    make = staticmethod(partial(PartSplitter, "multipart/x-mixed-replace; boundary=b"))

    def test_everySplit(self) -> None:
        """
        What is found does not depend on how the network cuts the stream.
        """
        for size in range(1, len(BODY) + 1):
            pieces = [BODY[at : at + size] for at in range(0, len(BODY), size)]
            self.assertEqual(split(self.make, *pieces), FOUND)

    def test_strict(self) -> None:
        """
        What is not made of parts with JSON is refused.
        """
        for body in (
            b"<html>\r\n",
            b"{}\r\n",
            b"--c\r\n",
            b"--b--b\r\n",
            b"--b\r\n\r\n{}\r\n",
            b"--b\r\n--b\r\n",
            b"--b\r\nContent-Type: text/html\r\n\r\n",
            b"--b\r\nContent-Type: application/json; x\r\n\r\n",
            b"--b\r\n" + b"\r\n".join([b"x: y"] * 3000),
        ):
            self.assertRaises(BadAnswer, split, self.make, body)

    def test_boundary(self) -> None:
        """
        A boundary that is none is refused; one in quotes is not.
        """
        for value in ("", "=", "=" + "b" * 71, '="b', '=""', '="b "', "=b c", "=b;c", "=é"):
            self.assertRaises(BadAnswer, PartSplitter, f"multipart/mixed; boundary{value}")
        made = partial(PartSplitter, 'Multipart/Mixed;Boundary="b c"')
        self.assertEqual(split(made, b"--b c\r\n" + KIND + b"1\r\n--b c--\r\n"), [b"1"])

    def test_bounded(self) -> None:
        """
        A part has a bounded size, however many lines it has.
        """
        self.patch(splitting, "MAX_BYTES", 2**12)
        for line in (b"x" * 100, b"\r\n"):
            splitter = self.make()
            splitter.received(b"--b\r\n" + KIND)
            self.assertRaises(
                BadAnswer,
                lambda line=line, splitter=splitter: [
                    splitter.received(line) for _ in range(2**13)
                ],
            )

    @settings(deadline=None)
    @given(st.lists(st.text()), st.integers(1, 100))
    def test_server(self, values: list[str], size: int) -> None:
        """
        What the server writes is read.
        """
        shape = MultipartShape(chunked=False)
        pieces = [encode({"_comet-next-part": value}) for value in values]
        body = shape.prelude + shape.frame([shape.piece(each) for each in pieces])
        found = split(
            partial(PartSplitter, TYPE), *(body[at : at + size] for at in range(0, len(body), size))
        )
        self.assertEqual([*map(json.loads, found)], [*map(json.loads, pieces)])
