"""
Tests of L{comet.server.extension}, and of what an application sets on its
L{Server<comet.server.server.Server>}.
"""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface import implementer

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.hub.hub import Hub
from comet.lean.routes import findRoutes
from comet.server import extension
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.server.service import CometService
from comet.server.startfailure import CannotStart
from comet.settings.configuration import Configuration
from comet.transports.maker import ITransportMaker
from comet.transports.stream import StreamResource
from tests.access.case import identify

KEY = "0123456789abcdef"


class ServerCase(SynchronousTestCase):
    """
    A working directory with the module of an application in it.
    """

    def setUp(self) -> None:
        """
        Forget, in the end, what was imported.
        """
        before = set(sys.modules), list(sys.path)

        def forget() -> None:
            for name in set(sys.modules) - before[0]:
                if name.startswith("appli"):
                    del sys.modules[name]
            sys.path[:] = before[1]

        self.addCleanup(forget)

    def make(self, source: str = "", app: str | None = None, **options: Any) -> Server:
        """
        Make a server, with an application if there is a source.

        @param app: The value of C{--app}, if not C{extend} of the source.
        """
        if source:
            # The same name twice would be found in the cache of modules.
            name = f"appli{len(list(Path().glob('appli*.py')))}"
            Path(f"{name}.py").write_text(source)
            app = f"{name}:extend" if app is None else app.replace("MODULE", name)
        given = {"app": app, **options}
        return Server(Configuration(given), MemoryReactorClock(), Secrets([KEY]))


class ExtendTests(ServerCase):
    """
    The function that C{--app} names.
    """

    def refusal(self, source: str = "", app: str | None = None) -> str:
        """
        Return why the server cannot start.
        """
        return str(self.assertRaises(CannotStart, self.make, source, app))

    def test_isCalledBeforeStart(self) -> None:
        """
        The function in the working directory is called with the server, once, before
        anything listens.
        """
        server = self.make(
            "def extend(server):\n    server.called = server.reactor.tcpServers[:]\n"
        )
        self.assertEqual(vars(server)["called"], [])
        source = "class A:\n    @staticmethod\n    def b(server):\n        server.called = 1\n"
        self.assertEqual(vars(self.make(source, "MODULE:A.b"))["called"], 1)

    def test_saysWhatIsNotThere(self) -> None:
        """
        A module, a package or a function that is not there is named.
        """
        for app in ("appli_none:extend", "appli_none.push:extend", "comet.none:extend"):
            self.assertIn("there is no module", self.refusal(app=app))
        self.assertIn("has no 'extend'", self.refusal("x = 1\n"))
        self.assertIn("cannot be called", self.refusal("extend = 1\n"))

    def test_showsApplicationsErrors(self) -> None:
        """
        An exception of the application's is printed with its traceback, and the
        reason said in a line.
        """
        for source, said in (
            ("def extend(server):\n    raise KeyError('x')\n", "KeyError: 'x'"),
            ("import appli_missing\n", "ModuleNotFoundError: No module named 'appli_missing'"),
            ("x = \n", "SyntaxError"),
        ):
            printed = StringIO()
            self.patch(sys, "stderr", printed)
            self.assertIn(said, self.refusal(source))
            self.assertIn("Traceback", printed.getvalue())

    def test_mustNotWait(self) -> None:
        """
        A function that begins what the server would have to wait for is refused.
        """
        for source in (
            "async def extend(server):\n    pass\n",
            "from twisted.internet.defer import succeed\ndef extend(server): return succeed(1)\n",
        ):
            self.assertIn("server.whenServing", self.refusal(source))


@implementer(ITransportMaker)
class Maker:
    """
    Makes a transport, as a plugin does.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def makeTransport(self, hub: Hub) -> StreamResource:
        """
        Make it.
        """
        return StreamResource(hub)


class ServerTests(ServerCase):
    """
    What an application sets and fills.
    """

    def test_access(self) -> None:
        """
        An access object of the application's knows the key and the open channels.
        """
        server = self.make(open=["open/*"])

        class Mine(Access):
            """
            An application's.
            """

        server.access = mine = server.makeAccess(Mine)
        self.assertIs(server.hub.access, mine)
        key = identify(server.hub, f"Bearer {KEY}")
        mine.checkPublish(key, "news")
        mine.checkPublish(identify(server.hub, None), "open/a")

    def test_presence(self) -> None:
        """
        Of what presence is kept, the application says itself, also with the demo.
        """
        source = "def extend(server):\n    server.hub.keepPresence([('rooms/*', True)], 10.0)\n"
        attendance = self.make(source, demo=True).hub.attendance
        assert attendance is not None
        self.assertEqual(attendance.kept.of(["rooms/a", "chat/a"]), ("rooms/a",))
        self.assertIsNone(self.make("def extend(server):\n    pass\n", demo=True).hub.attendance)

    def test_hub(self) -> None:
        """
        Another hub is set before resources are made of it; later it would not be
        theirs.
        """
        server = self.make()

        class Mine(Hub):
            """
            An application's.
            """

        old = server.hub
        server.hub = mine = Mine(old.bus, server.reactor, old.settings, old.access, old.origins)
        self.assertIs(server.root.hub, mine)
        error = self.assertRaises(RuntimeError, setattr, server, "hub", old)
        self.assertIn("before", str(error))
        service = server.makeService(CometService, lambda ports: None, lambda error: None)
        self.assertIs(service.hub, mine)

    def test_rootKeepsLeanEdge(self) -> None:
        """
        Resources and transports that are put beside comet's leave the lean edge;
        another root takes it.
        """
        server = self.make()
        server.root.putChild(b"own", Resource())
        server.transports["own"] = StreamResource(server.hub)
        site: Any = server._serve().factories()[0]
        self.assertIs(site.resource, server.root)
        self.assertIsNotNone(findRoutes(site))
        other = Resource()
        other.putChild(b"push", server.root)
        server.root = other
        self.assertIs(other.children[b"push"], server.comet)
        site = server._serve().factories()[0]
        self.assertIsNone(findRoutes(site))
        self.assertIn("own", server.transports)

    def test_whenServing(self) -> None:
        """
        Functions are called when the server serves.
        """
        server = self.make(listen=["tcp:8080"], tcp="tcp:8081")
        called: list[str] = []
        server.whenServing(lambda: called.append("serving"))
        service = server.makeService(
            CometService, lambda ports: called.append("listening"), lambda error: None
        )
        self.assertEqual(called, [])
        service.startService()
        self.assertEqual(called, ["listening", "serving"])
        self.assertTrue(isinstance(server.hub.bus, MemoryBus))

    def test_pluginsAddTransports(self) -> None:
        """
        The transport of a plugin is there by its name; a name that is taken is
        refused.
        """
        makers = [Maker("own")]
        self.patch(extension, "getPlugins", lambda interface: makers)
        self.assertIsInstance(self.make().transports["own"], StreamResource)
        makers.append(Maker("sse"))
        error = self.assertRaises(CannotStart, getattr, self.make(), "transports")
        self.assertIn("'sse'", str(error))
