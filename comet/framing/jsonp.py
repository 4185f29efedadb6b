"""
JSONP: the response to a poll as a script that calls a function of the page.  And
JSON as an expression within any script.
"""

from __future__ import annotations

import re
from typing import Final

from comet.errors import BadRequest

# A Flash player would run a movie whose bytes a page chose as the callback, if
# it could choose enough of them.
MAX_CALLBACK: Final = 128

_CALLBACK: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*")


def checkCallback(text: str) -> str:
    """
    Check the name of the function that a script calls.

    @return: The name.

    @raise BadRequest: If it is not a dotted name of ASCII letters, digits,
        C{_} and C{$}, or is longer than L{MAX_CALLBACK} characters.
    """
    # The length first, so that the cost is bounded.
    if len(text) > MAX_CALLBACK or not _CALLBACK.fullmatch(text):
        raise BadRequest(
            f"{text[:64]!r} is not a callback; names of ASCII letters, digits, '_' and '$', which "
            f"do not begin with a digit, joined by dots, are, up to {MAX_CALLBACK} characters"
        )
    return text


def encodeExpression(json: bytes) -> bytes:
    """
    Turn JSON into an expression of JavaScript with the same value.

    JSON from L{strictjson.encode} is nearly such an expression.  U+2028 and
    U+2029, which ended a line in older versions of JavaScript, are escaped.
    So is C{<}, which could start the end tag of the script or a comment.  It
    has no line breaks, so that C{-->} cannot start a comment either.  Only the
    key C{__proto__} differs: it would set the prototype of the object.

    @param json: JSON as L{strictjson.encode} writes it.
    """
    # ECMA-262 13.2.5.5 and B.3.1: a computed key is an ordinary one.  A quote
    # within a string is escaped, so the search finds only keys.
    for before in (b"{", b","):
        json = json.replace(before + b'"__proto__":', before + b'["__proto__"]:')
    return json


def encodeCall(callback: str, json: bytes) -> bytes:
    """
    Make the script that calls a function.

    @param callback: The name of the function, which L{checkCallback} let pass.

    @param json: The argument, as in L{encodeExpression}.
    """
    # With the comment the first bytes are not those of another kind of file,
    # such as a Flash movie, which the page could choose otherwise.
    return b"/**/%b(%b);" % (callback.encode("ascii"), encodeExpression(json))
