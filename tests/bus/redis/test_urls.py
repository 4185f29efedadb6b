"""
Tests for L{comet.bus.redis.urls}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from comet.bus.redis.urls import RedisURL, parseURL
from comet.bus.registry import findMaker
from comet.interfaces.busmaker import IBusMaker
from comet.interfaces.messagebus import IMessageBus
from comet.settings.configuration import Configuration, ConfigurationError

ROOT = Path(__file__).resolve().parents[3]


class URLTests(SynchronousTestCase):
    """
    L{parseURL}.
    """

    def assertRefused(self, url: str, *parts: str) -> None:
        """
        Assert that a URL is refused, with a text that has these parts and no
        password.
        """
        text = str(self.assertRaises(ConfigurationError, parseURL, url))
        for part in parts:
            self.assertIn(part, text)
        self.assertNotIn("secret", text)

    def test_readsHostPortAndDatabase(self) -> None:
        """
        A URL has a host, and may have a port and a database.
        """
        for url, host, port, db in (
            ("redis://localhost", "localhost", 6379, 0),
            ("redis://localhost/", "localhost", 6379, 0),
            ("redis://10.0.0.1:7000/3", "10.0.0.1", 7000, 3),
            ("redis://[::1]:7000", "::1", 7000, 0),
            ("rediss://redis.example.com?db=2", "redis.example.com", 6379, 2),
        ):
            parsed = parseURL(url)
            self.assertEqual((parsed.hosts, parsed.db), (((host, port),), db), url)
            self.assertEqual(parsed.isTLS, url.startswith("rediss"))
            self.assertEqual((parsed.prefix, parsed.timeout), ("{comet}:", 5.0))

    def test_readsLogin(self) -> None:
        """
        A user and a password may stand before the host, percent-encoded, or be
        parameters.  A password may stand alone.
        """
        for url, username, password in (
            ("redis://me:se%40cret@h", "me", "se@cret"),
            ("redis://:secret@h", "", "secret"),
            ("redis://me@h?password=p%26q", "me", "p&q"),
            ("redis://h?username=me&password=", "me", ""),
            ("redis://h", "", None),
        ):
            parsed = parseURL(url)
            self.assertEqual((parsed.username, parsed.password), (username, password), url)

    def test_readsSocket(self) -> None:
        """
        A URL may have the path of a UNIX socket.
        """
        parsed = parseURL("redis+unix://me:p@/run/redis/re%20dis.sock?db=1")
        self.assertEqual((parsed.path, parsed.db), ("/run/redis/re dis.sock", 1))
        self.assertEqual((parsed.username, parsed.password), ("me", "p"))

    def test_readsSentinels(self) -> None:
        """
        A URL may have several sentinels, the service, and the logins of
        sentinels and Redis.
        """
        parsed = parseURL("redis+sentinel://me:p@a,b:7,[::2]:8/mine/4?sentinel_password=q")
        self.assertEqual(parsed.hosts, (("a", 26379), ("b", 7), ("::2", 8)))
        self.assertEqual((parsed.service, parsed.db), ("mine", 4))
        self.assertEqual((parsed.password, parsed.sentinelPassword), ("p", "q"))
        self.assertTrue(parseURL("rediss+sentinel://a/mine").isTLS)

    def test_readsParameters(self) -> None:
        """
        A URL may have a prefix, whose text in braces chooses the node of keys,
        a timeout, and files for TLS.
        """
        self.assertEqual(parseURL("redis://h?prefix=one").prefix, "{one}:")
        self.assertEqual(parseURL("redis://h?prefix=a{one}b").prefix, "a{one}b")
        self.assertEqual(parseURL("redis://h?timeout=0.5").timeout, 0.5)
        parsed = parseURL("rediss://h?ssl_ca_certs=/a&ssl_certfile=/b&ssl_keyfile=/c")
        self.assertEqual(
            (parsed.authorities, parsed.certificate, parsed.privateKey), ("/a", "/b", "/c")
        )

    def test_refusesInvalidURL(self) -> None:
        """
        The error names what is wrong, and what is allowed.
        """
        for url, *parts in (
            ("redis:", "redis://[user:password@]host[:port][/db]"),
            ("redis:localhost", "redis://"),
            ("redis://", "'', which is not a host and port"),
            ("redis://me:secret@", "which is not a host and port"),
            ("redis://h:99999", "'h:99999'"),
            ("redis://h:secret@g:x", "'g:x'"),
            ("redis://h/one", "'one' as a database", "0 to 65535"),
            ("redis://h/1/2", "'1/2' as a database"),
            ("redis://h/99999", "'99999' as a database"),
            ("redis://h/0000000009999999", "as a database"),
            ("redis://a,b", "redis+sentinel://"),
            ("redis://h?tls=1", "'tls' is not a parameter", "prefix"),
            ("redis://h?ssl_ca_certs=x", "'ssl_ca_certs' is not a parameter"),
            ("redis://h?timeout=0", "0.1 to 60"),
            ("redis://h?timeout=nan", "'nan' as a timeout"),
            ("redis://h?prefix=a b", "'a b' as a prefix"),
            ("redis://h?prefix={a", "'{a' as a prefix"),
            ("redis://h?" + "a=1&" * 30, "more than 20 parameters"),
            ("redis://h#1", "'#'"),
            ("redis+unix://host", "no path"),
            ("redis+unix://h/path", "no path"),
            ("redis+sentinel://h", "no name of a service"),
            ("redis+sentinel://h/", "no name of a service"),
        ):
            self.assertRefused(url, *parts)

    def test_showsNoPassword(self) -> None:
        """
        The text of a URL for the log has no password.
        """
        for url, shown in (
            ("redis://me:secret@h", "redis://h:6379"),
            ("redis://:secret@[::1]:7/1", "redis://[::1]:7"),
            ("redis+unix://:secret@/a/b", "redis+unix:///a/b"),
            (
                "redis+sentinel://:secret@a,b/s?sentinel_password=secret",
                "redis+sentinel://a:26379,b:26379/s",
            ),
        ):
            parsed = parseURL(url)
            self.assertEqual(str(parsed), shown)
            self.assertNotIn("secret", repr(parsed))

    @settings(deadline=None)
    @given(st.text(max_size=40), st.sampled_from(["redis", "redis+unix", "redis+sentinel"]))
    def test_anyURL(self, text: str, scheme: str) -> None:
        """
        Any text after the scheme is read or refused.
        """
        try:
            parsed = parseURL(f"{scheme}://{text}")
        except ConfigurationError:
            return
        self.assertIsInstance(parsed, RedisURL)
        self.assertTrue(parsed.hosts or parsed.path)


class MakerTests(SynchronousTestCase):
    """
    L{findMaker}, for URLs of a Redis.
    """

    def test_makerOfEachScheme(self) -> None:
        """
        Each scheme has a maker, which connects to nothing.
        """
        for url in (
            "redis://h",
            "rediss://h",
            "redis+unix:///s",
            "redis+sentinel://h/s",
            "rediss+sentinel://h/s",
        ):
            maker = findMaker(url)
            verifyObject(IBusMaker, maker)
            self.assertTrue(maker.isShared)
            clock = Clock()
            bus = maker.makeBus(url, clock, Configuration({}))
            verifyObject(IMessageBus, bus)
            self.assertFalse(bus.isAvailable)
            self.assertEqual(clock.getDelayedCalls(), [])

    def test_makerRefusesInvalidURL(self) -> None:
        """
        A maker refuses a URL that is not valid.
        """
        maker = findMaker("redis://")
        self.assertRaises(ConfigurationError, maker.makeBus, "redis://", Clock(), Configuration({}))

    def test_hiredisMissing(self) -> None:
        """
        Without hiredis, the error says how to install it.  Other buses can be
        used.
        """
        program = (
            "import sys; sys.modules['hiredis'] = None\n"
            "from twisted.internet.task import Clock\n"
            "from comet.bus.registry import findMaker\n"
            "from comet.settings.configuration import Configuration\n"
            "for url in ('memory:', 'redis://h'):\n"
            "    findMaker(url).makeBus(url, Clock(), Configuration({}))\n"
        )
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertIn("ConfigurationError: the bus redis: needs a package", done.stderr)
        self.assertIn("pip install 'comet-push[redis]'", done.stderr)
