"""
Does the steps of a client in the thread of the caller.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from typing import TypeVar

from comet.client.blockingexchanges import Exchanges, NotYet
from comet.client.blockingnetwork import Call
from comet.client.clientsteps import (
    Ask,
    Connect,
    Opening,
    Read,
    Request,
    Sleep,
    Step,
    Steps,
    Texts,
    Upgrade,
)
from comet.client.failures import Closed

T = TypeVar("T")


class StepRunner:
    """
    Does steps, and blocks the thread meanwhile.  Several threads may use it at the same time.
    """

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        """
        @param tls: How the server's certificate is verified; by default, by the certificates of
            the system.
        """
        self._tls = tls
        # By processes: after a fork those of the parent are left alone.
        self._exchanges: dict[int, Exchanges] = {}
        self._isClosed = False
        # Those that sleep wake when the client or their subscription is closed.
        self._waking = threading.Condition()

    def close(self) -> None:
        """
        Close all connections, also from another thread.  What is under way fails with L{Closed}.
        """
        with self._waking:
            self._isClosed = True
            self._waking.notify_all()
        exchanges = self._exchanges.get(os.getpid())
        if exchanges is not None:
            exchanges.close()

    def run(self, steps: Steps[T]) -> T:
        """
        Do all steps, and return their result.
        """
        try:
            step = next(steps)
            while True:
                try:
                    result = self.do(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as done:
            value: T = done.value
            return value
        finally:
            # Also after KeyboardInterrupt: closes the connection that was in use.
            steps.close()

    def do(self, step: Step, until: float | None = None, call: Call | None = None) -> object:
        """
        Do a step.

        @param until: When to raise L{NotYet}, if the step is not done by then.  It is for L{Texts}
            and L{Sleep} alone: the others cannot be interrupted and go on later.

        @param call: That which another thread may cancel.
        """
        self._check()
        if isinstance(step, Ask):
            return step.function()
        if call is None:
            call = callOf(step, until)
        if isinstance(step, Sleep):
            self._sleep(step, until, call)
            return None
        try:
            return self._exchange(step, call, until)
        except Exception:
            self._check()
            raise

    def wake(self) -> None:
        """
        Wake the threads that sleep: a step of one of them was cancelled.
        """
        with self._waking:
            self._waking.notify_all()

    def _check(self) -> None:
        if self._isClosed:
            raise Closed("the client is closed") from None

    def _exchange(self, step: Opening | Read | Texts, call: Call, until: float | None) -> object:
        exchanges = self._ownExchanges()
        if isinstance(step, Request):
            return exchanges.request(step, call)
        if isinstance(step, Read):
            return exchanges.read(step, call)
        if isinstance(step, Upgrade):
            return exchanges.upgrade(step, call)
        if isinstance(step, Connect):
            return exchanges.connect(step, call)
        return exchanges.texts(step, call, until)

    def _sleep(self, step: Sleep, until: float | None, call: Call) -> None:
        end = step.until if until is None else min(until, step.until)
        with self._waking:
            self._waking.wait_for(
                lambda: self._isClosed or call.isCancelled, max(end - time.monotonic(), 0.0)
            )
        self._check()
        if end < step.until:
            raise NotYet

    def _ownExchanges(self) -> Exchanges:
        process = os.getpid()
        found = self._exchanges.get(process)
        if found is None:
            for other in list(self._exchanges):
                self._exchanges.pop(other, None)
            # Of threads that come at the same time, all get that of the first.
            found = self._exchanges.setdefault(process, Exchanges(self._tls))
            if self._isClosed:
                found.close()
        return found


def callOf(step: Opening | Read | Texts | Sleep, until: float | None) -> Call:
    """
    Make the operation that does a step.

    @param until: When it is to end, if that is before the step's own deadline.
    """
    deadline = step.until if isinstance(step, Sleep) else step.deadline
    return Call(deadline if until is None else min(until, deadline))
