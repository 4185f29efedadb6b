"""
How the streams of each transport look on the lean edge: their headers and shapes,
which are those of the transport's resource on Twisted's edge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from comet.framing import Shape
from comet.framing.iframe import IFrameShape
from comet.framing.multipart import MultipartShape
from comet.framing.ndjson import NDJSONShape
from comet.http.origins import Origins
from comet.http.responses import Headers
from comet.lean.plans import Asked
from comet.transports.iframe import IFrameResource, findTarget, policies
from comet.transports.multipart import MultipartResource
from comet.transports.sse import EventSourceResource, shapeOf
from comet.transports.stream import StreamResource

Style = tuple[Headers, Shape]


def _stream(origins: Origins, asked: Asked) -> Style:
    shape = NDJSONShape(asked.request.time, chunked=True)
    return ((b"Content-Type", StreamResource.contentType),), shape


def _events(origins: Origins, asked: Asked) -> Style:
    return ((b"Content-Type", EventSourceResource.contentType),), shapeOf(asked.request, True)


def _parts(origins: Origins, asked: Asked) -> Style:
    shape = MultipartShape(asked.request.time, chunked=True)
    return ((b"Content-Type", MultipartResource.contentType),), shape


def _frame(origins: Origins, asked: Asked) -> Style:
    callback, origin = findTarget(origins, asked.head, asked.host)
    shape = IFrameShape(time=asked.request.time, callback=callback, origin=origin)
    return ((b"Content-Type", IFrameResource.contentType), *policies(origin)), shape


_STYLES: Final[dict[str, Callable[[Origins, Asked], Style]]] = {
    StreamResource.transport: _stream,
    EventSourceResource.transport: _events,
    MultipartResource.transport: _parts,
    IFrameResource.transport: _frame,
}


def styleOf(origins: Origins, asked: Asked) -> Style:
    """
    Return the headers that are particular to the transport of a stream, and the shape
    of what its readers are written.

    @raise CometError: If the request has to be refused.
    """
    return _STYLES[asked.request.transport](origins, asked)
