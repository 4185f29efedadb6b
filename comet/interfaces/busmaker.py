"""
What makes the buses that C{--bus} names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

from comet.interfaces.messagebus import IMessageBus

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from comet.settings.configuration import Configuration


class IBusMaker(Interface):
    """
    Makes buses of one kind.  A Twisted plugin in C{twisted.plugins} that
    provides this interface, and L{IPlugin<twisted.plugin.IPlugin>}, adds its
    scheme to those that C{--bus} accepts.
    """

    scheme: str = Attribute("""The scheme of the URLs of such buses, without the colon.""")

    isShared: bool = Attribute(
        """
        Whether several processes may share the bus that one URL names, so that
        each hears what the others publish.  A maker without this attribute
        makes buses that may not be shared.
        """
    )

    def makeBus(url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        Make a bus, without connecting to anything.

        @raise ConfigurationError: If the URL is not valid.
        """
