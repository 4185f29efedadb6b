"""
What stands in Twisted's own tests where Twisted's channel does: comet's channel
as comet's site makes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from twisted.web import http
from zope.interface import directlyProvides, providedBy

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.hub import Hub, Settings
from comet.model.log import Retention
from comet.web.resources import CometResource
from comet.web.site import BoundedRequest, CometChannel, CometSite

_MOST_BODY: Final = 1 << 20


class _Answering:
    """
    Gives a request its body, as L{BoundedRequest} does where it renders a
    resource, and adds no header.
    """

    defaultContentType = None
    content: Any
    _body: Any

    def process(self) -> None:
        """
        Answer it.
        """
        self.content = self._body
        self.content.seek(0)
        ours: Any = super()
        ours.process()


class _Silent(http.Request):
    """
    Is never answered, as Twisted's own class is not.
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
    A factory of requests that answer as those of another one do, but take in
    what comes as comet's do.
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
    Comet's channel, with whatever requests a test wants.
    """

    @property
    def _channel(self) -> PlainChannel:
        # Where Twisted puts one channel in front of another, tests ask for it.
        return self


class BoundedChannel(PlainChannel):
    """
    One whose requests are comet's, too, whatever a test has them answer.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _bounded(value) if name == "requestFactory" else value)


def makeSite(reactor: Any, kind: type[PlainChannel]) -> CometSite:
    """
    Make a site whose channels are of this kind.
    """
    bus = MemoryBus(reactor, lambda channel: Retention(), wallClock=reactor.seconds)
    hub = Hub(bus, reactor, Settings(), Access("k" * 16, ["open/**"]))
    site = CometSite(CometResource(hub), _MOST_BODY, reactor=reactor)
    site.protocol = kind
    return site


def makeChannel(site: CometSite) -> Any:
    """
    Make a channel of a site, which answers nothing if it is not told to.
    """
    channel: Any = site.buildProtocol(None)
    channel.requestFactory = http.Request
    return channel


class Module:
    """
    C{twisted.web.http}, but for what makes channels.
    """

    def __init__(self, site: CometSite, make: Callable[[], Any]) -> None:
        """
        @param site: The site whose channels there are in the end.

        @param make: Makes what a test takes for a channel.
        """
        self.HTTPChannel = _Class(site.protocol, make)
        self.HTTPFactory = functools.partial(_Factory, site, make)

    def __getattr__(self, name: str) -> Any:
        return getattr(http, name)


class _StandIn:
    """
    What has the attributes of something else, and gives it those that it is
    given.
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
        if "timeout" in settings:
            site.timeOut = settings["timeout"]
        if "reactor" in settings:
            site.reactor = settings["reactor"]

    def buildProtocol(self, address: object) -> Any:
        """
        See L{IProtocolFactory<twisted.internet.interfaces.IProtocolFactory>}.
        """
        return self._make()
