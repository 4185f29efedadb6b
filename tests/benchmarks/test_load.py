"""
The load generator notices what goes wrong.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from benchmarks.building import buildLoad
from benchmarks.figures import faults
from benchmarks.servers import BENCHMARKS
from benchmarks.wires import Layout, script
from tests.benchmarks.faulty import PUBLISHING, WIRES, Fault, FaultyServer, faultless


def lose(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    The third message is lost.
    """
    return [] if number == 2 else [message]


def repeat(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    The third message comes twice.
    """
    return [message, message] if number == 2 else [message]


def swap(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    The third message comes behind the fourth.
    """
    return {2: [], 3: [message, last]}.get(number, [message])


def damage(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    One character of the third message is another.
    """
    return [message[:50] + b"#" + message[51:]] if number == 2 else [message]


def stray(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Beside the third message comes one of a channel that is not read.
    """
    return [message, b"~000001" + message[7:]] if number == 2 else [message]


def invent(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Beside the third message comes one that nobody published.
    """
    return [message, message[:7] + b"0000009999" + message[17:]] if number == 2 else [message]


class LoadTests(TestCase):
    """
    The load generator against a server that does wrong on purpose.
    """

    timeout = 60

    def load(self, fault: Fault, transport: str, **options: str) -> tuple[int, dict[str, Any]]:
        """
        Let it work on a server.

        @return: How it ended, and what it counted.
        """
        server = FaultyServer(fault)
        self.addCleanup(server.stop)
        written = Path(self.mktemp())
        written.write_text(script(WIRES[transport], PUBLISHING, Layout()))
        given = {
            "port": str(server.port),
            "pids": str(os.getpid()),
            "mode": "paced",
            "rate": "100",
            "warmup": "0",
            "seconds": "0.2",
            "readers": "3",
            "patience": "1",
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
        A fault is counted for what it is, as frames and as chunks, and the
        load generator says what it was.
        """
        for transport in WIRES:
            status, counted = self.load(fault, transport)
            self.assertEqual((faults(counted), status), (expected, 1), transport)
            self.assertIn("reader 0", counted["firstFault"])

    def test_faultless(self) -> None:
        """
        Where nothing goes wrong nothing is found: each message is counted for
        each reader, with the bytes that it took.
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
        A message that does not come is lost.
        """
        self.check(lose, {"lost": 1})

    def test_repeated(self) -> None:
        """
        A message that comes twice is repeated.
        """
        self.check(repeat, {"repeated": 1})

    def test_disordered(self) -> None:
        """
        A message that comes behind the one that follows it is out of order,
        and not lost.
        """
        self.check(swap, {"disordered": 1})

    def test_damaged(self) -> None:
        """
        A message of which one character is another is damaged, and what was
        published instead of it is lost.
        """
        self.check(damage, {"lost": 1, "damaged": 1})

    def test_unexpected(self) -> None:
        """
        A message of a channel that the reader does not read, or that nobody
        has published, is unexpected.
        """
        self.check(stray, {"unexpected": 1})
        self.check(invent, {"unexpected": 1})

    def test_closedLoopEnds(self) -> None:
        """
        A closed loop that waits for what was lost ends when it has waited long
        enough.
        """
        status, counted = self.load(lose, "websocket", mode="closed", seconds="30")
        self.assertEqual((faults(counted), status), ({"lost": 1}, 1))
        self.assertEqual(counted["messages"], 3)

    def test_warnings(self) -> None:
        """
        A strict compiler has nothing to say of what is written in C.
        """
        command = ["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
        for sources in (sorted(BENCHMARKS.glob("load/*.c")), [BENCHMARKS / "floor.c"]):
            made = ["-o", self.mktemp(), *map(str, sources)]
            told = subprocess.run([*command, *made], capture_output=True, text=True, check=False)
            self.assertEqual((told.returncode, told.stderr), (0, ""))

    def test_cpu(self) -> None:
        """
        The time that the server's processor needs is counted.
        """
        _, counted = self.load(faultless, "websocket")
        self.assertGreater(counted["cpuNs"], 0)
        # It runs in this process, for a fifth of a second and what is around it.
        self.assertLess(counted["cpuNs"], 2e9)
