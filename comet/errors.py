"""
What can go wrong, as one tree.  Each leaf knows its own wire form: the code
that every transport tells, and the status that HTTP tells::

    CometError
     +-- BadChannel        badChannel        400
     +-- BadCursor         badCursor         400
     +-- BadMessage        badMessage        400
     +-- BadRequest        badRequest        400
     +-- Unauthorized      unauthorized      401
     +-- Forbidden         forbidden         403
     +-- NotFound          notFound          404
     +-- MethodNotAllowed  methodNotAllowed  405
     +-- TooLarge          tooLarge          413
     +-- WrongHost         wrongHost         421
     +-- KeyReused         keyReused         422
     +-- TooMany           tooMany           429
     +-- Internal          internal          500
     +-- Unavailable       unavailable       503
     +-- Unknown           unknown           504

Programs read the code; the detail is for people, says which value was wrong
and what is allowed, and is parsed by nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class CometError(Exception):
    """
    Something that was asked for and cannot be had.

    @cvar code: The word that names the error on every transport.

    @cvar status: The HTTP status of an answer that tells it.

    @ivar detail: What was wrong with which value, and what is allowed.

    @ivar retryAfter: In how many seconds it is worth asking again, or L{None}
        where asking again changes nothing.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

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
    A place to begin at that cannot be read.
    """

    code = "badCursor"
    status = 400


class BadMessage(CometError):
    """
    Something to publish, or a line or frame, that is not of the form agreed.
    """

    code = "badMessage"
    status = 400


class BadRequest(CometError):
    """
    A request or command that asks for what does not exist, or for too much.
    """

    code = "badRequest"
    status = 400


class Unauthorized(CometError):
    """
    A credential is missing, or the one that came is not good.
    """

    code = "unauthorized"
    status = 401


class Forbidden(CometError):
    """
    Whoever asks may not do this, whatever the credential.
    """

    code = "forbidden"
    status = 403


class NotFound(CometError):
    """
    There is nothing at this path.
    """

    code = "notFound"
    status = 404


class MethodNotAllowed(CometError):
    """
    What is at this path does not understand this method.

    @ivar allowed: The methods that it does understand.
    """

    code = "methodNotAllowed"
    status = 405

    def __init__(self, detail: str, allowed: Sequence[str]) -> None:
        super().__init__(detail)
        self.allowed = tuple(allowed)


class TooLarge(CometError):
    """
    A message, a line or a body has more bytes than the limit.
    """

    code = "tooLarge"
    status = 413


class WrongHost(CometError):
    """
    The request names a host that this server is not known by: it may come
    from a page that had a name of its own point here (DNS rebinding).
    """

    code = "wrongHost"
    status = 421


class KeyReused(CometError):
    """
    An idempotency key came again, with another message.
    """

    code = "keyReused"
    status = 422


class TooMany(CometError):
    """
    There are as many of these as there may be, for now.
    """

    code = "tooMany"
    status = 429

    def __init__(self, detail: str, retryAfter: float = 5.0) -> None:
        super().__init__(detail, retryAfter)


class Internal(CometError):
    """
    A fault of the server's own.  Nothing of its cause is told.
    """

    code = "internal"
    status = 500

    def __init__(self, detail: str = "the server failed; its log says why") -> None:
        super().__init__(detail)


class Unavailable(CometError):
    """
    Not now; a message to be published was not stored.
    """

    code = "unavailable"
    status = 503

    def __init__(self, detail: str, retryAfter: float = 2.0) -> None:
        super().__init__(detail, retryAfter)


class Unknown(CometError):
    """
    A message may have been stored, or not: the link to the store broke before
    the answer.  Publishing again is safe with the same idempotency key.
    """

    code = "unknown"
    status = 504
