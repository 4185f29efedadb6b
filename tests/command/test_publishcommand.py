"""
Tests of L{comet.command.publishcommand}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.command.networkcase import ROOT, NetworkTestCase
from tests.command.test_program import ENTRY
from tests.ports import freePort


class PublishTests(NetworkTestCase):
    """
    C{comet publish}.
    """

    def test_data(self) -> None:
        """
        DATA is published as a string, or with C{--json} as what it says; its cursor is
        printed.
        """
        channel = self.channel("x")
        done = [
            self.at("publish", channel, "[1]"),
            self.at("publish", channel, "[1]", "--json", "--event", "new"),
        ]
        self.assertEqual([each.code for each in done], [0, 0])
        first, second = self.held(channel, 2)
        self.assertEqual((first["data"], first["cursor"]), ("[1]", done[0].out.strip()))
        self.assertEqual((second["data"], second["event"]), ([1], "new"))

    def test_once(self) -> None:
        """
        With the same idempotency key a message is published once.
        """
        channel = self.channel("x")
        same = [
            self.at("publish", channel, "x", "--idempotency-key", self._testMethodName).out
            for _ in range(2)
        ]
        self.assertEqual(same[0], same[1])
        self.at("publish", channel, "end")
        self.assertEqual([each["data"] for each in self.held(channel, 2)], ["x", "end"])

    def test_file(self) -> None:
        """
        A file is a message: text, JSON, or else bytes.
        """
        channel = self.channel("x")
        for content, words in ((b"a\nb", ()), (b'{"a":1}', ("--json",)), (b"\xff\0", ())):
            done = self.at("publish", channel, "--file", self.file(content), *words)
            self.assertEqual((done.code, done.err), (0, ""))
        found = self.held(channel, 3)
        self.assertEqual([each["data"] for each in found], ["a\nb", {"a": 1}, "/wA="])
        self.assertEqual(found[2]["encoding"], "base64")

    def test_lines(self) -> None:
        """
        Each line of the standard input is a message, and the last cursor is printed.
        """
        channel = self.channel("x")
        self.give("one\r\n\n  zwölf  \nlast".encode())
        done = self.at("publish", channel)
        self.assertEqual((done.code, done.err), (0, "comet: 4 messages published\n"))
        found = self.held(channel, 4)
        self.assertEqual([each["data"] for each in found], ["one", "", "  zwölf  ", "last"])
        self.assertEqual(done.out.strip(), found[-1]["cursor"])

    def test_typed(self) -> None:
        """
        A user at a terminal is told that the command waits for lines, and how they end.
        """
        channel = self.channel("x")
        keyboard, terminal = os.openpty()
        self.addCleanup(os.close, keyboard)
        file = open(terminal)
        self.addCleanup(file.close)
        self.patch(sys, "stdin", file)
        # What Ctrl-D sends, at the beginning of a line.
        os.write(keyboard, b"typed\n\x04")
        done = self.at("publish", channel)
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("each line that you type is a message", done.err)
        self.assertEqual([each["data"] for each in self.held(channel, 1)], ["typed"])

    def test_wrongLine(self) -> None:
        """
        At a line that is wrong it ends, and says which; those before it are published.
        """
        channel = self.channel("x")
        for content, words in ((b"1\n2\n{\n4\n", ("--json",)), (b"1\n2\n\xff\n4\n", ())):
            self.give(content)
            done = self.at("publish", channel, *words)
            self.assertEqual(done.code, 1)
            self.assertIn("2 messages published", done.err)
            self.assertIn("line 3 is", done.err)
        self.assertEqual([each["data"] for each in self.held(channel, 4)], [1, 2, "1", "2"])

    def test_asTheyCome(self) -> None:
        """
        A line is published before the next one comes.
        """
        channel = self.channel("x")
        environment = {**self.environment, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            [*ENTRY, "publish", self.url, channel],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"first\n")
        process.stdin.flush()
        done = self.at("tail", channel, "--since", "earliest", "--count", "1")
        self.assertEqual(done.out, "first\n")
        process.stdin.close()
        self.assertRegex(process.stdout.read(), rb"^[a-z0-9]+-[0-9]+\n$")
        process.stdout.close()
        self.assertEqual(process.wait(), 0)


class RefusalTests(NetworkTestCase):
    """
    What a server refuses, and servers that are not there.
    """

    def test_key(self) -> None:
        """
        Without the key the server refuses; with it, by file or by variable, it does not.
        """
        done = self.at("publish", "closed", "x")
        self.assertEqual((done.code, done.out), (3, ""))
        self.assertTrue(done.err.startswith("comet: unauthorized: "))
        self.assertTrue(
            done.err.endswith("--key-file FILE sends a key, and --token-file FILE a token\n")
        )
        self.assertEqual(self.at("publish", "closed", "x", "--key-file", self.keyFile).code, 0)
        self.environment["COMET_KEY"] = Path(self.keyFile).read_text()
        self.assertEqual(self.at("publish", "closed", "x").code, 0)
        del self.environment["COMET_KEY"]
        self.environment["COMET_TOKEN"] = "nonsense"
        done = self.at("publish", "closed", "x")
        self.assertEqual(done.code, 3)
        self.assertNotIn("--key-file", done.err)

    def test_unreachable(self) -> None:
        """
        Where there is no server, it fails once its patience is over.
        """
        url = f"http://127.0.0.1:{freePort()}"
        done = self.command("publish", url, "x", "x", "--patience", "0.1")
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertTrue(done.err.startswith("comet: unsent: "), done.err)

    def test_misuse(self) -> None:
        """
        What is wrong is told of before anything is sent.
        """
        for words, code in (
            (("publish", "ftp://host", "x", "x"), 2),
            (("publish", self.url, "open/x", "x", "--file", "y"), 2),
            (("publish", self.url, "open/x", "--key-file", "a", "--token-file", "b", "x"), 2),
            (("publish", self.url, "open/x", "--key-file", "none", "x"), 1),
            (("publish", self.url, "open/x", "--token-file", "none", "x"), 1),
            (("publish", self.url, "open/x", "--ca-file", "none", "x"), 1),
            (("publish", self.url, "open/x", "--file", "none"), 1),
            (("publish", self.url, "open/x", "--json", "{"), 1),
            (("publish", self.url, "open//x", "x"), 3),
        ):
            done = self.command(*words)
            self.assertEqual((done.code, done.out), (code, ""), words)
