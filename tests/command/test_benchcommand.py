"""
Tests of L{comet.command.benchcommand} and L{comet.command.benchrun}.
"""

from __future__ import annotations

import json

from comet.command.benchsockets import TRANSPORTS
from tests.command.networkcase import NetworkTestCase
from tests.edge.tls import authority
from tests.ports import freePort


class BenchTests(NetworkTestCase):
    """
    C{comet bench}.
    """

    def bench(self, *words: str) -> tuple[int, str, str]:
        """
        Measure the server.
        """
        done = self.at("bench", "--channel", self.channel("x"), *words)
        return done.code, done.out, done.err

    def test_measures(self) -> None:
        """
        Every message to every reader is counted, on each transport, at a rate or one after
        the other.
        """
        for transport in TRANSPORTS:
            for rate in ("0", "1000"):
                words = ("--readers", "3", "--messages", "5", "--rate", rate, "--json")
                code, out, err = self.bench(*words, "--transport", transport)
                self.assertEqual((code, err), (0, ""))
                value = json.loads(out)
                told = tuple(value[each] for each in ("delivered", "lost", "repeated", "broken"))
                self.assertEqual(told, (15, 0, 0, 0))
                for name in ("delivery", "answer"):
                    times = value[name]
                    self.assertLess(0, times["p50"])
                    self.assertLessEqual(times["p50"], times["p99"])
                    self.assertLessEqual(times["p99"], times["max"])

    def test_table(self) -> None:
        """
        People get a table.
        """
        code, out, _ = self.bench("--readers", "2", "--messages", "3", "--rate", "0")
        self.assertEqual(code, 0)
        self.assertIn("3 messages of 100 characters, each after the last, to 2 readers", out)
        self.assertIn("delivered 6 in ", out)
        self.assertIn("lost 0, repeated 0, connections broken 0", out)

    def test_tls(self) -> None:
        """
        A server is measured over TLS, too, if its certificate is that of the authority.
        """
        certificate = str(authority().certificate)
        url = f"https://127.0.0.1:{self.site.securePort}"
        words = ("bench", url, "--channel", self.channel("x"), "--messages", "2", "--rate", "0")
        done = self.command(*words, "--ca-file", certificate)
        self.assertEqual((done.code, done.err), (0, ""))
        self.assertEqual(self.command(*words).code, 1)

    def test_refused(self) -> None:
        """
        What the server refuses is told, and what is not there.
        """
        done = self.at("bench", "--channel", "closed", "--messages", "1")
        self.assertEqual((done.code, done.out), (3, ""))
        self.assertTrue(done.err.startswith("comet: unauthorized: "), done.err)
        done = self.at("bench", "--channel", "$stats", "--messages", "1")
        self.assertEqual(done.code, 3)
        done = self.command("bench", f"http://127.0.0.1:{freePort()}")
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertTrue(done.err.startswith("comet: lost: "), done.err)
        self.assertEqual(self.command("bench", "nonsense").code, 2)

    def test_misuse(self) -> None:
        """
        Numbers that are none, and the URL of raw TCP, are misuse; and nothing is asked of the
        server with a name that is no channel.
        """
        away = f"http://127.0.0.1:{freePort()}"
        for words in (
            ("bench", away, "--rate", "nan"),
            ("bench", away, "--patience", "nan"),
            ("tail", away, "a", "--patience", "nan"),
            ("bench", away.replace("http", "tcp")),
        ):
            done = self.command(*words)
            self.assertEqual((done.code, done.out), (2, ""), words)
        for name in ("", "a//b", "a/*", "\udcff"):
            done = self.command("bench", away, "--channel", name)
            self.assertEqual((done.code, done.out, done.err.count("\n")), (3, "", 1), name)
