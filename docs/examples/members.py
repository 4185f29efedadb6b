"""
An application whose own sessions decide what a client may read and publish:
C{python members.py [ENDPOINT]}.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from comet import (
    Access,
    Client,
    CometError,
    CometResource,
    CometService,
    CometSite,
    Credentials,
    EventSourceResource,
    Exchange,
    Forbidden,
    Hub,
    MemoryBus,
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

    def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Return the member whose session it is, or without a session the client of
        the header C{Authorization}.
        """
        session = credentials.cookies.get("session")
        if session is None:
            return super().identify(credentials)
        name = SESSIONS.get(session)
        if name is None:
            raise Unauthorized("the session is over: log in again")
        return Client(name)

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
    if client.isAnonymous:
        return Unauthorized("log in first")
    return Forbidden("this belongs to another member")


class Inbox(EventSourceResource):
    """
    /push/inbox: the channel is not in the path, since it is the member's own.
    """

    hasPath = False

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        Return the inbox of the member who makes the request.
        """
        return (f"inbox/{exchange.client.name}",)


def makeHub(reactor: Any) -> Hub:
    """
    Make a hub that asks L{MemberAccess}.
    """
    return Hub(MemoryBus(reactor), reactor, access=MemberAccess())


def makeResource(hub: Hub) -> CometResource:
    """
    Make comet's URLs, and one more.
    """
    push = CometResource(hub)
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
