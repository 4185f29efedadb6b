"""
Tests of L{comet.command.stopping}.
"""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase

from comet.command.stopping import Stopping

KINDS: tuple[tuple[signal.Signals, type[BaseException]], ...] = (
    (signal.SIGINT, KeyboardInterrupt),
    (signal.SIGTERM, SystemExit),
)


class StoppingTests(SynchronousTestCase):
    """
    L{Stopping}.
    """

    def setUp(self) -> None:
        """
        Remember who handles the signals.
        """
        self.handlers = [signal.getsignal(number) for number, _ in KINDS]

    def tearDown(self) -> None:
        """
        Afterwards it is the same as before.
        """
        self.assertEqual([signal.getsignal(number) for number, _ in KINDS], self.handlers)

    def test_atOnce(self) -> None:
        """
        Between two pieces of work a signal stops at once.
        """
        for number, kind in KINDS:
            done: list[int] = []

            def work(number: int = number, done: list[int] = done) -> None:
                with Stopping() as stopping:
                    with stopping.whole():
                        done.append(1)
                    signal.raise_signal(number)
                    done.append(2)

            self.assertRaises(kind, work)
            self.assertEqual(done, [1])

    def test_afterwards(self) -> None:
        """
        In the middle of a piece of work it waits until that is done.
        """
        for number, kind in KINDS:
            done: list[int] = []

            def work(number: int = number, done: list[int] = done) -> None:
                with Stopping() as stopping:
                    with stopping.whole():
                        signal.raise_signal(number)
                        done.append(1)
                    done.append(2)

            self.assertRaises(kind, work)
            self.assertEqual(done, [1])

    def test_second(self) -> None:
        """
        A second signal does not wait.
        """
        done = []

        def work() -> None:
            with Stopping() as stopping, stopping.whole():
                signal.raise_signal(signal.SIGTERM)
                done.append(1)
                signal.raise_signal(signal.SIGINT)
                done.append(2)

        self.assertRaises(KeyboardInterrupt, work)
        self.assertEqual(done, [1])

    def test_failure(self) -> None:
        """
        Work that fails says why it has, though a signal came.
        """

        def work() -> None:
            with Stopping() as stopping, stopping.whole():
                signal.raise_signal(signal.SIGINT)
                raise ValueError

        self.assertRaises(ValueError, work)
