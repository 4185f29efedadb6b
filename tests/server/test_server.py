"""
The hub and the endpoints that a configuration describes.
"""

from __future__ import annotations

from comet.errors import Unauthorized
from comet.hub import Hub
from comet.model.log import Retention
from comet.server.server import endpointsOf, makeHub
from tests.access.case import identify
from tests.test_tap import TapTestCase


class MakeHubTests(TapTestCase):
    """
    L{makeHub}.
    """

    def hub(self, *arguments: str) -> Hub:
        """
        Make the hub of a command line.
        """
        return makeHub(self.options(*arguments).configuration, self.reactor)

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

    def test_takesRetentionFromOptions(self) -> None:
        """
        The bus holds what the options say.
        """
        configuration = self.options("--history-messages", "2").configuration
        self.assertEqual(configuration.retention("news"), Retention(messages=2))
        hub = makeHub(configuration, self.reactor)
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
