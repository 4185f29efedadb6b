"""
The coding of responses that are compressed, and who gets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from comet.framing.compression import Compression
from comet.http.negotiation import acceptsGzip
from comet.http.request import RequestHead
from comet.http.responses import Headers

GZIP: Final[Headers] = ((b"Content-Encoding", b"gzip"),)

# Beside the header Vary of every response: a second line adds to the first (RFC 9110 5.3).
VARY: Final[Headers] = ((b"Vary", b"Accept-Encoding"),)


def chooseCoding(
    head: RequestHead, names: Sequence[str], compression: Compression | None
) -> Compression | None:
    """
    Choose whether a response with messages of some names is compressed.

    @param compression: Which messages are compressed; L{None} if none are.

    @return: L{None} for a response that is not compressed.
    """
    if compression is None or not compression.concerns(names) or not acceptsGzip(head):
        return None
    return compression
