"""
The service that C{twistd comet} runs, made of its options.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import IService
from twisted.internet.interfaces import IListeningPort, IReactorCore
from twisted.logger import Logger

from comet.limits.capacity import openFiles
from comet.reactor.clocks import steadyClock
from comet.server.banner import banner, warnings
from comet.server.bestreactor import installReactor
from comet.server.checks import checkConfiguration
from comet.server.commandline import Options
from comet.server.interpreter import tuneInterpreter
from comet.server.jsonlog import JSONObserver, outputOf
from comet.server.logoutput import LogOutput
from comet.server.notifying import Notifier
from comet.server.processservice import SeveralProcesses, SingleProcess
from comet.server.reload import Loaded, Reloader
from comet.server.secretfiles import Secrets, loadSecrets
from comet.server.server import Server
from comet.server.signals import onHangup, onRotated, stopOnce
from comet.server.startfailure import CannotStart, stopFailed
from comet.settings.configuration import Configuration

_log = Logger()


def makeService(options: Options, reactor: IReactorCore | None = None) -> IService:
    """
    Make the service that C{twistd} runs.

    @param reactor: The reactor, or L{None} to install the best one.

    @raise SystemExit: If the publish key cannot be read or made, or the application
        fails.
    """
    isLean = options.configuration["edge"] == "lean"
    used: Any = installReactor(isLean) if reactor is None else reactor
    reload: list[Callable[[], object]] = []
    if reactor is None:
        # The process is twistd's, and must not end while it starts, either.  Only a
        # running reactor calls this.
        onHangup(used, lambda: [call() for call in reload])
        stopOnce(used)
    configuration = options.configuration
    secrets, keyFile = _readSecrets(configuration)
    notifier = Notifier(os.environ, steadyClock(used))
    listening = _listens(used, configuration, keyFile, notifier)
    service, configure, reopen = _makeProcess(used, options, secrets, listening)
    rotate: list[Callable[[], object]] = []
    output = _outputOfJSON(options)
    if output is not None:
        service.observer = JSONObserver(output)
        reload.append(output.reopen)
        rotate.append(output.reopen)
    present = Loaded(options.given[1], configuration, secrets)
    service.reloader = Reloader(options.sources, present, checkConfiguration, configure)
    service.notifier = notifier
    reload.append(lambda: notifier.reload(service.reloader.reload))
    if configuration["access-log"] is not None:
        # The workers open their files again as they are given the configuration.
        rotate.append(reopen or service.reloader.reload)
    if rotate and reactor is None:
        # Otherwise the signal is twistd's.
        onRotated(used, lambda: [call() for call in rotate])
    service.pidFile = options.pidFile
    made: IService = service
    return made


def _readSecrets(configuration: Configuration) -> tuple[Secrets, str]:
    """
    Read the secret files.

    @return: The secrets, and the path of the file of the publish key.

    @raise SystemExit: If one cannot be read or made.
    """
    try:
        secrets, keyFile = loadSecrets(configuration)
    except OSError as error:
        raise SystemExit(f"comet: {_keyFault(error, configuration['publish-key'])}") from None
    except ValueError as error:
        raise SystemExit(f"comet: {error}") from None
    # Before twistd changes the directory, as --rundir demands.
    return secrets, os.path.abspath(keyFile)


def _listens(
    reactor: Any, configuration: Configuration, keyFile: str, notifier: Notifier
) -> Callable[[Sequence[IListeningPort]], None]:
    """
    Make the function that tells the user and systemd that the server serves.

    @param keyFile: The path of the file of the publish key.
    """

    def running(ports: Sequence[IListeningPort]) -> None:
        for line in banner(ports, configuration, keyFile):
            _log.info("{line}", line=line)
        for line in warnings(reactor, openFiles()):
            _log.warn("{line}", line=line)
        tuneInterpreter()
        notifier.serving()

    def listening(ports: Sequence[IListeningPort]) -> None:
        # A program that waits for these lines may send a signal at once.  Only a
        # running reactor handles it.
        reactor.callWhenRunning(running, ports)

    return listening


def _makeProcess(
    reactor: Any,
    options: Options,
    secrets: Secrets,
    listening: Callable[[Sequence[IListeningPort]], None],
) -> tuple[Any, Callable[[Loaded], object], Callable[[], object] | None]:
    """
    Make the service of this process.

    @return: The service; what has the server go by another configuration; and what opens the
        access log again, if it is a file of this process.

    @raise SystemExit: If the application fails.
    """
    configuration = options.configuration

    def failed(error: CannotStart) -> None:
        reactor.callWhenRunning(stopFailed, reactor)

    if configuration["workers"] > 1:
        several = SeveralProcesses(
            reactor, configuration, options.given, secrets, listening, failed
        )
        return several, several.configure, None
    try:
        server = Server(configuration, reactor, secrets)
        service = server.makeService(SingleProcess, listening, failed)
    except CannotStart as error:
        raise SystemExit(f"comet: {error}") from None
    return service, server.configure, server.reopenLogs


def _outputOfJSON(options: Options) -> LogOutput | None:
    """
    Open where the log is written as JSON; L{None} leaves it to C{twistd}.

    @raise SystemExit: If it cannot be written there.
    """
    if options.configuration["log-format"] != "json" or options.parent is None:
        return None
    try:
        return outputOf(options.parent)
    except (OSError, ValueError) as error:
        raise SystemExit(f"comet: {error}") from None


def _keyFault(error: OSError, given: str | None) -> str:
    """
    Say why there is no publish key, and what can be done about it.

    @param given: The value of C{--publish-key}.
    """
    fault = f"the publish key {os.path.abspath(error.filename)!r} cannot be "
    if given is not None:
        return f"{fault}read: {error.strerror}"
    return (
        f"{fault}made or read: {error.strerror}; start the server in a directory that it may write "
        "to, or name the file of a key with --publish-key"
    )
