"""
The service of the process that C{twistd} runs.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import ILogObserver
from twisted.python.components import Componentized

from comet.server.locks import FileLock, holdPIDFile
from comet.server.notifying import Notifier
from comet.server.reload import Reloader
from comet.server.service import CometService
from comet.server.startfailure import withoutTraceback
from comet.server.workers.service import WorkersService


class _Process(Service):
    """
    The service of this process.  It shows the user in one line why it does not
    start, and holds the pid file.

    @ivar pidFile: The path of the pid file, or nothing if there is none.

    @ivar reloader: Reads the configuration again.

    @ivar observer: Logs; L{None} to leave that to C{twistd}.

    @ivar notifier: Tells systemd what the server does.
    """

    pidFile = ""
    observer: ILogObserver | None = None
    reloader: Reloader
    notifier: Notifier
    _pidLock: FileLock | None = None

    def setServiceParent(self, parent: Any) -> None:
        """
        Become part of an application: C{twistd} asks it what logs, unless the user has
        named something else.
        """
        if self.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """
        Hold the pid file, while the process still has the privilege to open it.
        """
        if self.pidFile:
            self._pidLock = holdPIDFile(self.pidFile)
        with withoutTraceback():
            super().privilegedStartService()

    def startService(self) -> None:
        """
        Start.
        """
        with withoutTraceback():
            super().startService()

    def stopService(self) -> Deferred[Any]:
        """
        Stop.
        """
        counts = self.reloader.present.configuration
        self.notifier.stopping(counts["drain-notice"] + counts["drain"])
        stopped: Deferred[Any] = maybeDeferred(super().stopService)
        return stopped.addBoth(self._stopped)

    def _stopped(self, result: object) -> object:
        self.notifier.stopped()
        return result


class SingleProcess(_Process, CometService):
    """
    A server of one process.
    """


class SeveralProcesses(_Process, WorkersService):
    """
    A server of several processes.
    """
