"""
The base class of the tests of the command.

A run of the command mostly waits, for half a second here and there.  So the runs of
all tests that were chosen are made side by side, from the first of these tests on.  A
process of C{trial --jobs} is given one test after the other, so that only the runs of one
test are side by side there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.server import ROOT

# How much longer than its given time a run may take, in seconds.
_BESIDE: Final = 120

# How many runs are made at once.  Each uses a fifth of a core.
_TOGETHER: Final = 4

T = TypeVar("T", bound=Callable[..., Any])


class Run(NamedTuple):
    """
    One run of the command.

    @ivar options: The options besides the following.

    @ivar faults: How many faults there are.

    @ivar seconds: How many seconds they take.
    """

    options: tuple[str, ...]
    faults: int
    seconds: int


class Outcome(NamedTuple):
    """
    What came of a run.

    @ivar run: The run.

    @ivar code: The exit code.

    @ivar output: What the command has printed.
    """

    run: Run
    code: int
    output: str


def runs(*options: str, faults: int, seconds: int) -> Callable[[T], T]:
    """
    Say of a test that it looks at a run of the command with so many faults.  A test
    may look at several.
    """

    def decorate(method: T) -> T:
        above = getattr(method, "runs", ())
        vars(method)["runs"] = (Run(options, faults, seconds), *above)
        return method

    return decorate


def perform(run: Run) -> Outcome:
    """
    Run the command to its end.
    """
    words = ["--faults", str(run.faults), "--seconds", str(run.seconds), *run.options]
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=run.seconds + _BESIDE,
        check=False,
    )
    return Outcome(run, done.returncode, done.stdout.decode(errors="replace"))


class Runs:
    """
    The runs of the tests that were chosen.
    """

    def __init__(self) -> None:
        self._chosen: set[Run] = set()
        self._begun: dict[Run, Future[Outcome]] = {}
        self._threads = ThreadPoolExecutor(_TOGETHER)

    def choose(self, runs: Sequence[Run]) -> None:
        """
        Take part in what L{outcomes} begins.
        """
        self._chosen.update(runs)

    def outcomes(self, runs: Sequence[Run]) -> list[Outcome]:
        """
        Begin all that were chosen, and wait for some of them.
        """
        self._chosen.update(run for run in runs if run not in self._begun)
        # The longest first, so that none is left alone at the end.
        for run in sorted(self._chosen, key=lambda each: -each.seconds):
            self._begun[run] = self._threads.submit(perform, run)
        self._chosen.clear()
        # A test that is run again has its runs made again.
        return [self._begun.pop(run).result() for run in runs]


_runs: Final = Runs()


class FaultsTestCase(SynchronousTestCase):
    """
    A test that looks at runs of the command, which L{runs} states.
    """

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._own: Sequence[Run] = getattr(getattr(type(self), methodName, None), "runs", ())
        _runs.choose(self._own)

    def outcomes(self) -> list[Outcome]:
        """
        Return what came of the runs of this test, in their order.
        """
        return _runs.outcomes(self._own)

    def count(self, output: str, what: str) -> int:
        """
        Read one of the counts of the report.
        """
        _, _, report = output.partition("\nfaults: ")
        found = re.search(rf"\b(\d+) {re.escape(what)}(?:,|$)", report, re.MULTILINE)
        return 0 if found is None else int(found[1])

    def assertNothingFound(self) -> list[str]:
        """
        Check that the runs of this test found nothing.

        @return: The output of each.
        """
        outcomes = self.outcomes()
        self.assertTrue(outcomes)
        for (_, faults, _), code, output in outcomes:
            self.assertEqual(code, 0, output)
            self.assertIn(f"\nfaults: {faults}:", output)
            # A run with few messages or few deliveries would prove nothing.
            self.assertGreater(self.count(output, "answered"), faults, output)
            self.assertGreater(self.count(output, "deliveries"), 10 * faults, output)
            self.assertGreater(self.count(output, "join"), 0, output)
            self.assertGreater(self.count(output, "snapshots"), 0, output)
        return [each.output for each in outcomes]
