"""
Whole responses of HTTP as bytes, of which most is the same each time.
"""

from __future__ import annotations

from typing import Final

from comet.http.responses import Headers, Response, dateOfNow, encodeHead, encodeResponse

# How many heads are remembered.
MOST_HEADS: Final = 256

_DATE: Final = b"Thu, 01 Jan 1970 00:00:00 GMT"
_LENGTH: Final = b"Content-Length: 0\r\n"


class Responses:
    """
    Makes responses to requests of HTTP/1.1 on connections that stay.
    """

    def __init__(self) -> None:
        self._heads: dict[tuple[int, Headers], tuple[bytes, bytes, bytes]] = {}
        self._endless: dict[Headers, tuple[bytes, bytes]] = {}

    def encode(self, answer: Response, own: Headers = ()) -> bytes:
        """
        A complete response.

        @param own: Headers that this answer alone has.
        """
        headers = answer.headers + own if own else answer.headers
        key = (answer.status, headers)
        parts = self._heads.get(key)
        if parts is None:
            head = encodeResponse((1, 1), answer.status, headers, b"", True, _DATE)
            before, _, after = head.partition(_DATE)
            middle, _, end = after.partition(_LENGTH)
            if not end:
                # Of a status that has no length.
                return encodeResponse((1, 1), answer.status, headers, b"", True, dateOfNow())
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            parts = self._heads[key] = (before, middle, end)
        before, middle, end = parts
        body = answer.body
        return b"%b%b%bContent-Length: %d\r\n%b%b" % (
            *(before, dateOfNow(), middle),
            *(len(body), end, body),
        )

    def endless(self, headers: Headers) -> bytes:
        """
        The head of a response that does not end, in chunks.
        """
        parts = self._endless.get(headers)
        if parts is None:
            head = encodeHead((1, 1), 200, headers, True, False, _DATE)
            before, _, after = head.partition(_DATE)
            if len(self._endless) >= MOST_HEADS:
                self._endless.clear()
            parts = self._endless[headers] = (before, after)
        return parts[0] + dateOfNow() + parts[1]
