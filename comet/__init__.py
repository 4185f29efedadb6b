"""
A push server for Twisted: one message bus, and the techniques by which a
server reaches a browser wired to it.

A channel is a bounded log, and a reader is a position in it.  A cursor, which
names such a position, holds on every transport and after every reconnect: a
client may change any of them between two messages, and lose and repeat nothing.

An application imports from here, and a name loads its module when it is first
used::

    from comet import CometResource, Hub, MemoryBus

The names in C{__all__} are the public API.  An application may subclass the
resources, L{Access}, L{CometService} and L{CometSite}, and implement
L{IAccess}, L{ICredentialAccess}, L{IPublisherAccess}, L{IHooks}, L{IReceiver},
L{IMessageBus}, L{IBurstBus}, L{IConfigurableBus}, L{IMeasuredBus}, L{IPresence},
L{IStateBus}, L{INodesBus}, L{IBusMaker} and L{Shape}.  All else in the modules below is
internal: it may change in any release.

The map, lower parts first.  A part imports no part that stands below it on this
page.  The parts marked B{P} are pure: they import no Twisted, and the tests
reach every branch of them.  So are the modules that the map in another part marks.

  - L{comet.errors} B{P}: what can go wrong, with its code and HTTP status
  - L{comet.logging}: what is written down of clients
  - L{comet.metrics}: what is counted
  - L{comet.reactor}: its thread, its time, its turns, and who gets how much of them
  - L{comet.model} B{P}: channels, cursors, messages, and the log of a channel
  - L{comet.framing} B{P}: bytes to values and back, one file a wire format
  - L{comet.http} B{P}: what a request asks for, and how its response begins
  - L{comet.limits}: how much one client may do, and how much the server can take
  - L{comet.settings} B{P}: the options, and what is set
  - L{comet.interfaces}: what the parts promise one another
  - L{comet.access}: who may do what
  - L{comet.bus}: where messages are stored: memory, SQLite, Redis
  - L{comet.hooks}: the backend is asked, by signed requests; or the application
  - L{comet.fanout}: readers, groups of them, ticks, catching up
  - L{comet.control}: orders to all nodes: what is revoked, who is disconnected
  - L{comet.presence}: members of channels, from their readers
  - L{comet.events}: what happens to channels, told after the fact
  - L{comet.nodes}: what an admin sees of all nodes
  - L{comet.hub}: the one gate that every request passes
  - L{comet.transports}: Twisted's edge, one file a transport, to subclass
  - L{comet.web}: sites, resources, pages, HTTP/2
  - L{comet.lean}: the other edge: plain TCP on one epoll
  - L{comet.server}: the server that C{twistd comet} starts
  - L{comet.client}: Python programs that publish and read
  - L{comet.testing}: for tests of applications: what every bus promises
  - L{comet.tap}: the service that C{twistd comet} runs
  - L{comet.command}: the command C{comet}, for people
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comet.access.accesssettings import AccessSettings
    from comet.access.rights import Access
    from comet.bus.idempotency import KeyBudget, KeyMemory
    from comet.bus.listeners import Listeners
    from comet.bus.memory.bus import MemoryBus
    from comet.bus.redis.bus import RedisBus
    from comet.bus.resolvedstarts import resolveStarts
    from comet.bus.sqlite.bus import SQLiteBus
    from comet.errors import (
        BadChannel,
        BadCredential,
        BadCursor,
        BadMessage,
        BadRequest,
        CometError,
        Forbidden,
        HeadTooLarge,
        Internal,
        KeyReused,
        MethodNotAllowed,
        NotFound,
        TooLarge,
        TooMany,
        Unauthorized,
        Unavailable,
        Unknown,
        Unsupported,
        URLTooLong,
        WrongHost,
    )
    from comet.fanout.application import Subscription
    from comet.fanout.iterator import Messages
    from comet.framing import Shape
    from comet.framing.compression import Compression
    from comet.framing.envelope import rawText
    from comet.framing.ndjson import NDJSONShape
    from comet.framing.publications import Limits
    from comet.http.credentials import Credential, Credentials, CredentialSource
    from comet.http.forwarded import Proxies
    from comet.http.origins import Origins
    from comet.http.reads import ReadRequest
    from comet.hub.hub import Hub
    from comet.hub.hubsettings import Settings
    from comet.interfaces.access import IAccess, ICredentialAccess, IPublisherAccess
    from comet.interfaces.busabilities import (
        IBurstBus,
        IConfigurableBus,
        IMeasuredBus,
        INodesBus,
    )
    from comet.interfaces.busmaker import IBusMaker
    from comet.interfaces.hooks import IHooks
    from comet.interfaces.memberbus import IPresence
    from comet.interfaces.messagebus import IBusListener, IMessageBus
    from comet.interfaces.receiver import IReceiver
    from comet.interfaces.statebus import IStateBus
    from comet.limits.clientlimits import ClientSettings
    from comet.model.clients import ADMIN, ANONYMOUS, KEY_HOLDER, Client, Known
    from comet.model.cursors import Cursor
    from comet.model.grants import Rights
    from comet.model.held import Held
    from comet.model.hookanswers import Allowed, Rewritten
    from comet.model.log import Retention
    from comet.model.messages import Close, Gap, Message, Publication, Published
    from comet.model.patterns import matches
    from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition
    from comet.model.presence import Holding, Member, MemberPage
    from comet.model.state import StateEntry, StatePage
    from comet.server.server import Server
    from comet.server.service import CometService
    from comet.settings.configuration import Configuration, ConfigurationError
    from comet.transports.channel import ChannelResource, PublishResource, Transport
    from comet.transports.exchange import Exchange
    from comet.transports.iframe import IFrameResource
    from comet.transports.jsonp import JSONPResource
    from comet.transports.longpoll import LongPollResource
    from comet.transports.maker import ITransportMaker
    from comet.transports.multipart import MultipartResource
    from comet.transports.poll import PollResource
    from comet.transports.polling import PollingResource
    from comet.transports.resource import HubResource
    from comet.transports.sse import EventSourceResource
    from comet.transports.stream import StreamResource
    from comet.transports.streaming import StreamingResource
    from comet.transports.tcp import CometFactory
    from comet.transports.websocket import SocketResource, WebSocketResource
    from comet.web.resources import CometResource
    from comet.web.site import CometSite

__version__ = "0.1.0"

__all__ = [
    "ADMIN",
    "ANONYMOUS",
    "KEY_HOLDER",
    "Access",
    "AccessSettings",
    "Allowed",
    "BadChannel",
    "BadCredential",
    "BadCursor",
    "BadMessage",
    "BadRequest",
    "ChannelResource",
    "Client",
    "ClientSettings",
    "Close",
    "CometError",
    "CometFactory",
    "CometResource",
    "CometService",
    "CometSite",
    "Compression",
    "Configuration",
    "ConfigurationError",
    "Credential",
    "CredentialSource",
    "Credentials",
    "Cursor",
    "EventSourceResource",
    "Exchange",
    "Forbidden",
    "Gap",
    "HeadTooLarge",
    "Held",
    "HistoryPage",
    "Holding",
    "Hub",
    "HubResource",
    "IAccess",
    "IBurstBus",
    "IBusListener",
    "IBusMaker",
    "IConfigurableBus",
    "ICredentialAccess",
    "IFrameResource",
    "IHooks",
    "IMeasuredBus",
    "IMessageBus",
    "INodesBus",
    "IPresence",
    "IPublisherAccess",
    "IReceiver",
    "IStateBus",
    "ITransportMaker",
    "Internal",
    "JSONPResource",
    "KeyBudget",
    "KeyMemory",
    "KeyReused",
    "Known",
    "Limits",
    "Listeners",
    "LongPollResource",
    "Member",
    "MemberPage",
    "MemoryBus",
    "Message",
    "Messages",
    "MethodNotAllowed",
    "MultipartResource",
    "NDJSONShape",
    "NotFound",
    "Origins",
    "PollResource",
    "PollingResource",
    "Proxies",
    "Publication",
    "PublishResource",
    "Published",
    "ReadRequest",
    "ReadResult",
    "RedisBus",
    "ResolvedStarts",
    "Retention",
    "Rewritten",
    "Rights",
    "SQLiteBus",
    "Server",
    "Settings",
    "Shape",
    "SocketResource",
    "StartPosition",
    "StateEntry",
    "StatePage",
    "StreamResource",
    "StreamingResource",
    "Subscription",
    "TooLarge",
    "TooMany",
    "Transport",
    "URLTooLong",
    "Unauthorized",
    "Unavailable",
    "Unknown",
    "Unsupported",
    "WebSocketResource",
    "WrongHost",
    "matches",
    "rawText",
    "resolveStarts",
]

# The module of each of these names, for __getattr__.
_NAMES = {
    "comet.access.rights": "Access",
    "comet.access.accesssettings": "AccessSettings",
    "comet.bus.idempotency": "KeyBudget KeyMemory",
    "comet.bus.listeners": "Listeners",
    "comet.bus.memory.bus": "MemoryBus",
    "comet.bus.redis.bus": "RedisBus",
    "comet.bus.resolvedstarts": "resolveStarts",
    "comet.bus.sqlite.bus": "SQLiteBus",
    "comet.settings.configuration": "Configuration ConfigurationError",
    "comet.errors": (
        "BadChannel BadCredential BadCursor BadMessage BadRequest CometError Forbidden "
        "HeadTooLarge Internal KeyReused MethodNotAllowed NotFound TooLarge TooMany URLTooLong "
        "Unauthorized Unavailable Unknown Unsupported WrongHost"
    ),
    "comet.fanout.application": "Subscription",
    "comet.fanout.iterator": "Messages",
    "comet.framing": "Shape",
    "comet.framing.compression": "Compression",
    "comet.framing.envelope": "rawText",
    "comet.framing.ndjson": "NDJSONShape",
    "comet.framing.publications": "Limits",
    "comet.http.credentials": "Credential CredentialSource Credentials",
    "comet.http.forwarded": "Proxies",
    "comet.http.origins": "Origins",
    "comet.http.reads": "ReadRequest",
    "comet.hub.hub": "Hub",
    "comet.hub.hubsettings": "Settings",
    "comet.interfaces.access": "IAccess ICredentialAccess IPublisherAccess",
    "comet.interfaces.busabilities": "IBurstBus IConfigurableBus IMeasuredBus INodesBus",
    "comet.interfaces.busmaker": "IBusMaker",
    "comet.interfaces.hooks": "IHooks",
    "comet.interfaces.memberbus": "IPresence",
    "comet.interfaces.messagebus": "IBusListener IMessageBus",
    "comet.interfaces.receiver": "IReceiver",
    "comet.interfaces.statebus": "IStateBus",
    "comet.limits.clientlimits": "ClientSettings",
    "comet.model.clients": "ADMIN ANONYMOUS Client KEY_HOLDER Known",
    "comet.model.cursors": "Cursor",
    "comet.model.hookanswers": "Allowed Rewritten",
    "comet.model.held": "Held",
    "comet.model.log": "Retention",
    "comet.model.messages": "Close Gap Message Publication Published",
    "comet.model.patterns": "matches",
    "comet.model.positions": "HistoryPage ReadResult ResolvedStarts StartPosition",
    "comet.model.grants": "Rights",
    "comet.model.presence": "Holding Member MemberPage",
    "comet.model.state": "StateEntry StatePage",
    "comet.server.server": "Server",
    "comet.server.service": "CometService",
    "comet.transports.channel": "ChannelResource PublishResource Transport",
    "comet.transports.exchange": "Exchange",
    "comet.transports.iframe": "IFrameResource",
    "comet.transports.jsonp": "JSONPResource",
    "comet.transports.longpoll": "LongPollResource",
    "comet.transports.maker": "ITransportMaker",
    "comet.transports.multipart": "MultipartResource",
    "comet.transports.poll": "PollResource",
    "comet.transports.polling": "PollingResource",
    "comet.transports.resource": "HubResource",
    "comet.transports.sse": "EventSourceResource",
    "comet.transports.stream": "StreamResource",
    "comet.transports.streaming": "StreamingResource",
    "comet.transports.tcp": "CometFactory",
    "comet.transports.websocket": "SocketResource WebSocketResource",
    "comet.web.resources": "CometResource",
    "comet.web.site": "CometSite",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


# Hidden from type checkers: with it they would accept any name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """
        Load a public name when it is first used (PEP 562), so that what needs
        no transport loads none, and importing comet loads no Twisted.
        """
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
        return value

    def __dir__() -> list[str]:
        """
        Return the names of the module, also those that are not loaded yet.
        """
        return sorted({*globals(), *__all__})
