"""
What systemd is told of the server, over a socket of its kind.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.server.notifying import Notifier


class NotifierTests(SynchronousTestCase):
    """
    A notifier, and what is heard at the socket.
    """

    def setUp(self) -> None:
        """
        Listen as systemd does.
        """
        self.clock = Clock()
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.heard.close)
        self.heard.setblocking(False)

    def listen(self, address: str | None = None) -> str:
        """
        Bind the socket, and return the name that systemd would give it.
        """
        if address is not None:
            self.heard.bind(f"\0{address[1:]}")
            return address
        # The path of such a socket has 107 bytes at most, so it is not below trial's folder,
        # which is as deep as the checkout.
        folder = tempfile.mkdtemp(prefix="comet")
        self.addCleanup(shutil.rmtree, folder)
        name = f"{folder}/s"
        self.heard.bind(name)
        return name

    def told(self) -> list[str]:
        """
        Return all that was told, and of each the first line.
        """
        return [each.split("\n")[0] for each in self.messages()]

    def messages(self) -> list[str]:
        """
        Return all that was told.
        """
        found = []
        while True:
            try:
                found.append(self.heard.recv(1000).decode("ascii"))
            except BlockingIOError:
                return found

    def make(self, **environment: str) -> Notifier:
        """
        Make a notifier that is heard.
        """
        return Notifier({"NOTIFY_SOCKET": self.listen(), **environment}, self.clock)

    def test_lives(self) -> None:
        """
        A server that serves, reads its configuration, and stops says so.
        """
        notifier = self.make()
        notifier.serving()
        notifier.reload(lambda: self.assertEqual(self.told(), ["READY=1", "RELOADING=1"]))
        self.assertEqual(self.told(), ["READY=1"])
        notifier.stopping(12.5)
        (message,) = self.messages()
        self.assertEqual(
            message.split("\n")[:2], ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={17_500_000}"]
        )
        notifier.stopped()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tellsWhenItReloads(self) -> None:
        """
        With the news of a reload is the time at which it began, by the clock of the
        system.
        """
        notifier = self.make()
        notifier.serving()
        self.told()
        notifier.reload(lambda: None)
        message = self.messages()[0]
        self.assertRegex(message, r"\ARELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+\nSTATUS=[ -~]+\Z")

    def test_noReloadBefore(self) -> None:
        """
        A reload before the server serves, or while it stops, does not make systemd
        think that it serves.
        """
        notifier = self.make()
        calls: list[int] = []
        notifier.reload(lambda: calls.append(1))
        self.assertEqual((calls, self.told()), ([1], []))
        notifier.serving()
        notifier.stopping(0)
        self.told()
        notifier.reload(lambda: calls.append(2))
        self.assertEqual((calls, self.told()), ([1, 2], []))

    def test_watchdog(self) -> None:
        """
        From the time when it serves until it has stopped, a server says twice an
        interval that it is alive.
        """
        notifier = self.make(WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid()))
        self.clock.advance(60)
        self.assertEqual(self.told(), [])
        notifier.serving()
        self.told()
        self.clock.pump([5] * 9)
        self.assertEqual(self.told(), ["WATCHDOG=1"] * 3)
        notifier.stopping(10)
        self.told()
        self.clock.advance(15)
        self.assertEqual(self.told(), ["WATCHDOG=1"])
        notifier.stopped()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_watchesAnother(self) -> None:
        """
        A watchdog of another process, and one whose time is no number or out of
        bounds, is not served.
        """
        address = self.listen()
        for pid, interval in (
            ("1", "30000000"),
            (str(os.getpid()), "0"),
            (str(os.getpid()), "soon"),
            (str(os.getpid()), "9" * 30),
        ):
            environment = {
                "NOTIFY_SOCKET": address,
                "WATCHDOG_PID": pid,
                "WATCHDOG_USEC": interval,
            }
            Notifier(environment, self.clock).serving()
            self.assertEqual(self.told(), ["READY=1"])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abstract(self) -> None:
        """
        The name of the socket may be an abstract one.
        """
        name = self.listen(f"@comet/{os.getpid()}/{id(self)}")
        Notifier({"NOTIFY_SOCKET": name}, self.clock).serving()
        self.assertEqual(self.told(), ["READY=1"])

    def test_none(self) -> None:
        """
        Without systemd, and where the name is of another kind, nothing is sent,
        logged or started.
        """
        for name in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "@"}, {"NOTIFY_SOCKET": "a"}):
            notifier = Notifier({**name, "WATCHDOG_USEC": "1000"}, self.clock)
            notifier.serving()
            notifier.stopping(1)
            notifier.stopped()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_gone(self) -> None:
        """
        Where nobody listens the server goes on, and that is logged once.
        """
        warned: list[str] = []

        class _Log:
            def warn(self, text: str, **fields: object) -> None:
                warned.append(text.format(**fields))

        notifier = Notifier({"NOTIFY_SOCKET": "/nowhere/there"}, self.clock)
        self.patch(Notifier, "_log", _Log())
        notifier.serving()
        notifier.stopping(1)
        self.assertEqual(
            warned, ["systemd cannot be told what the server does: No such file or directory"]
        )

    def test_behind(self) -> None:
        """
        If systemd does not read, the server does not wait for it.
        """
        notifier = self.make()
        for _ in range(2000):
            notifier.serving()
        self.assertLess(len(self.told()), 2000)
        notifier.serving()
        self.assertEqual(self.told(), ["READY=1"])
