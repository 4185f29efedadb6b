"""
The checker: did a reader read exactly the messages that it had to read?

The log is the union of all that is known: the messages answered to publishers,
and those read by any reader.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from attrs import field, frozen

from tests.edge.envelopes import Cursor
from tests.faults.book import Finding, Stored, isNamed
from tests.faults.resuming import Rewound, ToldGap


class Replayed(tuple[Stored]):
    """
    A replayed message, whose cursor the reader does not adopt.
    """

    __slots__ = ()

    @property
    def stored(self) -> Stored:
        """
        The message.
        """
        return self[0]


class Opened:
    """
    The reader opened a connection; replays begin anew.
    """


OPENED = Opened()

Entry = Stored | Replayed | ToldGap | Rewound | Opened


@frozen
class Rules:
    """
    The promises of the server in this run.

    @ivar keepsEpoch: Whether the log has one epoch only.

    @ivar holdsAll: Whether no message falls off the log within an epoch.
    """

    keepsEpoch: bool = True
    holdsAll: bool = True


@frozen
class Life:
    """
    What one reader read from one start to one end.

    @ivar reader: The label of the reader.

    @ivar begins: The start positions by name, all of one epoch.

    @ivar entries: The entries that it heard, in order.

    @ivar epoch: The epoch at its end.

    @ivar ends: The positions reached in that epoch, by name.
    """

    reader: str
    begins: Mapping[str, Cursor]
    entries: Sequence[Entry]
    epoch: str
    ends: Mapping[str, int]


@frozen
class _Stretch:
    """
    The part of a life in one epoch.

    @ivar begins: The positions after which the reader had to read, by name.

    @ivar told: The gaps in it, each with the number of messages read before.

    @ivar rewinds: The ranges that may be repeated: above the first position, up
        to the second.
    """

    epoch: str
    begins: Mapping[str, int]
    read: list[Stored] = field(factory=list)
    seen: set[Stored] = field(factory=set)
    told: list[tuple[int, ToldGap]] = field(factory=list)
    rewinds: list[tuple[int, int]] = field(factory=list)

    def add(self, stored: Stored) -> None:
        """
        Note a message that was read.
        """
        self.read.append(stored)
        self.seen.add(stored)


def _position(stored: Stored) -> int:
    return stored.cursor.position


class _Check:
    """
    The check of one life.

    @ivar findings: The errors found.
    """

    def __init__(self, life: Life, log: Mapping[str, Sequence[Stored]], rules: Rules) -> None:
        self._life = life
        self._log = log
        self._rules = rules
        self.findings: list[Finding] = []
        begins = {name: cursor.position for name, cursor in life.begins.items()}
        epoch = next(iter(life.begins.values())).epoch
        self._stretch = _Stretch(epoch, begins)
        self._floor = max(begins.values())
        self._replayed = -1
        # A gap without a cursor: another epoch may follow.
        self._untold: ToldGap | None = None

    def find(self, kind: str, text: str) -> None:
        """
        Add a finding.
        """
        self.findings.append(Finding(kind, self._life.reader, text))

    def run(self) -> None:
        """
        Check all entries.
        """
        for entry in self._life.entries:
            if isinstance(entry, Stored):
                self._live(entry)
            elif isinstance(entry, Replayed):
                self._replay(entry.stored)
            elif isinstance(entry, ToldGap):
                self._told(entry)
            elif isinstance(entry, Rewound):
                self._stretch.rewinds.append((entry.cursor.position, self._floor))
                self._floor = entry.cursor.position
            else:
                self._replayed = -1
        self._enter(self._life.epoch, "the end")
        self._close(self._life.ends)

    def _live(self, stored: Stored) -> None:
        self._enter(stored.cursor.epoch, str(stored))
        self._untold = None
        position = stored.cursor.position
        # A message that was read before is found at the end, as read twice.
        if position <= self._floor and stored not in self._stretch.seen:
            self.find("disorder", f"{stored} after {self._floor}")
        self._floor = max(position, self._floor)
        self._stretch.add(stored)

    def _replay(self, stored: Stored) -> None:
        self._enter(stored.cursor.epoch, str(stored))
        position = stored.cursor.position
        if position > self._floor or position <= self._replayed:
            text = f"{stored} replayed after {self._replayed}, before {self._floor}"
            self.find("disorder", text)
        self._replayed = position
        self._stretch.add(stored)

    def _told(self, told: ToldGap) -> None:
        isNew = told.cursor is None or told.cursor.epoch != told.epoch
        if self._rules.keepsEpoch and self._rules.holdsAll:
            self.find("gap", f"{told}, but nothing was lost")
        elif not isNew and self._rules.holdsAll:
            self.find("gap", f"{told} within an epoch that holds all")
        self._untold = told
        if told.cursor is not None:
            self._enter(told.cursor.epoch, str(told))
            self._untold = None
        self._stretch.told.append((len(self._stretch.read), told))

    def _enter(self, epoch: str, what: str) -> None:
        """
        Enter an epoch, which must be the current one unless there was a gap.
        """
        if epoch == self._stretch.epoch:
            return
        told = self._untold
        if told is None:
            text = f"{what} is of another epoch than {self._stretch.epoch}, and no gap was told"
            self.find("disorder", text)
        self._close({} if told is None else told.before)
        self._untold = None
        self._stretch = _Stretch(epoch, dict.fromkeys(self._life.begins, 0))
        if told is not None:
            self._stretch.told.append((0, told))
        self._floor = self._replayed = -1

    def _close(self, ends: Mapping[str, int]) -> None:
        """
        Check the stretch of an epoch that is over for this reader.
        """
        stretch = self._stretch
        begins = {name: stretch.begins[name] for name in ends}
        self._checkRepeats(stretch)
        # A reader that was rewound reads all names from there.
        back = min((lower for lower, _ in stretch.rewinds), default=self._floor)
        lowest = {name: min(begin, back) for name, begin in stretch.begins.items()}
        for stored in stretch.seen:
            if not any(
                stored.cursor.position > begin and isNamed(name, stored.channel)
                for name, begin in lowest.items()
            ):
                self.find("foreign", f"{stored} of {dict(stretch.begins)}")
        for stored in self._expected(stretch.epoch, begins, ends):
            if stored not in stretch.seen and not self._isExcused(stored, stretch):
                self.find("lost", f"{stored} of {begins} up to {dict(ends)}")

    def _checkRepeats(self, stretch: _Stretch) -> None:
        counts: dict[Stored, int] = {}
        for stored in stretch.read:
            counts[stored] = counts.get(stored, 0) + 1
        for stored, count in counts.items():
            if count == 1:
                continue
            position = stored.cursor.position
            allowed = sum(lower < position <= upper for lower, upper in stretch.rewinds)
            if count > 1 + allowed:
                self.find("twice", f"{stored} was read {count} times, {1 + allowed} allowed")

    def _expected(
        self, epoch: str, begins: Mapping[str, int], ends: Mapping[str, int]
    ) -> Iterator[Stored]:
        named: dict[str, list[str]] = {}
        log = self._log.get(epoch, ())
        # A life covers a short part of a long log.
        first = bisect_right(log, min(begins.values(), default=0), key=_position)
        last = bisect_right(log, max(ends.values(), default=0), key=_position)
        for stored in islice(log, first, last):
            names = named.get(stored.channel)
            if names is None:
                names = [name for name in begins if isNamed(name, stored.channel)]
                named[stored.channel] = names
            position = stored.cursor.position
            if any(begins[name] < position <= ends[name] for name in names):
                yield stored

    def _isExcused(self, stored: Stored, stretch: _Stretch) -> bool:
        """
        Whether the reader got a gap at the position of this message.
        """
        if self._rules.holdsAll:
            return False
        position = stored.cursor.position
        for count, told in stretch.told:
            names = [name for name in told.names if isNamed(name, stored.channel)]
            # Each channel drops its own oldest messages.
            following = (each for each in stretch.read[count:] if each.channel == stored.channel)
            later = next(following, None)
            isBefore = later is None or position < later.cursor.position
            isNew = told.epoch != stretch.epoch
            if isBefore and any(isNew or told.before[name] < position for name in names):
                return True
        return False


def check(life: Life, log: Mapping[str, Sequence[Stored]], rules: Rules) -> list[Finding]:
    """
    List the errors in one life of a reader.

    @param log: All known messages by epoch, in the order of their positions.
    """
    checking = _Check(life, log, rules)
    checking.run()
    return checking.findings
