"""
The subscription of the client for threads: an iterator that blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from comet.client.basesubscription import BaseSubscription
from comet.client.blockingexchanges import NotYet
from comet.client.blockingnetwork import Call
from comet.client.blockingsteps import StepRunner, callOf
from comet.client.clientreading import Reading
from comet.client.clientsteps import Ask, Opening, Read, Step
from comet.client.failures import Closed
from comet.client.received import Gap, Message


class _Pending:
    """
    A step in a thread of its own.  So a caller's time may be over before the step is done, which
    goes on, and whose result the caller gets later.
    """

    def __init__(self, runner: StepRunner, step: Opening | Read, call: Call) -> None:
        self._runner = runner
        self._step = step
        self.call = call
        self._result: Any = None
        self._error: Exception | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="comet-client", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._runner.do(self._step, None, self.call)
        except Exception as error:
            self._error = error
        self._done.set()

    def wait(self, until: float | None) -> bool:
        """
        Wait until it is done.

        @param until: At most so long.

        @return: Whether it is done.
        """
        return self._done.wait(None if until is None else max(until - time.monotonic(), 0.0))

    def result(self) -> object:
        """
        Return the result of the step, or raise its failure.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """
        End it, and wait for the thread.
        """
        self.call.cancel()
        self._thread.join()
        if not isinstance(self._step, Read) and self._result is not None:
            self._result.close()


class Subscription(BaseSubscription):
    """
    An iterator of messages and gaps.  It comes back by itself, without losing or repeating a
    message.

    An item is handled once the next is asked for, or C{handled} is called.
    """

    def __init__(self, runner: StepRunner, reading: Reading) -> None:
        super().__init__(reading)
        self._runner = runner
        self._pending: _Pending | None = None
        # For the three below.  A signal handler may close the subscription at any moment.
        self._lock = threading.RLock()
        self._isClosed = False
        # Whether a thread is in L{next}, which alone touches the reading then.
        self._isWaiting = False
        # What it waits for.
        self._call: Call | None = None

    def next(self, timeout: float | None = None) -> Message | Gap | None:
        """
        Wait for the next item.

        @param timeout: For how many seconds; by default for ever.

        @return: The item, or L{None} if the time is over.

        @raise Closed: If the client or the subscription is closed, perhaps by another thread.
        """
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._isWaiting = True
        try:
            return self._next(until)
        finally:
            with self._lock:
                self._isWaiting, self._call = False, None
                if self._isClosed:
                    self._end()

    def _next(self, until: float | None) -> Message | Gap | None:
        reading = self._reading
        while True:
            self._check()
            item = reading.take()
            if item is not None:
                return item
            step = reading.step()
            if step is None:
                continue
            try:
                result = self._do(step, until)
            except NotYet:
                return None
            except Exception as error:
                # Not of the connection that was closed with the subscription.
                self._check()
                reading.failed(error)
            else:
                if self._isClosed:
                    # The reading then closes what has come, and does not take it for the end.
                    reading.close()
                reading.done(result)

    def _check(self) -> None:
        if self._isClosed:
            raise Closed("the subscription is closed") from None

    def _do(self, step: Step, until: float | None) -> object:
        """
        Do a step, or wait on for the result of one that was begun.
        """
        if self._pending is None:
            if isinstance(step, Ask):
                return self._runner.do(step)
            isShort = until is not None and isinstance(step, Opening | Read)
            call = callOf(step, None if isShort else until)
            with self._lock:
                self._check()
                self._call = call
            if not isShort:
                return self._runner.do(step, until, call)
            assert isinstance(step, Opening | Read)
            self._pending = _Pending(self._runner, step, call)
        pending = self._pending
        with self._lock:
            self._check()
            self._call = pending.call
        if not pending.wait(until):
            raise NotYet
        self._pending = None
        return pending.result()

    def close(self) -> None:
        """
        End it, and close its connection, from any thread: one that waits for an item waits no
        longer.  Only a connection that is being opened is waited for.
        """
        with self._lock:
            self._isClosed = True
            call = self._call
            if not self._isWaiting:
                self._end()
        if call is not None:
            call.cancel()
            self._runner.wake()

    def _end(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, None
            if pending is not None:
                pending.cancel()
            self._reading.close()

    def __iter__(self) -> Iterator[Message | Gap]:
        return self

    def __next__(self) -> Message | Gap:
        try:
            item = self.next()
        except Closed:
            self._end()
            raise StopIteration from None
        assert item is not None
        return item

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
