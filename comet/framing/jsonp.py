"""
JSONP: the answer to a poll as a script that calls a function of the page; and
what JSON has to be like where it stands in a script.
"""

from __future__ import annotations

import re
from typing import Final

from comet.errors import BadRequest

# Flash takes bytes that a page chooses for a movie, if it may choose enough.
MAX_CALLBACK: Final = 128

_CALLBACK: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*")


def checkCallback(text: str) -> str:
    """
    Check the name of the function that a script is to call.

    @return: The name.

    @raise BadRequest: If it is not a dotted name of ASCII letters, digits,
        C{_} and C{$}, or longer than L{MAX_CALLBACK} characters.
    """
    # The length first: what is longer is not even looked at.
    if len(text) > MAX_CALLBACK or not _CALLBACK.fullmatch(text):
        raise BadRequest(
            f"{text[:64]!r} is not a callback: names of ASCII letters, digits, '_' and '$' that "
            f"do not begin with a digit, joined by dots, are, up to {MAX_CALLBACK} characters"
        )
    return text


def encodeExpression(json: bytes) -> bytes:
    """
    JSON as an expression of JavaScript that has the same value.

    @param json: JSON as L{strictjson.encode} writes it.  It is an expression
        already, since U+2028 and U+2029 are escaped, and C{<} is, which alone
        could end the script or hide it in a comment; and one without line
        breaks, so that C{-->} can begin none either.  But for one key: it
        would not be a key, but set the object's prototype.
    """
    # ECMA-262 13.2.5.5 and B.3.1: not where the key is computed.  A quote in
    # a string is escaped, so that this can only be a key.
    for before in (b"{", b","):
        json = json.replace(before + b'"__proto__":', before + b'["__proto__"]:')
    return json


def encodeCall(callback: str, json: bytes) -> bytes:
    """
    The script that calls a function.

    @param callback: The name of the function, as L{checkCallback} let it pass.

    @param json: What it is called with, as in L{encodeExpression}.
    """
    # The comment is so that what a page can choose is not the beginning of a
    # file of any other kind, such as a movie of Flash.
    return b"/**/%b(%b);" % (callback.encode("ascii"), encodeExpression(json))
