"""
Finding out which client sends a request: the access object answers at once, or
later, while only that client waits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.errors import CometError, Internal, Unavailable, publicError
from comet.http.credentials import Credential, Credentials
from comet.interfaces.access import IAccess, ICredentialAccess
from comet.interfaces.overrides import speaksFor
from comet.logging.clientlog import ClientLogger
from comet.model.clients import Client
from comet.reactor.timers import NOT_SET, TimerWheel

_log = ClientLogger()


def anyClient(client: Client) -> Client:
    """
    Let each client in.
    """
    return client


class Lookup:
    """
    The wait for an access object that has not answered yet which client sends a
    request.  It ends once: with the client, with an error, or because it is
    abandoned.

    @ivar client: The client, once it is known.

    @ivar error: Why the request is refused, once that is known.
    """

    __slots__ = (
        "_admit",
        "_asked",
        "_failed",
        "_found",
        "_isOver",
        "_seconds",
        "_wheel",
        "client",
        "error",
        "timerSlot",
    )

    def __init__(
        self,
        wheel: TimerWheel,
        asked: Deferred[Any],
        seconds: float,
        admit: Callable[[Client], Client] = anyClient,
    ) -> None:
        """
        @param asked: Fires with the client.

        @param seconds: For how long to wait.

        @param admit: Returns the client, or raises a L{CometError} if it is refused.
        """
        self._admit = admit
        self.client: Client | None = None
        self.error: CometError | None = None
        self.timerSlot = NOT_SET
        self._wheel = wheel
        self._asked = asked
        self._seconds = seconds
        self._isOver = False
        self._found: Callable[[Client], object] | None = None
        self._failed: Callable[[CometError], object] | None = None
        asked.addBoth(self._answered)
        if not self._isOver:
            wheel.set(self, seconds)

    def then(
        self, found: Callable[[Client], object], failed: Callable[[CometError], object]
    ) -> None:
        """
        Name what to call, in place of what was named before: one of the two, once,
        unless the lookup is abandoned.  If it is over already, the call is made
        before this returns.  A function that raises an exception has it logged.
        """
        self._found, self._failed = found, failed
        self._tell()

    def result(self) -> Client | None:
        """
        Return the client, or L{None} while it is not known.

        @raise CometError: If the request is refused.
        """
        if self.error is not None:
            raise self.error
        return self.client

    def hurry(self, seconds: float) -> None:
        """
        Wait no longer than this from now on.
        """
        if not self._isOver:
            self._wheel.setWithin(self, seconds)

    def abandon(self) -> None:
        """
        The client has left: cancel the question, and call nothing.
        """
        self._found = self._failed = None
        if not self._isOver:
            self._end()
            self._cancel()

    def timedOut(self) -> None:
        """
        The access object has not answered in time.
        """
        self._end()
        self._cancel()
        self.error = Unavailable(
            f"the server did not find out within {self._seconds:g} seconds which client this is"
        )
        self._tell()

    def _end(self) -> None:
        self._isOver = True
        self._wheel.clear(self)

    def _cancel(self) -> None:
        """
        Cancel the question.  The access object may fail at that, which must not keep
        the client waiting, nor its connection from being given up.
        """
        try:
            self._asked.cancel()
        except Exception:
            _log.failure("the question of which client sends a request cannot be cancelled")

    def _answered(self, result: object) -> None:
        if self._isOver:
            # What comes too late, or of a cancellation, tells nothing.
            return
        self._end()
        if isinstance(result, Client):
            try:
                self.client = self._admit(result)
            except CometError as error:
                self.error = error
        elif isinstance(result, Failure):
            self.error = publicError(
                result.value,
                lambda: _log.failure("a client could not be identified", failure=result),
            )
        else:
            self.error = noClient(result)
        self._tell()

    def _tell(self) -> None:
        found, failed = self._found, self._failed
        if found is None or failed is None or (self.client is None and self.error is None):
            return
        self._found = self._failed = None
        try:
            if self.error is not None:
                failed(self.error)
            elif self.client is not None:
                found(self.client)
        except Exception:
            _log.failure("a request could not be answered after its client was identified")


def identifyClient(
    access: IAccess,
    credentials: Credentials,
    wheel: TimerWheel,
    seconds: float,
    admit: Callable[[Client], Client] = anyClient,
) -> Client | Lookup:
    """
    Ask an access object which client sends a request.

    @param wheel: Ends a wait that takes too long.

    @param seconds: For how long to wait.

    @param admit: Returns a client, or raises a L{CometError} if it is refused.

    @return: The client, or a lookup that is not over.

    @raise CometError: If the request is refused.
    """
    return findClient(partial(access.identify, credentials), wheel, seconds, admit)


def findClient(
    ask: Callable[[], object],
    wheel: TimerWheel,
    seconds: float,
    admit: Callable[[Client], Client] = anyClient,
) -> Client | Lookup:
    """
    Ask which client it is, as L{identifyClient} does.

    @param ask: Returns the client, or a Deferred or coroutine of it.
    """
    try:
        found = ask()
    except CometError:
        raise
    except Exception:
        _log.failure("a client could not be identified")
        raise Internal() from None
    if isinstance(found, Client):
        return admit(found)
    if iscoroutine(found):
        found = Deferred.fromCoroutine(found)
    if not isinstance(found, Deferred):
        raise noClient(found)
    lookup = Lookup(wheel, found, seconds, admit)
    return lookup.result() or lookup


def noClient(result: object) -> Internal:
    """
    Return the error for an access object that has answered with something else
    than a client, and log it.
    """
    _log.error(
        "identify of the access object gave {kind}, which is no comet.Client; for a client of "
        "which nothing is known it gives comet.ANONYMOUS",
        kind=type(result).__name__,
    )
    return Internal()


def byCredential(access: IAccess) -> Callable[[Credential | None], Client | None] | None:
    """
    Return how an access object knows clients by their credential alone, or L{None}
    if it needs more: see L{ICredentialAccess}.
    """
    if ICredentialAccess.providedBy(access) and speaksFor(type(access), "clientOf", "identify"):
        return access.clientOf
    return None


def hasPublishKey(access: IAccess, credential: Credential | None) -> bool:
    """
    Tell whether a credential is one with which a client may publish everywhere, by
    the credential alone.
    """
    if credential is None or not ICredentialAccess.providedBy(access):
        return False
    try:
        client = access.clientOf(credential)
        return client is not None and client.mayPublishAll
    except CometError:
        return False
