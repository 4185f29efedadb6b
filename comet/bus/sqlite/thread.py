"""
A thread that does one thing after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

T = TypeVar("T")


@implementer(IReactorFromThreads)
class RunningReactor:
    """
    The reactor that runs when it is needed, whichever that will be.
    """

    def callFromThread(self, callable: Callable[..., Any], *args: object, **kwargs: object) -> None:
        """
        See L{IReactorFromThreads.callFromThread}.
        """
        from twisted.internet import reactor

        assert IReactorFromThreads.providedBy(reactor)
        reactor.callFromThread(callable, *args, **kwargs)


class _Thread(threading.Thread):
    """
    A thread that does not keep a process alive which forgets to stop it: what
    it has not committed then is not stored, and nobody was answered.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, daemon=True)


class _Pool(ThreadPool):
    threadFactory = _Thread


class WorkerThread:
    """
    One thread, to be used from that of the reactor.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        """
        @param reactor: Where answers are to arrive.

        @param name: What the thread is called.
        """
        self._reactor = reactor
        self._pool = _Pool(1, 1, name)

    def start(self) -> None:
        """
        Let it begin.  Called once.
        """
        self._pool.start()

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Do something, after all that it was given before.

        @return: Fires with what the job returns, or fails with what it raises.
        """
        return deferToThreadPool(self._reactor, self._pool, job, *arguments)

    def stop(self) -> None:
        """
        End the thread, which has nothing left to do.
        """
        self._pool.stop()
