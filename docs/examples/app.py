"""
An application that is the standard server, with a few things of its own:
C{twistd -n comet --app app:extend}.
"""

from __future__ import annotations

from comet import (
    Access,
    Client,
    Credentials,
    EventSourceResource,
    Exchange,
    Forbidden,
    Server,
    Unauthorized,
)

# The names of the members that are logged in, by the value of their cookie.
SESSIONS = {"4d1c7a": "ada", "9be02f": "bob"}


class Members(Access):
    """
    Lets members read and publish, and backends with the publish key.
    """

    async def identify(self, credentials: Credentials) -> Client:
        """
        Look the session up.
        """
        session = credentials.cookies.get("session")
        if session is None:
            known = super().identify(credentials)
            return known if isinstance(known, Client) else await known
        name = await find(session)
        if name is None:
            raise Unauthorized("the session is over: log in again")
        return Client(name)

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Let members read, but not one another's inbox.
        """
        if client.isAnonymous:
            raise Unauthorized("log in first")
        if name.startswith("inbox/") and name != f"inbox/{client.name}":
            raise Forbidden("this is the inbox of another member")

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Let members publish to rooms, and the publish key to every channel.
        """
        if not (client.name in SESSIONS.values() and channel.startswith("rooms/")):
            super().checkPublish(client, channel)


async def find(session: str) -> str | None:
    """
    Find the member of a session: here in memory, elsewhere in a database.
    """
    return SESSIONS.get(session)


class Inbox(EventSourceResource):
    """
    /inbox: the channel is not in the path, since it is the member's own.
    """

    hasPath = False

    def names(self, exchange: Exchange) -> tuple[str, ...]:
        """
        Return the inbox of the member who makes the request.
        """
        return (f"inbox/{exchange.client.name}",)


def extend(server: Server) -> None:
    """
    Add to the server what is the application's own, before it serves.
    """
    server.access = server.makeAccess(Members)
    server.root.putChild(b"inbox", Inbox(server.hub))
    server.whenServing(lambda: server.hub.publish("rooms/hall", "the server is back"))
