"""
A Klein application whose own sessions decide what a client may read:
C{python sessions.py [ENDPOINT]}.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Awaitable
from typing import Any

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import IResource
from twisted.web.server import Request

from comet import (
    Access,
    Client,
    CometResource,
    CometService,
    CometSite,
    Credentials,
    Forbidden,
    Hub,
    MemoryBus,
    Unauthorized,
)

PASSWORDS = {"ada": "lovelace", "bob": "hope"}


class Sessions(Access):
    """
    Knows clients by the cookie that C{/login} sets.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, str] = {}

    def begin(self, name: str) -> str:
        """
        Begin a session.

        @return: The value of its cookie.
        """
        session = secrets.token_urlsafe()
        self.names[session] = name
        return session

    def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Return the user whose session it is.
        """
        session = credentials.cookies.get("session")
        if session is None:
            return super().identify(credentials)
        if session not in self.names:
            raise Unauthorized("the session is over: log in again")
        return Client(self.names[session])

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Let users read what is theirs alone.
        """
        if client.isAnonymous:
            raise Unauthorized("log in first")
        if name != f"users/{client.name}":
            raise Forbidden("this belongs to another user")


class Application:
    """
    The pages of the site.
    """

    app = Klein()

    def __init__(self, hub: Hub, sessions: Sessions) -> None:
        self.hub = hub
        self.sessions = sessions
        self.comet = CometResource(hub)

    @app.route("/login", methods=["POST"])
    def login(self, request: Request) -> str:
        """
        Begin a session for a user who knows the password.
        """
        given = {name.decode(): values[0].decode() for name, values in request.args.items()}
        name = given.get("name", "")
        password = PASSWORDS.get(name, "")
        if not password or not secrets.compare_digest(password, given.get("password", "")):
            request.setResponseCode(403)
            return "no\n"
        request.addCookie("session", self.sessions.begin(name), path="/", httpOnly=True)
        return "welcome\n"

    @app.route("/greet/<name>", methods=["POST"])
    def greet(self, request: Request, name: str) -> Deferred[str]:
        """
        Publish a greeting for a user.
        """
        greeted = self.hub.publish(f"users/{name}", "hello")
        return greeted.addCallback(lambda cursor: f"{cursor}\n")

    @app.route("/push", branch=True)
    def push(self, request: Request) -> IResource:
        """
        Leave what is below C{/push} to comet.
        """
        return self.comet


def main(reactor: Any, description: str = "tcp:8080:interface=127.0.0.1") -> Deferred[None]:
    """
    Serve until the process is told to stop.
    """
    sessions = Sessions()
    hub = Hub(MemoryBus(reactor), reactor, access=sessions)
    site = CometSite(Application(hub, sessions).app.resource(), 65536)
    service = CometService(hub, [(description, site)])
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    print(f"serving HTTP on {description}", flush=True)
    return Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
