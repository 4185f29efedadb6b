"""
The options of C{twistd comet}, and what it is given: the command line, the environment and
a file.
"""

from __future__ import annotations

import getopt
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, ClassVar

from twisted.python import usage

from comet.http.spelling import closest
from comet.server.checks import checkConfiguration
from comet.server.locks import removeStalePIDFile
from comet.server.reload import Sources
from comet.settings.configuration import Configuration, readEnvironment, readFile
from comet.settings.options import OPTIONS


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
