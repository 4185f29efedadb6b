"""
One run: the system is started, disturbed, and left in peace; then the readers'
lives are checked against the log.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.edge.clients import pathOf, queryOf
from tests.edge.connections import Ended, Silence, Site, Violation, ask
from tests.edge.envelopes import Cursor, Message, readCursor, readPollBody
from tests.faults.book import Book, Finding
from tests.faults.breakable import READERS
from tests.faults.checker import Rules, check
from tests.faults.cluster import Cluster, Settings
from tests.faults.plan import Fault
from tests.faults.publishers import WAYS, Publisher
from tests.faults.readers import Reader
from tests.faults.rooms import Rooms

# How long readers may take to read the rest after the last fault, in seconds.
CATCHING_UP: Final = 60.0

# The interval of progress reports, in seconds.
_TELLING: Final = 1.0


@frozen
class Result:
    """
    The result of a run.

    @ivar faults: The number of faults by kind.

    @ivar publishing: The counts of the publishers.

    @ivar reading: The counts of the readers.

    @ivar visiting: The counts of the visitors.

    @ivar seconds: After how many seconds without faults the members were right, or
        L{None}.

    @ivar findings: The errors found.
    """

    faults: Counter[str]
    publishing: Counter[str]
    reading: Counter[str]
    visiting: Counter[str]
    seconds: float | None
    findings: list[Finding]


class Run:
    """
    A run from its start to its end.

    @ivar readers: For each transport one reader that stays with it, and one
        that changes.

    @ivar publishers: For each way to publish one publisher that stays with it,
        and two that change.
    """

    def __init__(
        self,
        settings: Settings,
        plan: list[Fault],
        seed: int,
        folder: Path,
        tell: Callable[[str], None] = lambda text: None,
        hear: Callable[[Finding], None] = lambda finding: None,
        load: float = 1.0,
    ) -> None:
        """
        @param tell: Called now and then with the progress.

        @param hear: Called with each finding during the run, in any thread.

        @param load: A factor of the rate; 1 is some dozen messages a second.
        """
        self._settings = settings
        self._plan = plan
        self._seed = seed
        self._tell = tell
        self._pause = 0.12 / load
        self._book = Book(hear)
        self._cluster = Cluster(settings, folder, self._book, seed)
        self._begun = 0.0
        self._made = 0
        self.readers: list[Reader] = []
        self.publishers: list[Publisher] = []
        self._rooms: Rooms | None = None

    def run(self) -> Result:
        """
        Do the whole run.
        """
        try:
            self._cluster.start()
            self._begin()
            self._disturb()
            self._calm()
            self._audit()
            self._cluster.stop()
        finally:
            for reader in self.readers:
                reader.stop()
            if self._rooms is not None:
                self._rooms.stop()
            self._cluster.abandon()
        return self._judge()

    def _head(self, site: Site) -> Cursor:
        answer = ask(site, "HEAD", pathOf(["load/a"]))
        return readCursor(answer.headers["etag"].strip('"'))

    def _begin(self) -> None:
        self._begun = time.monotonic()
        sites, seed = self._cluster.sites, self._seed
        begin = self._head(sites[0])
        isApart = not (self._settings.isLossy or self._settings.history)
        kinds = [*READERS, *([None] * len(READERS))]
        for number, kind in enumerate(kinds):
            reader = Reader(number, sites, self._book, begin, seed, kind, isApart)
            self.readers.append(reader)
        for number, way in enumerate([*WAYS, None, None]):
            publisher = Publisher(number, sites, self._book, seed, way, self._pause)
            self.publishers.append(publisher)
        for thread in (*self.readers, *self.publishers):
            thread.start()
        self._rooms = Rooms(sites, self._book, seed, self._settings.isStale)
        self._rooms.start()

    def _disturb(self) -> None:
        for fault in self._plan:
            while (left := self._begun + fault.at - time.monotonic()) > 0:
                self._tell(self.progress())
                time.sleep(min(left, _TELLING))
            self._cluster.begin(fault)
            self._made += 1

    def _calm(self) -> None:
        """
        Wait until all faults are over, and all clients have finished.
        """
        self._cluster.mend()
        assert self._rooms is not None
        self._rooms.settle()
        deadline = time.monotonic() + CATCHING_UP
        while self._hasFew() and time.monotonic() < deadline:
            self._tell(self.progress())
            time.sleep(_TELLING)
        for publisher in self.publishers:
            publisher.finish()
        for publisher in self.publishers:
            publisher.join(60)
        goal = max(map(self._head, self._cluster.sites))
        for reader in self.readers:
            reader.finish(goal)
        deadline = time.monotonic() + CATCHING_UP
        for reader in self.readers:
            while reader.is_alive() and time.monotonic() < deadline:
                self._tell(self.progress())
                reader.join(_TELLING)
        for reader in self.readers:
            if reader.is_alive():
                reader.stop()
                reader.join(10)
                text = f"is at {reader.state.cursor} {reader.state.late}, not at {goal}"
                self._book.find("lost", reader.label, text)

    def _hasFew(self) -> bool:
        """
        Whether the run has too few messages to prove anything yet.  Where servers
        start slowly, faults leave little time to publish.
        """
        answered = sum(one.counts["answered"] for one in self.publishers)
        deliveries = sum(one.counts["deliveries"] for one in self.readers)
        return min(answered, deliveries // 10) < 2 * len(self._plan)

    def _audit(self) -> None:
        """
        Read all held messages at each node, so that the whole log is known.
        """
        assert self._rooms is not None
        self._rooms.audit()
        for number, site in enumerate(self._cluster.sites):
            label = f"the log of node {number}"
            try:
                self._readAll(label, site)
            except (Violation, Ended, Silence, OSError) as error:
                self._book.find("wire", label, repr(error))

    def _readAll(self, label: str, site: Site) -> None:
        since, more = "earliest", True
        while more:
            target = pathOf(["load/**"]) + queryOf({"transport": "poll", "since": since})
            body = readPollBody(ask(site, "GET", target).body)
            for event in body.events:
                if isinstance(event, Message):
                    self._book.saw(label, event.channel, event.cursor, event.data["key"])
            since, more = str(body.cursor), body.more

    def _judge(self) -> Result:
        settings = self._settings
        rules = Rules(keepsEpoch=not settings.isLossy, holdsAll=not settings.history)
        log = self._book.log()
        findings = [*self._book.findings, *self._book.check()]
        for reader in self.readers:
            for life in reader.lives:
                findings += check(life, log, rules)
        assert self._rooms is not None
        findings += self._rooms.judge()
        publishing = sum((one.counts for one in self.publishers), Counter[str]())
        publishing["messages"] = sum(len(one) for one in log.values())
        reading = sum((one.counts for one in self.readers), Counter[str]())
        reading["readers"] = len(self.readers)
        visiting, seconds = self._rooms.counts, self._rooms.seconds
        return Result(self._cluster.counts, publishing, reading, visiting, seconds, findings)

    def progress(self) -> str:
        """
        Describe the progress in one line.
        """
        answered = sum(one.counts["answered"] for one in self.publishers)
        reading = sum((one.counts for one in self.readers), Counter[str]())
        return (
            f"{time.monotonic() - self._begun:.0f} s: {self._made} of {len(self._plan)} faults, "
            f"{answered} answered, {reading['deliveries']} deliveries over "
            f"{reading['connections']} connections, {len(self._book.findings)} findings"
        )

    def trails(self) -> Iterator[tuple[str, list[str]]]:
        """
        Yield the last actions of each reader and visitor.
        """
        for reader in self.readers:
            yield reader.label, list(reader.trail)
        if self._rooms is not None:
            yield from self._rooms.trails()
