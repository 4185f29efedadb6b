"""
The banner and the warnings of a server that has started.
"""

from __future__ import annotations

import resource
import shlex
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.limits.capacity import openFiles
from comet.server.banner import FEW_FILES, banner, warnings
from comet.settings.configuration import Configuration


@implementer(IListeningPort)
class Port:
    """
    A port that only knows its address.
    """

    def __init__(self, host: IAddress) -> None:
        self._host = host

    def startListening(self) -> None:
        """
        Nothing to do.
        """

    def stopListening(self) -> None:
        """
        Nothing to do.
        """

    def getHost(self) -> IAddress:
        """
        Return the address.
        """
        return self._host


def announce(*hosts: IAddress, key: str = "/d/comet.key", **settings: Any) -> list[str]:
    """
    Return the banner for ports with these addresses.

    @param settings: Options, with underscores for hyphens.
    """
    given = {name.replace("_", "-"): value for name, value in settings.items()}
    return banner([Port(host) for host in hosts], Configuration(given), key)


class BannerTests(SynchronousTestCase):
    """
    L{banner}.
    """

    def test_showsURLsKeyAndCommands(self) -> None:
        """
        The banner shows the server's URLs with their real port numbers, the file
        of the key, and the commands that publish and read.
        """
        self.assertEqual(
            announce(IPv4Address("TCP", "127.0.0.1", 4567), listen=["tcp:0"]),
            [
                "comet serves HTTP on http://127.0.0.1:4567/",
                "the key to publish is in /d/comet.key",
                'publish:  curl -H "Authorization: Bearer $(head -n 1 /d/comet.key)" -d hello '
                "http://127.0.0.1:4567/channels/news",
                "listen:   curl -N 'http://127.0.0.1:4567/channels/news?transport=stream'",
            ],
        )

    def test_listensWithKey(self) -> None:
        """
        Where clients need a right to read, the command that reads shows the key.
        """
        host = IPv4Address("TCP", "127.0.0.1", 4567)
        line = (
            'listen:   curl -N -H "Authorization: Bearer $(head -n 1 /d/comet.key)" '
            "'http://127.0.0.1:4567/channels/news?transport=stream'"
        )
        given: Any = (
            ("token_key", ["k.pem"]),
            ("token_jwks", "https://a.example/keys"),
            ("hook", "https://a.example/hook"),
        )
        for option, value in given:
            self.assertIn(line, announce(host, listen=["tcp:0"], **{option: value}), option)

    def test_showsPages(self) -> None:
        """
        With C{--demo} or C{--pages} the banner shows the pages.
        """
        host = IPv4Address("TCP", "127.0.0.1", 4567)
        line = "in a browser: http://127.0.0.1:4567/ and http://127.0.0.1:4567/chat"
        self.assertIn(line, announce(host, listen=["tcp:0"], demo=True))
        self.assertIn(line, announce(host, listen=["tcp:0"], pages=True))
        self.assertNotIn(line, announce(host, listen=["tcp:0"]))

    def test_showsLoopbackForEveryInterface(self) -> None:
        """
        A port on every interface is shown with the loopback address.  An IPv6
        address is in brackets.
        """
        for host, shown in (
            (IPv4Address("TCP", "0.0.0.0", 1), "http://127.0.0.1:1/"),
            (IPv4Address("TCP", "10.0.0.5", 1), "http://10.0.0.5:1/"),
            (IPv6Address("TCP", "::", 1), "http://[::1]:1/"),
            (IPv6Address("TCP", "fe80::1", 1), "http://[fe80::1]:1/"),
        ):
            self.assertEqual(announce(host)[0], f"comet serves HTTP on {shown}")

    def test_showsHTTPSForTLS(self) -> None:
        """
        The URL of an endpoint with TLS is C{https}.
        """
        for endpoint in ("ssl:0", "tls:0"):
            lines = announce(IPv4Address("TCP", "127.0.0.1", 1), listen=[endpoint])
            self.assertEqual(lines[0], "comet serves HTTP on https://127.0.0.1:1/")
            self.assertIn("https://127.0.0.1:1/channels/news", lines[2])

    def test_showsEveryEndpoint(self) -> None:
        """
        Each endpoint has a line, and the commands use the first URL.
        """
        lines = announce(
            UNIXAddress("/tmp/x"),
            IPv4Address("TCP", "127.0.0.1", 1),
            IPv4Address("TCP", "127.0.0.1", 2),
            IPv4Address("TCP", "127.0.0.1", 3),
            listen=["unix:/tmp/x", "haproxy:tcp:1", "tcp:2"],
            tcp="tcp:3",
        )
        self.assertEqual(
            lines[:4],
            [
                "comet serves HTTP on unix:/tmp/x",
                "comet serves HTTP on haproxy:tcp:1",
                "comet serves HTTP on http://127.0.0.1:2/",
                "comet serves raw TCP on 127.0.0.1:3",
            ],
        )
        self.assertTrue(lines[5].endswith(" http://127.0.0.1:2/channels/news"), lines)

    def test_usesPublicURLInCommands(self) -> None:
        """
        If no endpoint has a URL, the commands use a public URL.  Without one
        there are no commands.
        """
        lines = announce(UNIXAddress("/tmp/x"), public_url=["https://example.com/a/"])
        self.assertTrue(lines[-2].endswith(" https://example.com/a/channels/news"))
        lines = announce(UNIXAddress("/tmp/x"), listen=["unix:/tmp/x"])
        self.assertEqual(len(lines), 2)

    def test_showsRawTCP(self) -> None:
        """
        Raw TCP is shown by its address, or by its endpoint if that is a UNIX
        socket.
        """
        host = IPv6Address("TCP", "::1", 5)
        self.assertEqual(
            announce(host, listen=[], tcp="tcp6:5")[0], "comet serves raw TCP on [::1]:5"
        )
        lines = announce(UNIXAddress("/tmp/y"), listen=[], tcp="unix:/tmp/y")
        self.assertEqual(lines[0], "comet serves raw TCP on unix:/tmp/y")

    def test_showsPortOfPolicyFile(self) -> None:
        """
        The port of the policy file is shown after that of raw TCP.
        """
        hosts = [IPv4Address("TCP", "127.0.0.1", port) for port in (1, 2, 3)]
        lines = announce(*hosts, listen=["tcp:1"], tcp="tcp:2", flash_policy="tcp:3")
        self.assertEqual(
            lines[1:3],
            [
                "comet serves raw TCP on 127.0.0.1:2",
                "comet serves Flash's policy file on 127.0.0.1:3",
            ],
        )

    def test_showsURLOfMetrics(self) -> None:
        """
        The metrics are shown by the URL that Prometheus asks, unless they are on a UNIX socket.
        """
        listening = IPv4Address("TCP", "127.0.0.1", 1)
        own = IPv4Address("TCP", "127.0.0.1", 9464)
        for endpoint, shown in (
            ("tcp:9464", "http://127.0.0.1:9464/metrics"),
            ("ssl:9464", "https://127.0.0.1:9464/metrics"),
        ):
            lines = announce(listening, own, listen=["tcp:1"], metrics=endpoint)
            self.assertEqual(lines[1], f"comet serves metrics on {shown}")
        unix = UNIXAddress("/tmp/y")
        lines = announce(listening, unix, listen=["tcp:1"], metrics="unix:/tmp/y")
        self.assertEqual(lines[1], "comet serves metrics on unix:/tmp/y")

    def test_showsOpenChannels(self) -> None:
        """
        The channels to which anyone may publish are shown.
        """
        lines = announce(IPv4Address("TCP", "127.0.0.1", 1), open=["a", "b/*"], demo=True)
        self.assertEqual(lines[-1], "open to anyone: a, b/*, lab/**, chat/**")

    def test_quotesPathOfKey(self) -> None:
        """
        The commands quote the path of the key for the shell.
        """
        key = "/a b/$(reboot)'s.key"
        line = announce(IPv4Address("TCP", "127.0.0.1", 1), key=key)[2]
        inner = line.partition("$(head -n 1 ")[2].rpartition(')"')[0]
        self.assertEqual(shlex.split(inner), [key])


class WarningTests(SynchronousTestCase):
    """
    L{warnings}.
    """

    def test_warnsOfSelectReactor(self) -> None:
        """
        A warning says that the select reactor serves few clients, and names
        better ones.
        """
        (line,) = warnings(SelectReactor.__new__(SelectReactor), None)
        self.assertIn("--reactor=epoll", line)
        self.assertEqual(warnings(MemoryReactorClock(), None), [])

    def test_warnsOfFewFiles(self) -> None:
        """
        A warning says how many files may be open, and how to raise that, if it
        can be raised.
        """
        for files, cure in (
            ((1024, 65536), "'ulimit -n 65536'"),
            ((1024, -1), "'ulimit -n 1048576'"),
            ((1024, 1024), "the administrator can raise it"),
            ((FEW_FILES - 1, FEW_FILES), f"'ulimit -n {FEW_FILES}'"),
        ):
            (line,) = warnings(object(), files)
            self.assertIn(f"at most {files[0]} files", line)
            self.assertIn(cure, line)

    def test_doesNotWarnOfManyFiles(self) -> None:
        """
        There is no warning if enough files may be open, or if their number is
        unknown.
        """
        for files in ((FEW_FILES, FEW_FILES), (-1, -1), None):
            self.assertEqual(warnings(object(), files), [])

    def test_openFilesAsksTheSystem(self) -> None:
        """
        L{openFiles} returns the system's limits.
        """
        self.assertEqual(openFiles(), resource.getrlimit(resource.RLIMIT_NOFILE))
