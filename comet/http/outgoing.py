"""
Reading where requests are sent, what is asked there, and which headers of clients are
sent along.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

# What the backend is asked, in the order of the documentation.
CONNECT: Final = "connect"
SUBSCRIBE: Final = "subscribe"
PUBLISH: Final = "publish"
CALL: Final = "call"
ASKED: Final = (CONNECT, SUBSCRIBE, PUBLISH, CALL)

# What it is sent after the fact.
EVENTS: Final = "events"

# What it is asked where a table of channels says so.
BY_CHANNEL: Final = (SUBSCRIBE, PUBLISH)

MAX_URL: Final = 2048

# RFC 9110 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")


def hookURL(value: Any) -> str:
    """
    Read the URL of a backend.

    @raise ValueError: With what is allowed.
    """
    allowed = f"a URL of http or https with a host, at most {MAX_URL} characters, is"
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_URL:
        raise ValueError(allowed)
    # It stands in a request line.
    if not re.fullmatch("[!-~]+", value):
        raise ValueError(f"{allowed}; what is not ASCII is percent-encoded")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(allowed) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(allowed)
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError(f"{allowed}; without a user, a password and a fragment")
    return value


def hookEvents(value: Any) -> str:
    """
    Read what the backend is asked and sent, with commas between the words.

    @raise ValueError: With what is allowed.
    """
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else [""]
    if not set(words) <= {*ASKED, EVENTS}:
        raise ValueError(f"{', '.join((*ASKED, EVENTS))}, with commas between them, are")
    return ",".join(words)


def headerNames(value: Any) -> str:
    """
    Read the names of headers, with commas between them, in lower case.

    @raise ValueError: With what is allowed.
    """
    names = value.split(",") if isinstance(value, str) else [""]
    return ",".join(_headerName(name.strip()) for name in names)


def _headerName(value: str) -> str:
    if _TOKEN.fullmatch(value) is None:
        raise ValueError("the name of a header, such as Cookie, is")
    if value.lower() == "authorization":
        raise ValueError("a header other than Authorization, whose credential is shown anyway, is")
    return value.lower()
