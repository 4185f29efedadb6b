"""
The command line of C{twistd comet}.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from pathlib import Path

from twisted.python.usage import UsageError
from twisted.scripts._twistd_unix import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from comet.server.commandline import Options
from comet.settings.configuration import Configuration
from comet.settings.options import OPTIONS

# A good value for each option that takes one, and the value that is read.
GOOD = {
    "listen": ("unix:/tmp/x", ("unix:/tmp/x",)),
    "public-url": ("https://example.com/a", ("https://example.com/a",)),
    "tcp": ("tcp:9000", "tcp:9000"),
    "bus": ("memory:", "memory:"),
    "history-messages": ("5", 5),
    "history-seconds": ("1.5", 1.5),
    "history-bytes": ("0", 0),
    "history-total-bytes": ("65536", 65536),
    "upload-total-bytes": ("65536", 65536),
    "max-message": ("10", 10),
    "max-depth": ("2", 2),
    "max-connections": ("7", 7),
    "connections-per-client": ("8", 8),
    "connections-per-address": ("9", 9),
    "publish-rate": ("0.5", 0.5),
    "command-rate": ("0", 0.0),
    "trust-proxy": ("10.0.0.0/8", ("10.0.0.0/8",)),
    "proxy-header": ("forwarded", "forwarded"),
    "metrics": ("tcp:9000", "tcp:9000"),
    "max-channels": ("3", 3),
    "max-batch": ("4", 4),
    "heartbeat": ("0.5", 0.5),
    "token-jwks": ("https://issuer.example/jwks.json", "https://issuer.example/jwks.json"),
    "token-issuer": ("me", "me"),
    "token-audience": ("us", "us"),
    "token-lifetime": ("60", 60.0),
    "hook": ("http://127.0.0.1:8000/comet", "http://127.0.0.1:8000/comet"),
    "hook-secret": ("hook.txt", "hook.txt"),
    "hook-headers": ("Cookie, X-Team", ("cookie,x-team",)),
    "hook-timeout": ("2.5", 2.5),
    "hook-concurrency": ("8", 8),
    "hook-events": ("publish, call", ("publish,call",)),
    "hook-failure": ("allow", "allow"),
    "open": ("chat/*", ("chat/*",)),
    "open-read": ("chat/*", ("chat/*",)),
    "presence": ("chat/*", ("chat/*",)),
    "presence-grace": ("2.5", 2.5),
    "allow-origin": ("*", ("*",)),
    "drain": ("0", 0.0),
    "drain-notice": ("1", 1.0),
    "idle-timeout": ("5", 5.0),
    "workers": ("1", 1),
    "app": ("myapp.push:Site.extend", "myapp.push:Site.extend"),
    "wsgi": ("mysite.wsgi:application", "mysite.wsgi:application"),
    "wsgi-threads": ("8", 8),
    "compress-above": ("500", 500),
    "edge": ("twisted", "twisted"),
    "log-format": ("json", "json"),
    "access-log": ("access.log", "access.log"),
}

# Bad values, and what the error says is allowed.
BAD = {
    "listen": (
        ("nothing", "an endpoint such as tcp:8080:interface=127.0.0.1"),
        ("tcp:x", "an endpoint such as"),
        ("ssl:443:privateKey=/none.pem", "an endpoint such as"),
        ("systemd:", "'systemd:domain=INET:index=0' and"),
        ("systemd:domain=INET:index=0", "systemd has passed no socket to this process"),
        ("systemd:domain=INET", "either an index or a name is needed"),
        ("", "a text that is not empty"),
    ),
    "public-url": (
        ("example.com", "http://host or https://host"),
        ("ftp://example.com", "http://host or https://host"),
        ("http://example.com:99999", "http://host or https://host"),
        ("", "a text that is not empty"),
    ),
    "tcp": (("nothing", "an endpoint such as"), ("", "a text that is not empty")),
    "flash-policy": (("nothing", "an endpoint such as"), ("", "a text that is not empty")),
    "metrics": (("nothing", "an endpoint such as"), ("", "a text that is not empty")),
    "bus": (
        ("memory", "its URL begins with memory:"),
        ("nothing:x", "its URL begins with memory:"),
        ("memory:x", "nothing may follow 'memory:'"),
        ("", "a text that is not empty"),
    ),
    "history-messages": (("-1", "from 0 to"), ("many", "from 0 to"), ("", "from 0 to")),
    "history-seconds": (("0", "from 0.001 to 1e+09"), ("nan", "from 0.001"), ("", "from 0.001")),
    "history-bytes": (("1.5", "from 0 to"), ("1k", "from 0 to")),
    "history-total-bytes": (("65535", "from 65536 to"),),
    "upload-total-bytes": (("65535", "from 65536 to"),),
    "max-message": (("0", "from 1 to 67108864"), ("67108865", "from 1 to 67108864")),
    "max-depth": (("0", "from 1 to 256"), ("257", "from 1 to 256")),
    "max-connections": (("-1", "from 0 to"),),
    "connections-per-client": (("-1", "from 0 to"),),
    "connections-per-address": (("-1", "from 0 to"),),
    "publish-rate": (("-1", "a number from 0 to 1e+06"), ("1/s", "a number from 0")),
    "command-rate": (("nan", "a number from 0 to 1e+06"),),
    "trust-proxy": (
        ("localhost", "an IP address such as 10.0.0.7"),
        ("10.0.0.7/8", "a network such as 10.0.0.0/8"),
        ("", "a text that is not empty"),
    ),
    "proxy-header": (("x-real-ip", "'x-forwarded' and 'forwarded'"),),
    "max-channels": (("0", "from 1 to 10000"), ("10001", "from 1 to 10000")),
    "max-batch": (("0", "from 1 to 1000000"),),
    "heartbeat": (("0", "from 0.1 to 86400"), ("never", "from 0.1 to 86400")),
    "publish-key": (("", "a text that is not empty"),),
    "admin-key": (("", "a text that is not empty"),),
    "token-key": (("", "a text that is not empty"),),
    "token-jwks": (
        ("http://issuer.example/keys", "https is, and http only to a loopback address"),
        ("nothing", "a URL such as https://issuer.example/jwks.json is"),
    ),
    "token-issuer": (("", "a text that is not empty"),),
    "token-audience": (("", "a text that is not empty"),),
    "token-lifetime": (("0", "from 1 to"),),
    "hook": (
        ("ftp://backend/", "a URL of http or https with a host"),
        ("http://user:word@backend/", "without a user, a password and a fragment"),
    ),
    "hook-secret": (("", "a text that is not empty"),),
    "hook-headers": (("a b", "the name of a header"), ("Authorization", "other than")),
    "hook-timeout": (("0", "from 0.1 to 60"),),
    "hook-concurrency": (("0", "from 1 to 10000"),),
    "hook-events": (("publishing", "connect, subscribe, publish, call, events"),),
    "hook-failure": (("ask", "'refuse' and 'allow'"),),
    "open": (("a//b", "a channel or a pattern"), ("**/a", "a channel or a pattern")),
    "open-read": (("a//b", "a channel or a pattern"),),
    "presence": (("a//b", "a channel or a pattern"), ("$stats/a", "no presence")),
    "presence-grace": (("-1", "from 0 to 3600"),),
    "allow-origin": (
        ("example.com", "scheme://host"),
        ("https://example.com/", "not even a slash"),
        ("", "a text that is not empty"),
    ),
    "drain": (("-1", "from 0 to 3600"), ("3601", "from 0 to 3600")),
    "drain-notice": (("-1", "from 0 to 3600"),),
    "idle-timeout": (("0", "from 1 to 86400"),),
    "workers": (
        ("0", "from 1 to 1024"),
        ("2", "need a bus that several processes share, such as redis:; 'memory:' is of one"),
    ),
    "app": (("myapp", "'myapp.push:extend'"), ("a:b:c", "a module"), (":f", "a module")),
    "wsgi": (("mysite.wsgi", "a module"), ("mysite:", "a module")),
    "wsgi-threads": (("0", "from 1 to 1024"), ("1025", "from 1 to 1024"), ("x", "whole")),
    "compress-above": (("-1", "from 0"), ("x", "whole")),
    "edge": (("fast", "lean"), ("", "lean")),
    "access-log": (("", "a text that is not empty"),),
    "log-format": (("xml", "'text' and 'json'"),),
}


def parse(*arguments: str) -> Configuration:
    """
    Read a command line.
    """
    options = Options()
    options.parseOptions(list(arguments))
    return options.configuration


class OptionsTests(SynchronousTestCase):
    """
    L{Options}.
    """

    def assertRefused(self, *arguments: str) -> str:
        """
        Assert that a command line is refused.

        @return: The text of the error.
        """
        text = str(self.assertRaises(UsageError, parse, *arguments))
        self.assertNotIn("\n", text)
        return text

    def test_needsNoOption(self) -> None:
        """
        A command line without options is accepted.
        """
        configuration = parse()
        for option in OPTIONS:
            self.assertEqual(configuration[option.name], option.default)

    def test_takesEachOption(self) -> None:
        """
        Each option is taken, and changes no other option.
        """
        for name, (value, read) in GOOD.items():
            configuration = parse(f"--{name}", value)
            for option in OPTIONS:
                expected = read if option.name == name else option.default
                self.assertEqual(configuration[option.name], expected, option.name)

    def test_triesEachOption(self) -> None:
        """
        The tables above have a good and a bad value for each option without a
        test of its own.
        """
        names = {option.name for option in OPTIONS if not option.isFlag}
        self.assertEqual(
            set(GOOD), names - {"publish-key", "admin-key", "flash-policy", "token-key"}
        )
        self.assertEqual(set(BAD), names)

    def test_refusesBadValueAndSaysWhatIsAllowed(self) -> None:
        """
        The error for a bad value names the value and says what is allowed.
        """
        for name, cases in BAD.items():
            for value, allowed in cases:
                text = self.assertRefused(f"--{name}", value)
                self.assertIn(repr(value), text)
                self.assertIn(allowed, text)

    def test_takesWorkersWithSharedBus(self) -> None:
        """
        Several workers are accepted with a bus that they share.
        """
        configuration = parse("--workers", "3", "--bus", "redis://127.0.0.1")
        self.assertEqual(configuration["workers"], 3)
        text = self.assertRefused("--workers", "3", "--bus", "sqlite:x.db")
        self.assertIn("'sqlite:x.db' is of one", text)

    def test_refusesFlashPolicyWithoutTCP(self) -> None:
        """
        A policy file without raw TCP is refused.
        """
        configuration = parse("--flash-policy", "tcp:843", "--tcp", "tcp:9000")
        self.assertEqual(configuration["flash-policy"], "tcp:843")
        self.assertIn("tcp, which is not given", self.assertRefused("--flash-policy", "tcp:843"))

    def test_keepsOrderOfRepeatedOption(self) -> None:
        """
        An option that is given several times keeps the order of its values.
        """
        for name, values in (
            ("listen", ("tcp:1", "tcp:2")),
            ("public-url", ("http://a", "http://b")),
            ("open", ("a", "b/*")),
            ("allow-origin", ("http://a", "https://b:4")),
        ):
            arguments = [part for value in values for part in (f"--{name}", value)]
            self.assertEqual(parse(*arguments)[name], values)

    def test_checksEachRepeatedValue(self) -> None:
        """
        Each value of a repeated option is checked, and the error names only the
        bad one.
        """
        text = self.assertRefused("--open", "good", "--open", "b//c")
        self.assertIn("'b//c' is not allowed for open", text)
        self.assertNotIn("good", text)

    def test_demoTakesNoValue(self) -> None:
        """
        C{--demo} takes no value.
        """
        self.assertEqual(parse("--demo").openPatterns, ("lab/**", "chat/**"))
        self.assertRaises(UsageError, parse, "--demo=yes")

    def test_refusesUnknownOptionsAndWords(self) -> None:
        """
        An unknown option is refused, and so are words that are no options.
        """
        self.assertIn("--nothing is no option", self.assertRefused("--nothing", "5"))
        self.assertIn("-x is no option", self.assertRefused("-x"))
        self.assertIn("'news'", self.assertRefused("news"))

    def test_namesOptionThatWasMeant(self) -> None:
        """
        The error for an option that is nearly one names that.
        """
        for given, meant in (
            ("--hearbeat", "--heartbeat"),
            ("--hearbeat=5", "--heartbeat"),
            ("--public_url", "--public-url"),
            ("--Demo", "--demo"),
            ("--alow-origins", "--allow-origin"),
        ):
            self.assertEqual(
                self.assertRefused(given, "5"),
                f"{given.partition('=')[0]} is no option; did you mean {meant}?",
            )

    def test_saysWhatIsWrongWithOption(self) -> None:
        """
        The error names an option that lacks its value, has one too many, or is the
        beginning of several.
        """
        self.assertEqual(self.assertRefused("--heartbeat"), "--heartbeat requires argument")
        self.assertEqual(self.assertRefused("--demo=1"), "--demo must not have an argument")
        self.assertIn("--history not a unique prefix", self.assertRefused("--history", "5"))

    def test_checksFileOfKey(self) -> None:
        """
        The file of C{--publish-key} has to exist, and to hold a key.
        """
        path = Path(self.mktemp())
        text = self.assertRefused("--publish-key", str(path))
        self.assertIn(f"{os.path.abspath(path)!r} cannot be read: No such file", text)
        path.write_text("short\n")
        text = self.assertRefused("--publish-key", str(path))
        self.assertIn(repr(str(path)), text)
        self.assertIn("16 to 1024 printable ASCII characters", text)
        path.write_text("0123456789abcdef\n")
        self.assertEqual(parse("--publish-key", str(path))["publish-key"], str(path))
        self.assertIn("directory", self.assertRefused("--publish-key", "."))

    def test_tellsWhatTokensNeed(self) -> None:
        """
        Where the package that verifies tokens is not installed, the error says how to install it,
        for a secret as for a public key.
        """
        path = Path(self.mktemp())
        path.write_text("s" * 48 + "\n")
        self.assertEqual(parse("--token-key", str(path))["token-key"], (str(path),))
        loaded = import_module("jwt")
        self.addCleanup(sys.modules.__setitem__, "jwt", loaded)
        # So an import fails.
        sys.modules["jwt"] = None  # type: ignore[assignment]
        text = self.assertRefused("--token-key", str(path))
        self.assertIn("pip install 'comet-push[tokens]'", text)

    def test_checksFileOfAdminKey(self) -> None:
        """
        The file of C{--admin-key} has to exist, and to hold a key.
        """
        path = Path(self.mktemp())
        text = self.assertRefused("--admin-key", str(path))
        self.assertIn(f"the admin key {os.path.abspath(path)!r} cannot be read: No such", text)
        path.write_text("short\n")
        self.assertIn("the admin key: the file", self.assertRefused("--admin-key", str(path)))
        path.write_text("0123456789abcdef\n")
        self.assertEqual(parse("--admin-key", str(path))["admin-key"], str(path))

    def test_commandLineOverridesFile(self) -> None:
        """
        The values of C{--config} are checked like options, and options override
        them.
        """
        path = Path(self.mktemp())
        path.write_text('heartbeat = 5\nopen = "news"\ndemo = true\nmax-depth = 3\n')
        configuration = parse("--config", str(path), "--heartbeat", "7")
        self.assertEqual(configuration["heartbeat"], 7.0)
        self.assertEqual(configuration["max-depth"], 3)
        self.assertEqual(configuration.openPatterns, ("news", "lab/**", "chat/**"))

    def test_environmentStandsBetween(self) -> None:
        """
        A variable overrides the file, which another one may name, and an option
        overrides both.
        """
        path = self.mktemp()
        Path(path).write_text('heartbeat = 3\nmax-depth = 3\nmax-batch = 3\nopen = "news"\n')
        variables = {"HEARTBEAT": "5", "MAX_DEPTH": "5", "OPEN": "a b", "CONFIG": path}
        for name, value in variables.items():
            self.patch(os, "environ", {**os.environ, f"COMET_{name}": value})
        configuration = parse("--heartbeat", "7", "--open", "c")
        names = ("heartbeat", "max-depth", "max-batch", "open")
        self.assertEqual([configuration[name] for name in names], [7.0, 5, 3, ("c",)])
        self.patch(os, "environ", {**os.environ, "COMET_HEARTBEAT": "x"})
        self.assertIn("COMET_HEARTBEAT", self.assertRefused())

    def test_refusesBadFile(self) -> None:
        """
        A bad file, or a bad value in it, is an error like that of an option.
        """
        path = Path(self.mktemp())
        name = str(path)
        tried = repr(os.path.abspath(name))
        self.assertIn(f"{tried} cannot be read: No such", self.assertRefused("--config", name))
        self.assertIn("'' cannot be read", self.assertRefused("--config", ""))
        for content, told in (
            ("heartbeat 5", "is not TOML"),
            ("nothing = 5", "'nothing' cannot be set in the file; listen, "),
            ("hearbeat = 5", "cannot be set in the file; did you mean heartbeat?"),
            ("history_bytes = 5", "did you mean history-bytes?"),
            ("[channel.news]", "did you mean channels?"),
            ("[channels.news]\nhistory-second = 5", "did you mean history-seconds?"),
            ("heartbeat = 0", "0 is not allowed for heartbeat"),
            ('listen = "nothing"', "'nothing' is not allowed for listen"),
            ('bus = "nothing:"', "'nothing:' is not a bus"),
            ('allow-origin = "nothing"', "'nothing' is not an origin"),
            ('[channels."a//b"]', "'a//b' is not allowed for channels"),
        ):
            path.write_text(content)
            self.assertIn(told, self.assertRefused("--config", name))

    def test_helpDescribesEachOption(self) -> None:
        """
        C{--help} describes each option.
        """
        text = str(Options())
        for option in OPTIONS:
            self.assertIn(f"--{option.name}", text)
        self.assertIn("--config", text)


class TwistdTests(SynchronousTestCase):
    """
    L{Options}, as a part of the command line of C{twistd}.
    """

    def refused(self, *arguments: str) -> str:
        """
        Give C{twistd} a command line, and return how it ends.
        """
        error = self.assertRaises(SystemExit, ServerOptions().parseOptions, list(arguments))
        return str(error)

    def test_givesReasonAlone(self) -> None:
        """
        The process ends with the reason, and prints no usage.
        """
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        self.assertEqual(
            self.refused("-n", "comet", "--hearbeat", "5"),
            "comet: --hearbeat is no option; did you mean --heartbeat?",
        )
        self.assertIn("comet: '0' is not allowed", self.refused("comet", "--max-depth", "0"))
        self.assertEqual(output.getvalue(), "")

    def test_namesPlaceOfTwistdsOptions(self) -> None:
        """
        For an option of C{twistd} the reason says where that belongs.
        """
        for given, name in (("--pidfile=", "--pidfile"), ("-n", "-n")):
            self.assertEqual(
                self.refused("comet", given),
                f"comet: {name} is an option of twistd: it stands before the word comet",
            )

    def test_tellsVersion(self) -> None:
        """
        C{--version} tells comet's version.
        """
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        self.assertEqual(self.refused("comet", "--version"), "0")
        self.assertEqual(output.getvalue(), f"comet {import_module('comet').__version__}\n")

    def test_needsPIDFileThatCanBeWritten(self) -> None:
        """
        Where the pid file cannot be written, the reason names it and the way out.
        """
        path = os.path.abspath(os.path.join(self.mktemp(), "twistd.pid"))
        said = self.refused("-n", f"--pidfile={path}", "comet")
        self.assertIn(f"comet: the pid file {path!r} cannot be written", said)
        self.assertIn("twistd -n --pidfile= comet", said)
        ServerOptions().parseOptions(["-n", "--pidfile=", "comet"])
        ServerOptions().parseOptions(["-n", f"--pidfile={path}", "--chroot=/x", "comet"])
