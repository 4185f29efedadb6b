"""
Transports that plugins add.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

from comet.hub.hub import Hub
from comet.transports.channel import Transport


class ITransportMaker(Interface):
    """
    Makes a transport.  A Twisted plugin in C{twisted.plugins} that provides this
    interface, and L{IPlugin<twisted.plugin.IPlugin>}, adds the transport to those
    of C{twistd comet}.
    """

    name: str = Attribute("""The name of the transport in the parameter C{transport}.""")

    def makeTransport(hub: Hub) -> Transport:
        """
        Make the resource that answers requests to read, such as a subclass of
        L{StreamingResource<comet.transports.streaming.StreamingResource>} or
        L{PollingResource<comet.transports.polling.PollingResource>}.
        """
