"""
The command line of C{twistd comet}: its options, and the service that they make.
"""

from __future__ import annotations

import atexit
import getopt
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import Any, ClassVar

from twisted.application.service import IService, Service
from twisted.internet.interfaces import IListeningPort, IReactorCore
from twisted.internet.task import Clock
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.runtime import platformType

from comet.access.keys import loadPublishKey, readPublishKey
from comet.access.rights import Access
from comet.bus.registry import findMaker
from comet.capacity import openFiles
from comet.clocks import keepSteadyTime
from comet.configuration import OPTIONS, Configuration, ConfigurationError, readFile
from comet.http.origins import Origins
from comet.server.banner import banner, warnings
from comet.server.listening import CannotStart, makeEndpoint
from comet.server.locks import FileLock, holdPIDFile, removeStalePIDFile
from comet.server.server import Server, calmCollector
from comet.server.service import CometService
from comet.server.signals import ignoreHangup
from comet.server.workers.service import WorkersService
from comet.spelling import closest

_log = Logger()


def _inOneLine(method: Callable[..., None]) -> Callable[..., None]:
    """
    Put a docstring into one line: Twisted wraps it, as the help of an option.
    """
    method.__doc__ = " ".join((method.__doc__ or "").split())
    return method


class Options(usage.Options):
    """
    The options of C{twistd comet}.
    """

    synopsis = "[options]"
    longdesc = (
        "Push messages to browsers by polling, long-polling, JSONP, HTTP streaming, Server-Sent "
        "Events, the forever iframe, WebSocket and raw TCP, from one log."
    )

    optParameters: ClassVar[list[list[Any]]] = [
        *(
            [option.name, None, None, option.help]
            for option in OPTIONS
            if not option.isFlag and not option.isRepeatable
        ),
        ["config", None, None, "A file of TOML with these options"],
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        [option.name, None, option.help] for option in OPTIONS if option.isFlag
    ]

    configuration: Configuration

    # The options of the command line and of the file, for the workers.
    given: tuple[Mapping[str, Any], Mapping[str, Any] | None]

    def __init__(self) -> None:
        self._several: dict[str, list[str]] = {}
        super().__init__()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Read the command line.

        @raise usage.UsageError: If a word of it is not allowed.

        @raise SystemExit: If a word is not allowed and the command line is that of
            C{twistd}, which would print its usage of 60 lines before the reason.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            reason = str(error)
            if isinstance(error.__context__, getopt.GetoptError):
                reason = self._explain(error.__context__)
            if self.parent is None:
                raise usage.UsageError(reason) from None
            raise SystemExit(f"comet: {reason}") from None

    def _explain(self, error: getopt.GetoptError) -> str:
        """
        Say what is wrong with an option.
        """
        given = error.opt
        option = f"{'--' if len(given) > 1 else '-'}{given[:64]}"
        if not error.msg.endswith("not recognized"):
            return error.msg.removeprefix("option ")
        if self.parent is not None and given in self.parent.synonyms:
            return f"{option} is an option of twistd: it stands before the word comet"
        meant = closest(given, [name.removesuffix("=") for name in self.longOpt])
        hint = f"did you mean --{meant}?" if meant else "'twistd comet --help' lists all"
        return f"{option} is no option; {hint}"

    def opt_version(self) -> None:
        """
        Display the version of comet and exit.
        """
        # No part imports the top of the package, which would load parts above it.
        print("comet", import_module("comet").__version__)
        sys.exit(0)

    def _add(self, name: str, value: str) -> None:
        self._several.setdefault(name, []).append(value)

    @_inOneLine
    def opt_listen(self, endpoint: str) -> None:
        """
        Serve HTTP on a Twisted endpoint, such as tcp:8080 or
        ssl:443:privateKey=k.pem; may be given several times. Default:
        tcp:8080:interface=127.0.0.1
        """
        self._add("listen", endpoint)

    @_inOneLine
    def opt_public_url(self, url: str) -> None:
        """
        A URL by which clients reach the server; requests for other hosts are
        refused, but for IP addresses and localhost. May be given several times
        """
        self._add("public-url", url)

    @_inOneLine
    def opt_open(self, pattern: str) -> None:
        """
        A channel or pattern to which anyone may publish. May be given several
        times
        """
        self._add("open", pattern)

    @_inOneLine
    def opt_allow_origin(self, origin: str) -> None:
        """
        An origin, such as https://example.com, whose pages may use the server,
        or *. May be given several times. Default: the server's own
        """
        self._add("allow-origin", origin)

    @property
    def pidFile(self) -> str:
        """
        Return the path of the pid file of C{twistd}, or nothing if there is none.
        """
        given = None if self.parent is None else self.parent.get("pidfile")
        return os.path.abspath(given) if given else ""

    def parseArgs(self, *words: str) -> None:
        """
        Refuse words that are not options.

        @raise usage.UsageError: If there is any word.
        """
        if words:
            raise usage.UsageError(f"{words[0][:64]!r} is no option: they begin with '--'")

    def postOptions(self) -> None:
        """
        Make the configuration of the options and the file.

        @raise usage.UsageError: If a value is not allowed.
        """
        if self.pidFile:
            # twistd reads it next.
            removeStalePIDFile(self.pidFile)
            self._checkPIDFile()
        given: dict[str, Any] = dict(self._several)
        for option in OPTIONS:
            value = self.get(option.name)
            if option.isFlag:
                # Without the flag, the file decides.
                value = True if value else None
            if not option.isRepeatable and value is not None:
                given[option.name] = value
        try:
            file = readFile(self["config"]) if self["config"] is not None else None
            self.given = (given, file)
            self.configuration = configuration = Configuration(given, file)
            _check(configuration)
        except ValueError as error:
            raise usage.UsageError(str(error)) from None

    def _checkPIDFile(self) -> None:
        """
        Refuse to start where C{twistd} cannot write its pid file: it would end with
        a traceback.

        @raise usage.UsageError: If it cannot.
        """
        path = self.pidFile
        folder = path if os.path.exists(path) else os.path.dirname(path)
        # In another root the path means another file.
        isOther = self.parent is not None and self.parent.get("chroot")
        if not isOther and not os.access(folder, os.W_OK):
            raise usage.UsageError(
                f"the pid file {path!r} cannot be written; start the server in a directory that "
                "it may write to, or without that file: twistd -n --pidfile= comet"
            )


def _check(configuration: Configuration) -> None:
    """
    Check the values that only the parts that use them can judge.

    @raise ValueError: If a value is not allowed.
    """
    Access(None, configuration.openPatterns)
    Origins(configuration["allow-origin"], configuration["public-url"])
    url = configuration["bus"]
    # To make a bus connects to nothing.  The reactor is not chosen yet, so the bus
    # gets a clock.
    maker = findMaker(url)
    maker.makeBus(url, Clock(), configuration)
    if configuration["workers"] > 1:
        _checkWorkers(configuration, getattr(maker, "isShared", False))
    for name in ("listen", "tcp", "flash-policy"):
        for description in _several(configuration[name]):
            try:
                makeEndpoint(object(), description)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"{description[:64]!r} is not allowed for {name}: {error}"
                ) from None
            # Each kind of endpoint raises its own exceptions.
            except Exception as error:
                raise ConfigurationError(
                    f"{description[:64]!r} is not allowed for {name}: {error}; an endpoint such "
                    "as tcp:8080:interface=127.0.0.1 is"
                ) from None
    if configuration["flash-policy"] is not None and configuration["tcp"] is None:
        raise ConfigurationError("flash-policy lets Flash connect to tcp, which is not given")
    if configuration["publish-key"] is not None:
        try:
            readPublishKey(configuration["publish-key"])
        except OSError as error:
            path = os.path.abspath(configuration["publish-key"])
            raise ConfigurationError(
                f"the publish key {path!r} cannot be read: {error.strerror}"
            ) from None


def _checkWorkers(configuration: Configuration, isShared: bool) -> None:
    reason = ""
    if not isShared:
        url = configuration["bus"][:64]
        reason = f"need a bus that several processes share, such as redis:; {url!r} is of one"
    elif platformType != "posix":
        reason = "need a POSIX system"
    if reason:
        workers = str(configuration["workers"])
        raise ConfigurationError(f"{workers!r} is not allowed for workers: more than 1 {reason}")


def _several(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def installReactor() -> Any:
    """
    Install the reactor that can serve the most clients, unless twistd has
    installed one.

    @return: The installed reactor, which keeps steady time.
    """
    if "twisted.internet.reactor" not in sys.modules:
        for kind in ("epoll", "kq", "poll"):
            try:
                module = import_module(f"twisted.internet.{kind}reactor")
            except ImportError:
                # This system does not have it.
                continue
            module.install()
            break
    from twisted.internet import reactor

    # twistd comet owns the process.
    keepSteadyTime(reactor)
    return reactor


def makeService(options: Options, reactor: IReactorCore | None = None) -> IService:
    """
    Make the service that C{twistd} runs.

    @param reactor: The reactor, or L{None} to install the best one.

    @raise SystemExit: If the publish key cannot be read or made, or the application
        fails.
    """
    used: Any = installReactor() if reactor is None else reactor
    if reactor is None:
        # The process is twistd's.
        ignoreHangup(used)
    configuration = options.configuration
    try:
        key, keyFile = loadPublishKey(configuration["publish-key"])
    except OSError as error:
        raise SystemExit(f"comet: {_keyFault(error, configuration['publish-key'])}") from None
    except ValueError as error:
        raise SystemExit(f"comet: the publish key: {error}") from None
    # Before twistd changes the directory, as --rundir demands.
    keyFile = os.path.abspath(keyFile)

    def running(ports: Sequence[IListeningPort]) -> None:
        for line in banner(ports, configuration, keyFile):
            _log.info("{line}", line=line)
        for line in warnings(used, openFiles()):
            _log.warn("{line}", line=line)
        calmCollector()

    def listening(ports: Sequence[IListeningPort]) -> None:
        # A program that waits for these lines may send a signal at once.  Only a
        # running reactor handles it.
        used.callWhenRunning(running, ports)

    def failed(error: CannotStart) -> None:
        used.callWhenRunning(_stopFailed, used)

    service: Any
    if configuration["workers"] == 1:
        try:
            server = Server(configuration, used, key)
            service = server.makeService(_SingleProcess, listening, failed)
        except CannotStart as error:
            raise SystemExit(f"comet: {error}") from None
    else:
        service = _SeveralProcesses(used, configuration, options.given, key, listening, failed)
    service.pidFile = options.pidFile
    made: IService = service
    return made


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


class _Process(Service):
    """
    The service of this process.  It shows the user in one line why it does not
    start, and holds the pid file.

    @ivar pidFile: The path of the pid file, or nothing if there is none.
    """

    pidFile = ""
    _pidLock: FileLock | None = None

    def privilegedStartService(self) -> None:
        """
        Hold the pid file, while the process still has the privilege to open it.
        """
        if self.pidFile:
            self._pidLock = holdPIDFile(self.pidFile)
        with _withoutTraceback():
            super().privilegedStartService()

    def startService(self) -> None:
        """
        Start.
        """
        with _withoutTraceback():
            super().startService()


class _SingleProcess(_Process, CometService):
    """
    A server of one process.
    """


class _SeveralProcesses(_Process, WorkersService):
    """
    A server of several processes.
    """


@contextmanager
def _withoutTraceback() -> Iterator[None]:
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


def _stopFailed(reactor: IReactorCore) -> None:
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
