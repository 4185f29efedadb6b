"""
The readers of this node, and the clients that they are of: found by walking over all of
them, so that nothing is kept for it while they come and go.

Users may log out by the hundred in a second, and readers be very many.  So a walk
is for all that is asked for when it begins; what is asked for meanwhile waits for the
next one, which begins when the others had L{REST} times as long for their work.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from comet.access.leases import judge
from comet.fanout.core import Fanout
from comet.fanout.states import State
from comet.logging.clientlog import ClientLogger
from comet.model.channels import parseName
from comet.model.clients import Client
from comet.model.messages import Close
from comet.model.patterns import overlaps
from comet.reactor.timers import NOT_SET

# For how many times as long as walks take the server does other things.
REST: Final = 4.0

# Within how many seconds clients come back whose key is gone.
_BACK: Final = (0.05, 1.0)

# How many readers are looked at before the clock is.
_AT_ONCE: Final = 64

_log = ClientLogger()


class Search:
    """
    Looks for the readers of some clients.

    @ivar look: Called with each of their readers.

    @ivar done: Fires when all readers have been looked at.
    """

    __slots__ = ("done", "look")

    def __init__(self, look: Callable[[Any], None]) -> None:
        self.look = look
        self.done: Deferred[None] = Deferred()


class Searches:
    """
    What is looked for in one walk.

    @ivar anyOf: What looks at each reader.

    @ivar named: By the name of the client, what looks at its readers.

    @ivar tokens: By the id of a token, what looks at the readers that have it.
    """

    def __init__(self) -> None:
        self.anyOf: list[Search] = []
        self.named: dict[str, list[Search]] = {}
        self.tokens: dict[str, list[Search]] = {}

    def __bool__(self) -> bool:
        """
        Whether there is anything to look for.
        """
        return bool(self.anyOf or self.named or self.tokens)

    def all(self) -> list[Search]:
        """
        Return all of them.
        """
        lists = (self.anyOf, *self.named.values(), *self.tokens.values())
        return [search for some in lists for search in some]

    def of(self, client: Client) -> list[Search]:
        """
        Return those that look at the readers of a client.
        """
        found = [*self.anyOf, *self.named.get(client.name, ())]
        return [*found, *self.tokens.get(client.credentialID, ())]


class Audience:
    """
    Finds and ends readers by their clients.  Many readers are looked at in shares of
    time, so that requests do not wait for it.
    """

    def __init__(self, fanout: Fanout) -> None:
        self.timerSlot = NOT_SET
        self._fanout = fanout
        # What the next walk is for.
        self._next = Searches()
        self._isWalking = False
        # For how many seconds the present walk has looked, and when another may begin.
        self._spent = 0.0
        self._restsUntil = fanout.seconds()

    def clients(self, pattern: str) -> Deferred[list[Client]]:
        """
        Find the clients that read a channel, or one that a pattern matches, on this node.

        @return: Fires with one client of each name, and all that have no name, in the
            order in which their readers came; those of which nothing is known are left
            out.

        @raise BadChannel: If the pattern is not valid.
        """
        parseName(pattern)
        found: dict[object, Client] = {}

        def look(reader: Any) -> None:
            client = reader.client
            key = client.name or id(client)
            if not client.isAnonymous and key not in found:
                if any(overlaps(pattern, name) for name in reader.progress.names):
                    found[key] = client

        return self._search(self._next.anyOf, look).addCallback(lambda _: list(found.values()))

    def end(
        self,
        concerns: Callable[[Client], bool],
        close: Callable[[], Close],
        mayRead: Callable[[str, Client], bool] | None = None,
        client: str = "",
        token: str = "",
    ) -> Deferred[int]:
        """
        End the readers of some clients, or some of their names.  Readers that come
        meanwhile may not be among them.

        @param concerns: Tells whether a client is one of them.

        @param close: Returns the reason; called for each reader.

        @param mayRead: Tells whether a client may still read a name: then only the other
            names end, and readers that have no others.  L{None} to end all.

        @param client: The name that all of them have; empty if they have not one.

        @param token: The id of the token that all of them have; empty if they have not
            one.

        @return: Fires with how many readers were ended, or lost names.
        """
        count = 0

        def look(reader: Any) -> None:
            nonlocal count
            client = reader.client
            if client.isAnonymous or not concerns(client):
                return
            if mayRead is None:
                count += 1
                reader.close(close())
                return
            names = reader.progress.names
            if reader.state is State.OPENING or not all(mayRead(each, client) for each in names):
                count += 1
                judge(reader, lambda name: mayRead(name, client), close())

        searches = self._next
        if client:
            place = searches.named.setdefault(client, [])
        elif token:
            place = searches.tokens.setdefault(token, [])
        else:
            place = searches.anyOf
        return self._search(place, look).addCallback(lambda _: count)

    def endKeyHolders(self, holders: Sequence[Client]) -> Deferred[int]:
        """
        End the readers of those whose key counts no longer.  They may come back with another.

        @param holders: The clients themselves: those of other keys are equal to them.

        @return: As L{end}.
        """

        def concerns(client: Client) -> bool:
            return any(client is each for each in holders)

        return self.end(concerns, _keyGone)

    def stop(self) -> None:
        """
        Begin no other walk.  No timer is left.
        """
        self._fanout.wheel.clear(self)

    # -- Walking

    def _search(self, place: list[Search], look: Callable[[Any], None]) -> Deferred[None]:
        search = Search(look)
        place.append(search)
        self._begin()
        return search.done

    def timedOut(self) -> None:
        """
        Others have had their time.
        """
        self._begin()

    def _begin(self) -> None:
        """
        Begin the next walk, unless it has to wait.
        """
        if self._isWalking or not self._next:
            return
        rest = self._restsUntil - self._fanout.seconds()
        if rest > 0:
            self._fanout.wheel.set(self, rest)
            return
        searches, self._next = self._next, Searches()
        self._isWalking, self._spent = True, 0.0
        # Each reader that there is now, if it is not closed when its turn comes.
        self._walk(iter(list(self._fanout.readers)), searches)

    def _walk(self, readers: Iterator[Any], searches: Searches) -> None:
        """
        Look at readers for a share of time, and at the others in later turns.
        """
        turns = self._fanout.turns
        begun = turns.seconds()
        isDone = self._lookAtSome(readers, searches, begun + turns.share)
        now = turns.seconds()
        self._spent += now - begun
        if not isDone:
            turns.later(lambda: self._walk(readers, searches))
            return
        self._isWalking = False
        self._restsUntil = now + REST * self._spent
        for search in searches.all():
            search.done.callback(None)
        self._begin()

    def _lookAtSome(self, readers: Iterator[Any], searches: Searches, until: float) -> bool:
        """
        Look at readers until it is late.

        @return: Whether all have been looked at.
        """
        seconds = self._fanout.turns.seconds
        named, tokens, anyOf = searches.named, searches.tokens, searches.anyOf
        for count, reader in enumerate(readers, 1):
            client = reader.client
            if anyOf or client.name in named or client.credentialID in tokens:
                for search in searches.of(client):
                    if reader.state is not State.CLOSED:
                        _look(search, reader)
            if count % _AT_ONCE == 0 and seconds() >= until:
                return False
        return True


def _keyGone() -> Close:
    """
    Make the reason for a client whose key is gone.
    """
    return Close("disconnected", "the key counts no longer", round(random.uniform(*_BACK), 3))


def _look(search: Search, reader: Any) -> None:
    try:
        search.look(reader)
    except Exception:
        # The others have their turn in any case.
        _log.failure("{reader} could not be looked at, and is closed", reader=reader)
        reader.close(Close("internal", "the server failed", 2.0))
