"""
Heads of requests, for tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from comet.http.request import RequestHead

Values = bytes | Sequence[bytes]


def makeHead(
    query: bytes = b"",
    headers: Mapping[str, Values] | None = None,
    *,
    method: bytes = b"GET",
    segments: tuple[bytes, ...] = (b"news",),
    version: tuple[int, int] = (1, 1),
    isSecure: bool = False,
    **more: Values,
) -> RequestHead:
    """
    Make the head of a request.

    @param headers: The value or the values of each header.  C{more} are
        headers, too.
    """
    byName = {
        name.lower().encode("ascii"): [values] if isinstance(values, bytes) else list(values)
        for name, values in {**(headers or {}), **more}.items()
    }
    return RequestHead(
        method, segments, query, version, lambda name: byName.get(name.lower(), []), isSecure
    )
