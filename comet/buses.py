"""
Which bus a URL names.
"""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.plugin import getPlugins
from zope.interface import implementer

from comet.bus.memory import MemoryBus
from comet.configuration import Configuration, ConfigurationError
from comet.interfaces import IBusMaker, IMessageBus


@implementer(IBusMaker)
class _MemoryMaker:
    """
    Makes the bus of one process.
    """

    scheme = "memory"

    def makeBus(self, url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        See L{IBusMaker.makeBus}.
        """
        if url != "memory:":
            raise ConfigurationError(f"{url[:64]!r} is not a bus: 'memory:' takes no more")
        total = configuration["history-total-bytes"]
        return MemoryBus(reactor, configuration.retention, total)


_OWN: Final = (_MemoryMaker(),)


def findMaker(url: str) -> IBusMaker:
    """
    Find who makes the bus that a URL names: one of ours, or of a plugin.

    @raise ConfigurationError: If there is none.
    """
    scheme, colon, _ = url.partition(":")
    makers: dict[str, IBusMaker] = {}
    for maker in (*getPlugins(IBusMaker), *_OWN):
        makers[maker.scheme] = maker
    if not colon or scheme not in makers:
        known = ", ".join(sorted(f"{each}:" for each in makers))
        raise ConfigurationError(f"{url[:64]!r} is not a bus: what begins with {known} is")
    return makers[scheme]
