"""
Tests of L{comet.server.reload}, and of what a server takes while it runs.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.errors import Unauthorized
from comet.framing.compression import Compression
from comet.http.origins import Origins
from comet.model.clients import ANONYMOUS
from comet.server.checks import checkConfiguration
from comet.server.reload import Loaded, Reloader, Sources
from comet.server.secretfiles import Secrets
from comet.server.server import Server
from comet.settings.configuration import Configuration
from tests.access.case import identify

KEY = "a-key-of-our-very-own"


class ReloadTests(SynchronousTestCase):
    """
    A server whose file changes.
    """

    def setUp(self) -> None:
        """
        Make the server, in a directory that is not the present one.
        """
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.file, self.key = self.folder / "comet.toml", self.folder / "comet.key"
        self.key.write_text(KEY)
        self.file.write_text('bus = "memory:"\n')
        given = {"max-depth": "9"}
        configuration = Configuration(given, {"bus": "memory:"})
        secrets = Secrets((KEY,))
        self.server = Server(configuration, Clock(), secrets)
        self.hub = self.server.hub
        self.reloader = Reloader(
            Sources(given, str(self.file), str(self.folder)),
            Loaded({"bus": "memory:"}, configuration, secrets),
            checkConfiguration,
            self.server.configure,
        )

    def reload(self, text: str) -> list[str]:
        """
        Change the file, and read it again.

        @return: The lines of the log.
        """
        self.file.write_text(text)
        here = os.getcwd()
        with capturedLogs() as events:
            self.reloader.reload()
        self.assertEqual(os.getcwd(), here)
        return [formatEvent(event) for event in events]

    def test_takesPresence(self) -> None:
        """
        Channels of which presence is kept can change.  A bus that does not know who is in
        a channel keeps all as it was.
        """
        self.reload('bus = "memory:"\npresence = "chat/**"\n')
        attendance = self.hub.attendance
        assert attendance is not None
        self.assertEqual(attendance.kept.of(["chat/a", "news"]), ("chat/a",))
        self.reload('bus = "memory:"\npresence = "news"\npresence-grace = 3\n')
        self.assertEqual(attendance.kept.of(["chat/a", "news"]), ("news",))
        self.patch(self.hub, "bus", object())
        [line] = self.reload('bus = "memory:"\npresence = "chat/**"\nmax-channels = 7\n')
        self.assertIn("object does not know who is in a channel", line)
        self.assertEqual(attendance.kept.of(["chat/a", "news"]), ("news",))
        self.assertEqual(self.hub.settings.limits.maxChannels, 100)
        self.reload('bus = "memory:"\n')
        self.assertTrue(attendance.kept.isEmpty)

    def test_takesCompression(self) -> None:
        """
        What is compressed can change, and the log says so.
        """
        self.assertIsNone(self.hub.settings.compression)
        [line] = self.reload("compress-above = 100\n")
        self.assertIn("compress-above changed", line)
        self.assertEqual(self.hub.settings.compression, Compression(100))
        table = 'compress-above = 100\n[channels."chat/**"]\ncompress-above = 5\n'
        [line] = self.reload(table)
        self.assertIn("channels changed", line)
        self.assertEqual(self.hub.settings.compression, Compression(100, (("chat/**", 5),)))
        self.assertIn("nothing has changed", self.reload(table)[0])

    def test_tellsOfTables(self) -> None:
        """
        Whatever changes in the tables of channels, the log says so.
        """
        for key in ("presence", "events", "open", "open-read"):
            table = f"[channels.news]\n{key} = true\n"
            [line] = self.reload(table)
            self.assertIn("channels changed", line, key)
            self.assertIn("nothing has changed", self.reload(table)[0])

    def test_takesWhatCanChange(self) -> None:
        """
        Limits, origins, what is open, retention and keys count from then on; the
        command line goes on to take precedence.
        """
        self.key.write_text("another-key-of-our-own\nand-one-more-of-our-own\n")
        [line] = self.reload(
            'max-channels = 7\nmax-depth = 3\nopen = "a"\nallow-origin = "https://a.example"\n'
            "heartbeat = 5\nhistory-messages = 2\ncommand-rate = 5\ndrain = 1\n"
        )
        self.assertIn("keys changed", line)
        self.assertNotIn("max-depth", line)
        self.assertNotIn("another-key", line)
        hub, limits = self.hub, self.hub.settings.limits
        self.assertEqual((limits.maxChannels, limits.maxDepth, hub.fanout.heartbeat), (7, 9, 5.0))
        self.assertTrue(hub.origins.verdict("https://a.example", "localhost", False).isAllowed)
        hub.access.checkPublish(ANONYMOUS, "a")
        for key in ("another-key-of-our-own", "and-one-more-of-our-own"):
            self.assertTrue(identify(hub, f"Bearer {key}").mayPublishAll)
        self.assertRaises(Unauthorized, identify, hub, f"Bearer {KEY}")
        for number in range(3):
            self.successResultOf(hub.publish("b", number))
        page: Any = self.successResultOf(hub.history("b"))
        self.assertEqual([message.data for message in page.messages], [1, 2])
        self.assertEqual(
            self.reload("max-channels = 7")[0].partition(": ")[2].endswith("changed"), True
        )
        self.assertIn("nothing has changed", self.reload("max-channels = 7")[0])

    def test_namesWhatCannotChange(self) -> None:
        """
        What cannot change is named in one line, keeps its value, and is named again
        the next time.
        """
        text = 'bus = "sqlite:x"\nlisten = "tcp:1"\nmax-batch = 5\n'
        for told in ("max-batch changed", "nothing has changed"):
            first, second = self.reload(text)
            self.assertIn(told, first)
            self.assertIn("to change listen, bus, restart the server", second)
        self.assertEqual(self.server.configuration["bus"], "memory:")
        self.assertEqual(self.hub.settings.limits.maxBatch, 5)

    def test_mistakeChangesNothing(self) -> None:
        """
        A mistake anywhere changes nothing, and is told in one line.
        """
        for text, told in (
            ("max-batch = 5\nheartbeat = 'x'", "heartbeat"),
            ("max-batch = 5\n[", "is not TOML"),
            ("max-batch = 5\npublish-key = 'gone'", "cannot be read"),
            ("max-batch = 5\nallow-origin = 'x'", "is not an origin"),
        ):
            [line] = self.reload(text)
            self.assertIn("nothing has changed, since there is a mistake", line)
            self.assertIn(told, line)
            self.assertNotIn("\n", line)
        self.key.unlink()
        self.assertIn("is not there any more", self.reload("max-batch = 5")[0])
        self.assertFalse(self.key.exists())
        self.file.unlink()
        with capturedLogs() as events:
            self.reloader.reload()
        self.assertIn("cannot be read", formatEvent(events[0]))
        self.assertEqual(self.hub.settings.limits.maxBatch, 1000)
        self.assertTrue(identify(self.hub, f"Bearer {KEY}").mayPublishAll)

    def test_accessThatFails(self) -> None:
        """
        An access object that fails when it is given the new settings keeps its own; all
        else takes them.
        """

        class Failing(Access):
            """
            Takes its first settings only.
            """

            def configure(self, settings: AccessSettings) -> None:
                if hasattr(self, "settings") and settings.openPatterns:
                    raise ZeroDivisionError
                super().configure(settings)

        self.server.access = self.server.makeAccess(Failing)
        self.reload('open = "a"\nmax-channels = 3')
        self.assertRaises(Unauthorized, self.hub.access.checkPublish, ANONYMOUS, "a")
        self.assertEqual(self.hub.settings.limits.maxChannels, 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_mistakeLeavesKeysOfIssuer(self) -> None:
        """
        After a mistake, what verifies tokens still hears when its issuer's keys change.
        """
        url = 'token-jwks = "https://issuer.example/keys"\n'
        self.reload(url)
        access: Any = self.server.access
        verifier = access.settings.tokens
        for mistake in ('allow-origin = "nonsense"', 'trust-proxy = "nonsense"', 'open = "a//b"'):
            self.assertIn("nothing has changed", self.reload(url + mistake)[0])
            self.assertEqual(verifier.keySet.changed, verifier.remembered.clear)
        self.reload(url + 'open = "a"')
        self.assertNotEqual(verifier.keySet.changed, verifier.remembered.clear)

    def test_applicationsOwn(self) -> None:
        """
        An access object that the server made for the application goes by the new
        settings, origins of its own stay, and it is told; one that fails does no harm.
        """
        server, told = self.server, []

        class Own(Access):
            """
            An application's own.
            """

        server.access = server.makeAccess(Own)
        own = self.hub.origins = Origins(["https://own.example"])
        server.whenReloaded(lambda: 1 / 0)
        server.whenReloaded(lambda: told.append(server.configuration["open"]))
        self.reload('open = "a"\nallow-origin = "*"')
        self.hub.access.checkPublish(ANONYMOUS, "a")
        self.assertIs(self.hub.origins, own)
        self.assertEqual(told, [("a",)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
