"""
Tests for L{comet.bus.registry}.
"""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

import twisted.plugins
from comet.bus.memory.bus import MemoryBus
from comet.bus.registry import findMaker
from comet.interfaces.busmaker import IBusMaker
from comet.interfaces.messagebus import IMessageBus
from comet.model.messages import Publication
from comet.settings.configuration import Configuration, ConfigurationError

PLUGIN = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from comet.bus.memory.bus import MemoryBus
from comet.interfaces.busmaker import IBusMaker


@implementer(IPlugin, IBusMaker)
class Maker:
    isShared = False

    def __init__(self, scheme):
        self.scheme = scheme

    def makeBus(self, url, reactor, configuration):
        bus = MemoryBus(reactor)
        bus.url = url
        return bus


other = Maker("other")
mine = Maker("memory")
"""


class MemoryTests(SynchronousTestCase):
    """
    C{memory:}.
    """

    def test_providesInterfaces(self) -> None:
        """
        The maker provides L{IBusMaker}, and its bus L{IMessageBus}.
        """
        maker = findMaker("memory:")
        verifyObject(IBusMaker, maker)
        bus = maker.makeBus("memory:", Clock(), Configuration({}))
        verifyObject(IMessageBus, bus)

    def test_refusesPath(self) -> None:
        """
        Nothing may follow the scheme.
        """
        maker = findMaker("memory:")
        error = self.assertRaises(
            ConfigurationError, maker.makeBus, "memory:" + "x" * 99, Clock(), Configuration({})
        )
        self.assertIn(repr("memory:" + "x" * 57) + " is not a bus", str(error))

    def test_appliesConfiguration(self) -> None:
        """
        The bus holds, of each channel and in all, what the configuration says.
        """
        clock = Clock()
        configuration = Configuration(
            {"history-messages": 2, "history-total-bytes": 65536},
            {"channels": {"few": {"history-messages": 1}}},
        )
        bus = findMaker("memory:").makeBus("memory:", clock, configuration)
        assert isinstance(bus, MemoryBus)
        for channel, held in (("many", 2), ("few", 1)):
            for _ in range(3):
                publication = Publication((channel,), b'"x"')
                self.successResultOf(bus.publish([publication]))
            reading = self.successResultOf(
                bus.read([channel], bus.end._replace(position=0), 9, 99, None)
            )
            self.assertEqual(len(reading.messages), held)
        self.successResultOf(bus.publish([Publication(("large",), b"1" * 65000)]))
        self.assertLess(bus.size, 65537)


class SQLiteTests(SynchronousTestCase):
    """
    C{sqlite:}.
    """

    def test_providesInterfaces(self) -> None:
        """
        The maker provides L{IBusMaker}, and its bus L{IMessageBus}.  Making a
        bus opens no file.
        """
        maker = findMaker("sqlite:no/such/folder/comet.db")
        verifyObject(IBusMaker, maker)
        self.assertFalse(maker.isShared)
        for url in ("sqlite:no/such/folder/comet.db", "sqlite:/comet.db", "sqlite:a:b"):
            bus = maker.makeBus(url, Clock(), Configuration({}))
            verifyObject(IMessageBus, bus)
            self.assertFalse(bus.isAvailable)

    def test_refusesURLWithoutFile(self) -> None:
        """
        A URL that does not name a file is refused.
        """
        maker = findMaker("sqlite:")
        for url, part in (
            ("sqlite:", "a file has to be named"),
            ("sqlite::memory:", "'memory:' is the bus without one"),
            ("sqlite:///var/lib/comet.db", "a path follows"),
            ("sqlite:a\0b", "NUL"),
        ):
            error = self.assertRaises(
                ConfigurationError, maker.makeBus, url, Clock(), Configuration({})
            )
            self.assertIn(part, str(error))
            self.assertIn(f"{url!r} is not a bus", str(error))


class PluginTests(SynchronousTestCase):
    """
    The bus makers of plugins.
    """

    def setUp(self) -> None:
        """
        Make a plugin that Twisted finds.
        """
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / f"comet_test_{self._testMethodName.lower()}.py").write_text(PLUGIN)
        self.patch(twisted.plugins, "__path__", [str(folder), *twisted.plugins.__path__])

    def test_findsMakerOfPlugin(self) -> None:
        """
        A plugin adds a scheme.  Its maker gets the whole URL.
        """
        maker = findMaker("other:a/b")
        verifyObject(IBusMaker, maker)
        bus = maker.makeBus("other:a/b", Clock(), Configuration({}))
        self.assertEqual(getattr(bus, "url", None), "other:a/b")

    def test_pluginDoesNotReplaceOwnBus(self) -> None:
        """
        A plugin cannot take the scheme of a bus of comet's own.
        """
        self.assertEqual(type(findMaker("memory:")).__name__, "_MemoryMaker")

    def test_refusesUnknownScheme(self) -> None:
        """
        Any other scheme is refused, with a list of the known ones.
        """
        for url in ("amqp:", "amqp://x", "memory", "Memory:", ":", ""):
            error = self.assertRaises(ConfigurationError, findMaker, url)
            self.assertIn(f"{url!r} is not a bus", str(error))
            self.assertIn("memory:, other:", str(error))
