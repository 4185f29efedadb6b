"""
The header C{Content-Type}.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from attrs import frozen

from comet.errors import BadRequest, Unsupported

# RFC 9110 5.6.2, 5.6.6, 8.3.1: a media type is two tokens around a slash, and
# parameters follow, each behind a semicolon.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}")
_PARAMETER = re.compile(
    rf"""[ \t]*;[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*"))?""", re.DOTALL
)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

# The charsets that are read: UTF-8, of which US-ASCII is a part, by their names
# and the usual other spellings.
_CHARSETS: Final = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})


@frozen
class ContentType:
    """
    The type of a body.

    @ivar mediaType: The media type in lower case; empty if the body has none.

    @ivar charset: The parameter C{charset} in lower case, or L{None}.
    """

    mediaType: str = ""
    charset: str | None = None

    def checkCharset(self) -> None:
        """
        Check that a body of this type can be read as text.

        @raise Unsupported: If its charset is neither UTF-8 nor US-ASCII.
        """
        if self.charset is not None and self.charset not in _CHARSETS:
            raise Unsupported(
                f"the charset {self.charset[:64]!r} is not supported; UTF-8 and US-ASCII are"
            )


@lru_cache(64)
def parseContentType(text: str) -> ContentType:
    """
    Parse the value of C{Content-Type}.  An empty one counts as absent.

    @raise BadRequest: If it is malformed, or names two charsets.
    """
    text = text.strip(" \t")
    if not text:
        return ContentType()
    found = _MEDIA_TYPE.match(text)
    place = 0 if found is None else found.end()
    charset = None
    while found is not None and place < len(text):
        found = _PARAMETER.match(text, place)
        if found is None:
            break
        place = found.end()
        if found[1] is not None and found[1].lower() == "charset":
            given = found[2].lower()
            if given.startswith('"'):
                given = _QUOTED_PAIR.sub(r"\1", given[1:-1])
            if charset is not None and charset != given:
                raise BadRequest(f"the Content-Type {text[:64]!r} names two charsets")
            charset = given
    if found is None:
        raise BadRequest(
            f"{text[:64]!r} is not a Content-Type: type/subtype, and parameters such as "
            "; charset=utf-8"
        )
    return ContentType(text.partition(";")[0].rstrip(" \t").lower(), charset)
