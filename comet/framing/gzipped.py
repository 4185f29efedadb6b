"""
The format of a stream that is compressed: C{Content-Encoding: gzip}, each message in
blocks of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from comet.framing import Shape
from comet.framing.budget import CompressionBudget
from comet.framing.chunked import endBody, frameBody
from comet.framing.compression import Compression
from comet.framing.deflate import GZIP_HEAD, store
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message


@frozen(cache_hash=True)
class GzipShape:
    """
    The stream of another shape as one endless file of gzip.

    No block refers to one before it.  So readers get the same bytes wherever they have
    joined, and what one message contains does not change the length of another.  What is
    no message, or a small one, is stored as it is.

    The file has no end, also where the server ends the stream: what would stand there, a
    checksum of all that this reader has got, would make the readers differ.  Browsers and
    curl do not ask for it.

    @ivar plain: The shape of what is compressed.  Its body is not chunked.

    @ivar compression: Which messages are compressed.

    @ivar chunked: Whether the body has the chunked coding of HTTP/1.1.
    """

    plain: Shape
    compression: Compression
    chunked: bool = True

    @property
    def prelude(self) -> bytes:
        """
        The head of the file, and the prelude of the plain shape.
        """
        prelude = self.plain.prelude
        return frameBody([GZIP_HEAD, store(prelude) if prelude else b""], self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, if the body is chunked.
        """
        coda = self.plain.coda
        return frameBody([store(coda)] if coda else [], self.chunked) + endBody(self.chunked)

    @property
    def adoptsReplay(self) -> bool:
        """
        As that of the plain shape.
        """
        return self.plain.adoptsReplay

    @property
    def ended(self) -> Callable[[Cursor, Sequence[str], str, Cursor | None], bytes] | None:
        """
        The method C{ended}, if the plain shape has one.
        """
        return self._ended if hasattr(self.plain, "ended") else None

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Make the blocks of a message, compressed if it is to be and becomes shorter.
        """
        return self.messageWithin(message, CompressionBudget(), replay)

    def messageWithin(
        self, message: Message, budget: CompressionBudget, replay: bool = False
    ) -> bytes:
        """
        Make the blocks of a message, compressed if it is to be, there is budget for that,
        and it becomes shorter.
        """
        data = self.plain.frame([self.plain.message(message, replay)])
        if self.compression.takes(message):
            blocks = budget.deflate(data, self.compression.window)
            if blocks is not None:
                return blocks
        return store(data)

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Make the block that has only the cursor.
        """
        return self._store(self.plain.cursor(cursor, resume))

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Make the block of a gap.
        """
        return self._store(self.plain.gap(cursor, names, resume))

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Make the block that tells why the reader is closed.
        """
        return self._store(self.plain.close(cursor, close, resume))

    def _ended(
        self, cursor: Cursor, names: Sequence[str], code: str, resume: Cursor | None = None
    ) -> bytes:
        piece: bytes = self.plain.ended(cursor, names, code, resume)  # type: ignore[attr-defined]
        return self._store(piece)

    def _store(self, piece: bytes) -> bytes:
        return store(self.plain.frame([piece]))

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Join the blocks, in one chunk.
        """
        return frameBody(pieces, self.chunked)
