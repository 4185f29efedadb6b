"""
Tests of L{comet.server.signals}.
"""

from __future__ import annotations

import signal

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from comet.server.signals import firstOnly


class StoppingReactor(MemoryReactorClock):
    """
    A reactor that can begin to stop.
    """

    def beginStop(self) -> None:
        """
        Call what is to be called before the shutdown.
        """
        for function, args, kwargs in self.triggers["before"]["shutdown"]:
            function(*args, **kwargs)


class FirstOnlyTests(SynchronousTestCase):
    """
    A handler of signals that stops the reactor once.
    """

    def setUp(self) -> None:
        """
        Make a handler, and what it calls.
        """
        self.reactor = StoppingReactor()
        self.handled: list[int] = []
        self.handle = firstOnly(self.reactor, lambda number, frame: self.handled.append(number))

    def test_first(self) -> None:
        """
        The usual handler is called while the reactor runs, and not for a second signal that
        comes before the reactor has begun to stop.
        """
        self.handle(signal.SIGTERM, None)
        self.handle(signal.SIGINT, None)
        self.assertEqual(self.handled, [signal.SIGTERM])

    def test_again(self) -> None:
        """
        Once the reactor stops, the usual handler is called no more, and the log tells what
        ends the server at once.
        """
        self.reactor.beginStop()
        with capturedLogs() as events:
            self.handle(signal.SIGINT, None)
        self.assertEqual(self.handled, [])
        self.assertEqual([event["signal"] for event in events], ["SIGINT"])
