"""
Tests of L{comet.framing.iframe}.
"""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
from comet.framing.envelope import encodeClose, encodeCursor, encodeEnvelope, encodeGap
from comet.framing.iframe import IFrameShape
from comet.model.messages import Close, Message
from tests.framing.browsers import HOSTILE, PageReader
from tests.framing.readers import (
    CLOSES,
    CURSOR,
    CUTS,
    MESSAGES,
    NAMES,
    ChunkReader,
    makeMessage,
    readAll,
)

PAGE = "https://page.example"


class LiteralTests(SynchronousTestCase):
    """
    The bytes of L{IFrameShape}.
    """

    calling: Shape = IFrameShape(callback="app.cb", chunked=False)
    posting: Shape = IFrameShape(origin=PAGE, chunked=False)

    def test_value(self) -> None:
        """
        A shape is a value: equal to another exactly where its bytes are.
        """
        shapes = {self.calling, self.posting, IFrameShape(callback="app.cb")}
        shapes |= {IFrameShape(callback="app.cb", time=True), IFrameShape(origin="*")}
        self.assertEqual(len({*shapes, IFrameShape(origin="*")}), 5)

    def test_neither(self) -> None:
        """
        There is somebody to hand messages to.
        """
        self.assertRaises(ValueError, IFrameShape)

    def test_call(self) -> None:
        """
        A message is a script that calls a function of the parent.
        """
        self.assertEqual(
            self.calling.message(makeMessage({"a": 1})),
            b'<script>parent.app.cb({"channel":"news","cursor":"k3f9a2-1042","data":{"a":1}});'
            b"</script>\n",
        )

    def test_post(self) -> None:
        """
        Or one that posts it to the parent, if that is of the right origin.
        """
        self.assertEqual(
            self.posting.cursor(CURSOR),
            b'<script>parent.postMessage({"cursor":"k3f9a2-1042"},"https://page.example");'
            b"</script>\n",
        )

    def test_originIsText(self) -> None:
        """
        An origin cannot end its string or the script.
        """
        shape = IFrameShape(origin='"</script>', chunked=False)
        self.assertIn(rb',"\"\u003c/script>");</script>', shape.cursor(CURSOR))

    def test_prelude(self) -> None:
        """
        The page begins as one of HTML in UTF-8, and is long enough at once for
        browsers to begin.
        """
        prelude = self.calling.prelude
        self.assertTrue(prelude.startswith(b"<!DOCTYPE html>\n<html"))
        self.assertLess(prelude.index(b'<meta charset="utf-8">'), 1024)
        self.assertEqual(len(prelude), 4096)
        self.assertEqual(prelude[300:].strip(), b"")
        self.assertEqual(IFrameShape(origin="*").prelude, b"1000\r\n" + prelude + b"\r\n")

    def test_frame(self) -> None:
        """
        The scripts of one write are one chunk.
        """
        shape = IFrameShape(origin="*")
        self.assertEqual(shape.frame([b"ab", b"c"]), b"3\r\nabc\r\n")
        self.assertEqual(self.posting.frame([b"ab", b"c"]), b"abc")
        self.assertEqual((shape.coda, self.posting.coda), (b"0\r\n\r\n", b""))
        self.assertFalse(shape.adoptsReplay)

    def test_time(self) -> None:
        """
        The time is told where it was asked for.
        """
        message = makeMessage(1)
        self.assertIn(b'"time":', IFrameShape(origin="*", time=True).message(message))
        self.assertNotIn(b'"time":', self.posting.message(message))

    def test_prototype(self) -> None:
        """
        The one key that means something else in a script is computed.
        """
        piece = self.posting.message(makeMessage({"__proto__": 1}))
        self.assertIn(b'"data":{["__proto__"]:1}}', piece)


class PageTests(SynchronousTestCase):
    """
    What a browser runs.
    """

    @settings(deadline=None)
    @given(
        st.lists(MESSAGES | st.sampled_from(HOSTILE).map(makeMessage), max_size=3),
        st.lists(NAMES, max_size=3),
        CLOSES,
        CUTS,
        st.sampled_from(["cb", "a.$b._c", None]),
    )
    def test_anySplit(
        self,
        messages: list[Message],
        names: list[str],
        close: Close,
        sizes: list[int],
        callback: str | None,
    ) -> None:
        """
        All envelopes arrive, each from a script of its own, however the page
        is cut, and nothing else is in it.
        """
        shape = IFrameShape(callback=callback, origin=PAGE)
        pieces = [shape.message(message, replay=True) for message in messages]
        written = [
            shape.frame([shape.cursor(CURSOR)]),
            shape.frame([*pieces, shape.gap(CURSOR, names)]),
            shape.frame([shape.close(CURSOR, close)]),
        ]
        chunks, page = ChunkReader(), PageReader()
        chunks.feed(shape.prelude)
        readAll(chunks, b"".join(written) + shape.coda, sizes)
        page.feed(chunks.body[:4096])
        readAll(page, chunks.body[4096:], sizes)
        expected = [
            encodeCursor(CURSOR),
            *(encodeEnvelope(message, replay=True) for message in messages),
            encodeGap(CURSOR, names),
            encodeClose(CURSOR, close),
        ]
        function = f"parent.{callback or 'postMessage'}"
        besides = [] if callback else [PAGE]
        self.assertEqual(
            page.calls, [(function, [json.loads(each), *besides]) for each in expected]
        )
        self.assertEqual(page.text.strip(), "comet")
        self.assertEqual(
            page.tags,
            [
                *("!doctype html", 'html lang="en"', "head", 'meta charset="utf-8"'),
                *("title", "/title", "/head", "body"),
            ],
        )
        self.assertTrue(chunks.ended)
