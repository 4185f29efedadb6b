"""
Tests of L{comet.framing.iframe}.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.framing import Shape
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
    envelopesOf,
    makeMessage,
    readAll,
    writeStream,
)

PAGE = "https://page.example"


class LiteralTests(SynchronousTestCase):
    """
    The bytes of L{IFrameShape}.
    """

    calling: Shape = IFrameShape(callback="app.cb", chunked=False)
    posting: Shape = IFrameShape(origin=PAGE, chunked=False)

    def test_isValue(self) -> None:
        """
        Shapes are equal exactly if their bytes are, and then have the same
        hash.
        """
        shapes = {self.calling, self.posting, IFrameShape(callback="app.cb")}
        shapes |= {IFrameShape(callback="app.cb", time=True), IFrameShape(origin="*")}
        self.assertEqual(len({*shapes, IFrameShape(origin="*")}), 5)

    def test_needsCallbackOrOrigin(self) -> None:
        """
        A shape without a callback and without an origin is refused.
        """
        self.assertRaises(ValueError, IFrameShape)

    def test_callsFunction(self) -> None:
        """
        A message is a script that calls a function of the parent page.
        """
        self.assertEqual(
            self.calling.message(makeMessage({"a": 1})),
            b'<script>parent.app.cb({"channel":"news","cursor":"k3f9a2-1042","data":{"a":1}});'
            b"</script>\n",
        )

    def test_postsToOrigin(self) -> None:
        """
        Without a callback a message is a script that posts it to the parent
        page, if that has the right origin.
        """
        self.assertEqual(
            self.posting.cursor(CURSOR),
            b'<script>parent.postMessage({"cursor":"k3f9a2-1042"},"https://page.example");'
            b"</script>\n",
        )

    def test_escapesOrigin(self) -> None:
        """
        An origin cannot end its string or the script.
        """
        shape = IFrameShape(origin='"</script>', chunked=False)
        self.assertIn(rb',"\"\u003c/script>");</script>', shape.cursor(CURSOR))

    def test_preludeIsLong(self) -> None:
        """
        The page starts as HTML in UTF-8, with enough bytes for browsers to
        start reading.
        """
        prelude = self.calling.prelude
        self.assertTrue(prelude.startswith(b"<!DOCTYPE html>\n<html"))
        self.assertLess(prelude.index(b'<meta charset="utf-8">'), 1024)
        self.assertEqual(len(prelude), 4096)
        self.assertEqual(prelude[300:].strip(), b"")
        self.assertEqual(IFrameShape(origin="*").prelude, b"1000\r\n" + prelude + b"\r\n")

    def test_framesOneChunk(self) -> None:
        """
        The scripts of one write are one chunk.
        """
        shape = IFrameShape(origin="*")
        self.assertEqual(shape.frame([b"ab", b"c"]), b"3\r\nabc\r\n")
        self.assertEqual(self.posting.frame([b"ab", b"c"]), b"abc")
        self.assertEqual((shape.coda, self.posting.coda), (b"0\r\n\r\n", b""))
        self.assertFalse(shape.adoptsReplay)

    def test_hasTime(self) -> None:
        """
        Envelopes have the time if the shape says so.
        """
        message = makeMessage(1)
        self.assertIn(b'"time":', IFrameShape(origin="*", time=True).message(message))
        self.assertNotIn(b'"time":', self.posting.message(message))

    def test_computesPrototypeKey(self) -> None:
        """
        The key C{__proto__} is written as a computed one.
        """
        piece = self.posting.message(makeMessage({"__proto__": 1}))
        self.assertIn(b'"data":{["__proto__"]:1}}', piece)


class PageTests(SynchronousTestCase):
    """
    The scripts that a browser runs.
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
        A browser gets every envelope from a script of its own, and nothing
        else, for any split of the page.
        """
        shape = IFrameShape(callback=callback, origin=PAGE)
        written = writeStream(shape, messages, names, close)
        chunks, page = ChunkReader(), PageReader()
        chunks.feed(shape.prelude)
        readAll(chunks, written, sizes)
        page.feed(chunks.body[:4096])
        readAll(page, chunks.body[4096:], sizes)
        expected = envelopesOf(messages, names, close)
        function = f"parent.{callback or 'postMessage'}"
        besides = [] if callback else [PAGE]
        self.assertEqual(page.calls, [(function, [each, *besides]) for each in expected])
        self.assertEqual(page.text.strip(), "comet")
        self.assertEqual(
            page.tags,
            [
                *("!doctype html", 'html lang="en"', "head", 'meta charset="utf-8"'),
                *("title", "/title", "/head", "body"),
            ],
        )
        self.assertTrue(chunks.ended)
