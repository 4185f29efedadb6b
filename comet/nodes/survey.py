"""
What one node finds out about itself, in shares of time: it may have very many readers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from comet.fanout.application import ApplicationReader
from comet.fanout.core import Fanout
from comet.fanout.counting import kindOf
from comet.fanout.states import State
from comet.model.channels import isReserved
from comet.model.patterns import overlaps
from comet.nodes.nodemessages import Answer, Question, What
from comet.reactor.turns import Turns

T = TypeVar("T")

# How many names of one reader are told.
MOST_NAMES: Final = 8

# How many things are looked at before the clock is.
_AT_ONCE: Final = 64


class Survey:
    """
    Answers questions about this node.
    """

    def __init__(self, node: str, fanout: Fanout, figures: Callable[[], dict[str, Any]]) -> None:
        """
        @param node: The name of the node.

        @param figures: Returns its figures.
        """
        self._node = node
        self._fanout = fanout
        self._figures = figures

    async def answer(self, question: Question) -> Answer:
        """
        Answer a question.  Readers that come meanwhile may be missing.
        """
        if question.what is What.FIGURES:
            return Answer(self._node, 1, [self._figures()])
        if question.what is What.NAMES:
            return await self._names(question)
        return await self._readers(question)

    async def _names(self, question: Question) -> Answer:
        pattern = question.channel
        counted: Counter[str] = Counter()

        def look(read: tuple[str, int]) -> None:
            name, readers = read
            if overlaps(pattern, name) if pattern else not isReserved(name):
                counted[name] += readers

        await goThrough(self._fanout.turns, self._fanout.registry.read(), look)
        # To sort all names would take one turn too long.
        limit = question.limit
        busiest: list[tuple[int, str]] = []

        def choose(item: tuple[str, int]) -> None:
            name, readers = item
            busiest.append((-readers, name))
            if len(busiest) >= 2 * limit:
                cut()

        def cut() -> None:
            busiest.sort()
            del busiest[limit:]

        await goThrough(self._fanout.turns, iter(counted.items()), choose)
        cut()
        rows = [{"channel": name, "readers": -readers} for readers, name in busiest]
        return Answer(self._node, len(counted), rows)

    async def _readers(self, question: Question) -> Answer:
        channel, wanted = question.channel, question.client
        rows: list[dict[str, Any]] = []
        count = 0

        def look(reader: Any) -> None:
            nonlocal count
            if reader.state is State.CLOSED or (wanted and reader.client.name != wanted):
                return
            if channel:
                if not any(overlaps(channel, name) for name in reader.progress.names):
                    return
            elif isinstance(reader, ApplicationReader):
                # The server's own are no clients.
                return
            count += 1
            if len(rows) < question.limit:
                rows.append(_row(reader))

        await goThrough(self._fanout.turns, iter(list(self._fanout.readers)), look)
        return Answer(self._node, count, rows)


def _row(reader: Any) -> dict[str, Any]:
    """
    Tell of one reader.
    """
    client, names = reader.client, reader.progress.names
    row: dict[str, Any] = {"client": client.name} if client.name else {}
    if client.credentialID:
        row["token"] = client.credentialID
    row.update(
        known=client.known.value,
        kind=kindOf(type(reader)),
        state=reader.state.value,
        names=len(names),
        channels=list(islice(names, MOST_NAMES)),
    )
    return row


def goThrough(turns: Turns, things: Iterator[T], look: Callable[[T], object]) -> Deferred[None]:
    """
    Look at many things for a share of time, and at the others in later turns.

    @return: Fires when all have been looked at.
    """
    done: Deferred[None] = Deferred()

    def lookAtSome() -> None:
        until = turns.seconds() + turns.share
        try:
            for count, thing in enumerate(things, 1):
                look(thing)
                if count % _AT_ONCE == 0 and turns.seconds() >= until:
                    turns.later(lookAtSome)
                    return
        except Exception:
            done.errback()
            return
        done.callback(None)

    lookAtSome()
    return done
