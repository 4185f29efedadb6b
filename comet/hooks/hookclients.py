"""
Clients of which the backend has told, or is to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

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


@frozen
class HookClient(Client):
    """
    A client of which the backend has told.  Its C{until} is when it is to be asked again.

    @ivar question: What the backend was shown.
    """

    # Never in a log line.
    question: Question | None = field(default=None, kw_only=True, eq=False, repr=False)


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
