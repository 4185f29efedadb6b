"""
Makes the bus that a URL names.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.plugin import getPlugins
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.bus.redis.urls import SCHEMES as REDIS_SCHEMES
from comet.bus.redis.urls import parseURL
from comet.bus.sqlite.bus import SQLiteBus
from comet.interfaces.busmaker import IBusMaker
from comet.interfaces.messagebus import IMessageBus
from comet.settings.configuration import Configuration, ConfigurationError


@implementer(IBusMaker)
class _MemoryMaker:
    """
    Makes the bus of one process, C{memory:}.
    """

    scheme = "memory"
    isShared = False

    def makeBus(self, url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        See L{IBusMaker.makeBus}.
        """
        if url != "memory:":
            raise ConfigurationError(f"{url[:64]!r} is not a bus: nothing may follow 'memory:'")
        total = configuration["history-total-bytes"]
        return MemoryBus(reactor, configuration.retention, total)


@implementer(IBusMaker)
class _SQLiteMaker:
    """
    Makes the bus of one machine, such as C{sqlite:comet.db}.
    """

    scheme = "sqlite"
    isShared = False

    def makeBus(self, url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        See L{IBusMaker.makeBus}.
        """
        path = url.partition(":")[2]
        fault = ""
        if not path:
            fault = "a file has to be named, as in 'sqlite:comet.db'"
        elif path.startswith(":"):
            fault = "it is kept in a file; 'memory:' is the bus without one"
        elif path.startswith("//"):
            fault = "a path follows, as in 'sqlite:comet.db' and 'sqlite:/var/lib/comet/comet.db'"
        elif "\0" in path:
            fault = "no path has a NUL in it"
        if fault:
            raise ConfigurationError(f"{url[:64]!r} is not a bus: {fault}")
        threads = reactor if IReactorFromThreads.providedBy(reactor) else None
        total = configuration["history-total-bytes"]
        return SQLiteBus(path, reactor, threads, configuration.retention, total)


@implementer(IBusMaker)
class _RedisMaker:
    """
    Makes the bus of several nodes, such as C{redis://localhost}.
    """

    isShared = True

    def __init__(self, scheme: str) -> None:
        self.scheme = scheme

    def makeBus(self, url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        See L{IBusMaker.makeBus}.
        """
        parsed = parseURL(url)
        try:
            # hiredis is not installed with comet, but with an extra.
            from comet.bus.redis.bus import RedisBus
        except ImportError as error:
            if error.name is None or error.name.split(".")[0] != "hiredis":
                raise
            raise ConfigurationError(
                f"the bus {self.scheme}: needs a package that is not installed: "
                "pip install 'comet-push[redis]'"
            ) from None
        total = configuration["history-total-bytes"]
        return RedisBus(reactor, parsed, configuration.retention, total, configuration.shared)


_OWN: Final = (_MemoryMaker(), _SQLiteMaker(), *map(_RedisMaker, REDIS_SCHEMES))


def findMaker(url: str) -> IBusMaker:
    """
    Find the maker of the bus that a URL names, among comet's own and those of
    plugins.

    @raise ConfigurationError: If no maker has the scheme of the URL.
    """
    scheme, colon, _ = url.partition(":")
    makers: dict[str, IBusMaker] = {}
    for maker in (*getPlugins(IBusMaker), *_OWN):
        makers[maker.scheme] = maker
    if not colon or scheme not in makers:
        known = ", ".join(sorted(f"{each}:" for each in makers))
        raise ConfigurationError(f"{url[:64]!r} is not a bus: its URL begins with {known}")
    return makers[scheme]
