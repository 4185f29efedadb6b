"""
Stand-ins for C{twisted.web.http} in Twisted's own tests: they make comet's
channels, as comet's site makes them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web import http
from zope.interface import directlyProvides, providedBy

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.log import Retention
from comet.web.boundedrequest import BoundedRequest
from comet.web.resources import CometResource
from comet.web.site import CometSite
from comet.web.sitechannel import CometChannel

_MOST_BODY: Final = 1 << 20

# The attributes of a transport by which a test looks what the channel has done.
LOOKS: Final = frozenset({"value", "disconnecting", "disconnected", "producerState"})

# The idle time of Twisted's factories, in seconds.
_TIMEOUT: Final = 60


class _Answering:
    """
    A request that reads its body and its query as L{BoundedRequest} does before it renders
    a resource, and adds no header.  No resource is asked whether it is refused.
    """

    defaultContentType = None
    _giveBack: Callable[[], None]

    def _expectBody(self, length: int | None) -> int:
        return _MOST_BODY

    def process(self) -> None:
        """
        Answer as the test's request does.
        """
        self._giveBack()
        ours: Any = super()
        ours.process()


class _Silent(http.Request):
    """
    A request that is never answered, as Twisted's own class is not.
    """

    def process(self) -> None:
        """
        Do nothing.
        """


def _boundedKind(kind: type) -> type:
    if issubclass(kind, BoundedRequest):
        return kind
    base = _Silent if kind is http.Request else kind
    return type(kind.__name__, (_Answering, base, BoundedRequest), {})


def _bounded(factory: Callable[..., Any]) -> Callable[..., Any]:
    """
    Make a factory of requests that answer as those of another factory, but read
    their bodies as comet's do.
    """

    def make(*args: Any) -> Any:
        made = factory(*args)
        request = getattr(made, "original", made)
        request.__class__ = _boundedKind(type(request))
        return made

    directlyProvides(make, providedBy(factory))
    return make


class PlainChannel(CometChannel):
    """
    Comet's channel with the requests of a test.
    """

    @property
    def _channel(self) -> PlainChannel:
        # Twisted puts one channel in front of another, and tests ask for the
        # one behind.
        return self


class BoundedChannel(PlainChannel):
    """
    Comet's channel with comet's requests, which answer as a test says.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _bounded(value) if name == "requestFactory" else value)


def makeSite(reactor: Any, kind: type[PlainChannel]) -> CometSite:
    """
    Make a site with channels of this class.
    """
    bus = MemoryBus(reactor, lambda channel: Retention(), wallClock=reactor.seconds)
    hub = Hub(bus, reactor, Settings(), Access("k" * 16, ["open/**"]))
    site = CometSite(CometResource(hub), _MOST_BODY, reactor=reactor)
    site.protocol = kind
    return site


def makeChannel(site: CometSite) -> Any:
    """
    Make a channel of a site, which answers no request by default.
    """
    channel: Any = site.buildProtocol(None)
    channel.requestFactory = http.Request
    return channel


class TurningTransport(StringTransport):
    """
    The transport in which a test reads what a channel has written.  Before each
    look at it the reactor has a turn: the channel may leave the rest of its input
    for another one.

    @cvar reactor: The reactor.
    """

    reactor: Clock | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in LOOKS:
            reactor = super().__getattribute__("reactor")
            if reactor is not None:
                reactor.advance(0)
        return super().__getattribute__(name)


def turningWith(reactor: Clock) -> type[TurningTransport]:
    """
    Make a class of transports that let this reactor have its turns.
    """
    return type("TurningTransport", (TurningTransport,), {"reactor": reactor})


class Module:
    """
    C{twisted.web.http}, except for the names that make channels.
    """

    def __init__(self, site: CometSite, make: Callable[[], Any]) -> None:
        """
        @param site: The site that makes the channels.

        @param make: Makes the object that a test uses as a channel.
        """
        self.HTTPChannel = _Class(site.protocol, make)
        self.HTTPFactory = functools.partial(_Factory, site, make)

    def __getattr__(self, name: str) -> Any:
        return getattr(http, name)


class _StandIn:
    """
    An object that reads and writes the attributes of another one.
    """

    def __init__(self, of: Any, make: Callable[[], Any]) -> None:
        vars(self).update(_of=of, _make=make)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_of"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(vars(self)["_of"], name, value)


class _Class(_StandIn):
    def __call__(self) -> Any:
        return self._make()


class _Factory(_StandIn):
    def __init__(self, site: CometSite, make: Callable[[], Any], **settings: Any) -> None:
        super().__init__(site, make)
        site.timeOut = settings.get("timeout", _TIMEOUT)
        if "reactor" in settings:
            site.reactor = settings["reactor"]

    def buildProtocol(self, address: object) -> Any:
        """
        See L{IProtocolFactory<twisted.internet.interfaces.IProtocolFactory>}.
        """
        return self._make()
