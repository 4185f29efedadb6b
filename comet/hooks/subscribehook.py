"""
Asking before a client reads names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from comet.access.lookups import Lookup
from comet.errors import CometError, Unavailable
from comet.hooks.allowednames import AllowedNames
from comet.hooks.hooktable import HookTable
from comet.hooks.places import Places, holderOf
from comet.hooks.questions import Questions
from comet.http.outgoing import SUBSCRIBE
from comet.interfaces.hooks import IHooks
from comet.model.clients import Client
from comet.model.hookanswers import Allowed
from comet.model.positions import StartPosition, parseStartPosition
from comet.reactor.timers import TimerWheel

# How many questions wait for answers at most, and how many bytes their names have.
MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 16 * 1024 * 1024

# For how many seconds an answer may be remembered.
LEAST_SECONDS: Final = 1.0
MOST_SECONDS: Final = 3600.0

# Where names begin that nothing was said about.
NO_STARTS: Final[Mapping[str, StartPosition]] = {}


class ReadLookup(Lookup):
    """
    The wait for an answer whether a client may read some names.

    @ivar starts: Where some of the names begin, once the lookup has ended with the
        client.
    """

    __slots__ = ("starts",)

    starts: Mapping[str, StartPosition]


class _Asked:
    """
    A question whose answer has not come.

    @ivar client: For which client it is asked.

    @ivar isOld: Whether what the client may read has to be found out anew since it was asked.

    @ivar isKept: Whether its answer is to be remembered.
    """

    __slots__ = ("client", "isKept", "isOld")

    def __init__(self, client: Client) -> None:
        self.client = client
        self.isOld = False
        self.isKept = True


class SubscribeHook:
    """
    Asks before names are read.

    @ivar hooks: Who is asked.

    @ivar table: Which names are asked about.

    @ivar allowed: What is not asked about again.

    @ivar places: The places of the questions that wait for answers.
    """

    def __init__(
        self,
        hooks: IHooks,
        table: HookTable,
        questions: Questions,
        wheel: TimerWheel,
        seconds: Callable[[], float],
    ) -> None:
        """
        @param seconds: Returns the time of a clock that goes on.
        """
        self.hooks = hooks
        self.table = table
        self.allowed = AllowedNames(seconds)
        self.places = Places(MOST_WAITING, MOST_BYTES)
        self._questions = questions
        self._wheel = wheel
        self._asked: dict[_Asked, None] = {}

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget what some clients were allowed: they are asked about again.  So are those that
        wait for an answer: it may be as old as what is forgotten.
        """
        self.allowed.forget(matches)
        for asked in self._asked:
            asked.isOld = asked.isOld or matches(asked.client)

    def clear(self) -> None:
        """
        Forget what all clients were allowed.  What is asked now is answered, and not
        remembered.
        """
        self.allowed.clear()
        for asked in self._asked:
            asked.isKept = False

    def ask(
        self, client: Client, names: Sequence[str], peer: object
    ) -> Mapping[str, StartPosition] | ReadLookup:
        """
        Find out whether a client may read some names that it has the right to read.

        @param peer: Where the client is.

        @return: Where some of them begin unless the client has said so; or a lookup that is
            not over.

        @raise CometError: If it may not.
        """
        if client.mayPublishAll:
            # The backend would wait for itself.
            return NO_STARTS
        asks, has = self.table.asks, self.allowed.has
        asked = [name for name in names if asks(SUBSCRIBE, name) and not has(client, name)]
        if not asked:
            return NO_STARTS
        place = holderOf(client, peer), 1, sum(map(len, asked))
        # Before the backend has anything to do with it.
        if not self.places.take(*place):
            raise Unavailable("too many readers of this client wait for leave to read")
        answer: Any = None
        try:
            ask = self._questions.ask
            answer = ask(SUBSCRIBE, self.hooks.subscribe, peer, client, tuple(asked))
        finally:
            if not isinstance(answer, Deferred):
                self.places.leave(*place)
        if not isinstance(answer, Deferred):
            return self._allow(client, asked, answer)
        starts: dict[str, StartPosition] = {}

        async def wait() -> Client:
            try:
                starts.update(await self._wait(client, asked, peer, answer))
            finally:
                self.places.leave(*place)
            return client

        # The question has a time of its own, which is over first.
        seconds = self._questions.seconds + 1.0
        lookup = ReadLookup(self._wheel, Deferred.fromCoroutine(wait()), seconds)
        lookup.starts = starts
        return lookup if lookup.result() is None else starts

    async def _wait(
        self, client: Client, names: Sequence[str], peer: object, answer: Any
    ) -> Mapping[str, StartPosition]:
        """
        Wait for an answer, and ask again where it has become old meanwhile.

        @return: Where the names begin.
        """
        asked = _Asked(client)
        self._asked[asked] = None
        try:
            said = await answer
            while asked.isOld:
                asked.isOld = False
                ask = self._questions.ask
                answer = ask(SUBSCRIBE, self.hooks.subscribe, peer, client, tuple(names))
                said = (await answer) if isinstance(answer, Deferred) else answer
        finally:
            del self._asked[asked]
        return self._allow(client, names, said, asked.isKept)

    def _allow(
        self, client: Client, names: Sequence[str], answer: object, isKept: bool = True
    ) -> Mapping[str, StartPosition]:
        """
        Remember that names may be read.

        @param isKept: L{False} to remember nothing.

        @return: Where they begin.

        @raise Unavailable: If the answer is not allowed.
        """
        try:
            allowed = Allowed() if answer is None else answer
            if not isinstance(allowed, Allowed):
                kind = type(answer).__name__
                raise TypeError(f"a {kind} is neither None nor an Allowed")
            starts = _readStarts(allowed.since, names)
            seconds = min(max(float(allowed.expires), LEAST_SECONDS), MOST_SECONDS)
        except (CometError, TypeError, ValueError, AttributeError) as error:
            raise self._questions.notAllowed(SUBSCRIBE, str(error)[:256]) from None
        for name in names if isKept else ():
            self.allowed.add(client, name, seconds)
        return starts


def _readStarts(since: object, names: Sequence[str]) -> Mapping[str, StartPosition]:
    """
    Read where names begin.

    @raise CometError: If a start position is not valid.

    @raise TypeError: If it is none at all.
    """
    if since is None:
        return NO_STARTS
    given: Mapping[str, Any] = since if isinstance(since, Mapping) else dict.fromkeys(names, since)
    if not all(isinstance(start, str) for start in given.values()):
        raise TypeError("a start position is a text")
    return {name: parseStartPosition(given[name]) for name in names if name in given}
