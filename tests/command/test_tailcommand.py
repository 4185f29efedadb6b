"""
Tests of L{comet.command.tailcommand}.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from itertools import groupby
from pathlib import Path

from comet.client.blocking import Client
from comet.client.links import ALL_TRANSPORTS
from comet.command.serveroptions import TRANSPORTS
from tests.command.networkcase import ROOT, NetworkTestCase
from tests.command.running import CommandTestCase
from tests.command.test_program import ENTRY
from tests.ports import freePorts

# By which signals the process ends, one after the other, and after how many lines each time.
ENDS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)
LINES = 40

# How many messages may be published that were not printed.
AHEAD = 100

# How long the machine may take for anything, in seconds.
PATIENCE = 60.0


class TailTests(NetworkTestCase):
    """
    C{comet tail}.
    """

    def test_prints(self) -> None:
        """
        A message is a line: a string as it is, but for what a terminal would obey; anything
        else as JSON; with its event, and its channel where there may be several.
        """
        channel = self.channel("x")
        for data, *words in (
            ("plain",),
            ("two\nlines \x1b[2J",),
            ('{"a": "ü"}', "--json", "--event", "new"),
        ):
            self.assertEqual(self.at("publish", channel, data, *words).code, 0)
        self.at("publish", channel, "--file", self.file(b"\xff"))
        lines = ["plain", r"two\nlines \x1b[2J", '[new] {"a":"ü"}', "base64: /w=="]
        done = self.at("tail", channel, "--since", "earliest", "--count", "4")
        self.assertEqual((done.code, done.err), (0, ""))
        self.assertEqual(done.out.splitlines(), lines)
        for names in ((channel, "open/other"), (channel.replace("/x", "/*"),)):
            done = self.at("tail", *names, "--since", "-1", "--count", "1")
            self.assertEqual(done.out, f"{channel} base64: /w==\n")

    def test_transports(self) -> None:
        """
        Each transport brings the same.
        """
        channel = self.channel("x")
        self.at("publish", channel, "hello")
        for transport in TRANSPORTS:
            words = (channel, "--since", "earliest", "--count", "1", "--transport", transport)
            url = self.tcpURL if transport == "tcp" else self.url
            self.assertEqual(self.command("tail", url, *words).out, "hello\n")

    def test_raw(self) -> None:
        """
        A URL of raw TCP chooses the transport, and is no URL for another one or for publishing.
        """
        channel = self.channel("x")
        self.at("publish", channel, "hello")
        words = (channel, "--since", "earliest", "--count", "1")
        self.assertEqual(self.command("tail", self.tcpURL, *words).out, "hello\n")
        done = self.command("tail", self.tcpURL, "$events")
        self.assertEqual((done.code, done.out), (3, ""))
        self.assertIn("unauthorized: ", done.err)
        for wrong in (
            ("tail", self.tcpURL, channel, "--transport", "sse"),
            ("tail", self.url, channel, "--transport", "tcp"),
            ("tail", "tcp://127.0.0.1", channel),
            ("publish", self.tcpURL, channel, "x"),
            ("presence", self.tcpURL, channel),
            ("top", self.tcpURL),
        ):
            done = self.command(*wrong)
            self.assertEqual((done.code, done.out), (2, ""), done.err)

    @property
    def tcpURL(self) -> str:
        """
        The port of raw TCP.
        """
        return f"tcp://127.0.0.1:{self.site.tcpPort}"

    def test_names(self) -> None:
        """
        The command has the transports of the clients.
        """
        self.assertEqual(TRANSPORTS, ALL_TRANSPORTS)

    def test_gap(self) -> None:
        """
        A place where messages were lost is told: on the standard error, or as JSON.
        """
        channel = self.channel("x")
        self.at("publish", channel, "hello")
        words = (channel, "--since", "zzzzzz-1", "--count", "1")
        done = self.at("tail", *words)
        self.assertEqual((done.code, done.out), (0, "hello\n"))
        self.assertIn(f"messages of {channel} are lost", done.err)
        gap, message = map(json.loads, self.at("tail", *words, "--json").out.splitlines())
        self.assertEqual(gap["gap"], [channel])
        self.assertEqual(message["data"], "hello")

    def test_cursorFile(self) -> None:
        """
        With a cursor file it goes on where it was, whatever C{--since} says.
        """
        channel, path = self.channel("x"), self.mktemp()
        for number in range(4):
            self.at("publish", channel, str(number))
        words = (channel, "--since", "earliest", "--cursor-file", path, "--count", "2")
        self.assertEqual(self.at("tail", *words).out, "0\n1\n")
        self.assertEqual(self.at("tail", *words).out, "2\n3\n")

    def test_mistakes(self) -> None:
        """
        What it cannot read is refused, or fails.
        """
        for words, code in (
            (("$stats",), 3),
            (("a//b",), 3),
            (("news", "--since", "soon"), 3),
            (("news", "--cursor-file", self.file("nonsense")), 1),
            (("news", "--cursor-file", "none/file"), 1),
            ((), 2),
        ):
            done = self.at("tail", *words)
            self.assertEqual((done.code, done.out), (code, ""), (words, done.err))


class EndedTests(NetworkTestCase):
    """
    A process that is killed or stopped in the middle of a stream, again and again.
    """

    def test_losesNothing(self) -> None:
        """
        Its output has every message, in order; at a kill at most the last one twice, and
        where it is stopped each once.
        """
        channel, place = self.channel("x"), self.mktemp()
        path = Path(self.mktemp())
        path.touch()
        words = [*ENTRY, "tail", self.url, channel, "--since", "earliest", "--cursor-file", place]
        self.published, self.channelName = 0, channel
        mayRepeat = set()
        with Client(self.url) as client, path.open("ab") as output:
            for end in ENDS:
                goal = len(self.printed(path)) + LINES
                process = self.running(words, output)
                self.addCleanup(process.wait)
                self.addCleanup(process.kill)
                # While it prints, too.
                self.publishUntil(client, path, goal)
                if end == ENDS[-1]:
                    self.awaitLast(path)
                process.send_signal(end)
                code = process.wait()
                self.assertEqual(code, -end if end == signal.SIGKILL else 128 + end)
                if end == signal.SIGKILL:
                    mayRepeat.add(self.printed(path)[-1])
        printed = self.printed(path)
        once = [number for number, _ in groupby(printed)]
        self.assertEqual(once, list(range(self.published)))
        repeated = [number for number, same in groupby(printed) for _ in list(same)[1:]]
        self.assertEqual(len(set(repeated)), len(repeated))
        self.assertLessEqual(set(repeated), mayRepeat)

    def publishUntil(self, client: Client, path: Path, goal: int) -> None:
        """
        Publish until so many lines are printed, and never much more than that.
        """
        deadline = time.monotonic() + PATIENCE
        while len(self.printed(path)) < goal:
            self.assertLess(time.monotonic(), deadline)
            if self.published - len(self.printed(path)) > AHEAD:
                time.sleep(0.01)
                continue
            numbers = range(self.published, self.published + 9)
            client.publishMany({"channel": self.channelName, "data": n} for n in numbers)
            self.published += 9

    def running(self, words: list[str], output: object) -> subprocess.Popen[bytes]:
        """
        Start the command, with its output at the end of a file.
        """
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(words, env=environment, stdout=output)  # type: ignore[call-overload, no-any-return]

    def printed(self, path: Path) -> list[int]:
        """
        Return the messages that were printed.
        """
        return [int(line) for line in path.read_text().splitlines()]

    def awaitLast(self, path: Path) -> None:
        """
        Wait until the last message was printed.
        """
        deadline = time.monotonic() + PATIENCE
        while self.printed(path)[-1] != self.published - 1:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


class UnreachableTests(CommandTestCase):
    """
    Nothing answers at the URL.
    """

    def test_tellsWhy(self) -> None:
        """
        The command says why, once, and when it tries again, and does not speak of a connection
        that it never had.
        """
        self.checkTells("tail", "x")

    def test_topTellsWhy(self) -> None:
        """
        C{comet top} does, too.
        """
        self.checkTells("top")

    def checkTells(self, command: str, *more: str) -> None:
        """
        Check that a command without a server says so.
        """
        (port,) = freePorts(1)
        words = [*ENTRY, command, f"http://127.0.0.1:{port}", *more]
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stderr is not None
        self.addCleanup(process.stderr.close)
        told = process.stderr.readline().decode()
        host = rf"127\.0\.0\.1:{port}"
        self.assertRegex(told, rf"^comet: lost: no connection to {host}: .*; again in .* s$")


class OtherTests(NetworkTestCase):
    """
    C{comet presence} and C{comet top}.
    """

    def test_presence(self) -> None:
        """
        Who is in a channel is told in lines, or as JSON.
        """
        channel = self.channel("x")
        done = self.at("presence", channel)
        self.assertEqual((done.code, done.out), (0, "0 members, 0 anonymous\n"))
        value = json.loads(self.at("presence", channel, "--json").out)
        self.assertEqual((value["count"], value["members"], value["more"]), (0, [], False))
        self.assertEqual(self.at("presence", "closed").code, 3)

    def test_top(self) -> None:
        """
        The figures are those of the server, for the holder of the admin key.
        """
        self.assertEqual(self.at("top").code, 3)
        done = self.at("top", "--key-file", self.keyFile, "--count", "1", "--json")
        value = json.loads(done.out)
        self.assertEqual((done.code, value["nodes"]), (0, 1))
        self.assertGreaterEqual(value["transports"]["websocket"]["open"], 1)
