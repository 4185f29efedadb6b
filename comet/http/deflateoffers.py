"""
Compression of WebSockets, as a handshake agrees on it: C{permessage-deflate} of RFC 7692.
"""

from __future__ import annotations

import re
from typing import Final

from comet.framing.compression import Compression
from comet.framing.deflate import LEAST_WINDOW, MOST_WINDOW, SMALL_WINDOW
from comet.http.request import RequestHead, elements

# The name of the extension, which is also that in the answer.
NAME: Final = "permessage-deflate"

_SERVER_WINDOW: Final = "server_max_window_bits"
_CLIENT_WINDOW: Final = "client_max_window_bits"
_FLAGS: Final = frozenset({"server_no_context_takeover", "client_no_context_takeover"})

# RFC 7692 7.1.2: 8 to 15, without leading zeros.
_BITS: Final = re.compile(r"[89]|1[0-5]")

# The windows that are agreed on.  With another one for each client, each message would be
# compressed as often.
WINDOWS: Final = (LEAST_WINDOW, SMALL_WINDOW, MOST_WINDOW)

# How many extensions of a handshake are looked at.
MOST_OFFERS: Final = 16


# What a handshake without compression agrees on.
_NONE: Final = ("", None)


def agree(head: RequestHead, compression: Compression | None) -> tuple[str, Compression | None]:
    """
    Choose the first of a client's offers that the server can take.  Neither side keeps
    anything from one message to the next.

    @param compression: Which messages are compressed; L{None} if none are.

    @return: The value of C{Sec-WebSocket-Extensions} in the answer, and the compression
        that was agreed on; empty and L{None} if there is no such offer.
    """
    if compression is None:
        return _NONE
    offers = elements(head.header("Sec-WebSocket-Extensions") or "")
    for _, offer in zip(range(MOST_OFFERS), offers, strict=False):
        parameters = _readOffer(offer)
        if parameters is None:
            continue
        # RFC 7692 7.1.1: the server may use both of them also if the client offers none.
        answer = f"{NAME}; server_no_context_takeover; client_no_context_takeover"
        window = parameters.get(_SERVER_WINDOW)
        if window is None:
            return answer, compression
        # RFC 7692 7.1.2.1: the server may take a smaller one.
        bits = max((each for each in WINDOWS if each <= int(window)), default=None)
        if bits is not None:
            return f"{answer}; {_SERVER_WINDOW}={bits}", compression.within(bits)
    return _NONE


def _readOffer(offer: str) -> dict[str, str] | None:
    """
    Read one extension that a client offers.

    @return: The parameters and their values; L{None} if it is another extension, or not
        a valid offer of this one.
    """
    name, *given = (part.strip() for part in offer.split(";"))
    if name.lower() != NAME:
        return None
    parameters: dict[str, str] = {}
    for each in given:
        key, isValue, value = each.partition("=")
        key = key.strip().lower()
        # RFC 6455 9.1: a value may be quoted.
        value = value.strip().removeprefix('"').removesuffix('"') if isValue else ""
        isBits = _BITS.fullmatch(value) is not None
        isValid = (
            (key in _FLAGS and not isValue)
            or (key == _SERVER_WINDOW and isBits)
            or (key == _CLIENT_WINDOW and (isBits or not isValue))
        )
        # RFC 7692 7.1: an offer with a parameter that is unknown, wrong, or there twice is
        # declined.
        if not isValid or key in parameters:
            return None
        parameters[key] = value
    return parameters
