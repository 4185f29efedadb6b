"""
A run against live servers: one of each edge, which are asked the same.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from attrs import field, frozen

from tests.fuzz import corpus
from tests.fuzz.asking import Answer, Case
from tests.fuzz.comparing import ofFrames, ofHTTP, ofLines
from tests.fuzz.findings import Finding
from tests.fuzz.mutating import Mutator
from tests.fuzz.serving import STALL, Server

EDGES: Final = ("lean", "twisted")

# How many clients there are at once.
CLIENTS: Final = 32
TLS_CLIENTS: Final = 8

# After how many seconds of silence an answer is taken to be complete: among many
# clients, and where it is looked at again.
SILENCE: Final = 0.05
PATIENCE: Final = 1.0

# How many batches are sent before objects are counted for the first time.
WARMING: Final = 4

# By how many bytes a server may grow while it fills its caches and its log.
GROWTH: Final = 96 << 20

# How many differences are looked at again, one by one.
_AGAIN: Final = 3

_CORPORA: Final = {
    "http1": corpus.REQUESTS,
    "websocket": corpus.FRAMES,
    "tcp": corpus.LINES,
    "http2": corpus.CONVERSATIONS,
    "tls": corpus.TLS,
}
_WEIGHTS: Final = {"http1": 6, "websocket": 2, "tcp": 2, "http2": 2, "tls": 1}

_COMPARED: Final[dict[str, Callable[[bytes], list[object]]]] = {
    "http1": ofHTTP,
    "websocket": ofFrames,
    "tcp": ofLines,
}


@frozen
class Result:
    """
    What came of a run.

    @ivar cases: How many clients there were, by protocol and edge.

    @ivar compared: How many answers of the two edges were compared, by protocol.

    @ivar polls: How often the bystanders were served.

    @ivar worst: The longest wait of a bystander, in seconds of the server's
        processor time.

    @ivar growth: By how many bytes each server has grown, by edge.

    @ivar findings: What must not be.
    """

    cases: Counter[str] = field(factory=Counter)
    compared: Counter[str] = field(factory=Counter)
    polls: Counter[str] = field(factory=Counter)
    worst: dict[str, float] = field(factory=dict)
    growth: dict[str, int] = field(factory=dict)
    findings: list[Finding] = field(factory=list)


class Run:
    """
    One run.
    """

    def __init__(
        self, number: int, seconds: float, found: Callable[[Finding], None] = lambda finding: None
    ) -> None:
        """
        @param number: The seed.

        @param seconds: How long it takes, without starting and stopping.

        @param found: Called with each finding.
        """
        self._random = random.Random(number)
        self._mutator = Mutator(self._random)
        self._seconds = seconds
        self._found = found
        self._servers: list[Server] = []
        self.result = Result()

    def run(self) -> Result:
        """
        Run.
        """
        try:
            for edge in EDGES:
                self._servers.append(Server(edge))
            for _ in range(WARMING):
                self._batch()
            before = [(server.counts(), server.resident()) for server in self._servers]
            until = time.monotonic() + self._seconds
            while time.monotonic() < until and all(each.isRunning for each in self._servers):
                self._batch()
            for server, (counts, resident) in zip(self._servers, before, strict=True):
                self._finish(server, counts, resident)
        finally:
            for server in self._servers:
                server.stop()
        return self.result

    def _report(self, what: str, data: bytes, why: str) -> None:
        finding = Finding(what, data, why)
        self.result.findings.append(finding)
        self._found(finding)

    def _draw(self, kind: str) -> Case:
        data = self._mutator.mutate(_CORPORA[kind], 3)
        ending = self._random.choice(("leave", "leave", "half", "half", "half", "cut"))
        return Case(tuple(self._mutator.split(data)), ending)

    def _batch(self) -> None:
        """
        Ask both servers the same, and look at what they did.
        """
        (kind,) = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        cases = [self._draw(kind) for _ in range(TLS_CLIENTS if kind == "http2" else CLIENTS)]
        answers: list[Sequence[Answer]] = []
        for server in self._servers:
            answers.append(server.ask(kind, cases, SILENCE))
            self.result.cases[f"{kind} {server.edge}"] += len(cases)
            self._look(server, kind, cases)
        if kind in _COMPARED:
            self._compare(kind, cases, answers)

    def _look(self, server: Server, kind: str, cases: Sequence[Case]) -> None:
        """
        Look whether a server has logged an error, has died, or has let its bystander
        wait.
        """
        what = f"{kind} on the {server.edge} edge"
        waited = server.bystander.takeWorst()
        self.result.worst[server.edge] = max(waited, self.result.worst.get(server.edge, 0.0))
        log = server.faults()
        if log or not server.isRunning:
            data = self._culprit(server, kind, cases)
            self._report(what, data, log[-3000:] or "the server has died")
        elif waited > STALL:
            data = b"\n".join(case.data for case in cases)
            self._report(what, data, f"a bystander waited for {waited:.2f} s of processor time")

    def _culprit(self, server: Server, kind: str, cases: Sequence[Case]) -> bytes:
        """
        Find the client that causes an error in the log when it comes again alone.
        """
        for case in cases:
            server.ask(kind, [case], SILENCE)
            if server.faults():
                return case.data
        return b"\n".join(case.data for case in cases)

    def _compare(
        self, kind: str, cases: Sequence[Case], answers: Sequence[Sequence[Answer]]
    ) -> None:
        """
        Compare what the two servers have answered.
        """
        again = 0
        for case, *both in zip(cases, *answers, strict=True):
            if case.ending == "cut":
                continue
            self.result.compared[kind] += 1
            if self._agree(kind, both) or again >= _AGAIN:
                continue
            # What one server has not sent yet, or others have changed, is no
            # difference.
            again += 1
            for patience in (PATIENCE, 4 * PATIENCE):
                both = [server.ask(kind, [case], patience)[0] for server in self._servers]
                if self._agree(kind, both):
                    break
            else:
                found = [_COMPARED[kind](each.data) for each in both]
                lines = [f"{e}: {f}" for e, f in zip(EDGES, found, strict=True)]
                sent = f"in pieces of {[len(piece) for piece in case.pieces]} bytes, {case.ending}"
                self._report(f"{kind}: the edges differ", case.data, "\n".join([sent, *lines]))

    def _agree(self, kind: str, both: Sequence[Answer]) -> bool:
        one, other = (_COMPARED[kind](each.data) for each in both)
        return one == other

    def _finish(self, server: Server, counts: Counter[str], resident: int) -> None:
        """
        Look what is left in a server.
        """
        self.result.polls[server.edge] = server.bystander.polls
        if not server.isRunning:
            return
        left = server.left(counts)
        if left:
            self._report(f"the {server.edge} edge", b"", f"left, before and after: {left}")
        self.result.growth[server.edge] = growth = server.resident() - resident
        if growth > GROWTH:
            self._report(f"the {server.edge} edge", b"", f"it has grown by {growth} bytes")
