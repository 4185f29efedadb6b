"""
Tests of L{comet.settings.configuration}.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis.strategies import dictionaries, floats, integers, none, sampled_from
from hypothesis.strategies import lists as listsOf
from hypothesis.strategies import text as texts
from twisted.trial.unittest import SynchronousTestCase

from comet.framing.compression import Compression
from comet.model.log import Retention
from comet.settings.configuration import (
    Configuration,
    ConfigurationError,
    readEnvironment,
    readFile,
    variableOf,
)
from comet.settings.options import OPTIONS
from comet.settings.optionvalues import seconds, whole

DEFAULTS: dict[str, Any] = {
    "listen": ("tcp:8080:interface=127.0.0.1",),
    "public-url": (),
    "tcp": None,
    "flash-policy": None,
    "metrics": None,
    "bus": "memory:",
    "history-messages": 1000,
    "history-seconds": 3600.0,
    "history-bytes": 1048576,
    "history-total-bytes": 268435456,
    "upload-total-bytes": 67108864,
    "max-message": 65536,
    "max-depth": 64,
    "max-connections": 0,
    "connections-per-client": 0,
    "connections-per-address": 0,
    "publish-rate": 0.0,
    "command-rate": 100.0,
    "trust-proxy": (),
    "proxy-header": "x-forwarded",
    "max-channels": 100,
    "max-batch": 1000,
    "heartbeat": 25.0,
    "compress-above": 0,
    "publish-key": None,
    "admin-key": None,
    "token-key": (),
    "hook": None,
    "hook-secret": None,
    "hook-headers": (),
    "hook-timeout": 5.0,
    "hook-concurrency": 64,
    "hook-events": ("connect,subscribe,publish,call",),
    "hook-failure": "refuse",
    "token-jwks": None,
    "token-issuer": None,
    "token-audience": None,
    "token-lifetime": 2592000.0,
    "token-endless": False,
    "open": (),
    "open-read": (),
    "presence": (),
    "presence-grace": 10.0,
    "allow-origin": (),
    "drain": 10.0,
    "drain-notice": 0.0,
    "idle-timeout": 75.0,
    "workers": 1,
    "app": None,
    "wsgi": None,
    "wsgi-threads": 20,
    "edge": "lean",
    "log-format": "text",
    "access-log": None,
    "demo": False,
    "pages": False,
}

# The least and the greatest value of each option that is a number.
WHOLE = {
    "history-messages": (0, 1 << 30),
    "history-bytes": (0, 1 << 50),
    "history-total-bytes": (65536, 1 << 50),
    "upload-total-bytes": (65536, 1 << 50),
    "max-message": (1, 1 << 26),
    "max-depth": (1, 256),
    "max-connections": (0, 1 << 24),
    "connections-per-client": (0, 1 << 24),
    "connections-per-address": (0, 1 << 24),
    "max-channels": (1, 10000),
    "max-batch": (1, 1000000),
    "compress-above": (0, 1 << 26),
    "workers": (1, 1024),
}
SECONDS = {
    "history-seconds": (0.001, 1e9),
    "heartbeat": (0.1, 86400.0),
    "drain": (0.0, 3600.0),
    "drain-notice": (0.0, 3600.0),
    "idle-timeout": (1.0, 86400.0),
    "token-lifetime": (1.0, 1e9),
    "presence-grace": (0.0, 3600.0),
}
RATES = ("publish-rate", "command-rate")
TEXTS = (
    *("tcp", "flash-policy", "metrics", "access-log", "bus", "publish-key", "admin-key"),
    *("token-jwks", "token-issuer", "token-audience"),
)
SEVERAL = ("listen", "public-url", "token-key", "open", "open-read", "allow-origin")


class CaseWithRefusals(SynchronousTestCase):
    """
    A check of values that are refused.
    """

    def assertRefused(self, file: dict[str, Any], *parts: str) -> None:
        """
        Assert that a file is refused, and that the text of the error has all of
        these parts.
        """
        error = self.assertRaises(ConfigurationError, Configuration, {}, file)
        for part in parts:
            self.assertIn(part, str(error))
        self.assertLess(len(str(error)), 1500)


class DefaultTests(SynchronousTestCase):
    """
    The values without a command line and a file.
    """

    def test_hasDocumentedDefaults(self) -> None:
        """
        Every option has the documented default, and there are no other options.
        """
        configuration = Configuration({})
        self.assertEqual({o.name: configuration[o.name] for o in OPTIONS}, DEFAULTS)

    def test_defaultsAreAllowed(self) -> None:
        """
        Each default is allowed as a value in the file.
        """
        said = {name: value for name, value in DEFAULTS.items() if value is not None}
        configuration = Configuration({}, said)
        self.assertEqual({o.name: configuration[o.name] for o in OPTIONS}, DEFAULTS)

    def test_helpStatesDefault(self) -> None:
        """
        The help of each option that is a number states its default.
        """
        for option in OPTIONS:
            if type(option.default) in (int, float):
                self.assertIn(f"Default: {option.default:.0f}", option.help, option.name)

    def test_retentionOfOptions(self) -> None:
        """
        The retention of a channel is that of the three options.
        """
        given = {"history-messages": "5", "history-seconds": "1.5", "history-bytes": "70"}
        self.assertEqual(Configuration(given).retention("news"), Retention(5, 1.5, 70))
        self.assertEqual(Configuration({}).retention("news"), Retention())


class NumberTests(CaseWithRefusals):
    """
    Options that are whole numbers or seconds.
    """

    def test_wholeBounds(self) -> None:
        """
        A whole number within the bounds is read, from a text and from a number.
        One outside is refused, and the error has the bounds.
        """
        for name, (least, most) in WHOLE.items():
            for good in (least, most):
                self.assertEqual(Configuration({name: str(good)})[name], good)
                self.assertEqual(Configuration({}, {name: good})[name], good)
            for bad in (least - 1, most + 1, str(most + 1)):
                allowed = f"a whole number from {least} to {most} is"
                self.assertRefused({name: bad}, str(bad), name, allowed)

    def test_refusesOtherThanWhole(self) -> None:
        """
        A value that is not a whole number is refused, also if Python would
        read it as one.
        """
        texts = ("", "x", "1.5", "-1", "+1", "1_0", " 1", "\u0663", "1" * 5000)
        others: tuple[Any, ...] = (1.5, True, [1], {})
        for bad in (*texts, *others):
            for name in WHOLE:
                self.assertRefused({name: bad}, f"is not allowed for {name}: a whole number")

    def test_ignoresLeadingZeros(self) -> None:
        """
        Leading zeros of a number are ignored.
        """
        self.assertEqual(Configuration({"max-depth": "0" * 17 + "12"})["max-depth"], 12)

    def test_secondsBounds(self) -> None:
        """
        Seconds within the bounds are read, from a text and from a number.
        Seconds outside are refused, and the error has the bounds.
        """
        for name, (least, most) in SECONDS.items():
            for good in (least, most):
                self.assertEqual(Configuration({name: str(good)})[name], good)
                self.assertEqual(Configuration({}, {name: good})[name], good)
            for bad in (least - 0.01, most + 1):
                allowed = f"a number of seconds from {least:g} to {most:g} is"
                self.assertRefused({name: bad}, name, allowed)

    def test_rates(self) -> None:
        """
        Rates are numbers, perhaps with a fraction.
        """
        for name in RATES:
            for good in ("0", "0.25", "1e6"):
                self.assertEqual(Configuration({name: good})[name], float(good))
            for bad in ("-1", "1000001", "nan", "5/s", True):
                allowed = f"is not allowed for {name}: a number from 0 to 1e+06 is"
                self.assertRefused({name: bad}, allowed)

    def test_trustedProxies(self) -> None:
        """
        Proxies are addresses, networks, and the word C{unix}.
        """
        for good in ("10.0.0.7", "10.0.0.0/8", "2001:db8::/32", "::1", "unix"):
            self.assertEqual(Configuration({}, {"trust-proxy": good})["trust-proxy"], (good,))
        for bad in ("localhost", "10.0.0.7/8", "10.0.0.0/33", "", 7):
            self.assertRefused({"trust-proxy": bad}, "is not allowed for trust-proxy")

    def test_secondsForms(self) -> None:
        """
        Seconds may have a fraction and an exponent, and are read as floats.
        """
        for form, number in (("5", 5.0), ("5.", 5.0), ("0.25", 0.25), ("1e3", 1000.0)):
            value = Configuration({"heartbeat": form})["heartbeat"]
            self.assertEqual((value, type(value)), (number, float))
        self.assertIs(type(Configuration({}, {"drain": 5})["drain"]), float)

    def test_refusesOtherThanSeconds(self) -> None:
        """
        A value that is not a number of seconds is refused, also if Python would
        read it as one, and also if it is a very large number.
        """
        texts = ("", "x", "nan", "inf", "-1", "1_0", " 1", "1e999", "\u0663")
        others: tuple[Any, ...] = (float("nan"), float("inf"), 10**400, True, [1.0], {})
        for bad in (*texts, *others):
            for name in SECONDS:
                self.assertRefused({name: bad}, f"is not allowed for {name}: a number of seconds")

    @settings(deadline=None)
    @given(integers(), integers(-5, 5), integers(6, 50))
    def test_readsWholeWithinBounds(self, number: int, least: int, most: int) -> None:
        """
        An integer is read exactly if it is within the bounds.
        """
        read = whole(least, most)
        if least <= number <= most:
            self.assertEqual(read(number), number)
        else:
            self.assertRaises(ValueError, read, number)

    @settings(deadline=None)
    @given(floats())
    def test_readsSecondsWithinBounds(self, number: float) -> None:
        """
        A float is read exactly if it is within the bounds; otherwise it is
        refused, also as a text.
        """
        read = seconds(0.0, 1e5)
        if 0.0 <= number <= 1e5:
            self.assertEqual(read(number), number)
        else:
            self.assertRaises(ValueError, read, number)
            self.assertRaises(ValueError, read, repr(number))


class TextTests(CaseWithRefusals):
    """
    Options that are texts or flags, names of channels, or lists.
    """

    def test_readsTexts(self) -> None:
        """
        A text is read as it is.  An empty one is refused, and so is a value
        that is not a text.
        """
        for name in TEXTS:
            self.assertEqual(Configuration({name: "a:b"})[name], "a:b")
            others: tuple[Any, ...] = ("", 5, True, ["a"], {})
            for bad in others:
                self.assertRefused({name: bad}, f"is not allowed for {name}: a text that is not")

    def test_readsLists(self) -> None:
        """
        An option that may be given several times is a list, or a single value
        in a file.  Each value is checked, and the error shows the bad one.
        """
        for name in SEVERAL:
            self.assertEqual(Configuration({name: ["a", "b"]})[name], ("a", "b"))
            self.assertEqual(Configuration({}, {name: "a"})[name], ("a",))
            self.assertRefused({name: ["a", 5]}, f"5 is not allowed for {name}: ")
            self.assertRefused({name: ["a", ""]}, f"'' is not allowed for {name}: ")
            self.assertRefused({name: {"a": 1}}, f"is not allowed for {name}: ")

    def test_readsOpenPatterns(self) -> None:
        """
        C{open} has channels and patterns.
        """
        good = ["news", "chat/*", "a/**"]
        self.assertEqual(Configuration({}, {"open": good}).openPatterns, tuple(good))
        for bad in ("a//b", "**/a", "a,b", "x" * 300, "."):
            self.assertRefused(
                {"open": [bad]}, repr(bad[:64]), "for open", "a channel or a pattern"
            )

    def test_demoOpensPatterns(self) -> None:
        """
        C{demo} is true or false, and opens two patterns besides those of
        C{open}.
        """
        self.assertEqual(Configuration({}).openPatterns, ())
        given = {"demo": True, "open": ["a"]}
        self.assertEqual(Configuration(given).openPatterns, ("a", "lab/**", "chat/**"))
        self.assertEqual(Configuration({}, {"demo": False}).openPatterns, ())
        others: tuple[Any, ...] = ("yes", 1, 0, [])
        for bad in others:
            self.assertRefused({"demo": bad}, "is not allowed for demo: true and false are")

    def test_demoAndPagesServePages(self) -> None:
        """
        C{demo} and C{pages} both serve the pages; C{pages} opens no channel.
        """
        self.assertFalse(Configuration({}).hasPages)
        for options in ({"demo": True}, {"pages": True}, {"demo": True, "pages": True}):
            self.assertTrue(Configuration(options).hasPages)
        self.assertEqual(Configuration({"pages": True}).openPatterns, ())

    def test_readsWords(self) -> None:
        """
        C{edge} is one of two words.
        """
        for word in ("lean", "twisted"):
            self.assertEqual(Configuration({"edge": word})["edge"], word)
        for bad in ("", "Lean", 1):
            self.assertRefused({"edge": bad}, "is not allowed for edge: 'lean' and 'twisted' are")

    def test_needsEndpoint(self) -> None:
        """
        A configuration without an endpoint for HTTP or for raw TCP is refused.
        """
        self.assertRefused({"listen": []}, "neither listen nor tcp")
        self.assertEqual(Configuration({}, {"listen": [], "tcp": "tcp:1"})["listen"], ())

    def test_shortensValuesInErrors(self) -> None:
        """
        The text of an error has only the start of a long value.
        """
        values: tuple[Any, ...] = ("x" * 5000, ["x" * 5000] * 5000, 10**4000)
        for bad in values:
            self.assertRefused({"max-depth": bad}, "is not allowed for max-depth")


class FileTests(CaseWithRefusals):
    """
    The file: L{readFile}, and its values.
    """

    def write(self, content: str | bytes) -> str:
        """
        Write a file.

        @return: Its path.
        """
        path = Path(self.mktemp())
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    def read(self, content: str, **given: str) -> Configuration:
        """
        Read a file, with options on the command line.
        """
        named = {name.replace("_", "-"): value for name, value in given.items()}
        return Configuration(named, readFile(self.write(content)))

    def test_readsOptions(self) -> None:
        """
        The options have the same names in the file as on the command line.
        """
        configuration = self.read(
            'listen = ["tcp:1", "tcp:2"]\nheartbeat = 5\ndemo = true\nmax-depth = 3\n'
        )
        self.assertEqual(configuration["listen"], ("tcp:1", "tcp:2"))
        self.assertEqual(configuration["heartbeat"], 5.0)
        self.assertEqual(configuration["demo"], True)
        self.assertEqual(configuration["max-depth"], 3)
        self.assertEqual(configuration["drain"], 10.0)

    def test_commandLineWins(self) -> None:
        """
        A value on the command line comes before that in the file, which has to be allowed, too.
        """
        error = self.assertRaises(ConfigurationError, self.read, "heartbeat = 0\n", heartbeat="7")
        self.assertEqual(error.key, ("heartbeat",))
        configuration = self.read("heartbeat = 5\nmax-depth = 3\n", heartbeat="7")
        self.assertEqual((configuration["heartbeat"], configuration["max-depth"]), (7.0, 3))

    def test_refusesUnknownName(self) -> None:
        """
        An unknown name is refused, and the error has the known ones.
        """
        self.assertRefused({"nothing": 5}, "'nothing'", "heartbeat", "[channels.")
        self.assertRefused({"hearbeat": 5}, "'hearbeat' cannot be set", "did you mean heartbeat?")
        self.assertRefused({"config": "x"}, "'config' cannot be set in the file")
        self.assertRefused({"x" * 5000: 5}, "'" + "x" * 64 + "'")

    def test_retentionOfFirstPattern(self) -> None:
        """
        Each value of the retention of a channel is that of the first table in the file
        whose pattern matches it and that has the value, else the default.
        """
        configuration = self.read(
            "history-bytes = 77\n"
            '[channels."chat/vip"]\nhistory-messages = 1\n'
            '[channels."chat/**"]\nhistory-messages = 2\nhistory-seconds = 3\nhistory-bytes = 4\n'
            "[channels.news]\n"
        )
        self.assertEqual(configuration.retention("chat/vip"), Retention(1, 3.0, 4))
        self.assertEqual(configuration.retention("chat/a/b"), Retention(2, 3.0, 4))
        self.assertEqual(configuration.retention("news"), Retention(1000, 3600.0, 77))
        self.assertEqual(configuration.retention("other"), Retention(1000, 3600.0, 77))

    def test_hooks(self) -> None:
        """
        What is asked about is in the tables; somebody has to be there who is asked.
        """
        tables = '[channels.quiet]\nhooks = []\n[channels."**"]\nhooks = ["publish", "subscribe"]\n'
        asked = [("quiet", ()), ("**", ("publish", "subscribe"))]
        self.assertEqual(self.read("app = 'a:b'\n" + tables).hookTables, asked)
        one = "hook = 'http://127.0.0.1/'\n[channels.news]\nhooks = 'publish'\n"
        self.assertEqual(self.read(one).hookTables, [("news", ("publish",))])
        self.assertRefused({"channels": {"news": {"hooks": []}}}, "nothing to ask", "--hook")
        self.assertRefused(
            {"app": "a:b", "channels": {"news": {"hooks": ["call"]}}},
            "'call' is not allowed for hooks of 'news'",
            "'publish'",
        )

    def test_presence(self) -> None:
        """
        Tables come before the option, in their order; the server's own channels have no
        presence.  What tells of members is held by values of its own.
        """
        tables = (
            '[channels."chat/secret"]\npresence = false\n[channels."chat/**"]\npresence = true\n'
        )
        configuration = self.read(
            "presence = ['game/*']\n[channels.news]\nhistory-bytes = 5\n" + tables
        )
        rules = [("chat/secret", False), ("chat/**", True), ("game/*", True)]
        self.assertEqual(configuration.presenceRules, rules)
        self.assertRefused({"presence": ["$stats/a"]}, "the server's own channels")
        self.assertRefused({"channels": {"news": {"presence": "maybe"}}}, "presence of 'news'")
        telling = Retention(20_000, 600.0, 8 << 20)
        self.assertEqual(configuration.retention("$presence/chat/a"), telling)
        other = self.read('[channels."$presence/**"]\nhistory-messages = 7\n')
        self.assertEqual(other.retention("$presence/a"), Retention(7, 600.0, 8 << 20))

    def test_opens(self) -> None:
        """
        Tables open channels beside the options, in any order, and close none.
        """
        configuration = self.read(
            "open = ['game/*']\n[channels.'chat/secret']\npresence = true\n"
            "[channels.'chat/**']\nopen = true\n[channels.news]\nopen-read = true\n"
        )
        self.assertEqual(configuration.openPatterns, ("game/*", "chat/**"))
        self.assertEqual(configuration.openReadPatterns, ("news",))
        self.assertEqual(json.loads(configuration.shared["open"]), ["chat/**", "game/*"])
        for key in ("open", "open-read"):
            for value in (False, 1, "true", ["a"]):
                self.assertRefused(
                    {"channels": {"news": {key: value}}}, f"{key} of 'news': true is"
                )

    def test_events(self) -> None:
        """
        Tables say of which channels events are told; they are sent where the hook is to be
        sent them, and have bounds of their own.
        """
        tables = '[channels."chat/b"]\nevents = false\n[channels."chat/**"]\nevents = true\n'
        quiet = self.read("hook = 'http://127.0.0.1/'\n" + tables)
        self.assertEqual(quiet.eventRules, [("chat/b", False), ("chat/**", True)])
        self.assertIs(quiet.sendsEvents, False)
        some = "hook = 'http://127.0.0.1/'\nhook-events = ['events']\n"
        self.assertIs(self.read(some + tables).sendsEvents, True)
        self.assertIs(self.read(some + "app = 'a:b'\n").sendsEvents, True)
        self.assertIs(self.read("hook-events = 'events'\n" + tables).sendsEvents, False)
        self.assertRefused(
            {"hook": "http://127.0.0.1/", "hook-events": "events"}, "none to send", "events = true"
        )
        self.assertEqual(quiet.retention("$events"), Retention(100_000, 86_400.0, 64 << 20))
        self.assertEqual(quiet.retention("$lease/hook"), Retention(10, 60.0, 65_536))
        self.assertEqual(quiet.retention("$eve"), Retention())

    def test_hookEvents(self) -> None:
        """
        The backend is asked everything unless the option says what; where it is not asked
        which client it is, anyone reads.
        """
        url = {"hook": "http://127.0.0.1/"}
        self.assertEqual(Configuration(url).hookEvents, ("connect", "subscribe", "publish", "call"))
        some = Configuration({**url, "hook-events": ["publish,call", "publish"]})
        self.assertEqual(some.hookEvents, ("publish", "call"))
        self.assertEqual(
            [Configuration(url).isReadingRestricted, some.isReadingRestricted], [True, False]
        )

    def test_compression(self) -> None:
        """
        Nothing is compressed unless the option or a table says from which size on; the
        tables come before the option, in their order.
        """
        self.assertIsNone(Configuration({}).compression)
        self.assertIsNone(self.read('[channels."a/**"]\ncompress-above = 0\n').compression)
        self.assertEqual(Configuration({"compress-above": "100"}).compression, Compression(100))
        tables = (
            'compress-above = 50\n[channels."chat/a"]\ncompress-above = 0\n'
            '[channels.news]\nhistory-bytes = 5\n[channels."chat/**"]\ncompress-above = 9\n'
        )
        self.assertEqual(
            self.read(tables).compression, Compression(50, (("chat/a", 0), ("chat/**", 9)))
        )
        self.assertRefused({"compress-above": -1}, "-1", "compress-above")
        self.assertRefused(
            {"channels": {"news": {"compress-above": "x"}}}, "compress-above of 'news'"
        )

    def test_refusesBadChannels(self) -> None:
        """
        A bad value in the tables of channels is refused, and the error has the
        pattern.
        """
        others: tuple[Any, ...] = (5, "news", [{"news": {}}])
        for channels in others:
            self.assertRefused({"channels": channels}, "is not allowed for channels", "[channels.")
        self.assertRefused({"channels": {"news": 5}}, "5 is not allowed for 'news'", "a table")
        self.assertRefused({"channels": {"a//b": {}}}, "'a//b' is not allowed for channels")
        unknown = {"channels": {"news": {"heartbeat": 5}}}
        self.assertRefused(unknown, "'heartbeat' cannot be set for 'news'", "history-bytes")
        negative = {"channels": {"news": {"history-messages": -1}}}
        self.assertRefused(negative, "-1 is not allowed for history-messages of 'news'", "from 0")

    def test_sharedValues(self) -> None:
        """
        What all nodes should have in common is there as text, with the tables
        of channels in their order.  The order of origins, addresses and open
        patterns makes no difference.
        """
        tables = {"a/*": {"history-messages": 5}, "a/b": {"history-seconds": 2}}
        shared = Configuration({"open": ["b", "a"]}, {"demo": True, "channels": tables}).shared
        self.assertEqual(shared["history-messages"], "1000")
        self.assertEqual(shared["history-total-bytes"], "268435456")
        self.assertEqual(shared["open"], '["a", "b", "chat/**", "lab/**"]')
        self.assertEqual(
            shared["channels"],
            '[["a/*", {"history-messages": 5}], ["a/b", {"history-seconds": 2.0}]]',
        )
        self.assertEqual((shared["presence"], shared["presence-grace"]), ("[]", "10.0"))
        other = dict(reversed(tables.items()))
        given = {"open": ["a", "b"], "demo": True, "heartbeat": "7"}
        again = Configuration(given, {"channels": other}).shared
        self.assertEqual({key for key in shared if shared[key] != again[key]}, {"channels"})
        for key in ("allow-origin", "public-url"):
            one, two = (Configuration({key: each}).shared for each in (["x", "y"], ["y", "x"]))
            self.assertEqual((one[key], two[key]), ('["x", "y"]', '["x", "y"]'))

    def test_fileCannotBeRead(self) -> None:
        """
        The error about a file that cannot be read has the path and the reason.
        """
        for path, reason in ((self.mktemp(), "No such file"), (".", "directory")):
            error = self.assertRaises(ConfigurationError, readFile, path)
            self.assertIn(repr(os.path.abspath(path)), str(error))
            self.assertIn(reason, str(error))

    def test_fileIsNotTOML(self) -> None:
        """
        The error about a file that is not TOML has the path and the place.
        """
        path = self.write("heartbeat = 5\nmax-depth 5\n")
        error = self.assertRaises(ConfigurationError, readFile, path)
        self.assertIn(repr(path), str(error))
        self.assertIn("line 2", str(error))
        error = self.assertRaises(ConfigurationError, readFile, self.write(b"bus = '\xff'"))
        self.assertIn("is not TOML", str(error))

    @settings(deadline=None)
    @given(
        dictionaries(
            sampled_from([*DEFAULTS, "channels", "other"]),
            none()
            | texts()
            | integers()
            | floats()
            | listsOf(texts() | integers())
            | dictionaries(texts(), integers() | dictionaries(texts(), integers())),
        )
    )
    def test_readsOrRefusesAnything(self, file: dict[str, Any]) -> None:
        """
        Any content of a file is read, or refused with a text.
        """
        try:
            configuration = Configuration({}, file)
        except ConfigurationError as error:
            self.assertGreater(len(str(error)), 10)
        else:
            self.assertIsInstance(configuration.retention("news"), Retention)


class EnvironmentTests(SynchronousTestCase):
    """
    Variables of the environment.
    """

    def test_namesAndForms(self) -> None:
        """
        Each option has a variable.  Several values stand between white space, and a
        flag is a word.
        """
        found = readEnvironment(
            {
                "COMET_HISTORY_SECONDS": "60",
                "COMET_OPEN": " news  chat/* ",
                "COMET_DEMO": "No",
                "COMET_PAGES": "1",
                "COMET_CONFIG": "comet.toml",
                "COMET_TCP": "",
            }
        )
        expected = {"history-seconds": 60.0, "open": ("news", "chat/*"), "demo": False}
        self.assertEqual(found, {**expected, "pages": True, "config": "comet.toml"})
        for option in OPTIONS:
            (name,) = readEnvironment({variableOf(option.name): _EXAMPLES.get(option.name, "1")})
            self.assertEqual(name, option.name)

    def test_ignoresOthers(self) -> None:
        """
        Variables of other programs are ignored, as those that Kubernetes sets for a
        service of the name comet.
        """
        others = ("COMET_PORT", "COMET_SERVICE_HOST", "COMET_PORT_8080_TCP", "COMET_KEY", "LISTEN")
        self.assertEqual(readEnvironment(dict.fromkeys(others, "x")), {})

    def test_refusals(self) -> None:
        """
        A value that is not allowed, and a name that is nearly one, are refused with
        the variable.
        """
        for variable, value, part in (
            ("COMET_HEARTBEAT", "x", "'x' is not allowed for heartbeat (the variable COMET_HEART"),
            ("COMET_DEMO", "maybe", "true and false are"),
            ("COMET_HEARBEAT", "5", "did you mean COMET_HEARTBEAT?"),
            ("COMET_CONFIGG", "5", "did you mean COMET_CONFIG?"),
        ):
            error = self.assertRaises(ConfigurationError, readEnvironment, {variable: value})
            self.assertIn(part, str(error))


# A value of each option that does not take 1.
_EXAMPLES = {
    "app": "a:b",
    "wsgi": "a:b",
    "edge": "lean",
    "history-total-bytes": "65536",
    "upload-total-bytes": "65536",
    "hook": "http://127.0.0.1:8000/",
    "trust-proxy": "unix",
    "proxy-header": "forwarded",
    "hook-events": "publish",
    "hook-failure": "allow",
    "log-format": "json",
}
