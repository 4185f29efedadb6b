"""
Clients of which the backend has told, or is to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, NamedTuple

from attrs import field, frozen
from twisted.internet.defer import Deferred

from comet.model.clients import Client


class Question(NamedTuple):
    """
    What the backend is shown of a client.  Clients of which it is shown the same are
    answered the same.

    @ivar headers: Names in lower case with their values.

    @ivar credential: The credential; L{None} if there is none, which is another question
        than an empty one.

    @ivar address: The IP address; empty if there is none.
    """

    headers: tuple[tuple[str, str], ...]
    credential: str | None
    address: str

    @property
    def size(self) -> int:
        """
        How many characters it has.
        """
        shown = sum(len(name) + len(value) for name, value in self.headers)
        return shown + len(self.credential or "") + len(self.address)


# Numbers what the backend has told, and what was ordered since.
_numbers = count(1)


@frozen
class HookClient(Client):
    """
    A client of which the backend has told.  Its C{until} is when it is to be asked again.

    @ivar question: What the backend was shown.

    @ivar number: Is the higher, the later it was told.

    @ivar dueAt: The same as C{until}, by the clock that goes on.
    """

    # Never in a log line.
    question: Question | None = field(default=None, kw_only=True, eq=False, repr=False)
    number: int = field(factory=lambda: next(_numbers), init=False, eq=False, repr=False)
    dueAt: float = field(default=0.0, kw_only=True, eq=False)


# Of how many clients it is known when they were ordered about.
MOST_NAMES: Final = 10_000


class AskedAnew:
    """
    The clients about which the backend has to be asked anew, since an order was given about
    them: what it has told before counts no longer, also for requests that were under way
    and for connections that go on.
    """

    def __init__(self) -> None:
        # The number of the last order by the name of the client; and that of the last one
        # that counts for all clients.
        self._orders: dict[str, int] = {}
        self._all = 0

    def add(self, name: str) -> None:
        """
        An order about a client is given.
        """
        if len(self._orders) >= MOST_NAMES:
            # It is safe to ask about others, too.
            self._orders.clear()
            self._all = next(_numbers)
        self._orders[name] = next(_numbers)

    def __contains__(self, client: Client) -> bool:
        """
        Tell whether the backend has to be asked about a client anew.
        """
        return isinstance(client, HookClient) and client.number < max(
            self._all, self._orders.get(client.name, 0)
        )


# Asks which client it is, given the names of its first command, and whether it
# publishes to them.  Returns None if the backend need not be asked for these.
Ask = Callable[[Sequence[str], bool], "Client | Deferred[Client] | None"]


@frozen
class UnaskedClient(Client):
    """
    A client that has not named a channel yet: the backend is asked when it does.  Until
    then nothing is known of it.

    @ivar ask: Asks the backend.
    """

    ask: Ask = field(kw_only=True, eq=False, repr=False)
