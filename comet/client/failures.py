"""
What a client can fail with.

What the server refuses is the L{CometError} of its code.  What has no answer of the server is one
of these::

    CometError
     +-- ClientError
          +-- Lost           lost           the connection failed or broke
          |    +-- Silent    silent         nothing came for two heartbeats, or no answer in time
          +-- Unsent         unsent         a publication could not be sent in time
          +-- Unanswered     unanswered     it was sent, not answered in time, and may be stored
          +-- NoToken        noToken        the application's function gave no token
          +-- Untrusted      untrusted      the certificate of the server is not valid
          +-- BadAnswer      badAnswer      the server sent what the client cannot read
          +-- Ended          (the server's) the server has ended the reader, or some of its names
          +-- Closed         closed         the client was closed
"""

from __future__ import annotations

from typing import Any, Final

from comet import errors
from comet.errors import CometError
from comet.framing.strictjson import decode

# How much of a text from the server is shown.
_MOST_SHOWN: Final = 500

# How deep the JSON of an answer may be: deeper than any server allows for its messages.
MAX_DEPTH: Final = 500

#: The most seconds for which a server can make a client stay away.
LONGEST_RETRY: Final = 3600.0


class ClientError(CometError):
    """
    A failure that the client found by itself.
    """

    code = "client"
    # These are not told to other programs, and need no status.
    status = 0


class Lost(ClientError):
    """
    There is no connection to the server, or it broke.

    @ivar wasConnected: Whether there was one.

    @ivar wasSent: Whether a request, or a part of it, was sent.
    """

    code = "lost"

    def __init__(self, detail: str, wasConnected: bool = True, wasSent: bool = False) -> None:
        super().__init__(detail)
        self.wasConnected = wasConnected
        self.wasSent = wasSent


class Silent(Lost):
    """
    The server did not answer in time, or nothing came for two heartbeats.
    """

    code = "silent"


class Unsent(ClientError):
    """
    A publication could not be sent in time.  It is not stored.
    """

    code = "unsent"


class Unanswered(ClientError):
    """
    A publication was sent, and not answered in time.  It may be stored or not: publish it again
    with the same key.
    """

    code = "unanswered"


class NoToken(ClientError):
    """
    The application's function for tokens failed, or gave what can be no token.

    @ivar error: How it failed.
    """

    code = "noToken"

    def __init__(self, error: Exception) -> None:
        # The text of an error may have anything in it.
        super().__init__(f"the function for tokens failed: {type(error).__name__}")
        self.error = error


class Untrusted(ClientError):
    """
    The certificate of the server is not valid, or is that of another server.
    """

    code = "untrusted"


class BadAnswer(ClientError):
    """
    The server sent what the client cannot read.  It may not be a server of comet.
    """

    code = "badAnswer"


class Closed(ClientError):
    """
    The client was closed.
    """

    code = "closed"


class Ended(ClientError):
    """
    The server has ended the reader, or some of its names, and it may not come back.

    @ivar code: Why: the server's word, such as C{disconnected} or C{expired}.

    @ivar names: The names that have ended.
    """

    def __init__(self, code: str, detail: str, names: tuple[str, ...]) -> None:
        super().__init__(detail)
        # That of an object, where the other classes have one of their own.
        self.code = code
        self.names = names


class Refused(CometError):
    """
    The server refused a request with a code that this version does not know, or with none: then a
    proxy did it, and the code is C{http}.
    """

    def __init__(self, status: int, code: str, detail: str, retryAfter: float | None) -> None:
        super().__init__(detail, retryAfter)
        self.code = code
        self.status = status


_CLASS_OF: Final[dict[str, type[CometError]]] = {
    each.code: each
    for each in (
        errors.BadChannel,
        errors.BadCursor,
        errors.BadMessage,
        errors.BadRequest,
        errors.Unauthorized,
        errors.Forbidden,
        errors.NotFound,
        errors.TooLarge,
        errors.WrongHost,
        errors.KeyReused,
        errors.TooMany,
        errors.Internal,
        errors.Unavailable,
        errors.Unknown,
    )
}

# After these the same request may succeed later, from comet and from a proxy before it.
_TEMPORARY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


def isTemporary(error: CometError) -> bool:
    """
    Whether the same request may succeed later.
    """
    return isinstance(error, Lost) or error.status in _TEMPORARY


def isFromServer(error: CometError) -> bool:
    """
    Whether comet itself refused a request, and not a proxy before it.
    """
    return not isinstance(error, ClientError) and error.code != "http"


def readCommandError(value: Any) -> CometError:
    """
    Make the error with which a command was answered.

    @param value: What C{error} has in the answer.
    """
    fields = value if isinstance(value, dict) else {}
    code, message = fields.get("code"), fields.get("message")
    if not isinstance(code, str) or not isinstance(message, str):
        return BadAnswer("the error of a command has no code or no message")
    return _makeError(errors.BadRequest.status, code, message, None)


def readProblem(status: int, body: bytes, retryAfter: str | None) -> CometError:
    """
    Make the error that a response stands for.

    @param status: Not 2xx.

    @param body: C{application/problem+json}, or a page of a proxy.

    @param retryAfter: The header C{Retry-After}: seconds.  A date is ignored.
    """
    seconds = None
    if retryAfter is not None and retryAfter.isascii() and retryAfter.isdigit():
        seconds = min(float(retryAfter[:6]), LONGEST_RETRY)
    value: Any = None
    try:
        value = decode(body, MAX_DEPTH)
    except CometError:
        # The page of a proxy, which the status says enough of.
        pass
    fields = value if isinstance(value, dict) else {}
    code, detail = fields.get("code"), fields.get("detail")
    if not isinstance(detail, str):
        detail = f"the server answered with status {status}"
    if not isinstance(code, str):
        return Refused(status, "http", detail[:_MOST_SHOWN], seconds)
    return _makeError(status, code, detail, seconds)


def _makeError(status: int, code: str, detail: str, seconds: float | None) -> CometError:
    kind = _CLASS_OF.get(code)
    if kind is None:
        return Refused(status, code[:_MOST_SHOWN], detail[:_MOST_SHOWN], seconds)
    error = kind(detail[:_MOST_SHOWN])
    # None of the classes has it in its constructor under one name.
    error.retryAfter = error.retryAfter if seconds is None else seconds
    return error
