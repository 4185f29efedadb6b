"""
Tests of L{comet.server.workers.workersiblings}: how workers ask one another for figures,
through their parent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from comet.server.workers.loads import Loads, makeMemory
from comet.server.workers.process import FIGURES, MOST_UNANSWERED
from comet.server.workers.workersiblings import PATIENCE, FiguresPipe, WorkerSiblings
from tests.server.workercase import Process, WorkersTestCase


class WorkerTests(SynchronousTestCase):
    """
    A worker.
    """

    def setUp(self) -> None:
        """
        Make it.
        """
        self.clock = Clock()
        self.sent: list[Mapping[str, Any]] = []
        memory = makeMemory(3)
        loads = Loads(memory)
        os.close(memory)
        self.addCleanup(loads.close)
        self.siblings = WorkerSiblings(1, self.sent.append, self.clock, lambda: ["own"], loads)

    def test_waitsForAll(self) -> None:
        """
        The figures are there once all have answered that were asked; whether the parent's
        word comes first or last is the same.
        """
        for isFirst in (True, False):
            answer = self.siblings.figures()
            id = self.sent[-1]["ask"]
            lines = [
                {"told": id, "worker": 2, "rows": ["two"]},
                {"told": id, "worker": 3, "rows": ["three"]},
            ]
            lines.insert(0 if isFirst else 2, {"asked": id, "workers": [2, 3]})
            for line in lines:
                self.assertNoResult(answer)
                self.siblings.received(line)
            self.assertEqual(self.successResultOf(answer), {2: ["two"], 3: ["three"]})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waitsNotForLong(self) -> None:
        """
        A worker that does not answer in time is left out, and what it says later dropped.
        """
        answer = self.siblings.figures()
        id = self.sent[-1]["ask"]
        self.siblings.received({"asked": id, "workers": [2, 3]})
        self.siblings.received({"told": id, "worker": 2, "rows": ["two"]})
        self.clock.advance(PATIENCE - 0.01)
        self.assertNoResult(answer)
        self.clock.advance(0.01)
        self.assertEqual(self.successResultOf(answer), {2: ["two"]})
        self.siblings.received({"told": id, "worker": 3, "rows": ["three"]})
        again = self.siblings.figures()
        self.siblings.received({"told": id, "worker": 3, "rows": ["three"]})
        self.siblings.received({"asked": id + 1, "workers": []})
        self.assertEqual(self.successResultOf(again), {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_asksOnce(self) -> None:
        """
        Scrapes at the same time ask the others once.
        """
        answers = [self.siblings.figures() for _ in range(5)]
        self.assertEqual(len(self.sent), 1)
        self.siblings.received({"asked": self.sent[0]["ask"], "workers": []})
        self.assertEqual([self.successResultOf(each) for each in answers], [{}] * 5)

    def test_answers(self) -> None:
        """
        A worker that is asked tells its own.
        """
        self.siblings.received({"tell": [2, 9]})
        self.assertEqual(self.sent, [{"told": [2, 9], "rows": ["own"]}])


class PipeTests(SynchronousTestCase):
    """
    L{FiguresPipe}.
    """

    def test_waitsNotForParent(self) -> None:
        """
        A parent that does not read does not block the worker; it gets all when it reads.
        """
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        pipe = FiguresPipe(MemoryReactorClock(), writer)
        values = {"rows": ["x" * 300_000]}
        pipe.send(values)
        got = b""
        while not got.endswith(b"\n"):
            pipe.doWrite()
            got += os.read(reader, 1 << 20)
        self.assertEqual(json.loads(got), values)


class ParentTests(WorkersTestCase):
    """
    The parent passes on what workers say.
    """

    def said(self, process: Process) -> list[dict[str, Any]]:
        """
        Return what the parent has written since the task.
        """
        return [json.loads(line) for line in process.said.splitlines()[1:]]

    def say(self, process: Process, **values: Any) -> None:
        """
        Have a worker say something.
        """
        process.protocol.childDataReceived(FIGURES, json.dumps(values).encode() + b"\n")

    def test_passesOn(self) -> None:
        """
        A question goes to all others, an answer to the worker that has asked.
        """
        self.start()
        one, two, three = self.processes
        self.say(one, ask=7)
        self.assertEqual(self.said(one), [{"asked": 7, "workers": [2, 3]}])
        self.assertEqual(self.said(two), [{"tell": [1, 7]}])
        self.assertEqual(self.said(three), [{"tell": [1, 7]}])
        rows = ["x" * 100_000]
        self.say(three, told=[1, 7], rows=rows)
        self.assertEqual(self.said(one)[1:], [{"told": 7, "worker": 3, "rows": rows}])

    def test_leavesOutHanging(self) -> None:
        """
        A worker that does not answer is asked a few times only, until it does.
        """
        self.start()
        one, two, three = self.processes
        for id in range(1, 2 * MOST_UNANSWERED):
            self.say(one, ask=id)
            self.say(three, told=[1, id], rows=[])
        self.assertEqual(len(self.said(two)), MOST_UNANSWERED)
        asked = [each["workers"] for each in self.said(one) if "asked" in each]
        self.assertEqual(asked[-1], [3])
        self.say(two, told=[1, 1], rows=[])
        self.say(one, ask=99)
        self.assertEqual(self.said(two)[-1], {"tell": [1, 99]})

    def test_endedWorkers(self) -> None:
        """
        A worker that has ended is neither asked nor answered.
        """
        self.start()
        one, two, three = self.processes
        one.report(serves=True)
        three.end()
        self.say(one, ask=1)
        self.assertEqual(self.said(one), [{"asked": 1, "workers": [2]}])
        one.end()
        self.say(two, told=[1, 1], rows=[])

    def test_oddLines(self) -> None:
        """
        A line that the parent cannot use is logged.
        """
        self.start()
        for line in (b"x\n", b"[]\n", b'{"told":3}\n', b"1\n"):
            self.processes[0].protocol.childDataReceived(FIGURES, line)
        warned = [line for line in self.lines if "of no use" in line]
        self.assertEqual(len(warned), 4, self.lines)
