"""
Which hooks a server gives its hub.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.memory.bus import MemoryBus
from comet.hooks.connect import Connect
from comet.hooks.signing import writeSecret
from comet.hooks.webhooks import Webhooks
from comet.hub.hub import Hub
from comet.server.reload import Loaded
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.settings.configuration import Configuration
from tests.hooks.hookcase import Hooks

SECRETS = Secrets(("a-key-of-our-very-own",), hookSecrets=(writeSecret(bytes(32)),))
URL = "http://127.0.0.1:9/hook"
TABLES = {"chat/**": {"hooks": ["publish"]}}


class ServerHooksTests(SynchronousTestCase):
    """
    Hooks by the configuration, and those of an application.
    """

    def make(self, file: dict[str, Any], **given: Any) -> Server:
        """
        Make a server.
        """
        self.reactor = MemoryReactorClock()
        return Server(Configuration(given, file), self.reactor, SECRETS)

    def reload(self, server: Server, file: dict[str, Any]) -> None:
        """
        Let a server go by another configuration.
        """
        server.configure(Loaded(file, Configuration({}, file), SECRETS))

    def test_none(self) -> None:
        """
        Without a backend the hub has no hooks.
        """
        hub = self.make({}).hub
        self.assertEqual((hub.hooks, hub.publishHook, hub.subscribeHook, hub.callHook), (None,) * 4)

    def test_backend(self) -> None:
        """
        The backend is asked about the channels whose tables say so, and answers calls.
        """
        server = self.make({"hook": URL, "channels": TABLES, "hook-failure": "allow"})
        hub: Any = server.hub
        self.assertIsInstance(hub.hooks, Webhooks)
        self.assertEqual((hub.hooks.isLenient, hub.subscribeHook), (True, None))
        asks = hub.publishHook.table.asks
        self.assertEqual([asks("publish", name) for name in ("chat/a", "news")], [True, False])
        self.assertIsNotNone(hub.callHook)
        access: Any = server.access
        self.assertIsInstance(access.settings.hook, Connect)

    def test_events(self) -> None:
        """
        What is not among the events is not asked.
        """
        connect = self.make({"hook": URL, "hook-events": "connect"})
        self.assertIsNone(connect.hub.hooks)
        publish = self.make({"hook": URL, "hook-events": "publish", "channels": TABLES})
        access: Any = publish.access
        self.assertIsNone(access.settings.hook)
        hooks: Any = publish.hub.hooks
        self.assertEqual(hooks.events, {"publish"})

    def test_application(self) -> None:
        """
        Those of the application take the place of the backend's, with the tables of the
        configuration, also when that is read again.
        """
        server, hooks = self.make({"hook": URL, "channels": TABLES}), Hooks()
        server.useHooks(hooks)
        hub = server.hub
        self.assertIs(hub.hooks, hooks)
        self.assertIsNotNone(hub.publishHook)
        self.reload(server, {"hook": URL, "channels": {"a": {"hooks": ["subscribe"]}}})
        self.assertIs(hub.hooks, hooks)
        hook: Any = hub.subscribeHook
        self.assertTrue(hook.table.asks("subscribe", "a"))
        self.assertIsNone(hub.publishHook)

    def test_ownTables(self) -> None:
        """
        Where the application has told the hub what to ask about, that stays.
        """
        server, hooks = self.make({"hook": URL, "channels": TABLES}), Hooks()
        server.hub.useHooks(hooks, [("x", ["subscribe"])])
        self.reload(server, {"hook": URL, "channels": TABLES})
        self.assertIs(server.hub.hooks, hooks)
        self.assertIsNone(server.hub.publishHook)

    def test_reload(self) -> None:
        """
        A backend that comes, changes or goes counts from then on.
        """
        server = self.make({})
        self.reload(server, {"hook": URL, "channels": TABLES})
        first = server.hub.hooks
        self.assertIsInstance(first, Webhooks)
        self.reload(server, {"hook": URL, "channels": TABLES})
        self.assertIsInstance(server.hub.hooks, Webhooks)
        self.assertIsNot(server.hub.hooks, first)
        self.reload(server, {})
        self.assertIsNone(server.hub.hooks)

    def test_hubOfItsOwn(self) -> None:
        """
        A hub that the application sets gets the hooks.
        """
        server = self.make({"hook": URL, "channels": TABLES})
        server.hub = Hub(MemoryBus(self.reactor), self.reactor)
        self.assertIsInstance(server.hub.hooks, Webhooks)
        self.assertIsNotNone(server.hub.publishHook)
