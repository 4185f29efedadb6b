"""
Tests of L{comet.command.checkcommand}.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from comet.settings.configuration import Configuration
from comet.settings.options import OPTIONS
from tests.command.running import CommandTestCase

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Wrong files: the text, the line of the mistake, and a part of what is allowed.
WRONG = (
    ("heartbeat = 0", 1, "a number of seconds from 0.1 to 86400"),
    ("\nheartbeat = 'soon'", 2, "a number of seconds from 0.1 to 86400"),
    ("demo = true\nhistory-messages = -1", 2, "a whole number from 0 to 1073741824"),
    ("max-depth = 1000", 1, "a whole number from 1 to 256"),
    ("max-message = 1.5", 1, "a whole number from 1 to"),
    ("max-channels = true", 1, "a whole number from 1 to 10000"),
    ("demo = 'yes'", 1, "true and false"),
    ("edge = 'fast'", 1, "'lean'"),
    ("proxy-header = 'x-real-ip'", 1, "'forwarded'"),
    ("hook-failure = 'ignore'", 1, "'refuse'"),
    ("trust-proxy = ['10.0.0.1/33']", 1, "a network such as 10.0.0.0/8"),
    ("open = ['a//b']", 1, "a channel or a pattern such as 'chat/*'"),
    ("open-read = [\n  'news',\n  'a/**/b',\n]", 1, "a channel or a pattern"),
    ("presence = ['$stats']", 1, "presence"),
    ("allow-origin = ['https://example.com/']", 1, "scheme://host"),
    ("public-url = 'example.com'", 1, "https://host"),
    ("listen = 'tpc:80'", 1, "tcp:8080:interface=127.0.0.1"),
    ("metrics = 'tcp:99999'", 1, "0 to 65535"),
    ("listen = []", 1, "one of them is needed"),
    ("tcp = 'ssl:443:privateKey=none.pem'", 1, "none.pem"),
    ("flash-policy = 'tcp:843'", 1, "tcp, which is not given"),
    ("bus = 'mysql://host'", 1, "memory:"),
    ("bus = 'memory:x'", 1, "nothing may follow 'memory:'"),
    ("workers = 2", 1, "a bus that several processes share"),
    ("publish-key = 'none.key'", 1, "none.key"),
    ("app = 'site.py'", 1, "a module and a function"),
    ("hook = 'ftp://backend'", 1, "a URL of http or https"),
    ("hook-events = ['conect']", 1, "connect"),
    ("token-jwks = 'http://issuer.example/keys'", 1, "https"),
    ("hartbeat = 5", 1, "heartbeat"),
    ("heartbeat = 5\nheartbeat = 6", 2, "overwrite"),
    ("demo = true\nheartbeat 5", 2, "TOML"),
    ("channels = 5", 1, '[channels."chat/**"]'),
    ("[channels]\n'chat/**' = 5", 2, "a table with history-messages"),
    ("[channels.'chat//x']\npresence = true", 1, "a channel or a pattern"),
    ("[channels.'chat/**']\n\nhistory-message = 5", 3, "history-messages"),
    ("[channels.'chat/**']\nheartbeat = 5", 2, "history-messages"),
    ("[channels.'chat/**']\nhooks = ['publish']", 2, "--hook"),
    ("[channels.'chat/**']\npresence = 'yes'", 2, "true and false"),
    ("[channels.'chat/**']\nopen = false", 2, "true is"),
)


class MistakeTests(CommandTestCase):
    """
    Files that are wrong.
    """

    def test_each(self) -> None:
        """
        Each mistake is told on one line, with its place and what is allowed.
        """
        self.assertGreaterEqual(len(WRONG), 30)
        for text, line, allowed in WRONG:
            path = self.file(text)
            done = self.command("check", path)
            self.assertEqual((done.code, done.out), (1, ""), text)
            self.assertEqual(done.err.count("\n"), 1, done.err)
            self.assertEqual(done.err.partition(": ")[0], f"{path}:{line}", done.err)
            self.assertIn(allowed, done.err)

    def test_all(self) -> None:
        """
        All mistakes of a file are told, in the order of their lines; what follows only from
        another one is not.
        """
        path = self.file(
            "heartbeat = 0\nbus = 'redis://host:x'\nworkers = 2\nhook = 'x'\nhartbeat = 3\n"
            "[channels.a]\nhooks = ['publish']\nevents = 5\n"
        )
        done = self.command("check", path)
        lines = [int(each) for each in re.findall(rf"^{re.escape(path)}:(\d+):", done.err, re.M)]
        self.assertEqual((done.code, lines), (1, [1, 2, 4, 5, 8]), done.err)

    def test_json(self) -> None:
        """
        A program gets the mistakes as JSON.
        """
        path = self.file("demo = true\nmax-depth = 0\n[channels.a]\npresence = 1\n")
        done = self.command("check", "--json", path)
        value = json.loads(done.out)
        self.assertEqual((done.code, done.err, value["valid"]), (1, "", False))
        self.assertEqual(
            [(each["line"], each["key"]) for each in value["mistakes"]],
            [(2, ["max-depth"]), (4, ["channels", "a", "presence"])],
        )

    def test_noFile(self) -> None:
        """
        A file that cannot be read is a mistake, and no file a misuse.
        """
        done = self.command("check", "none.toml")
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertIn("none.toml' cannot be read", done.err)
        self.assertEqual(self.command("check").code, 2)

    def test_environment(self) -> None:
        """
        The mistake of a variable is none of the file, though the file has the option, too;
        that of the file is told as well.
        """
        self.environment["COMET_HEARTBEAT"] = "never"
        done = self.command("check", self.file("heartbeat = 5\n"))
        self.assertEqual(done.code, 1)
        self.assertTrue(done.err.startswith("comet: 'never' is not allowed for heartbeat"))
        self.assertIn("COMET_HEARTBEAT", done.err)
        self.environment["COMET_HEARTBEAT"] = "5"
        path = self.file("max-depth = 0\n")
        self.assertTrue(self.command("check", path).err.startswith(f"{path}:1: "))

    def test_terminal(self) -> None:
        """
        Nothing in a file makes the terminal do anything.
        """
        done = self.command("check", self.file('"\\u001b[2J" = 5\nopen = "\\u009b\\u202e"'))
        self.assertEqual(done.code, 1)
        self.assertTrue(done.err.replace("\n", "").isprintable())


class HoldingTests(CommandTestCase):
    """
    Files that are right.
    """

    def test_prints(self) -> None:
        """
        Every option is printed with its value, as TOML with the same meaning, and with
        where it is from.
        """
        text = (
            "heartbeat = 5\nopen = [\n'a',\n'b/*']\n"
            "[channels.'chat/**']\nhistory-messages = 7\npresence = true\n"
        )
        path = self.file(text)
        self.environment["COMET_MAX_DEPTH"] = "9"
        done = self.command("check", path)
        self.assertEqual((done.code, done.err), (0, ""))
        for line in (
            f"heartbeat = 5  # {path}:1",
            f'open = ["a", "b/*"]  # {path}:2',
            "max-depth = 9  # COMET_MAX_DEPTH",
            "drain = 10  # default",
            "# tcp is not set",
        ):
            self.assertIn(line, done.out.splitlines())
        read = Configuration({}, tomllib.loads(done.out))
        original = Configuration({"max-depth": "9"}, tomllib.loads(text))
        for option in OPTIONS:
            self.assertIn(option.name, done.out)
            self.assertEqual(read[option.name], original[option.name])
        self.assertEqual(read.tables, original.tables)

    def test_json(self) -> None:
        """
        A program gets it as JSON.
        """
        path = self.file("heartbeat = 5\n[channels.a]\nhistory-seconds = 7\n")
        self.environment["COMET_CONFIG"] = path
        done = self.command("check", "--json")
        value = json.loads(done.out)
        self.assertEqual((done.code, value["valid"]), (0, True))
        self.assertEqual(value["options"]["heartbeat"], {"value": 5, "from": 1})
        self.assertEqual(value["options"]["tcp"], {"value": None, "from": "default"})
        self.assertEqual(value["options"].keys(), {option.name for option in OPTIONS})
        self.assertEqual(value["channels"], {"a": {"history-seconds": 7}})

    def test_secrets(self) -> None:
        """
        No password, and no query of a URL, is printed.
        """
        path = self.file(
            "bus = 'redis://me:hush@host:7/0?password=hush'\nhook = 'https://backend/x?key=hush'\n"
        )
        for words in (("check", path), ("check", "--json", path)):
            done = self.command(*words)
            self.assertEqual(done.code, 0, done.err)
            self.assertNotIn("hush", done.out)
            self.assertIn("host:7/0", done.out)
            self.assertIn("https://backend/x", done.out)
        for login in (":p@hush@", "me:hush/hush@", "hush:@hush/@hush@"):
            done = self.command("check", self.file(f"bus = 'redis://{login}host:7/0'\n"))
            self.assertIn('bus = "redis://...@host:7/0"', done.out, done.err)
            self.assertNotIn("hush", done.out)

    def test_makesNothing(self) -> None:
        """
        No file is made.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        config = folder / "comet.toml"
        config.write_text("bus = 'sqlite:messages.db'\nhook = 'http://localhost/'\n")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)
        self.assertEqual(self.command("check", "comet.toml").code, 0)
        self.assertEqual(os.listdir(), ["comet.toml"])
