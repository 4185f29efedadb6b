"""
Tests of L{comet.logging.clientlog}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import formatEvent, formatEventAsClassicLogText
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.logging import clientlog
from comet.logging.clientlog import (
    BURST,
    FIRST_LINES,
    LAST_LINES,
    MAX_KINDS,
    MAX_LINE,
    MAX_VALUE,
    SECONDS_PER_LINE,
    Budgets,
    ClientLogger,
    printable,
    printableFailure,
    tellLeftOut,
)


def failed(error: Exception, depth: int = 0) -> Failure:
    """
    Make a failure with a traceback.
    """
    try:
        _raise(error, depth)
    except Exception:
        pass
    return Failure(error)


def _raise(error: Exception, depth: int) -> None:
    if depth:
        _raise(error, depth - 1)
    raise error


class PrintableTests(SynchronousTestCase):
    """
    L{printable} and L{printableFailure}.
    """

    def test_escapes(self) -> None:
        """
        What cannot be printed is escaped, and letters of any script stay.
        """
        for text, shown in (
            ("plain", "plain"),
            ("Wörter 言葉", "Wörter 言葉"),
            ("a\r\nb\tc\x1b[31m\0", r"a\r\nb\tc\x1b[31m\x00"),
            ("\u2028\u202e\ufeff\ud800", r"\u2028\u202e\ufeff\ud800"),
        ):
            self.assertEqual(printable(text, 100), shown)

    @given(st.text())
    def test_anyText(self, text: str) -> None:
        """
        No text is longer than it may be, or has a character that cannot be
        printed.
        """
        shown = printable(text, 10)
        self.assertTrue(shown.isprintable())
        self.assertLess(len(shown), 10 * len(r"\U0010ffff") + 40)

    def test_shortens(self) -> None:
        """
        Of a long text the beginning is shown, and its length.
        """
        self.assertEqual(printable("x" * 1000, 5), "xxxxx... (1000 characters)")

    def test_traceback(self) -> None:
        """
        A traceback is bounded in lines and in their length, keeps its beginning
        and its end, and has no control characters.
        """
        text = printableFailure(failed(ValueError("\x1b[2J" + "x" * 99999), 300)).getTraceback()
        lines = text.split("\n")
        self.assertEqual(len(lines), FIRST_LINES + LAST_LINES + 1)
        self.assertLess(max(map(len, lines)), MAX_LINE + 100)
        self.assertTrue(lines[0].startswith("Traceback"))
        self.assertIn(r"ValueError: \x1b[2Jxxx", lines[-2])
        self.assertTrue(all(map(str.isprintable, lines)))
        short = failed(KeyError("a"))
        self.assertEqual(printableFailure(short).getTraceback(), short.getTraceback())


class ClientLoggerTests(SynchronousTestCase):
    """
    L{ClientLogger}.
    """

    def setUp(self) -> None:
        """
        Make a logger whose budgets are of a clock that stands still.
        """
        self.clock = Clock()
        self.events: list[dict[str, Any]] = []
        self.patch(clientlog, "_budgets", Budgets(self.clock.seconds))
        self.patch(clientlog._log, "observer", self.events.append)
        # Any: zope's interfaces do not know that a function is an observer.
        observer: Any = self.events.append
        self.log = ClientLogger(observer=observer)

    def taken(self) -> list[str]:
        """
        Return the lines since the last call.
        """
        lines = [formatEvent(event) for event in self.events]
        self.events.clear()
        return lines

    def test_boundsNumber(self) -> None:
        """
        A burst of lines of one kind is logged, and then one in some seconds;
        the count of the others is told with that one, or when it is asked for,
        each line once.
        """
        for number in range(BURST + 100):
            self.log.warn("the client {number} failed", number=number)
        self.assertEqual(self.taken(), [f"the client {n} failed" for n in range(BURST)])
        self.clock.advance(SECONDS_PER_LINE)
        self.log.warn("the client {number} failed", number=1)
        kind = "of the kind tests.logging.test_clientlog the client {number} failed"
        told = "lines were left out, since they came too often, " + kind
        self.assertEqual(self.taken(), ["the client 1 failed", f"100 {told}"])
        self.log.warn("the client {number} failed", number=1)
        self.assertEqual(self.taken(), [])
        tellLeftOut()
        tellLeftOut()
        self.assertEqual(self.taken(), [f"1 {told}"])

    def test_boundsAllLevels(self) -> None:
        """
        Twisted writes lines of every level, so each of them is bounded.
        """
        for _ in range(BURST + 10):
            self.log.debug("a")
            self.log.info("b")
        self.assertEqual(len(self.taken()), 2 * BURST)

    def test_tellsFaultsApart(self) -> None:
        """
        Many failures of one kind leave the others their lines: those of another
        type, or from another place.
        """
        others = [failed(KeyError("x")), failed(ValueError("x"), 1)]
        for _ in range(BURST + 10):
            self.log.failure("it failed", failed(ValueError("x")))
        self.assertEqual(len(self.taken()), BURST)
        others[1].frames[-1] = ("other", "other.py", 1, (), ())
        for other in others:
            self.log.failure("it failed", other)
        self.assertEqual(self.taken(), ["it failed", "it failed"])
        self.log.failure("it failed", Failure(KeyError("without a traceback")))
        self.assertEqual(self.taken(), ["it failed"])

    def test_boundsKinds(self) -> None:
        """
        Formats that depend on what a client has sent are no way around.
        """
        for number in range(MAX_KINDS + 1000):
            self.log.info(f"format {number}")
        self.assertEqual(len(self.taken()), MAX_KINDS + BURST)

    def test_boundsValues(self) -> None:
        """
        Values are short, and have no control characters; numbers stay numbers.
        """
        self.log.failure(
            "{text} {names} {raw!r} {count}",
            failed(ValueError("\r\n2026 [forged] line" + "x" * 5000)),
            text="a\nb",
            names=["x" * 5000] * 100,
            raw=b"\0" * 5000,
            count=7,
        )
        (event,) = self.events
        self.assertEqual(event["count"], 7)
        self.assertTrue(formatEvent(event).startswith(r"a\nb ['xxx"))
        self.assertLess(len(formatEvent(event)), 3 * MAX_VALUE + 200)
        text = formatEventAsClassicLogText(event)
        assert text is not None
        self.assertLess(len(text), 5000)
        self.assertEqual(event["log_failure"].type, ValueError)
        self.assertEqual(event["log_namespace"], "tests.logging.test_clientlog")
        self.assertNotIn("\r", text)
