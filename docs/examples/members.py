"""
An application whose own sessions decide what a client may read and publish:
C{python members.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from comet import (
    ANONYMOUS,
    Access,
    ChannelResource,
    Client,
    CometError,
    CometResource,
    CometService,
    CometSite,
    EventSourceResource,
    Exchange,
    Forbidden,
    Hub,
    MemoryBus,
    PublishResource,
    SocketResource,
    Unauthorized,
    matches,
)

# The names of the members that are logged in, by the value of their cookie.
SESSIONS = {"4d1c7a": "ada", "9be02f": "bob"}


class MemberAccess(Access):
    """
    Any client may read all rooms.  A member who is logged in may also publish
    to them, and read one inbox.
    """

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Refuse a name that is neither a room nor the member's own inbox.
        """
        isOwn = client.name != "" and name == f"inbox/{client.name}"
        if not isOwn and not matches("rooms/*", name):
            raise _refused(client)

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Let a member publish to rooms, and the publish key to every channel.
        """
        if client.mayPublishAll or not (client.name and matches("rooms/*", channel)):
            super().checkPublish(client, channel)


def _refused(client: Client) -> CometError:
    if client == ANONYMOUS:
        return Unauthorized("log in first")
    return Forbidden("this belongs to another member")


class BySession:
    """
    Finds the client by the session's cookie, for any of comet's resources.
    """

    def client(self, exchange: Exchange) -> Client:
        """
        Return the member whose session it is, or without a session the client
        of the C{Authorization} header.
        """
        session = exchange.request.getCookie(b"session")
        # With a callback the response is a script (JSONP).  A page of any site
        # may load it, and the browser sends the cookies along: ignore them.
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
    /push/inbox: the channel is not in the path, since it is the member's own.
    """

    hasPath = False

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        Return the inbox of the member who makes the request.
        """
        return (f"inbox/{self.client(exchange).name}",)


def makeHub(reactor: Any) -> Hub:
    """
    Make a hub that asks L{MemberAccess}.
    """
    return Hub(MemoryBus(reactor), reactor, access=MemberAccess())


def makeResource(hub: Hub) -> CometResource:
    """
    Make comet's URLs, each with the members' resource.
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
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
