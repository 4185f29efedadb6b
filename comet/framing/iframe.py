"""
The forever frame: a page that never ends, C{text/html}, a script a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from comet.framing import strictjson
from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import EnvelopeShape
from comet.framing.jsonp import encodeExpression

# How many bytes come before the first script.  Browsers hold back the first
# bytes of a page, to guess from them what they are: Internet Explorer 256, and
# those made of WebKit, Blink and Gecko 1,024, if nothing has told them the
# encoding.  Old ones on phones are said to hold back up to 4 KiB.
PRELUDE_BYTES: Final = 4096

_HEAD: Final = (
    b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    b"<title>comet</title>\n</head>\n<body>\n"
)


@frozen(kw_only=True)
class IFrameShape(EnvelopeShape):
    """
    One script a message, which hands the envelope to the page that the frame
    is in.

    No byte of a message can end the script or the page: in an envelope there
    is no C{<}, with which the end of a script begins, and a comment that would
    hide that end; nor anything that ends a string of JavaScript but not one of
    JSON.

    @ivar callback: The function of that page to call, as
        L{checkCallback<comet.framing.jsonp.checkCallback>} let it pass, or
        L{None} to post messages.

    @ivar origin: The origin to which messages are posted; not looked at where
        there is a callback.

    @ivar chunked: Whether the body is in the chunked coding.
    """

    callback: str | None = None
    origin: str | None = None
    chunked: bool = True

    def __attrs_post_init__(self) -> None:
        if self.callback is None and self.origin is None:
            raise ValueError("neither a function to call nor an origin to post to")

    @property
    def prelude(self) -> bytes:
        """
        The head of the page, with spaces until browsers begin to read, ready
        to be written.
        """
        return frameBody([_HEAD.ljust(PRELUDE_BYTES - 1), b"\n"], self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, where there are chunks.  The page ends as well without
        the tags that end it.
        """
        return endBody(self.chunked)

    def piece(self, envelope: bytes) -> bytes:
        """
        A script.
        """
        value = encodeExpression(envelope)
        if self.callback is not None:
            call = b"%b(%b)" % (self.callback.encode("ascii"), value)
        else:
            call = b"postMessage(%b,%b)" % (value, strictjson.encode(self.origin))
        return b"<script>parent.%b;</script>\n" % call

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        All scripts, in one chunk.
        """
        return frameBody(pieces, self.chunked)
