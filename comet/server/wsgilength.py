"""
The length that a WSGI application tells of its response, and what it does not keep to.

PEP 3333 ("Handling the Content-Length Header") leaves that to the server.  On a connection
that is kept, bytes beyond the length are read as the beginning of the next response, and
for bytes that are missing the client waits.
"""

from __future__ import annotations

from collections.abc import Sequence

# RFC 9110 6.4.1: these have no body, also if they tell a length.
_BODILESS = ("1", "204", "304")


class TooShort(Exception):
    """
    A response has ended before the length that its application has told.
    """


class ToldLength:
    """
    Counts what a response may still have of its body.

    @ivar told: The length; L{None} if none counts: none is told, or there is no body.

    @ivar isExceeded: Whether the application has made more than that.
    """

    def __init__(self, method: str) -> None:
        """
        @param method: The method of the request.
        """
        self.told: int | None = None
        self.isExceeded = False
        self._left = 0
        self._isHead = method == "HEAD"

    def begun(self, status: str, headers: Sequence[tuple[str, str]]) -> None:
        """
        The application has told the status and the headers of its response, perhaps in
        place of others.
        """
        self.told = None
        if self._isHead or status.startswith(_BODILESS):
            return
        for name, value in headers:
            if name.lower() == "content-length" and value.isascii() and value.isdigit():
                self.told = self._left = int(value)

    def within(self, data: bytes) -> bytes:
        """
        Return a part of the body without what is beyond the length.
        """
        if self.told is None:
            return data
        kept = data[: self._left]
        self._left -= len(kept)
        self.isExceeded = self.isExceeded or len(kept) < len(data)
        return kept

    def ended(self) -> None:
        """
        The application has made all of its response.

        @raise TooShort: If something is missing.
        """
        if self.told is not None and self._left:
            raise TooShort(f"{self._left} of {self.told} bytes of Content-Length are missing")
