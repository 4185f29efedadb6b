"""
The hub and the endpoints that a configuration describes.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from zope.interface import classImplementsOnly

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.errors import Unauthorized
from comet.hub.hub import Hub
from comet.interfaces.messagebus import IMessageBus
from comet.model.log import Retention
from comet.server import makehub
from comet.server.makehub import accessSettings, makeHub
from comet.server.secretfiles import Secrets
from comet.server.served import endpointsOf
from comet.server.server import Server
from comet.settings.configuration import Configuration, ConfigurationError
from tests.access.case import identify
from tests.test_tap import TapTestCase


class Bare(MemoryBus):
    """
    A bus that does not know who is in a channel.
    """


class MakeHubTests(TapTestCase):
    """
    L{makeHub}.
    """

    def makeHub(self, configuration: Configuration) -> Hub:
        """
        Make the hub of a configuration.
        """
        access = Access(settings=accessSettings(configuration, Secrets(), Clock()))
        return makeHub(configuration, self.reactor, access)

    def hub(self, *arguments: str) -> Hub:
        """
        Make the hub of a command line.
        """
        return self.makeHub(self.options(*arguments).configuration)

    def test_takesLimitsFromOptions(self) -> None:
        """
        The hub's limits are those of the options.
        """
        settings = self.hub(
            *("--max-message", "1"),
            *("--max-depth", "2"),
            *("--max-batch", "3"),
            *("--max-channels", "4"),
            *("--max-connections", "5"),
            *("--heartbeat", "6"),
        ).settings
        limits = settings.limits
        self.assertEqual(
            (limits.maxMessage, limits.maxDepth, limits.maxBatch, limits.maxChannels), (1, 2, 3, 4)
        )
        self.assertEqual((settings.maxConnections, settings.heartbeat), (5, 6.0))

    def test_keepsPresence(self) -> None:
        """
        A server keeps presence of what its options name, and is not made where its bus
        does not know who is in a channel.
        """
        options = ("--presence", "chat/**", "--presence-grace", "3")
        configuration = self.options(*options).configuration
        hub = Server(configuration, self.reactor, Secrets()).hub
        assert hub.attendance is not None
        self.assertEqual(hub.attendance.kept.of(["chat/a", "news"]), ("chat/a",))
        classImplementsOnly(Bare, IMessageBus)
        maker = type("Maker", (), {"makeBus": lambda *_: Bare(self.reactor)})()
        self.patch(makehub, "findMaker", lambda url: maker)
        error = self.assertRaises(
            ConfigurationError, Server, configuration, self.reactor, Secrets()
        )
        self.assertIn("Bare does not know who is in a channel", str(error))
        other = Server(self.options().configuration, self.reactor, Secrets())
        self.assertIsNone(other.hub.attendance)

    def test_takesRetentionFromOptions(self) -> None:
        """
        The bus holds what the options say.
        """
        configuration = self.options("--history-messages", "2").configuration
        self.assertEqual(configuration.retention("news"), Retention(messages=2))
        hub = self.makeHub(configuration)
        for text in "abc":
            self.successResultOf(hub.publish("news", text))
            self.reactor.advance(0)
        found = self.successResultOf(
            hub.bus.read(["news"], hub.end._replace(position=0), 9, 999, None)
        )
        self.assertEqual([message.payload for message in found.messages], [b'"b"', b'"c"'])

    def test_takesOpenChannelsFromOptions(self) -> None:
        """
        Without the key a client may publish only to open channels.  Without a
        key no client holds it.
        """
        hub = self.hub("--open", "a/*", "--demo")
        anyone = identify(hub, None)
        hub.checkPublish(anyone, ["a/b", "lab/a/b", "chat/x"])
        self.assertRaises(Unauthorized, hub.checkPublish, anyone, ["b"])
        self.assertRaises(Unauthorized, identify, hub, "Bearer x")

    def test_takesOriginsFromOptions(self) -> None:
        """
        Pages of the allowed origins and of the public URLs may use the hub, which
        is known by the hosts of these.
        """
        origins = self.hub("--allow-origin", "http://a", "--public-url", "https://b/c").origins
        for origin, isAllowed in (("http://a", True), ("https://b", True), ("http://c", False)):
            self.assertIs(origins.verdict(origin, "localhost", False).isAllowed, isAllowed)
        origins.checkHost("b", (1, 1))


class EndpointsTests(TapTestCase):
    """
    L{endpointsOf}.
    """

    def test_listsHTTPEndpointsFirst(self) -> None:
        """
        The endpoints of HTTP come first, in their order, and then the others.
        """
        listen = ("--listen", "tcp:1", "--listen", "unix:s")
        more = ("--flash-policy", "tcp:843", "--tcp", "tcp:9")
        self.assertEqual(endpointsOf(self.options(*listen).configuration), ["tcp:1", "unix:s"])
        self.assertEqual(
            endpointsOf(self.options(*listen, *more).configuration),
            ["tcp:1", "unix:s", "tcp:9", "tcp:843"],
        )
