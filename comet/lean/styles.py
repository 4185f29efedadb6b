"""
How the streams of each transport look on the lean edge: their headers and shapes,
which are those of the transport's resource on Twisted's edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from comet.framing import Shape
from comet.framing.compression import Compression
from comet.framing.gzipped import GzipShape
from comet.framing.iframe import IFrameShape
from comet.framing.multipart import MultipartShape
from comet.framing.ndjson import NDJSONShape
from comet.http.contentcoding import GZIP, chooseCoding
from comet.http.origins import Origins
from comet.http.responses import Headers
from comet.lean.plans import Asked
from comet.transports.iframe import IFrameResource, findTarget, policies
from comet.transports.multipart import MultipartResource
from comet.transports.sse import EventSourceResource, shapeOf
from comet.transports.stream import StreamResource

Style = tuple[Headers, Shape]


def _stream(origins: Origins, asked: Asked, chunked: bool) -> Style:
    shape = NDJSONShape(asked.request.time, chunked)
    return ((b"Content-Type", StreamResource.contentType),), shape


def _events(origins: Origins, asked: Asked, chunked: bool) -> Style:
    return ((b"Content-Type", EventSourceResource.contentType),), shapeOf(asked.request, chunked)


def _parts(origins: Origins, asked: Asked, chunked: bool) -> Style:
    shape = MultipartShape(asked.request.time, chunked)
    return ((b"Content-Type", MultipartResource.contentType),), shape


def _frame(origins: Origins, asked: Asked, chunked: bool) -> Style:
    callback, origin = findTarget(origins, asked.head, asked.host)
    shape = IFrameShape(time=asked.request.time, callback=callback, origin=origin, chunked=chunked)
    return ((b"Content-Type", IFrameResource.contentType), *policies(origin)), shape


_STYLES: Final[dict[str, Callable[[Origins, Asked, bool], Style]]] = {
    StreamResource.transport: _stream,
    EventSourceResource.transport: _events,
    MultipartResource.transport: _parts,
    IFrameResource.transport: _frame,
}


# The transports whose streams may be compressed.
_COMPRESSED: Final = frozenset(
    kind.transport
    for kind in (StreamResource, EventSourceResource, MultipartResource, IFrameResource)
    if kind.isCompressed
)


def styleOf(origins: Origins, asked: Asked, compression: Compression | None) -> Style:
    """
    Return the headers that are particular to the transport of a stream, and the shape
    of what its readers are written.

    @param compression: Which messages are compressed; L{None} if none are.

    @raise CometError: If the request has to be refused.
    """
    transport, request = asked.request.transport, asked.request
    coding = None
    if transport in _COMPRESSED:
        coding = chooseCoding(asked.head, request.names, compression)
    headers, shape = _STYLES[transport](origins, asked, coding is None)
    if coding is None:
        return headers, shape
    return (*headers, *GZIP), GzipShape(shape, coding)
