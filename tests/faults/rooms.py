"""
The rooms that L{tests.faults.visitors} visit: whether the right members are in them once
all faults are over, and whether what was told of them agrees.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from tests.edge.clients import Refused, pathOf, queryOf
from tests.edge.connections import Ended, Silence, Site, Violation
from tests.edge.connections import ask as askSite
from tests.edge.envelopes import Message, readPollBody
from tests.faults.book import Book, Finding
from tests.faults.members import Snapshot, Told, check, readTold
from tests.faults.visitors import ROOMS, VISITORS, Visitor, ask, authorization

# After how many seconds without faults the members have to be right, on a machine that
# has time; and how long they are waited for.
PROMISED: Final = 30.0
_SETTLING: Final = 90.0

# The interval at which the members are looked at, in seconds.
_LOOK: Final = 0.25


class Rooms:
    """
    The visitors of a run, and the verdict on what they saw.

    @ivar counts: The numbers of C{visitors}, C{visits}, C{broken}, C{left},
        C{snapshots}, and of messages about members by event.

    @ivar seconds: After how many seconds without faults the members were right; L{None}
        if they never were.
    """

    def __init__(self, sites: Sequence[Site], book: Book, seed: int, isStale: bool = False) -> None:
        """
        @param isStale: Whether the members of another epoch may be there when the log
            begins.
        """
        self._sites = sites
        self._book = book
        self._isStale = isStale
        self.visitors = [Visitor(number, sites, book, seed) for number in range(VISITORS)]
        self.counts: Counter[str] = Counter()
        self.seconds: float | None = None
        self._logs: dict[str, list[Told]] = {}
        self._snapshots: list[Snapshot] = []
        self._wrong = "nothing was asked"
        self._settling = threading.Thread(target=self._settle, daemon=True)

    def start(self) -> None:
        """
        Let the visitors come and go.
        """
        for each in self.visitors:
            each.start()

    def settle(self) -> None:
        """
        The faults are over: let some of the visitors stay, and look whether the members
        become right.  L{audit} waits for that.
        """
        for each in self.visitors:
            each.finish()
        self._settling.start()

    def stop(self) -> None:
        """
        Let all visitors go.
        """
        for each in self.visitors:
            each.stop()

    def _settle(self) -> None:
        deadline = time.monotonic() + _SETTLING
        while not all(each.isSettled for each in self.visitors):
            self._wrong = "visitors that do not come to stay: " + ", ".join(
                each.label for each in self.visitors if not each.isSettled
            )
            if time.monotonic() > deadline:
                return
            time.sleep(_LOOK)
        begun = time.monotonic()
        while time.monotonic() < max(deadline, begun + _SETTLING / 2):
            self._wrong = "; ".join(self._differences())
            if not self._wrong:
                self.seconds = time.monotonic() - begun
                return
            time.sleep(_LOOK)

    def _differences(self) -> Iterator[str]:
        for number, site in enumerate(self._sites):
            for room in ROOMS:
                where = f"node {number} in {room}"
                try:
                    snapshot = ask(site, room, where)
                except (Ended, Silence, OSError, Refused, Violation) as error:
                    yield f"{where}: {error!r}"
                else:
                    self._snapshots.append(snapshot)
                    yield from self._wrongIn(where, snapshot)

    def _wrongIn(self, where: str, snapshot: Snapshot) -> Iterator[str]:
        # Between two polls a reader is not counted.
        least: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for each in self.visitors:
            if snapshot.channel in each.held:
                most[each.client] += 1
                least[each.client] += not each.isPolling
        found = {**snapshot.connections, "": snapshot.anonymous}
        for client in sorted({*found, *most}):
            count = found.get(client)
            if client and (count is None or not most[client]):
                yield f"{where}: {client} is {'not ' if count is None else ''}a member"
            elif not least[client] <= (count or 0) <= most[client]:
                label = client or "nobody"
                yield f"{where}: {count} readers of {label}, not {least[client]}-{most[client]}"

    def audit(self) -> None:
        """
        Wait until the members are right, and read all that was told of them.
        """
        self._settling.join()
        if self.seconds is None:
            self._book.find("member", "the rooms", self._wrong)
        for number, site in enumerate(self._sites):
            for room in ROOMS:
                try:
                    log = self._read(site, room)
                except (Ended, Silence, OSError, Violation) as error:
                    self._book.find("wire", f"node {number}", f"{room}: {error!r}")
                    continue
                known = self._logs.setdefault(room, log)
                # Visitors may still be told of at the first node.
                if known != log[: len(known)] and log != known[: len(log)]:
                    text = f"{room}: {len(log)} messages, and others than those of another node"
                    self._book.find("member", f"node {number}", text)

    def _read(self, site: Site, room: str) -> list[Told]:
        found: list[Told] = []
        since, more = "earliest", True
        while more:
            query = queryOf({"transport": "poll", "since": since, "limit": "1000"})
            answer = askSite(site, "GET", pathOf([f"$presence/{room}"]) + query, authorization())
            body = readPollBody(answer.body)
            for event in body.events:
                if isinstance(event, Message):
                    found.append(readTold(event))
            since, more = str(body.cursor), body.more
        return found

    def judge(self) -> Iterator[Finding]:
        """
        Yield what does not agree.
        """
        snapshots = list(self._snapshots)
        for visitor in self.visitors:
            snapshots += visitor.snapshots
            self.counts += visitor.counts
        for room in ROOMS:
            log = self._logs.get(room, [])
            self.counts.update(told.event for told in log)
            taken = [each for each in snapshots if each.channel == room]
            yield from check(room, log, taken, not self._isStale)
        self.counts.update(visitors=len(self.visitors), snapshots=len(snapshots))

    def trails(self) -> Iterator[tuple[str, list[str]]]:
        """
        Yield the last actions of each visitor.
        """
        for each in self.visitors:
            yield f"{each.label} ({each.client or 'nobody'})", list(each.trail)
