"""
A start that fails: the user is shown one line, and the process exits with 1.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from twisted.internet.defer import CancelledError
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.errors import CometError

_log = Logger()


class CannotStart(Exception):
    """
    The server cannot start.  The text is for the user who tries to start it.
    """

    # twistd cuts what a daemon cannot start with after 100 bytes, of which the
    # full name of the class is a part: a short one leaves room for the reason.
    __module__ = "comet.server"


def cannotStart(failure: Failure) -> CannotStart:
    """
    Turn a failure of the start into the error for the user.  A failure of an
    unexpected kind is logged with its traceback, too.
    """
    error = failure.value
    if isinstance(error, CannotStart):
        return error
    # The system's text is clearer than Twisted's text around it.
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return CannotStart(cause.strerror)
    if not isinstance(error, (CometError, CannotListenError, CancelledError)):
        _log.failure("the server failed to start", failure)
    return CannotStart(failure.getErrorMessage())


@contextmanager
def withoutTraceback() -> Iterator[None]:
    """
    Let the process show in one line why it does not start, in the place of a traceback.
    """
    try:
        yield
    except CannotStart:
        # The exception has to leave: twistd then removes its pid file, and a
        # daemon's parent learns of the failure.  Only Python's traceback, which
        # tells the user nothing, is replaced.
        sys.excepthook = _showError
        raise


def _showError(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """
    Show the exception that ends the process: in one line if it is a
    L{CannotStart}.
    """
    if isinstance(error, CannotStart):
        print(f"comet: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


def stopFailed(reactor: IReactorCore) -> None:
    """
    Stop the reactor after a start that failed later, and make the process exit
    with 1: twistd would let it exit with 0.
    """
    atexit.register(_exitFailed)
    reactor.stop()


def _exitFailed() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
