"""
The names of the visitors of the chat, and presence of its rooms.
"""

from __future__ import annotations

from zope.interface import classImplementsOnly

from comet.errors import Forbidden, Unauthorized
from comet.http.credentials import Credentials
from comet.interfaces.messagebus import IMessageBus
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.server import makehub
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from tests.access.case import headOf
from tests.hooks.hookcase import Hooks
from tests.server.test_server import Bare
from tests.test_tap import TapTestCase

KEY = "a-key-of-our-very-own"
HOOK = ("--hook", "http://127.0.0.1:1/")
SECRET = "a secret that has as many bytes as it needs"


class VisitorTests(TapTestCase):
    """
    A server with C{--demo}.
    """

    def serve(self, *arguments: str) -> Server:
        """
        Make a server.
        """
        configuration = self.options(*arguments).configuration
        return Server(configuration, self.reactor, Secrets((KEY,)))

    def visit(self, made: Server, *cookies: str, takesCookies: bool = True) -> object:
        """
        Identify a visitor that sends these cookies.
        """
        head = headOf(*(("Cookie", cookie) for cookie in cookies))
        return made.hub.identify(Credentials("sse", head, takesCookies=takesCookies))

    def test_believesNames(self) -> None:
        """
        A visitor has the name in its cookie, which gives it no right.
        """
        hub = self.serve("--demo").hub
        client = hub.identify(
            Credentials("sse", headOf(("Cookie", "comet_visitor=Ad%C3%A9%20L.")), takesCookies=True)
        )
        self.assertEqual(client, Client("Adé L."))
        assert isinstance(client, Client)
        hub.checkPublish(client, ["chat/lobby"])
        hub.check(client, ["news", "$presence/chat/lobby"])
        self.assertRaises(Forbidden, hub.checkPublish, client, ["news"])
        self.assertRaises(Forbidden, hub.check, client, ["$events"])

    def test_refusesWhatIsNoName(self) -> None:
        """
        A visitor with none, or with what cannot be a client's name, is anonymous.
        """
        demo = self.serve("--demo")
        for cookie in ("a=b", "comet_visitor=", "comet_visitor=%00", "comet_visitor=%ff"):
            self.assertIs(self.visit(demo, cookie), ANONYMOUS, cookie)
        self.assertIs(self.visit(demo, "comet_visitor=" + "a" * 256), ANONYMOUS)
        self.assertIs(self.visit(demo), ANONYMOUS)
        self.assertIs(self.visit(demo, "comet_visitor=ada", takesCookies=False), ANONYMOUS)

    def test_prefersKeys(self) -> None:
        """
        A key counts before the cookie, and a wrong one is refused.
        """
        hub = self.serve("--demo").hub
        cookie = ("Cookie", "comet_visitor=ada")
        for key, expected in ((KEY, KEY_HOLDER.mayPublishAll), ("wrong", None)):
            head = headOf(cookie, ("Authorization", f"Bearer {key}"))
            shown = Credentials("sse", head, takesCookies=True)
            if expected is None:
                self.assertRaises(Unauthorized, hub.identify, shown)
            else:
                client = hub.identify(shown)
                assert isinstance(client, Client)
                self.assertEqual(client.mayPublishAll, expected)

    def test_believesOnlyWhereNamesAreFree(self) -> None:
        """
        Names do not count without C{--demo}, where names have rights, where a backend or
        an application is asked about clients by their names, and where each name might
        publish so many messages a second or have so many connections.
        """
        with open("secret", "w", encoding="ascii") as file:
            file.write(SECRET)
        for arguments in (
            ("--pages",),
            ("--demo", "--token-key", "secret"),
            ("--demo", "--publish-rate", "5"),
            ("--demo", "--connections-per-client", "5"),
            *(("--demo", *HOOK, "--hook-events", each) for each in ("publish", "call,subscribe")),
        ):
            self.assertIs(self.visit(self.serve(*arguments), "comet_visitor=ada"), ANONYMOUS)
        made = self.serve("--demo", *HOOK, "--hook-events", "publish")
        made.configuration = self.options("--demo").configuration
        made.useHooks(Hooks())
        self.assertIs(self.visit(made, "comet_visitor=ada"), ANONYMOUS)

    def test_keepsPresenceOfTheChat(self) -> None:
        """
        Presence is kept of the chat's rooms, unless the bus does not know who is there.
        """
        hub = self.serve("--demo").hub
        assert hub.attendance is not None
        names = ["chat/lobby", "lab/page", "news"]
        self.assertEqual(hub.attendance.kept.of(names), ("chat/lobby",))
        classImplementsOnly(Bare, IMessageBus)
        maker = type("Maker", (), {"makeBus": lambda *_: Bare(self.reactor)})()
        self.patch(makehub, "findMaker", lambda url: maker)
        self.assertIsNone(self.serve("--demo").hub.attendance)
