"""
Tests of the load generator: it notices each kind of fault.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from benchmarks.building import FLAGS, TLS, buildLoad
from benchmarks.figures import faults
from benchmarks.scripts import Layout, script
from benchmarks.servers import BENCHMARKS
from tests.benchmarks.faulty import PUBLISHING, READINGS, Fault, FaultyServer, faultless


def lose(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Lose the third message.
    """
    return [] if number == 2 else [message]


def repeat(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Send the third message twice.
    """
    return [message, message] if number == 2 else [message]


def swap(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Send the third message behind the fourth.
    """
    return {2: [], 3: [message, last]}.get(number, [message])


def damage(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Change one character of the third message.
    """
    return [message[:50] + b"#" + message[51:]] if number == 2 else [message]


def stray(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Send a message of an unread channel behind the third message.
    """
    return [message, b"~000001" + message[7:]] if number == 2 else [message]


def invent(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Send a message that was never published behind the third message.
    """
    return [message, message[:7] + b"0000009999" + message[17:]] if number == 2 else [message]


class LoadTests(TestCase):
    """
    The load generator against a server that makes faults on purpose.
    """

    timeout = 60

    def load(
        self, fault: Fault, transport: str, pause: float = 0.0, **options: str
    ) -> tuple[int, dict[str, Any]]:
        """
        Run the load generator on a server with a fault.

        @param pause: After how many seconds the server answers the bystander.

        @return: Its exit status, and its counts.
        """
        server = self.server = FaultyServer(fault, pause)
        self.addCleanup(server.stop)
        written = Path(self.mktemp())
        written.write_text(script(READINGS[transport], PUBLISHING, Layout(), PUBLISHING))
        given = {
            "port": str(server.port),
            "pids": str(os.getpid()),
            "mode": "paced",
            "rate": "100",
            "warmup": "0",
            "seconds": "0.2",
            "readers": "3",
            "patience": "1",
            "bystander-port": str(server.port),
            **options,
        }
        words = [f"{name}={value}" for name, value in given.items()]
        ended = subprocess.run(
            [str(buildLoad()), str(written), *words],
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        self.assertEqual(ended.stderr, "")
        return ended.returncode, json.loads(ended.stdout)

    def check(self, fault: Fault, expected: dict[str, int]) -> None:
        """
        Check that a fault is counted by its kind, in frames and in chunks, and
        that the load generator names the reader.
        """
        for transport in READINGS:
            status, counted = self.load(fault, transport)
            self.assertEqual((faults(counted), status), (expected, 1), transport)
            self.assertIn("reader 0", counted["firstFault"])

    def test_faultless(self) -> None:
        """
        Without faults the load generator counts none.  It counts each message
        for each reader, and the bytes that it took.
        """
        for transport, each in (("websocket", 102), ("sse", 100 + 8 + 12)):
            status, counted = self.load(faultless, transport)
            self.assertEqual((faults(counted), status), ({}, 0))
            self.assertEqual(counted["messages"], 20)
            self.assertEqual(counted["deliveries"], 60)
            self.assertEqual(counted["bytesDown"], 60 * each)
            self.assertEqual(counted["firstFault"], "")

    def test_lost(self) -> None:
        """
        A message that does not arrive counts as lost.
        """
        self.check(lose, {"lost": 1})

    def test_repeated(self) -> None:
        """
        A message that arrives twice counts as repeated.
        """
        self.check(repeat, {"repeated": 1})

    def test_disordered(self) -> None:
        """
        A message that arrives behind its successor counts as out of order, and
        not as lost.
        """
        self.check(swap, {"disordered": 1})

    def test_damaged(self) -> None:
        """
        A message with a changed character counts as damaged, and the published
        one as lost.
        """
        self.check(damage, {"lost": 1, "damaged": 1})

    def test_unexpected(self) -> None:
        """
        A message of a channel that the reader does not read, or one that was
        never published, counts as unexpected.
        """
        self.check(stray, {"unexpected": 1})
        self.check(invent, {"unexpected": 1})

    def test_closedLoopEnds(self) -> None:
        """
        A closed loop that waits for a lost message ends when the patience is
        over.
        """
        status, counted = self.load(lose, "websocket", mode="closed", seconds="30")
        self.assertEqual((faults(counted), status), ({"lost": 1}, 1))
        self.assertEqual(counted["messages"], 3)

    def test_anyOrder(self) -> None:
        """
        Messages that several connections publish may come in any order; one that
        comes twice, or not, still counts.
        """
        for fault, expected in ((swap, {}), (repeat, {"repeated": 1}), (lose, {"lost": 1})):
            status, counted = self.load(
                fault, "websocket", mode="closed", publishers="4", batch="8", seconds="0.1"
            )
            self.assertEqual((faults(counted), status), (expected, int(bool(expected))))
        self.assertEqual(counted["messages"] % 8, 0)

    def test_publishersAreIndependent(self) -> None:
        """
        In the mode C{each} every publisher goes on when it is answered, and what
        they published has arrived in the end.
        """
        status, counted = self.load(faultless, "websocket", mode="each", publishers="4")
        self.assertEqual((faults(counted), status), ({}, 0))
        self.assertGreater(counted["messages"], 8)
        self.assertEqual(counted["deliveries"], 3 * counted["messages"])

    def test_addresses(self) -> None:
        """
        Readers for whom the first address has no port come from the next ones.
        """
        few: dict[str, Any] = {"readers": "5", "wave": "1", "per-address": "2"}
        status, counted = self.load(faultless, "sse", **few)
        self.assertEqual((faults(counted), status), ({}, 0))
        self.assertEqual(self.server.addresses, [f"127.0.0.{number}" for number in (1, 1, 2, 2, 3)])

    def test_publishersTakeTurns(self) -> None:
        """
        Where there are fewer messages than publishers, each publishes in its turn.
        """
        status, counted = self.load(
            faultless, "websocket", mode="closed", publishers="3", seconds="0.1"
        )
        self.assertEqual((faults(counted), status), ({}, 0))
        self.assertLessEqual(
            max(self.server.published.values()) - min(self.server.published.values()), 1
        )
        self.assertEqual(len(self.server.published), 3)

    def test_bystander(self) -> None:
        """
        The longest wait of a bystander is told, with the load and without.  Its
        own messages count as no messages of the load.
        """
        status, counted = self.load(faultless, "websocket", pause=0.05, bystander="0.2")
        self.assertEqual((faults(counted), status), ({}, 0))
        self.assertEqual(counted["messages"], 20)
        for name in ("bystanderAloneNs", "bystanderMostNs"):
            self.assertGreater(counted[name], 50e6)
            self.assertLess(counted[name], 10e9)

    def test_bystanderRefused(self) -> None:
        """
        A bystander that the server refuses is a fault.
        """
        status, counted = self.load(faultless, "websocket", pause=-1.0, bystander="0.1")
        self.assertEqual((faults(counted), status), ({"otherErrors": 2}, 1))
        self.assertEqual(counted["firstFault"], "the bystander was refused")

    def test_warnings(self) -> None:
        """
        A strict compiler has no warning about the programs in C.
        """
        command = ["cc", *FLAGS, "-Werror"]
        load = sorted(BENCHMARKS.glob("load/*.c"))
        for sources, options in ((load, ()), (load, TLS), ([BENCHMARKS / "floor.c"], ())):
            made = ["-o", self.mktemp(), *map(str, sources), *options]
            told = subprocess.run([*command, *made], capture_output=True, text=True, check=False)
            self.assertEqual((told.returncode, told.stderr), (0, ""))

    def test_countsProcessorTime(self) -> None:
        """
        The processor time of the server is counted.
        """
        _, counted = self.load(faultless, "websocket")
        self.assertGreater(counted["cpuNs"], 0)
        # The server is in this process, and runs for a fifth of a second and a
        # little more.
        self.assertLess(counted["cpuNs"], 2e9)
