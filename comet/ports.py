"""
All that a server listens on: opened together or not at all, and held back
until there is something to serve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError
from comet.listening import Listener, hold, release

_log = Logger()


class CannotStart(Exception):
    """
    The server cannot be started; the text is for whoever tries.
    """


def cannotStart(failure: Failure) -> CannotStart:
    """
    What to tell of a failure; one that nobody expected is logged, too.
    """
    error = failure.value
    if isinstance(error, CannotStart):
        return error
    # What the system says is clearer than Twisted's text around it.
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return CannotStart(cause.strerror)
    if not isinstance(error, (CometError, CannotListenError, CancelledError)):
        _log.failure("while the server started", failure)
    return CannotStart(failure.getErrorMessage())


class Ports:
    """
    The ports of some listeners.

    @ivar listeners: Where to listen.

    @ivar open: What is listened on, in the order of the listeners; empty
        before all of it is, and when it is closed.
    """

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self.listeners = listeners
        self.open: list[IListeningPort] = []
        self._found: list[IListeningPort | None] = [None] * len(listeners)
        self._isHeld = True

    def bind(self, isHeld: bool = True) -> Deferred[Any]:
        """
        Listen on everything, or nothing.

        @param isHeld: Whether nobody is to be accepted before L{accept} is
            called.  A port that cannot be held is closed again, and opened
            then.

        @return: Fires when all listen; fails with L{CannotStart}.
        """
        self._isHeld = isHeld
        listening = [
            self._listenOn(listener) if port is None else succeed(port)
            for listener, port in zip(self.listeners, self._found, strict=True)
        ]
        bound: Deferred[Any] = DeferredList(listening, consumeErrors=True)
        return bound.addCallback(self._listened)

    def accept(self) -> Deferred[Any]:
        """
        Accept whoever comes, once all that can be bound and held is.

        @return: Fires when everybody is accepted; fails with L{CannotStart}.
        """
        if not self._isHeld:
            return succeed(None)
        for port in self.open:
            release(port)
        return self.bind(False)

    def descriptors(self) -> list[int]:
        """
        The sockets, for another process.

        @raise CannotStart: If there is a port that has none.
        """
        for listener, port in zip(self.listeners, self._found, strict=True):
            if not hasattr(port, "fileno"):
                raise CannotStart(f"several processes cannot share {listener.description}")
        ports: list[Any] = self.open
        return [port.fileno() for port in ports]

    def close(self) -> Deferred[Any]:
        """
        Close what is open.

        @return: Fires when that is done, whatever went wrong.
        """
        ports, self.open = self.open, []
        self._found = [None] * len(self.listeners)
        closed = [maybeDeferred(port.stopListening) for port in ports]
        for closing in closed:
            closing.addErrback(lambda failure: _log.failure("while a port was closed", failure))
        return DeferredList(closed)

    def _listenOn(self, listener: Listener) -> Deferred[IListeningPort | None]:
        def failed(failure: Failure) -> Failure:
            reason = cannotStart(failure)
            return Failure(CannotStart(f"cannot listen on {listener.description}: {reason}"))

        def listens(port: IListeningPort) -> Any:
            if not self._isHeld or hold(port):
                return port
            # That it may be listened on is known; it is done again later.
            return maybeDeferred(port.stopListening).addCallback(lambda _: None)

        listening: Deferred[Any] = maybeDeferred(listener.endpoint.listen, listener.factory)
        return listening.addCallback(listens).addErrback(failed)

    def _listened(self, results: Sequence[tuple[bool, Any]]) -> Failure | None:
        self._found = [result if isListening else None for isListening, result in results]
        self.open = [port for port in self._found if port is not None]
        failures: list[Failure] = [result for isListening, result in results if not isListening]
        if failures:
            self.close()
            return failures[0]
        return None
