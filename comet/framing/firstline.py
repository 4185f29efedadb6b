"""
The beginning of a connection of raw TCP: a JSON object, or the request for Flash's
policy file.

A web page can make a browser connect to any port, with a C{POST} whose body has
lines of the page's choice.  Such a connection begins with a method of HTTP or a
handshake of TLS, and never with one of these two.
"""

from __future__ import annotations

from typing import Final

from comet.framing.flashpolicy import REQUEST

# What may stand before the object: JSON's white space (RFC 8259, 2), and the ends of
# empty lines.
_BLANK: Final = b" \t\r\n\0"


class FirstBytes:
    """
    Judges the first bytes of a client, which arrive in any pieces.  It does not
    wait for the end of the line, since the client decides when that comes.
    """

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        # As much as it takes to judge, without what may stand before it.
        self._begun = b""

    def feed(self, data: bytes) -> bool:
        """
        Add the next bytes of the client.

        @return: True if all bytes so far may begin a JSON object or the request
            for the policy file.
        """
        begun = self._begun
        if len(begun) < len(REQUEST):
            if not begun:
                data = data.lstrip(_BLANK)
            begun = self._begun = begun + data[: len(REQUEST) - len(begun)]
        return begun.startswith(b"{") or REQUEST.startswith(begun)
