"""
The parameters that the server knows in a query, and a warning about one that is
nearly one of them: it is ignored like any other, and the client that mistyped it
would never know.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from comet.errors import BadRequest
from comet.http.origins import CORS, Origins
from comet.http.request import RequestHead
from comet.http.responses import Headers
from comet.http.spelling import closest

# All that a request may have.  A parameter for the start of a single name begins
# with SINGLE.
PARAMETERS: Final = (
    *(
        "account",
        "after",
        "before",
        "callback",
        "client",
        "envelope",
        "limit",
        "match",
        "origin",
        "probe",
        "reader",
        "since",
        "time",
    ),
    *("transport", "unnamed", "wait"),
    *("lastEventId", "lastEventID", "last_event_id", "Last-Event-ID"),
)
SINGLE: Final = "since."

WARNING: Final = b"Comet-Warning"

# How many unknown parameters of a request are looked at, since each takes a tenth
# of a millisecond.
MAX_UNKNOWN: Final = 3

# A client adds the same few parameters to all its requests, such as _ against
# caches.
_CACHE_SIZE: Final = 256


def warningOf(head: RequestHead) -> str:
    """
    Warn of the parameters that the server does not know, and that are much like
    one that it knows.

    @return: ASCII without control characters, of a few hundred characters at most;
        empty if there is nothing to warn of.
    """
    if not head.query:
        return ""
    try:
        parameters = head.parameters
    except BadRequest:
        # Who reads is told; to publish no parameter is needed.
        return ""
    unknown = [key for key in parameters if key not in PARAMETERS and not key.startswith(SINGLE)]
    warnings = map(_warning, unknown[:MAX_UNKNOWN])
    return ", ".join(filter(None, warnings))


@lru_cache(_CACHE_SIZE)
def _warning(key: str) -> str:
    meant = closest(key, PARAMETERS)
    # The key is at most as long as closest compares, and ascii() escapes all that
    # could end the header.
    return f"{key!a} is unknown; did you mean {meant!r}?" if meant else ""


def responseHeaders(head: RequestHead, origins: Origins, cors: CORS) -> Headers:
    """
    Make the headers of a response that depend on the client: those of CORS, and
    a warning if there is one.
    """
    warning = warningOf(head)
    if not warning:
        return origins.headers(cors)
    name = WARNING.decode("ascii")
    return (*origins.headers(cors, name), (WARNING, warning.encode("ascii")))
