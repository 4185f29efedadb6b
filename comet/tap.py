"""
What C{twistd comet} is made of.
"""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger
from twisted.python import usage

from comet.access import Access, Origins, loadPublishKey, readPublishKey
from comet.buses import findMaker
from comet.configuration import OPTIONS, Configuration, ConfigurationError, readFile
from comet.hub import Hub, Settings
from comet.publishing import Limits
from comet.resources import CometResource
from comet.service import CannotStart, CometService, Listener
from comet.site import CometSite
from comet.transports.tcp import CometFactory

# Below this limit of open files a server of this kind is soon full.
FEW_FILES: Final = 4096

_log = Logger()


def _inOneLine(method: Callable[..., None]) -> Callable[..., None]:
    """
    Let a docstring be the help of an option, which Twisted wraps again.
    """
    method.__doc__ = " ".join((method.__doc__ or "").split())
    return method


class Options(usage.Options):
    """
    The options of C{twistd comet}.
    """

    synopsis = "[options]"
    longdesc = (
        "Push messages to browsers by polling, long-polling, HTTP streaming, Server-Sent Events, "
        "WebSocket and raw TCP, from one log."
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

    def __init__(self) -> None:
        self._several: dict[str, list[str]] = {}
        super().__init__()

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
        A URL where the world sees the server; hosts other than these, IP
        addresses and localhost are refused. May be given several times
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

    def postOptions(self) -> None:
        """
        Read everything that was given.

        @raise usage.UsageError: If a value is not allowed.
        """
        given: dict[str, Any] = dict(self._several)
        for option in OPTIONS:
            value = self.get(option.name)
            if not option.isRepeatable and value:
                given[option.name] = bool(value) if option.isFlag else value
        try:
            file = readFile(self["config"]) if self["config"] is not None else None
            self.configuration = configuration = Configuration(given, file)
            _check(configuration)
        except ValueError as error:
            raise usage.UsageError(str(error)) from None


def _check(configuration: Configuration) -> None:
    """
    Check what only its user can judge.

    @raise ValueError: If it is not allowed.
    """
    Access(None, configuration.openPatterns)
    Origins(configuration["allow-origin"], configuration["public-url"])
    findMaker(configuration["bus"])
    for name in ("listen", "tcp"):
        for description in _several(configuration[name]):
            try:
                serverFromString(object(), description)
            except Exception as error:
                raise ConfigurationError(
                    f"{description[:64]!r} is not allowed for {name}: {error}; an endpoint such "
                    "as tcp:8080:interface=127.0.0.1 is"
                ) from None
    if configuration["publish-key"] is not None:
        try:
            readPublishKey(configuration["publish-key"])
        except OSError as error:
            raise ConfigurationError(
                f"the publish key {configuration['publish-key']!r} cannot be read: {error.strerror}"
            ) from None


def _several(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def installReactor() -> Any:
    """
    Install the reactor that can serve the most clients, unless one is
    installed already.

    @return: The reactor.
    """
    if "twisted.internet.reactor" not in sys.modules:
        try:
            from twisted.internet import epollreactor

            epollreactor.install()
        except ImportError:
            try:
                from twisted.internet import kqreactor

                kqreactor.install()
            except ImportError:
                pass
    from twisted.internet import reactor

    if type(reactor).__name__ == "SelectReactor":
        _log.warn("the select reactor serves at most 1024 connections: use --reactor=epoll or poll")
    return reactor


def makeHub(configuration: Configuration, reactor: Any, publishKey: str | None = None) -> Hub:
    """
    Make the hub that a configuration describes.

    @param publishKey: The key itself.
    """
    limits = Limits(
        maxMessage=configuration["max-message"],
        maxDepth=configuration["max-depth"],
        maxBatch=configuration["max-batch"],
        maxChannels=configuration["max-channels"],
    )
    settings = Settings(limits, configuration["heartbeat"], configuration["max-connections"])
    url = configuration["bus"]
    return Hub(
        findMaker(url).makeBus(url, reactor, configuration),
        reactor,
        settings,
        Access(publishKey, configuration.openPatterns),
        Origins(configuration["allow-origin"], configuration["public-url"]),
    )


def makeService(options: Options, reactor: IReactorCore | None = None) -> IService:
    """
    Make the service that C{twistd} runs.

    @param reactor: For tests.
    """
    used: Any = installReactor() if reactor is None else reactor
    configuration = options.configuration
    try:
        key, keyFile = loadPublishKey(configuration["publish-key"])
    except (OSError, ValueError) as error:
        raise SystemExit(f"comet: the publish key: {error}") from None
    hub = makeHub(configuration, used, key)
    site = CometSite(CometResource(hub), hub.settings.limits.maxBatchBytes, reactor=used)
    listeners = [
        Listener(description, serverFromString(used, description), site)
        for description in configuration["listen"]
    ]
    if configuration["tcp"] is not None:
        description = configuration["tcp"]
        listeners.append(
            Listener(description, serverFromString(used, description), CometFactory(hub))
        )

    def listening(service: CometService) -> None:
        for line in announcement(service, configuration, keyFile):
            _log.info("{line}", line=line)
        _warnOfFiles()

    return _TwistdService(hub, listeners, configuration["drain"], listening)


class _TwistdService(CometService):
    """
    Tells whoever has typed C{twistd comet} why it does not start.
    """

    def privilegedStartService(self) -> None:
        """
        Start, or end the process.
        """
        try:
            super().privilegedStartService()
        except CannotStart as error:
            raise SystemExit(f"comet: {error}") from None


def announcement(service: CometService, configuration: Configuration, keyFile: str) -> list[str]:
    """
    What to tell when the server listens: where, with which key, and how to
    publish and to listen.
    """
    lines = []
    urls = []
    for description, port in zip(configuration["listen"], service.ports, strict=False):
        host: Any = port.getHost()
        scheme = "https" if description.startswith(("ssl:", "tls:")) else "http"
        address = getattr(host, "host", None)
        if address is None:
            lines.append(f"comet serves HTTP on {description}")
            continue
        shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(address, address)
        shown = f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
        urls.append(f"{scheme}://{shown}:{host.port}")
        lines.append(f"comet serves HTTP on {urls[-1]}/")
    if configuration["tcp"] is not None:
        host = service.ports[-1].getHost()
        lines.append(f"comet serves raw TCP on {getattr(host, 'host', '')}:{host.port}")
    shownKey = shlex.quote(os.path.relpath(keyFile))
    lines.append(f"the key to publish is in {os.path.abspath(keyFile)}")
    if urls:
        channel = f"{urls[0]}/channels/news"
        lines.append(
            f'publish:  curl -H "Authorization: Bearer $(cat {shownKey})" -d hello {channel}'
        )
        lines.append(f"listen:   curl -N '{channel}?transport=stream'")
    if configuration.openPatterns:
        lines.append(f"open to anyone: {', '.join(configuration.openPatterns)}")
    return lines


def _warnOfFiles() -> None:
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < FEW_FILES:
        _log.warn(
            "at most {files} files may be open, and each client is one: raise it with "
            "'ulimit -n {most}' before you start the server",
            files=files,
            most=most if most > 0 else 1048576,
        )
