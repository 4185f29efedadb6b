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
from typing import Any, ClassVar, Final

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorCore
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.components import Componentized

from comet.http.spelling import closest
from comet.limits.capacity import openFiles
from comet.reactor.clocks import keepSteadyTime, steadyClock
from comet.server.banner import banner, warnings
from comet.server.checks import checkConfiguration
from comet.server.interpreter import tuneInterpreter
from comet.server.jsonlog import JSONObserver, outputOf
from comet.server.listening import CannotStart
from comet.server.locks import FileLock, holdPIDFile, removeStalePIDFile
from comet.server.logoutput import LogOutput
from comet.server.notifying import Notifier
from comet.server.reload import Loaded, Reloader, Sources
from comet.server.secretfiles import Secrets, loadSecrets
from comet.server.server import Server
from comet.server.service import CometService
from comet.server.signals import onHangup, onRotated
from comet.server.workers.service import WorkersService
from comet.settings.configuration import Configuration, readEnvironment, readFile
from comet.settings.options import OPTIONS

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

    sources: Sources

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
    def opt_token_key(self, path: str) -> None:
        """
        A file with a key that verifies tokens: a secret, a public key in PEM, or a
        JSON Web Key Set. May be given several times. Default: there are no tokens
        """
        self._add("token-key", path)

    @_inOneLine
    def opt_hook_headers(self, names: str) -> None:
        """
        A header of clients that the backend is shown, such as Cookie. May be given
        several times, or with commas. Default: none
        """
        self._add("hook-headers", names)

    @_inOneLine
    def opt_hook_events(self, words: str) -> None:
        """
        What the backend is asked: connect, subscribe, publish, call; and events, which it is
        sent. May be given several times, or with commas. Default:
        connect,subscribe,publish,call
        """
        self._add("hook-events", words)

    @_inOneLine
    def opt_open(self, pattern: str) -> None:
        """
        A channel or pattern to which anyone may publish. May be given several
        times
        """
        self._add("open", pattern)

    @_inOneLine
    def opt_open_read(self, pattern: str) -> None:
        """
        A channel or pattern that anyone may read, where tokens or a backend
        decide who reads the others. May be given several times
        """
        self._add("open-read", pattern)

    @_inOneLine
    def opt_presence(self, pattern: str) -> None:
        """
        A channel or pattern of which the server knows which clients read it. May be
        given several times. Default: none
        """
        self._add("presence", pattern)

    @_inOneLine
    def opt_allow_origin(self, origin: str) -> None:
        """
        An origin, such as https://example.com, whose pages may use the server,
        or *. May be given several times. Default: the server's own
        """
        self._add("allow-origin", origin)

    @_inOneLine
    def opt_trust_proxy(self, address: str) -> None:
        """
        The address of a proxy, or a network such as 10.0.0.0/8, or unix, that is
        believed where a client is. May be given several times
        """
        self._add("trust-proxy", address)

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
        Make the configuration of the options, the environment and the file.

        @raise usage.UsageError: If a value is not allowed.
        """
        if self.pidFile:
            # twistd reads it next.
            removeStalePIDFile(self.pidFile)
            self._checkPIDFile()
        try:
            given = readEnvironment(os.environ)
            path = given.pop("config", None) if self["config"] is None else self["config"]
            given.update(self._given())
            file = None if path is None else readFile(path)
            self.given = (given, file)
            # Before twistd changes the directory, as --rundir demands.
            full = None if path is None else os.path.abspath(path)
            self.sources = Sources(given, full, os.getcwd())
            self.configuration = configuration = Configuration(given, file)
            checkConfiguration(configuration)
        except ValueError as error:
            raise usage.UsageError(str(error)) from None

    def _given(self) -> dict[str, Any]:
        """
        Return the values on the command line.
        """
        given: dict[str, Any] = dict(self._several)
        for option in OPTIONS:
            value = self.get(option.name)
            if option.isFlag:
                # Without the flag, the environment or the file decides.
                value = True if value else None
            if not option.isRepeatable and value is not None:
                given[option.name] = value
        return given

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


# The modules of reactors, the best first, and of that for the lean edge.
_REACTORS: Final = (
    "comet.reactor.crowdreactor",
    "twisted.internet.kqreactor",
    "twisted.internet.pollreactor",
)
_LEAN: Final = "comet.lean.epollreactor"


def installReactor(isLean: bool = False) -> Any:
    """
    Install the reactor that can serve the most clients, unless twistd has
    installed one.

    @param isLean: Whether it is for the lean edge.

    @return: The installed reactor, which keeps steady time.
    """
    if "twisted.internet.reactor" not in sys.modules:
        for name in (_LEAN, *_REACTORS) if isLean else _REACTORS:
            try:
                module = import_module(name)
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
    isLean = options.configuration["edge"] == "lean"
    used: Any = installReactor(isLean) if reactor is None else reactor
    reload: list[Callable[[], object]] = []
    if reactor is None:
        # The process is twistd's, and must not end while it starts, either.  Only a
        # running reactor calls this.
        onHangup(used, lambda: [call() for call in reload])
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
        reactor.callWhenRunning(_stopFailed, reactor)

    if configuration["workers"] > 1:
        several = _SeveralProcesses(
            reactor, configuration, options.given, secrets, listening, failed
        )
        return several, several.configure, None
    try:
        server = Server(configuration, reactor, secrets)
        service = server.makeService(_SingleProcess, listening, failed)
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
        with _withoutTraceback():
            super().privilegedStartService()

    def startService(self) -> None:
        """
        Start.
        """
        with _withoutTraceback():
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
