"""
Readers whose clients are known for a time: at its end they read only what anyone may,
unless the access object finds that nothing has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.errors import CometError
from comet.interfaces.access import IAccess
from comet.logging.clientlog import ClientLogger
from comet.model.clients import ANONYMOUS, Client
from comet.model.messages import Close
from comet.reactor.timers import NOT_SET, TimerWheel

# Names that an anonymous client may not read end so, and readers of nothing else.
EXPIRED: Final = Close("expired", "what the client may do has to be found out again", 0.0)

_log = ClientLogger()


class Watcher(Protocol):
    """
    Acts for the client of a reader, with its rights.
    """

    def judgeNames(self, close: Close, mayRead: Callable[[str], bool]) -> None:
        """
        End the names that the client may read no longer, once those are added that are
        being added.

        @param close: Why.
        """

    def clientExpired(self) -> None:
        """
        The client's time is over: it is anonymous from now on, and has to be judged.
        """

    def clientRenewed(self, client: Client) -> None:
        """
        Another client takes the place of the one whose time is over.  It may have other
        rights, and has to be judged.
        """


class Leases:
    """
    Ends what clients may read no longer when their time is over.  There is one timer for
    each client, however many readers it has.

    @ivar now: Returns the wall-clock time, in seconds since 1970.
    """

    def __init__(
        self,
        wheel: TimerWheel,
        now: Callable[[], float],
        getAccess: Callable[[], IAccess],
        changed: Callable[[Any, Client], None],
        check: Callable[[Client, str], object] | None = None,
    ) -> None:
        """
        @param getAccess: Returns the access object.

        @param changed: Called with a reader and the client whose it is from now on.
            Raises L{TooMany<comet.errors.TooMany>} if that may not have one more; not
            for L{ANONYMOUS}.

        @param check: Checks that a client may read a name, if that is more than what the
            access object checks.
        """
        self.now = now
        self.wheel = wheel
        self.getAccess = getAccess
        self._changed = changed
        self._check = check or (lambda client, name: getAccess().checkSubscribe(client, name))
        self._leases: dict[int, Lease] = {}
        self._of: dict[Any, Lease] = {}

    def begin(self, reader: Any, client: Client) -> None:
        """
        A reader is a client's from now on.
        """
        self.end(reader)
        if client.until is None:
            return
        lease = self._leases.get(id(client))
        if lease is None:
            lease = self._leases[id(client)] = Lease(self, client, client.until)
        lease.readers[reader] = None
        self._of[reader] = lease

    def present(self, reader: Any, client: Client) -> Client:
        """
        Return the client that a reader has by now.

        @param client: The client with which it was opened.
        """
        lease = self._of.get(reader)
        if lease is not None:
            return lease.client
        return ANONYMOUS if self.isOver(client) else client

    def isOver(self, client: Client) -> bool:
        """
        Tell whether the time of a client is over.
        """
        return client.until is not None and self.now() >= client.until

    def expire(self, reader: Any) -> None:
        """
        A client's time is over: it is anonymous from now on, and names that it may not
        read any more end.  A reader without such names goes on; a poll is answered.
        """
        watcher: Watcher | None = getattr(reader, "watcher", None)
        if watcher is not None:
            watcher.clientExpired()
            return
        self._changed(reader, ANONYMOUS)
        if hasattr(reader, "judge"):
            self._judge(reader, ANONYMOUS)
        else:
            reader.close(EXPIRED)

    def renew(self, reader: Any, client: Client) -> None:
        """
        Put another client in the place of one whose time is over.  Names that it may not
        read end; a reader without such names goes on.
        """
        if client.isAnonymous or self.isOver(client):
            self.expire(reader)
            return
        try:
            self._changed(reader, client)
        except CometError:
            # It has another name, which has all readers that it may have.
            self.expire(reader)
            return
        watcher: Watcher | None = getattr(reader, "watcher", None)
        if watcher is not None:
            watcher.clientRenewed(client)
        else:
            self._judge(reader, client)

    def _judge(self, reader: Any, client: Client) -> None:
        judge(reader, lambda name: self.mayRead(name, client), EXPIRED)

    def mayRead(self, name: str, client: Client = ANONYMOUS) -> bool:
        """
        Tell whether a client may read a name that it was permitted before.  An access
        object that fails permits nothing.
        """
        try:
            self._check(client, name)
        except CometError:
            return False
        except Exception:
            _log.failure("a name of a reader could not be judged, and ends")
            return False
        return True

    def end(self, reader: Any) -> None:
        """
        A reader is closed, or another client's.
        """
        lease = self._of.pop(reader, None)
        if lease is not None:
            del lease.readers[reader]
            if not lease.readers:
                self.drop(lease)

    def drop(self, lease: Lease) -> None:
        """
        Forget a lease.
        """
        if self._leases.pop(id(lease.client), None) is not None:
            lease.stop()


class Lease:
    """
    The readers of one client.

    @ivar client: The client.

    @ivar readers: The readers, in the order in which they came.
    """

    __slots__ = ("_leases", "_renewal", "client", "readers", "timerSlot")

    def __init__(self, leases: Leases, client: Client, until: float) -> None:
        self.timerSlot = NOT_SET
        self.client = client
        self.readers: dict[Any, None] = {}
        self._leases = leases
        # The question whether the client is still what it was.
        self._renewal: Deferred[Client] | None = None
        leases.wheel.set(self, until - leases.now())

    def timedOut(self) -> None:
        """
        The client's time is over.
        """
        renewal: Deferred[Client] | None = None
        try:
            renew = getattr(self._leases.getAccess(), "renew", None)
            renewal = None if renew is None else renew(self.client)
        except Exception:
            _log.failure("it could not be found out whether a client is still what it was")
        if renewal is None:
            self._end()
        else:
            self._renewal = renewal
            renewal.addCallbacks(self._renewed, self._notRenewed)

    def _renewed(self, client: Client) -> None:
        self._renewal = None
        self._each(lambda reader: self._leases.renew(reader, client))

    def _notRenewed(self, failure: Failure) -> None:
        if self._renewal is not None:
            # It was not given up.
            self._renewal = None
            _log.failure("it could not be found out whether a client is what it was", failure)
            self._end()

    def _end(self) -> None:
        self._each(self._leases.expire)

    def _each(self, call: Callable[[Any], None]) -> None:
        """
        Call a function with each reader, which has no lease any more.
        """
        for reader in list(self.readers):
            self._leases.end(reader)
            try:
                call(reader)
            except Exception:
                # The others have to be dealt with as well.
                _log.failure("a reader whose client's time is over is closed")
                reader.close(EXPIRED)

    def stop(self) -> None:
        """
        No reader is left.
        """
        self._leases.wheel.clear(self)
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            renewal.addErrback(lambda _: None)
            renewal.cancel()


def judge(reader: Any, mayRead: Callable[[str], bool], close: Close) -> None:
    """
    End the names of a reader that its client may not read, once it is open; and the reader,
    if none is left, or if it cannot tell that single ones have ended: then the client may
    come back at once for the others.

    @param close: Why.
    """
    watcher: Watcher | None = getattr(reader, "watcher", None)
    if watcher is not None:
        watcher.judgeNames(close, mayRead)
        return

    def judgeOpen(_: object) -> None:
        if hasattr(reader, "judge"):
            reader.judge(mayRead, close)
            return
        names = reader.progress.names
        left = sum(mayRead(name) for name in names)
        if left < len(names):
            reader.close(evolve(close, retry=0.0) if left else close)

    # Before it is open, a reader does not have its names.
    reader.whenOpen().addCallback(judgeOpen).addErrback(reader.failed)
