"""
Tests of L{comet.command.benchcommand} and L{comet.command.benchrun}.
"""

from __future__ import annotations

import itertools
import json

from comet.command.benchsockets import TRANSPORTS
from tests.client.awkwardserver import AwkwardServer, Play, Visit, response
from tests.command.networkcase import NetworkTestCase
from tests.command.running import CommandTestCase
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
        done = self.command(*words)
        self.assertEqual((done.code, done.out), (1, ""))
        self.assertTrue(done.err.startswith("comet: untrusted: "), done.err)

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


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n"
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


class AwkwardTests(CommandTestCase):
    """
    C{comet bench} with what is no server of comet.
    """

    def bench(self, *plays: Play) -> str:
        """
        Measure it, and fail.

        @return: What is said.
        """
        server = AwkwardServer(*plays)
        self.addCleanup(server.close)
        words = ("--readers", "1", "--messages", "1", "--patience", "0.5")
        done = self.command("bench", f"http://127.0.0.1:{server.port}", *words)
        self.assertEqual((done.code, done.out, done.err.count("\n")), (1, "", 1), done.err)
        return done.err

    def test_pages(self) -> None:
        """
        The status of a proxy's page is told, also where its connection stays open, and a redirect.
        """
        for status in (301, 404, 502):

            def play(visit: Visit, status: int = status) -> None:
                visit.take()
                visit.send(response(status, b"<p>no</p>"))
                visit.awaitEnd()

            self.assertIn(f"the server answered with status {status}", self.bench(play))

    def test_trickle(self) -> None:
        """
        A server that sends a byte now and then does not keep a reader waiting for ever, and one
        that sends without end fills no memory.
        """

        def trickle(visit: Visit) -> None:
            visit.take()
            visit.sendEach(itertools.repeat(b"x"), 0.01)

        def flood(visit: Visit) -> None:
            visit.take()
            visit.sendEach(itertools.chain([STREAM], itertools.repeat(b"x" * 65536)))

        self.assertIn("lost: ", self.bench(trickle))
        self.assertIn("badAnswer: ", self.bench(flood))

    def test_answersTwice(self) -> None:
        """
        A publication that is answered twice is told.
        """

        def greet(visit: Visit) -> None:
            visit.take()
            visit.send(STREAM + b'{"cursor":"k3f9a2-7"}\n')
            visit.awaitEnd()

        def answer(visit: Visit) -> None:
            visit.take()
            visit.send(CREATED * 2)
            visit.awaitEnd()

        self.assertIn("badAnswer: ", self.bench(greet, answer))
