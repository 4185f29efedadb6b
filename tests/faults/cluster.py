"""
The system under faults: the nodes, the engine behind them, and all links.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.edge.connections import Site
from tests.edge.server import SIGNS
from tests.edge.test_tokens import SECRET
from tests.faults.book import Book
from tests.faults.machines import Node, RedisProcess, freeze
from tests.faults.plan import Fault
from tests.faults.proxy import Link, Proxies
from tests.faults.visitors import GRACE

# A history that holds more than any run publishes.
_ALL: Final = (
    "--history-messages 10000000 --history-bytes 10000000000 --history-total-bytes 10000000000"
).split()

# How long the last faults may take, which wait for each other, in seconds.
_MENDING: Final = 600

# The interval at which ended processes are started again, in seconds.
_ROUND: Final = 0.1


@frozen
class Settings:
    """
    The settings of a run.

    @ivar bus: C{memory}, C{sqlite} or C{redis}.

    @ivar isLossy: Whether the log may begin a new epoch.

    @ivar isStale: Whether a Redis that is killed comes back with what it had some
        seconds before.  Then the log is lossy, too.

    @ivar history: The number of messages that a channel holds; 0 for all.

    @ivar edge: C{lean} or C{twisted}.
    """

    bus: str
    isLossy: bool = False
    isStale: bool = False
    history: int = 0
    edge: str = "lean"

    @property
    def nodes(self) -> int:
        """
        The number of nodes.
        """
        return 3 if self.bus == "redis" else 1


class Cluster:
    """
    All processes and links of a run.

    @ivar sites: The addresses of the nodes.

    @ivar counts: The faults by kind, and other events of the processes.
    """

    def __init__(self, settings: Settings, folder: Path, book: Book, seed: int) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.nodes: list[Node] = []
        self.sites: list[Site] = []
        self._folder = folder
        self._book = book
        self._chance = random.Random(f"cluster {seed}")
        self._proxies = Proxies()
        self._engine: RedisProcess | None = None
        self._busLinks: list[Link] = []
        self._threads: list[threading.Thread] = []
        self._isOver = threading.Event()
        # A fault holds the lock of its node.
        self._nodeLocks: list[threading.Lock] = []
        self._linkLocks: list[threading.Lock] = []
        self._busLocks: list[threading.Lock] = []
        self._engineLock = threading.Lock()
        self._tokenKey = str(folder / "token.key")

    def start(self) -> None:
        """
        Start all processes, and wait until they are ready.
        """
        settings = self.settings
        Path(self._tokenKey).write_text(SECRET)
        if settings.bus == "redis":
            keeps = "old" if settings.isStale else "nothing" if settings.isLossy else "all"
            self._engine = RedisProcess(self._folder / "redis", keeps)
            self._engine.begin()
            self._engine.awaitReady()
        for number in range(settings.nodes):
            directory = self._folder / f"node{number}"
            node = Node(number, directory, self._options(number))
            self.nodes.append(node)
            node.connect(self._proxies)
            self.sites.append(Site(node.http.port, node.tcp.port))
            for locks in (self._nodeLocks, self._linkLocks, self._busLocks):
                locks.append(threading.Lock())
        for node in self.nodes:
            node.awaitReady(isKept=False)
        keeper = threading.Thread(target=self._keep, daemon=True)
        self._threads.append(keeper)
        keeper.start()

    def _options(self, number: int) -> list[str]:
        held = _ALL
        if self.settings.history:
            held = ["--history-messages", str(self.settings.history)]
        options = ["--open", "load/**", "--heartbeat", "1", "--drain", "1", *held]
        options += ["--edge", self.settings.edge, "--token-key", self._tokenKey]
        options += ["--open-read", "load/**", "--open-read", "room/**"]
        options += ["--presence", "room/**", "--presence-grace", str(GRACE)]
        if self.settings.bus == "sqlite":
            return [*options, "--bus", "sqlite:messages.db"]
        if self._engine is not None:
            self._busLinks.append(self._proxies.link(self._engine.port))
            return [*options, "--bus", f"redis://127.0.0.1:{self._busLinks[number].port}/0"]
        return options

    def _keep(self) -> None:
        """
        Start nodes again that have ended by themselves, as a service manager
        does.
        """
        while not self._isOver.wait(_ROUND):
            for node, lock in zip(self.nodes, self._nodeLocks, strict=True):
                if node.isRunning or not lock.acquire(blocking=False):
                    continue
                try:
                    if not node.isRunning:
                        self._revive(node)
                finally:
                    lock.release()

    def _revive(self, node: Node) -> None:
        code = node.wait()
        if "cannot start" in node.tail(4):
            self.counts["could not start"] += 1
            time.sleep(_ROUND)
        else:
            self._book.find("died", f"node {node.number}", f"ended with {code}\n{node.tail(15)}")
        node.begin()

    # -- Faults

    def begin(self, fault: Fault) -> None:
        """
        Make a fault, and undo it when its time is over.
        """
        thread = threading.Thread(target=self._make, args=(fault,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _make(self, fault: Fault) -> None:
        try:
            self._happen(fault)
            self.counts[fault.kind] += 1
        except Exception as error:
            kind = "died" if isinstance(error, AssertionError) else "harness"
            self._book.find(kind, str(fault), str(error) or repr(error))

    def _happen(self, fault: Fault) -> None:
        node, seconds = self.nodes[fault.node], fault.seconds
        match fault.kind:
            case "kill" | "drain":
                with self._nodeLocks[fault.node]:
                    self._end(node, fault.kind)
                    time.sleep(seconds)
                    node.begin()
            case "stop" | "stop long":
                with self._nodeLocks[fault.node]:
                    self._freeze(node, seconds)
            case "kill engine" | "stop engine":
                self._disturbEngine(fault)
            case "cut" | "cut one" | "stall" | "refuse":
                with self._linkLocks[fault.node]:
                    self._break(fault.kind, [node.http, node.tcp], seconds)
            case _:
                with self._busLocks[fault.node]:
                    kind = fault.kind.replace(" bus", "")
                    self._break(kind, [self._busLinks[fault.node]], seconds)

    def _end(self, node: Node, kind: str) -> None:
        if kind == "kill":
            node.kill()
            return
        code = node.stop()
        # -15 if the node did not handle SIGTERM yet.
        if code not in (0, -15):
            self._book.find("died", f"node {node.number}", f"stopped with {code}\n{node.tail(15)}")

    def _freeze(self, process: Node | RedisProcess, seconds: float) -> None:
        freeze(process, True)
        try:
            time.sleep(seconds)
        finally:
            freeze(process, False)

    def _disturbEngine(self, fault: Fault) -> None:
        engine = self._engine
        assert engine is not None
        with self._engineLock:
            if fault.kind == "stop engine":
                self._freeze(engine, fault.seconds)
                return
            engine.kill()
            time.sleep(fault.seconds)
            engine.begin()
            # An engine that is killed while it reads its file only starts to read
            # again.
            engine.awaitReady()

    def _break(self, kind: str, links: list[Link], seconds: float) -> None:
        if kind == "cut":
            for link in links:
                link.cut()
            return
        if kind == "cut one":
            # The first link is that of HTTP, which has the most connections.
            link = self._chance.choice([links[0], *links])
            link.cut(self._chance.randrange)
            return
        for link in links:
            link.stall(True) if kind == "stall" else link.refuse(True)
        try:
            time.sleep(seconds)
        finally:
            for link in links:
                link.stall(False) if kind == "stall" else link.refuse(False)

    def mend(self) -> None:
        """
        Wait until all faults are over, and all processes are ready.
        """
        deadline = time.monotonic() + _MENDING
        for thread in self._threads[1:]:
            thread.join(max(deadline - time.monotonic(), 0))
            if thread.is_alive():
                raise AssertionError(f"a fault is not over after {_MENDING} s")
        for node in self.nodes:
            node.awaitReady()

    def stop(self) -> None:
        """
        Stop all processes, and check the logs of the nodes.
        """
        self._isOver.set()
        for thread in self._threads:
            thread.join(10)
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            code = node.wait()
            if code not in (0, -15):
                self._book.find("died", f"node {node.number}", f"stopped with {code}")
            self._readLog(node)

    def abandon(self) -> None:
        """
        Kill all processes that still run.
        """
        self._isOver.set()
        for node in self.nodes:
            node.kill()
        if self._engine is not None:
            self._engine.kill()
        self._proxies.close()

    def _readLog(self, node: Node) -> None:
        log = node.log()
        for sign in SIGNS:
            if sign in log:
                start = max(log.index(sign) - 300, 0)
                text = f"{sign!r} {log.count(sign)} times; the first:\n{log[start : start + 2500]}"
                self._book.find("log", f"node {node.number}", text)
