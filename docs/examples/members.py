"""
An application with sessions of its own, which decide who may read and publish
what: C{python members.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.errors import CometError, Forbidden, Unauthorized
from comet.hub import Hub
from comet.model.channels import matches
from comet.model.clients import ANONYMOUS, Client
from comet.server.service import CometService
from comet.transports.channel import ChannelResource, PublishResource
from comet.transports.exchange import Exchange
from comet.transports.sse import EventSourceResource
from comet.transports.websocket import SocketResource
from comet.web.resources import CometResource
from comet.web.site import CometSite

# Who is logged in, by the value of the cookie.
SESSIONS = {"4d1c7a": "ada", "9be02f": "bob"}


class MemberAccess(Access):
    """
    Anyone may read all rooms; who is logged in may publish to them, and read
    an inbox of their own.
    """

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        May they read this channel or pattern?
        """
        isOwn = client.name != "" and name == f"inbox/{client.name}"
        if not isOwn and not matches("rooms/*", name):
            raise _refused(client)

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        May they publish to this channel?
        """
        if client.mayPublishAll or not (client.name and matches("rooms/*", channel)):
            super().checkPublish(client, channel)


def _refused(client: Client) -> CometError:
    if client == ANONYMOUS:
        return Unauthorized("log in first")
    return Forbidden("this is somebody else's")


class BySession:
    """
    Takes who asks from the cookie, for any of comet's resources.
    """

    def client(self, exchange: Exchange) -> Client:
        """
        Who asks; without a session, whoever C{Authorization} says.
        """
        session = exchange.request.getCookie(b"session")
        # With a callback an answer is a script (JSONP), which any page may run,
        # and the browser sends cookies with it: so they do not count.
        if session is None or "callback" in exchange.head.parameters:
            return exchange.client
        name = SESSIONS.get(session.decode("latin-1"))
        if name is None:
            raise Unauthorized("the session is over: log in again")
        return Client(name, mayPublishAll=False)


class MemberChannels(BySession, ChannelResource):
    """
    /push/channels/
    """


class MemberPublish(BySession, PublishResource):
    """
    /push/publish
    """


class MemberSocket(BySession, SocketResource):
    """
    /push/socket
    """


class Inbox(BySession, EventSourceResource):
    """
    /push/inbox: the channel is not in the path, since it is who asks.
    """

    hasPath = False

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        The inbox of whoever asks.
        """
        return (f"inbox/{self.client(exchange).name}",)


def makeHub(reactor: Any) -> Hub:
    """
    A hub that asks L{MemberAccess}.
    """
    return Hub(MemoryBus(reactor), reactor, access=MemberAccess())


def makeResource(hub: Hub) -> CometResource:
    """
    Everything of comet's, each part in the members' version.
    """
    push = CometResource(hub)
    push.putChild(b"channels", MemberChannels(hub))
    push.putChild(b"publish", MemberPublish(hub))
    push.putChild(b"socket", MemberSocket(hub))
    push.putChild(b"inbox", Inbox(hub))
    return push


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    hub = makeHub(reactor)
    site = CometSite(makeResource(hub), hub.settings.limits.maxBatchBytes)
    service = CometService(hub, [(description, site)])
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
