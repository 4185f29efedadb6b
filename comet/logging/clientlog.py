"""
Log lines that clients can cause: bounded in number and in length.

A client that finds a fault of the server's can cause its traceback again and
again.  So a line of one kind is logged some times, and then now and then; the
others are counted, and the count is logged.  What a client has sent is shortened,
and its control characters are escaped, so that it looks like no other line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Final

from attrs import define
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

# How many lines of one kind are logged in a burst, and after how many seconds
# another one is.
BURST: Final = 20
SECONDS_PER_LINE: Final = 10.0

# How many kinds are told apart.  Kinds are format strings, and places in the code:
# other programs' may depend on what a client has sent.
MAX_KINDS: Final = 256

# How many characters a value may have, and a line of a traceback; and how many
# lines of a traceback are logged, of its beginning and of its end.
MAX_VALUE: Final = 256
MAX_LINE: Final = 512
FIRST_LINES: Final = 30
LAST_LINES: Final = 50

# How often it is looked whether lines were left out, in seconds.
TELLING_SECONDS: Final = 10.0

# What has no place in a line: all that str.isprintable() is false for.
_NO_PRINT: Final = re.compile(r"[^\x20-\x7e]")

Kind = tuple[str, ...]


def printable(text: str, most: int) -> str:
    """
    Shorten a text, and escape the characters in it that cannot be printed.

    @param most: How many characters are kept.
    """
    cut = text[:most]
    if not cut.isprintable():
        cut = _NO_PRINT.sub(_escape, cut)
    return cut if len(text) <= most else f"{cut}... ({len(text)} characters)"


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else ascii(character)[1:-1]


class PrintableFailure(Failure):
    """
    A failure whose traceback is short and can be printed.
    """

    def getTraceback(self, *args: Any, **options: Any) -> str:
        """
        See L{Failure.getTraceback}.
        """
        lines = super().getTraceback(*args, **options).split("\n")
        left = len(lines) - FIRST_LINES - LAST_LINES
        if left > 0:
            lines[FIRST_LINES:-LAST_LINES] = [f"... ({left} lines)"]
        return "\n".join(printable(line, MAX_LINE) for line in lines)


def printableFailure(failure: Failure) -> PrintableFailure:
    """
    Make a copy of a failure whose traceback is short and can be printed.
    """
    copy = PrintableFailure.__new__(PrintableFailure)
    vars(copy).update(vars(failure))
    return copy


@define
class _Budget:
    """
    What may be logged of one kind.

    @ivar lines: How many lines, a part of a line included.

    @ivar since: When that was counted.

    @ivar leftOut: How many lines were left out since the last one that was
        logged or told.
    """

    lines: float
    since: float
    leftOut: int = 0


class Budgets:
    """
    What may be logged of each kind of lines.
    """

    def __init__(self, seconds: Callable[[], float] = monotonic, burst: float = BURST) -> None:
        """
        @param seconds: Returns the time, in seconds.

        @param burst: How many lines of one kind are logged in a burst.
        """
        self._seconds = seconds
        self._burst = burst
        self._kinds: dict[Kind, _Budget] = {}

    def spend(self, kind: Kind) -> int:
        """
        Ask whether a line may be logged.

        @return: How many lines of its kind were left out before it; -1 if this
            one is left out, too.
        """
        now = self._seconds()
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = ()
        budget = self._kinds.get(kind)
        if budget is None:
            budget = self._kinds[kind] = _Budget(self._burst, now)
        more = max(now - budget.since, 0) / SECONDS_PER_LINE
        budget.lines, budget.since = min(budget.lines + more, self._burst), now
        if budget.lines < 1:
            budget.leftOut += 1
            return -1
        budget.lines -= 1
        leftOut, budget.leftOut = budget.leftOut, 0
        return leftOut

    def takeLeftOut(self) -> Iterator[tuple[Kind, int]]:
        """
        Yield how many lines were left out, by kind, and forget it.
        """
        for kind, budget in self._kinds.items():
            if budget.leftOut:
                leftOut, budget.leftOut = budget.leftOut, 0
                yield kind, leftOut


# The budgets of the process, all of which logs to one place.
_budgets = Budgets()


class ClientLogger(Logger):
    """
    A logger for lines that clients can cause.  Values other than numbers are
    logged as texts.
    """

    def emit(self, level: LogLevel, format: str | None = None, **kwargs: object) -> None:
        """
        See C{Logger.emit}.  The line is left out if there were too many of its
        kind.
        """
        failure = kwargs.pop("log_failure", None)
        kind: Kind = (self.namespace, str(format))
        if isinstance(failure, Failure):
            kind += _placeOf(failure)
        leftOut = _budgets.spend(kind)
        if leftOut < 0:
            return
        values = {name: _shown(value) for name, value in kwargs.items()}
        if isinstance(failure, Failure):
            values["log_failure"] = printableFailure(failure)
        super().emit(level, format, **values)
        if leftOut:
            _tell(kind, leftOut)


def _shown(value: object) -> object:
    """
    Return a value as it is logged.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return printable(str(value), MAX_VALUE)


def _placeOf(failure: Failure) -> Kind:
    """
    Return what tells a failure from failures of other kinds: its type, and the
    place in the code at which it was raised.
    """
    name = getattr(failure.type, "__qualname__", "")
    if not failure.frames:
        return (name,)
    _, file, line, *_ = failure.frames[-1]
    return (name, f"{file}:{line}")


_log = Logger()


def _tell(kind: Kind, count: int) -> None:
    """
    Log how many lines of a kind were left out.
    """
    _log.warn(
        "{count} lines were left out, since they came too often, of the kind {kind}",
        count=count,
        kind=printable(" ".join(kind), MAX_LINE),
    )


def tellLeftOut() -> None:
    """
    Log how many lines were left out since the last of their kind.  A service
    calls it now and then: after a flood there may be no other line.
    """
    for kind, count in _budgets.takeLeftOut():
        _tell(kind, count)
