"""
The errors that clients are told, as one tree.  Each leaf knows its own wire
form: the code that every transport sends, and the HTTP status::

    CometError
     +-- BadChannel        badChannel        400
     +-- BadCursor         badCursor         400
     +-- BadMessage        badMessage        400
     +-- BadRequest        badRequest        400
     +-- Unauthorized      unauthorized      401
     |    +-- BadCredential unauthorized      401
     +-- Forbidden         forbidden         403
     +-- NotFound          notFound          404
     +-- MethodNotAllowed  methodNotAllowed  405
     +-- TooLarge          tooLarge          413
     |    +-- URLTooLong    tooLarge          414
     |    +-- HeadTooLarge  tooLarge          431
     +-- Unsupported       unsupported       415
     +-- WrongHost         wrongHost         421
     +-- KeyReused         keyReused         422
     +-- TooMany           tooMany           429
     +-- Internal          internal          500
     +-- Unavailable       unavailable       503
     +-- Unknown           unknown           504

Programs read the code.  The detail is for people: it says which value was wrong
and what is allowed, and programs must not parse it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar


class CometError(Exception):
    """
    The reason why a request or command was refused or failed.

    @cvar code: The word that names the error on every transport.

    @cvar status: The status of an HTTP response that carries the error.

    @ivar detail: Which value was wrong, and what is allowed.

    @ivar commandDetail: The same for a client that has sent a command, if the detail speaks
        of what only requests have, such as headers.

    @ivar retryAfter: After how many seconds the client should try again, or
        L{None} if trying again changes nothing.
    """

    # Of a class; but a client gives an object what a server has answered.
    code: str = "internal"
    status: int = 500

    commandDetail: str | None = None

    def __init__(self, detail: str, retryAfter: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retryAfter = retryAfter

    @property
    def isTemporary(self) -> bool:
        """
        Whether the same request may succeed later, without being changed.
        """
        return self.retryAfter is not None


class BadChannel(CometError):
    """
    A name that no channel can have, or a pattern where one channel is meant.
    """

    code = "badChannel"
    status = 400


class BadCursor(CometError):
    """
    A start position that cannot be read.
    """

    code = "badCursor"
    status = 400


class BadMessage(CometError):
    """
    A body to publish, a line, or a frame that does not have the agreed form.
    """

    code = "badMessage"
    status = 400


class BadRequest(CometError):
    """
    A request or command that asks for something unknown, or for too much.
    """

    code = "badRequest"
    status = 400


class Unauthorized(CometError):
    """
    The credential is missing or not valid.
    """

    code = "unauthorized"
    status = 401

    # What WWW-Authenticate asks for (RFC 6750 3).
    challenge: ClassVar[str] = "Bearer"


class BadCredential(Unauthorized):
    """
    There is a credential, and it is not valid.  The client is refused rather than
    taken for an anonymous one.
    """

    challenge = 'Bearer error="invalid_token"'


class Forbidden(CometError):
    """
    The client does not have the right.  Another request with the same
    credential is refused, too.
    """

    code = "forbidden"
    status = 403


class NotFound(CometError):
    """
    No resource is at this path.
    """

    code = "notFound"
    status = 404


class MethodNotAllowed(CometError):
    """
    The resource at this path does not support this method.

    @ivar allowed: The methods that it supports.
    """

    code = "methodNotAllowed"
    status = 405

    def __init__(self, detail: str, allowed: Sequence[str]) -> None:
        super().__init__(detail)
        self.allowed = tuple(allowed)


class TooLarge(CometError):
    """
    A message, a line or a body with more bytes than the limit.
    """

    code = "tooLarge"
    status = 413


class URLTooLong(TooLarge):
    """
    A request line with more bytes than the limit.
    """

    status = 414


class HeadTooLarge(TooLarge):
    """
    A request whose headers have more bytes than the limit, or are too many.
    """

    status = 431


class Unsupported(CometError):
    """
    A body in a content coding or a charset that the server does not know.

    @ivar codings: The content codings that it knows, if another one was the
        reason.
    """

    code = "unsupported"
    status = 415

    def __init__(self, detail: str, codings: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.codings = tuple(codings)


class WrongHost(CometError):
    """
    The request names a host that is not one of this server's.  It may come
    from a page whose own host name was pointed at this server (DNS rebinding).
    """

    code = "wrongHost"
    status = 421


class KeyReused(CometError):
    """
    An idempotency key that was used before, for another message.
    """

    code = "keyReused"
    status = 422


class TooMany(CometError):
    """
    A limit on how many there may be at a time is reached.
    """

    code = "tooMany"
    status = 429

    def __init__(self, detail: str, retryAfter: float = 5.0) -> None:
        super().__init__(detail, retryAfter)


class Internal(CometError):
    """
    A fault of the server.  The client is not told its cause.
    """

    code = "internal"
    status = 500

    def __init__(self, detail: str = "the server failed; its log says why") -> None:
        super().__init__(detail)


class Unavailable(CometError):
    """
    The server cannot do this now.  A message to be published was not stored.
    """

    code = "unavailable"
    status = 503

    def __init__(self, detail: str, retryAfter: float = 2.0) -> None:
        super().__init__(detail, retryAfter)


class Unknown(CometError):
    """
    The connection to the store broke before it confirmed a message, which may
    be stored or not.  Publishing it again is safe with its idempotency key.
    """

    code = "unknown"
    status = 504


def publicError(cause: BaseException | None, logCause: Callable[[], object]) -> CometError:
    """
    Choose the error that a client is told when its request failed: the cause
    if that is a L{CometError}, otherwise L{Internal}.

    @param logCause: Called where the error is L{Internal}, since it tells the
        client nothing of its cause.
    """
    if isinstance(cause, CometError):
        return cause
    logCause()
    return Internal()
