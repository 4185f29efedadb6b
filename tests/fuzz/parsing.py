"""
Gives the parsers what Hypothesis makes: mutations of what they understand, and
bytes of any kind.
"""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from attrs import field, frozen
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.findings import Finding
from tests.fuzz.mutating import TOKENS, Mutator
from tests.fuzz.parsers import Parser

# How many inputs Hypothesis makes for a parser before the next one has its turn, and
# for how many seconds at most.
INPUTS: Final = 500
SLICE: Final = 0.4

# For how many seconds an input that was found is made smaller.
SHRINKING: Final = 10.0


@frozen
class Parsed:
    """
    What came of a run.

    @ivar taken: How many inputs each parser took.

    @ivar refused: How many it refused.

    @ivar findings: What it should not have done.
    """

    taken: Counter[str] = field(factory=Counter)
    refused: Counter[str] = field(factory=Counter)
    findings: list[Finding] = field(factory=list)


def inputs(corpus: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """
    Make a strategy for inputs like those of a corpus.
    """
    mutated = st.integers(0, 2**32).map(lambda drawn: _mutated(drawn, corpus))
    pieces = st.lists(st.one_of(st.sampled_from((*corpus, *TOKENS)), st.binary(max_size=20)))
    # Where an input fails, Hypothesis makes these smaller, and the mutated ones not.
    return st.one_of(mutated, pieces.map(b"".join), st.binary(max_size=200))


def _mutated(drawn: int, corpus: Sequence[bytes]) -> bytes:
    return Mutator(random.Random(drawn)).mutate(corpus, 6)


class _Over(BaseException):
    """
    The time is over.  No C{Exception}, of which Hypothesis would try to make a
    smaller one.
    """


def tryParser(parser: Parser, number: int, result: Parsed, until: float) -> None:
    """
    Give a parser some inputs.

    @param number: The seed.

    @param until: When to end, by C{time.monotonic}.
    """
    last, until = b"", min(until, time.monotonic() + SLICE)

    @seed(number)
    @settings(
        max_examples=INPUTS,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(inputs(parser.corpus))
    def attempt(data: bytes) -> None:
        nonlocal last
        if time.monotonic() > until:
            raise _Over
        last = data
        counts = result.taken if parser.attempt(data) else result.refused
        counts[parser.name] += 1

    try:
        attempt()
    except _Over:
        pass
    except Exception:
        why = traceback.format_exc(limit=-6)
        result.findings.append(Finding(parser.name, shrink(parser, last), why))


def shrink(parser: Parser, data: bytes) -> bytes:
    """
    Make an input smaller that raises what it may not: Hypothesis knows the seed of
    a mutation only.
    """
    size, until = len(data), time.monotonic() + SHRINKING
    while size:
        start = 0
        while start < len(data) and time.monotonic() < until:
            less = data[:start] + data[start + size :]
            if _fails(parser, less):
                data = less
            else:
                start += size
        size //= 2
    return data


def _fails(parser: Parser, data: bytes) -> bool:
    try:
        parser.attempt(data)
    except Exception:
        return True
    return False


def run(
    parsers: Sequence[Parser],
    number: int,
    seconds: float,
    found: Callable[[Finding], None] = lambda finding: None,
) -> Parsed:
    """
    Give all parsers inputs in turn.  A parser that did what it should not has no
    other turn.

    @param number: The seed.

    @param found: Called with each finding.
    """
    result, until = Parsed(), time.monotonic() + seconds
    left = list(parsers)
    while left and time.monotonic() < until:
        for parser in list(left):
            before = len(result.findings)
            tryParser(parser, number, result, until)
            if len(result.findings) > before:
                left.remove(parser)
                found(result.findings[-1])
        number += 1
    return result
