"""
A thread that runs one call after the other, and hands the results to the
reactor.
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
    Stands for the reactor that will run, for a caller that must not import it
    yet.
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
    A daemon thread: a process that forgets to stop it can still end.  What it
    has not committed then is not stored, and no publisher was told that it is.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, daemon=True)


class _Pool(ThreadPool):
    threadFactory = _Thread


class WorkerThread:
    """
    One thread.  Every method is called from the reactor's thread.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        """
        @param reactor: The reactor in whose thread results arrive.

        @param name: The name of the thread.
        """
        self._reactor = reactor
        self._pool = _Pool(1, 1, name)

    def start(self) -> None:
        """
        Start the thread.  Called once.
        """
        self._pool.start()

    def do(self, job: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """
        Call a function in the thread, after everything that was given to it
        before.

        @return: Fires with the result of the function, or fails with its
            exception.
        """
        return deferToThreadPool(self._reactor, self._pool, job, *arguments)

    def stop(self) -> None:
        """
        End the thread, which must have nothing left to do.
        """
        self._pool.stop()
