"""
Wire formats: messages as bytes, and what clients send as values.  One module for
each format.

Nothing here imports Twisted or keeps state.  A L{Shape} has everything that
makes the bytes of one reader differ from those of another.  Readers of the same
names in equal shapes are written the same bytes.

  - L{jsonoutline}: what of a JSON text is outside of its strings
  - L{strictjson}: JSON, strictly and safely for every format
  - L{envelope}: a message as JSON with its cursor
  - L{chunked}: the chunks of HTTP/1.1
  - L{ndjson}: a line a message
  - L{sse}: C{text/event-stream}
  - L{deflate}: blocks of DEFLATE, and gzip around them
  - L{compression}: which messages are compressed
  - L{budget}: how much is compressed in one moment
  - L{gzipped}: one of these streams, compressed
  - L{multipart}: C{multipart/x-mixed-replace}
  - L{iframe}: script elements of the forever frame
  - L{jsonp}: a call of a function
  - L{pollbody}: the body that answers a poll
  - L{websocket}: frames of RFC 6455
  - L{tcp}: lines of raw TCP
  - L{firstline}: what a connection of raw TCP may begin with
  - L{flashpolicy}: Flash's policy file
  - L{tlsrecords}: what TLS shows of itself without its keys
  - L{proxyheader}: what a proxy says of a connection's client
  - L{contenttypes}: the type of a publisher's body
  - L{codings}: bodies that a publisher has compressed
  - L{publications}: what a publisher's body, line or value says
  - L{batchreader}: a body with one message a line
  - L{stored}: what a store gives back, checked
  - L{members}: members of channels, as they are told of and stored
  - L{commands}: what a client says on a two-way transport
  - L{orders}: what an admin orders, and the nodes tell one another of it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from comet.model.cursors import Cursor
from comet.model.messages import Close, Message


class Shape(Protocol):
    """
    The wire format of an endless stream of messages, with its options.

    A shape is a value: it does not change, it can be hashed, and two shapes
    are equal only if all their bytes are.  The methods for messages, cursors,
    gaps and the end return I{pieces}.  L{frame} makes of one or more pieces
    the bytes that may be written.

    A shape may also have a method C{ended}, as that of L{EnvelopeShape
    <comet.framing.envelope.EnvelopeShape>}, which tells that some names have ended.
    A reader in a shape without it is closed then.

    A shape that compresses messages has an attribute C{compression}, a L{Compression
    <comet.framing.compression.Compression>}, and a method C{messageWithin}, as that of
    L{GzipShape<comet.framing.gzipped.GzipShape>}: it makes the piece of a message within
    a L{CompressionBudget<comet.framing.budget.CompressionBudget>}.
    """

    @property
    def prelude(self) -> bytes:
        """
        The bytes that are written once, before everything else, so that the
        client starts to read.  They are not given to L{frame}, and may be
        empty.
        """

    @property
    def coda(self) -> bytes:
        """
        The bytes that are written once, after everything else, to end the
        stream.  They are not given to L{frame}, and may be empty.
        """

    @property
    def adoptsReplay(self) -> bool:
        """
        Whether a client reconnects with the cursor of the last piece, also of
        a replayed message, as an C{EventSource} does.
        """

    def message(self, message: Message, replay: bool = False) -> bytes:
        """
        Make the piece of one message.

        @param replay: Whether the message is replayed to a name that started
            behind the others.
        """

    def cursor(self, cursor: Cursor, resume: Cursor | None = None) -> bytes:
        """
        Make the piece that has only the cursor of the reader: the first one
        of a stream, and every heartbeat.

        @param resume: The cursor with which the client has to reconnect, if it
            adopts the cursors of replayed messages and a replay is under way.
        """

    def gap(self, cursor: Cursor, names: Sequence[str], resume: Cursor | None = None) -> bytes:
        """
        Make the piece of a gap: these names lost messages after the cursor.

        @param resume: As in L{cursor}.
        """

    def close(self, cursor: Cursor, close: Close, resume: Cursor | None = None) -> bytes:
        """
        Make the piece that tells why the reader is closed.

        @param resume: As in L{cursor}.
        """

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Make the bytes of one write from one or more pieces.
        """
