"""
The keys of an issuer, from a JSON Web Key Set that it serves (RFC 7517).
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.client import Agent

from comet.access.tokenkeys import MAX_KEY_FILE, TokenKey, readKeySet
from comet.errors import BadCredential, Unavailable
from comet.limits.answerbodies import readBounded
from comet.limits.answerheads import makePool
from comet.logging.clientlog import ClientLogger
from comet.reactor.timers import NOT_SET, TimerWheel

# The set is asked for at most once in so many seconds.
SELDOM: Final = 10.0

# For how many seconds a token waits for the set.
PATIENCE: Final = 5.0

# After how many seconds a set that is in use is asked for anew: a key that the issuer
# has taken out of it counts no longer.
OLD: Final = 300.0


class FetchKeys(Protocol):
    """
    Gets the content of a URL.
    """

    def __call__(self, url: str) -> Deferred[bytes]:
        """
        Get it.  The Deferred may be cancelled; it fails with any exception.
        """


def checkKeySetURL(url: str) -> None:
    """
    Check the URL of a key set.

    @raise ValueError: If it is neither https nor http to a loopback address.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        hasUser = "@" in parts.netloc
    except ValueError:
        host, hasUser = None, False
    if hasUser:
        # It would stand in the log.
        raise ValueError("a URL without a user and a password is")
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("a URL such as https://issuer.example/jwks.json is")
    if parts.scheme == "https" or (parts.scheme == "http" and _isLoopback(host)):
        return
    raise ValueError("https is, and http only to a loopback address")


def _isLoopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class KeySet:
    """
    Keeps the keys of an issuer.  A known key is at hand even while the URL gives no
    answer.  For an unknown one the set is fetched again, at most once in L{SELDOM}
    seconds.

    @ivar keys: The keys that were got last.

    @ivar url: Where the set is.

    @ivar changed: Called when there are other keys than before.
    """

    _log = ClientLogger()

    def __init__(
        self,
        url: str,
        fetch: FetchKeys,
        wheel: TimerWheel,
        seconds: Callable[[], float],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """
        @param seconds: Returns the time of a clock that goes on.
        """
        self.keys: tuple[TokenKey, ...] = ()
        self.timerSlot = NOT_SET
        self.url = url
        self._fetch = fetch
        self._wheel = wheel
        self._seconds = seconds
        self.changed = changed
        self._underWay: Deferred[bytes] | None = None
        self._waiting: dict[_Patience, None] = {}
        self._triedAt: float | None = None
        self._gotAt: float | None = None
        self._content = b""

    def freshen(self) -> None:
        """
        The keys are used: ask for the set anew, if it is old.
        """
        got = self._gotAt
        if got is None or self._seconds() - got >= OLD:
            self._begin()

    def refresh(self) -> Deferred[None]:
        """
        Wait for a set that may have a key that is not known.  The Deferred may be
        cancelled.

        @return: Fires when the set was fetched.  Fails with L{BadCredential} if it was
            fetched just before, and with L{Unavailable} if it cannot be had, or does
            not come within L{PATIENCE} seconds.
        """
        if self._underWay is None and not self._begin():
            patience = _Patience(self)
            if self._isGood:
                patience.fail(BadCredential("no key of this issuer has signed the token"))
            else:
                patience.fail(self.unavailable())
            return patience.done
        patience = _Patience(self)
        if self._underWay is None:
            # It was answered, or has failed, at once.
            patience.end(self._isGood)
        else:
            self._waiting[patience] = None
            self._wheel.set(patience, PATIENCE)
        return patience.done

    @property
    def _isGood(self) -> bool:
        return self._gotAt is not None and self._gotAt == self._triedAt

    def _begin(self) -> bool:
        """
        Ask for the set, unless it was asked for just before.
        """
        now = self._seconds()
        if self._underWay is not None:
            return True
        if self._triedAt is not None and now - self._triedAt < SELDOM:
            return False
        self._triedAt = now
        asked: Deferred[bytes]
        try:
            asked = self._fetch(self.url)
        except Exception:
            asked = Deferred()
            asked.errback()
        self._underWay = asked
        self._wheel.set(self, SELDOM)
        asked.addCallback(self._came).addBoth(self._ended)
        return True

    def timedOut(self) -> None:
        """
        The set has not come in time.
        """
        if self._underWay is not None:
            self._underWay.cancel()

    def _came(self, content: bytes) -> None:
        keys = readKeySet(content, isPublic=True)
        self._gotAt = self._triedAt
        if content != self._content:
            self._content = content
            self.keys = tuple(keys)
            self.changed()

    def _ended(self, result: object) -> None:
        self._underWay = None
        self._wheel.clear(self)
        if isinstance(result, Failure):
            self._log.warn(
                "the keys of {url} cannot be had: {error}",
                # Its query may hold a secret.
                url=self.url.partition("?")[0],
                error=f"{type(result.value).__name__}: {result.getErrorMessage()}"[:200],
            )
        waiting, self._waiting = self._waiting, {}
        for each in waiting:
            each.end(self._isGood)

    def left(self, patience: _Patience) -> None:
        """
        A token waits no longer.
        """
        self._waiting.pop(patience, None)
        self._wheel.clear(patience)

    def unavailable(self) -> Unavailable:
        """
        Return the error for a token whose key may be in a set that cannot be had.
        """
        tried = self._triedAt or 0.0
        left = max(SELDOM - (self._seconds() - tried), 1.0)
        return Unavailable("the keys of the token's issuer cannot be had at present", left)

    def stop(self) -> None:
        """
        Ask no more.
        """
        if self._underWay is not None:
            self._underWay.cancel()


class _Patience:
    """
    One token that waits for the set.  It ends once.
    """

    __slots__ = ("_isOver", "_keySet", "done", "timerSlot")

    def __init__(self, keySet: KeySet) -> None:
        self.timerSlot = NOT_SET
        self._keySet = keySet
        self._isOver = False
        self.done: Deferred[None] = Deferred(self._cancelled)

    def _cancelled(self, done: Deferred[None]) -> None:
        self._leave()

    def _leave(self) -> bool:
        wasOver, self._isOver = self._isOver, True
        self._keySet.left(self)
        return wasOver

    def end(self, isGood: bool) -> None:
        """
        The set was fetched, or cannot be had.
        """
        if isGood:
            if not self._leave():
                self.done.callback(None)
        else:
            self.fail(self._keySet.unavailable())

    def fail(self, error: Exception) -> None:
        """
        There is no use in waiting.
        """
        if not self._leave():
            self.done.errback(Failure(error))

    def timedOut(self) -> None:
        """
        The set has not come within L{PATIENCE} seconds.
        """
        self.fail(self._keySet.unavailable())


def fetcher(reactor: Any) -> FetchKeys:
    """
    Make what gets a key set over HTTP: no redirect is followed, no more is read than a
    key set may have, and a certificate has to be good.
    """
    from treq.client import HTTPClient

    client = HTTPClient(Agent(reactor, connectTimeout=PATIENCE, pool=makePool(reactor, False)))

    def fetch(url: str) -> Deferred[bytes]:
        asked: Deferred[Any] = client.get(url, allow_redirects=False, unbuffered=True)
        return asked.addCallback(_read)

    return fetch


def _read(response: Any) -> Deferred[bytes]:
    # What treq wraps: its own ways to read a body have no bound.
    raw = response.original
    if raw.code != 200:
        # The rest is not read.
        body = readBounded(raw, 0)
        body.addErrback(lambda _: None)
        body.cancel()
        raise ValueError(f"the status is {raw.code}, not 200")
    return readBounded(raw, MAX_KEY_FILE)
