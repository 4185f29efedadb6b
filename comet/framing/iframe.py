"""
The format of the forever frame: a page that never ends, C{text/html}, one script
a message.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from attrs import frozen

from comet.framing import strictjson
from comet.framing.chunked import endBody, frameBody
from comet.framing.envelope import EnvelopeShape
from comet.framing.jsonp import encodeExpression

# How many bytes come before the first script.  Browsers buffer the first bytes of
# a page, to guess its type and encoding: Internet Explorer 256 bytes; WebKit,
# Blink and Gecko 1,024 bytes if the encoding is not given.  Old browsers on
# phones are said to buffer up to 4 KiB.
PRELUDE_BYTES: Final = 4096

_HEAD: Final = (
    b'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    b"<title>comet</title>\n</head>\n<body>\n"
)


@lru_cache(2)
def _prelude(chunked: bool) -> bytes:
    return frameBody([_HEAD.ljust(PRELUDE_BYTES - 1), b"\n"], chunked)


@frozen(kw_only=True)
class IFrameShape(EnvelopeShape):
    """
    One script a message.  The script gives the envelope to the page that the
    frame is in.

    No byte of a message can end the script or the page.  An envelope has no
    C{<}, with which the end tag of a script starts, and also a comment that
    would hide that end tag.  It has no character that ends a string in
    JavaScript but not in JSON.

    @ivar callback: The function of that page to call, which
        L{checkCallback<comet.framing.jsonp.checkCallback>} let pass, or L{None}
        to post messages.

    @ivar origin: The origin of the page to which messages are posted; ignored
        if there is a callback.

    @ivar chunked: Whether the body has the chunked coding of HTTP/1.1.
    """

    callback: str | None = None
    origin: str | None = None
    chunked: bool = True

    def __attrs_post_init__(self) -> None:
        if self.callback is None and self.origin is None:
            raise ValueError("callback and origin are both None; one of them is needed")

    @property
    def prelude(self) -> bytes:
        """
        The head of the page, with spaces up to L{PRELUDE_BYTES}, so that
        browsers start to read.
        """
        return _prelude(self.chunked)

    @property
    def coda(self) -> bytes:
        """
        The last chunk, if the body is chunked.  The page needs no end tags.
        """
        return endBody(self.chunked)

    def piece(self, envelope: bytes) -> bytes:
        """
        Make a script.
        """
        value = encodeExpression(envelope)
        if self.callback is not None:
            call = b"%b(%b)" % (self.callback.encode("ascii"), value)
        else:
            call = b"postMessage(%b,%b)" % (value, strictjson.encode(self.origin))
        return b"<script>parent.%b;</script>\n" % call

    def frame(self, pieces: Sequence[bytes]) -> bytes:
        """
        Join the scripts, in one chunk.
        """
        return frameBody(pieces, self.chunked)
