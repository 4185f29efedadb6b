"""
What a worker knows of the others: the figures of all, and whether it has more than its
share of the clients.

One worker is asked for the metrics, and asks the others for their figures through the parent.

A worker sends the parent lines of JSON on a pipe of its own, and gets them among its
tasks:

  - C{{"ask": 7}}: a worker asks the others for their figures.

  - C{{"asked": 7, "workers": [2, 3]}}: the parent has asked these for it.

  - C{{"tell": [1, 7]}}: the parent asks a worker, for worker 1 and its question 7.

  - C{{"told": [1, 7], "rows": [...]}}: the worker tells its figures.

  - C{{"told": 7, "worker": 2, "rows": [...]}}: the parent gives worker 1 what worker 2 has
    told.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sized
from typing import Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.fdesc import writeToFD
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from comet.server.workers.loads import Loads

# For how many seconds the other workers are waited for.  Prometheus waits ten by default.
PATIENCE: Final = 1.0

# A worker has more than its share from so many clients on above the worker that has the
# least, and this part of that more.
FEW: Final = 8
MARGIN: Final = 0.05

# More than a port accepts at once.
MANY: Final = 1 << 30


class FiguresPipe(FileDescriptor):
    """
    The worker's end of the pipe.  A parent that does not read never blocks the worker.
    """

    def __init__(self, reactor: Any, fileno: int) -> None:
        super().__init__(reactor)
        self._fileno = fileno
        os.set_blocking(fileno, False)
        self.connected = True

    def fileno(self) -> int:
        """
        See L{FileDescriptor}.
        """
        return self._fileno

    def writeSomeData(self, data: bytes) -> int | Exception:
        """
        See L{FileDescriptor}.
        """
        written: int | Exception = writeToFD(self._fileno, data)
        return written

    def send(self, values: Mapping[str, Any]) -> None:
        """
        Send a line.
        """
        self.write(json.dumps(values).encode() + b"\n")


class _Question:
    """
    A question of this worker.

    @ivar rows: What was told, by the number of the worker.

    @ivar awaited: The workers that were asked; L{None} until the parent has said which.

    @ivar answered: Fires when the question is over.
    """

    def __init__(self) -> None:
        self.rows: dict[int, Any] = {}
        self.awaited: set[int] | None = None
        self.answered: list[Deferred[Mapping[int, Any]]] = []
        self.late: IDelayedCall | None = None

    @property
    def isComplete(self) -> bool:
        """
        Whether all that were asked have answered.
        """
        return self.awaited is not None and self.awaited <= self.rows.keys()


class WorkerSiblings:
    """
    The L{Siblings<comet.hub.siblings.Siblings>} of a worker.
    """

    def __init__(
        self,
        number: int,
        send: Callable[[Mapping[str, Any]], None],
        clock: IReactorTime,
        rows: Callable[[], Any],
        loads: Loads,
    ) -> None:
        """
        @param number: The number of this worker.

        @param send: Sends a line to the parent.

        @param rows: Returns the figures of this worker.

        @param loads: The loads of all workers.
        """
        self.number = number
        self._loads = loads
        self._watched: list[Sized] = []
        self._isLeaving = False
        self._send = send
        self._clock = clock
        self._rows = rows
        self._id = 0
        self._question: _Question | None = None

    def watch(self, held: Sized) -> None:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        self._watched.append(held)

    def room(self) -> int:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.
        """
        if self._isLeaving:
            return MANY
        # Counted here, without a call for each: all workers are asked about each client.
        load = sum([len(held) for held in self._watched])
        self._loads.write(self.number, load)
        least = self._loads.least(self.number)
        # A client of a stream is a connection and a reader.
        return MANY if least is None else (int(least * (1 + MARGIN)) - load) // 2 + FEW

    def serves(self) -> None:
        """
        Tell the others that this worker accepts clients from now on.
        """
        self.room()

    def leave(self) -> None:
        """
        Tell the others that this worker accepts no clients any more.
        """
        self._isLeaving = True
        self._loads.forget(self.number)

    def figures(self) -> Deferred[Mapping[int, Any]]:
        """
        See L{Siblings<comet.hub.siblings.Siblings>}.  All that ask while a question is under way
        get the answer to that one: many scrapes at a time ask the others once.
        """
        question = self._question
        if question is None:
            question = self._question = _Question()
            self._id += 1
            question.late = self._clock.callLater(PATIENCE, self._end, question)
            self._send({"ask": self._id})
        answered: Deferred[Mapping[int, Any]] = Deferred()
        question.answered.append(answered)
        return answered

    def received(self, values: Mapping[str, Any]) -> None:
        """
        The parent has sent a line.
        """
        if "tell" in values:
            self._send({"told": values["tell"], "rows": self._rows()})
            return
        question = self._question
        if question is None or self._id not in (values.get("asked"), values.get("told")):
            # It is of a question that is over.
            return
        if "asked" in values:
            question.awaited = set(values["workers"])
        else:
            question.rows[values["worker"]] = values["rows"]
        if question.isComplete:
            self._end(question)

    def _end(self, question: _Question) -> None:
        self._question = None
        assert question.late is not None
        if question.late.active():
            question.late.cancel()
        for each in question.answered:
            each.callback(question.rows)
