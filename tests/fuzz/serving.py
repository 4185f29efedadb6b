"""
A live server, and what is left in it.
"""

from __future__ import annotations

import json
import re
import signal
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.edge.connections import Ended, Silence, TcpConnection
from tests.edge.server import SIGNS, CometProcess
from tests.edge.tls import authority
from tests.fuzz.asking import Answer, Case, ask
from tests.fuzz.corpus import PREFACE, SETTINGS, UPGRADE_REQUEST

KEY: Final = "0123456789abcdef"

# For how many seconds objects may be left once all clients are gone.
LEAVING: Final = 20.0

# What is looked for: things of which there is one for each client, request, timer
# or call that waits.  Caches have others, within bounds.
_KINDS: Final = re.compile(
    r"(Connection|Channel|Request|HTTP2Stream|DetachedStream|Reader|Session|Throttle|Sink|"
    r"Exchange|Protocol|HeldPoll|HeldRequest|HeldCall|UnsentResponse|Deferred|DelayedCall|Server)$"
)
_SHARED: Final = re.compile(r"(ReadRequest|ParsedRequest|RequestHead|PublicationReader)$")

# How many more there may be: the bystander's connection may be between two
# requests.
_MORE: Final = 4

# How much processor time of the server a bystander may have to wait for, in
# seconds.
STALL: Final = 0.5

_BYSTANDING: Final = b"GET /channels/by?transport=poll HTTP/1.1\r\nHost: localhost\r\n\r\n"


def offering() -> ssl.SSLContext:
    """
    Make a context for clients of HTTP/2.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def perClient(counts: Mapping[str, int]) -> Counter[str]:
    """
    Leave out what is kept in caches, of the numbers of objects by their classes.
    """
    return Counter(
        {
            name: count
            for name, count in counts.items()
            if _KINDS.search(name) and not _SHARED.search(name)
        }
    )


class Server:
    """
    The server of one edge.

    @ivar edge: The edge.
    """

    def __init__(self, edge: str) -> None:
        self.edge = edge
        self._folder = Path(__file__).with_name("counting")
        self._tls = offering()
        self._seen = 0
        options = ("--edge", edge, "--open", "open/**", "--publish-key", "fuzz.key")
        bounds = ("--history-messages", "20", "--history-total-bytes", "4194304")
        # How many commands are too many would depend on how long each edge takes for them.
        rate = ("--command-rate", "0")
        self._process = _Process(*options, *bounds, *rate, secure=authority(), paths=[self._folder])
        self.bystander = Bystander(self)

    @property
    def port(self) -> int:
        """
        The port of HTTP.
        """
        return self._process.port

    def processor(self) -> float:
        """
        The processor time that it has used, in seconds.
        """
        return self._process.processor()

    def resident(self) -> int:
        """
        Its resident memory, in bytes.
        """
        return self._process.resident()

    def stop(self) -> None:
        """
        Stop it.
        """
        self.bystander.stop()
        self._process.remove()

    def ask(self, kind: str, cases: Sequence[Case], silence: float) -> list[Answer]:
        """
        Let clients do what they do.

        @param kind: The protocol.
        """
        process = self._process
        if kind == "http1":
            return ask(cases, process.port, silence)
        if kind == "tls":
            return ask(cases, process.securePort, silence)
        if kind == "tcp":
            return ask(cases, process.tcpPort, silence)
        if kind == "websocket":
            begun = [Case((UPGRADE_REQUEST, *case.pieces), case.ending) for case in cases]
            return ask(begun, process.port, silence)
        begun = [Case((PREFACE + SETTINGS, *case.pieces), case.ending) for case in cases]
        return ask(begun, process.securePort, silence, self._tls)

    def faults(self) -> str:
        """
        Return what is new in the log, if it has an error; else an empty string.
        """
        text = self._process.log()
        fresh, self._seen = text[self._seen :], len(text)
        return fresh if any(sign in fresh for sign in SIGNS) else ""

    @property
    def isRunning(self) -> bool:
        """
        Whether the process runs.
        """
        return self._process.isRunning

    def counts(self) -> Counter[str]:
        """
        Count what there is one of for each client, request, timer or call.
        """
        path = self._process.directory / "counts.json"
        path.unlink(missing_ok=True)
        self._process.signal(signal.SIGUSR1)
        until = time.monotonic() + 30
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        return perClient(json.loads(path.read_text()))

    def left(self, before: Counter[str]) -> dict[str, tuple[int, int]]:
        """
        Wait until nothing more is left than was there before.

        @return: What is left nevertheless: by its class, how many there were and
            are.
        """
        until = time.monotonic() + LEAVING
        while True:
            now = self.counts()
            more = {
                name: (before[name], count)
                for name, count in now.items()
                if count > before[name] + _MORE
            }
            if not more or time.monotonic() >= until:
                return more
            time.sleep(0.5)


class _Process(CometProcess):
    """
    The process, with a key that is known.
    """

    def _start(self) -> None:
        (self.directory / "fuzz.key").write_text(KEY)
        super()._start()

    def signal(self, number: signal.Signals) -> None:
        """
        Send a signal.
        """
        self._process.send_signal(number)


class Bystander:
    """
    A client that polls all the time, and notes for how much of the server's
    processor time it had to wait.

    @ivar polls: How often it has polled.
    """

    def __init__(self, server: Server) -> None:
        self.polls = 0
        self._server = server
        self._worst = 0.0
        self._isStopped = False
        self._thread = threading.Thread(target=self._run, name="bystander", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """
        Leave.
        """
        self._isStopped = True
        self._thread.join(30)

    def takeWorst(self) -> float:
        """
        Return the longest wait since the last call, in seconds of the server's
        processor time.
        """
        worst, self._worst = self._worst, 0.0
        return worst

    def _run(self) -> None:
        while not self._isStopped:
            try:
                self._poll()
            except (OSError, Ended, Silence):
                # The server has stopped.
                time.sleep(0.1)

    def _poll(self) -> None:
        connection = TcpConnection(self._server.port)
        try:
            while not self._isStopped:
                before = self._server.processor()
                connection.send(_BYSTANDING)
                connection.receiveUntil(b"\r\n\r\n", timeout=60)
                self._worst = max(self._worst, self._server.processor() - before)
                self.polls += 1
                time.sleep(0.02)
        finally:
            connection.close()
