"""
Readers, which resume with their cursors after every fault, change node and
transport, and note all that they hear.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

from tests.edge.clients import Client, Refused
from tests.edge.connections import Ended, Silence, Site, Violation
from tests.edge.envelopes import BareCursor, Close, Cursor, Event, Message
from tests.faults.book import Book, isNamed
from tests.faults.breakable import PATIENCE, READERS, Widening
from tests.faults.checker import OPENED, Entry, Life, Replayed
from tests.faults.resuming import BY_BODY, ResumeState, ToldGap

CHANNELS: Final = ("load/a", "load/b", "load/c", "load/deep/d", "load/deep/e")

# The names to read.  Names with their own start positions have no channel in
# common: after a broken connection the server does not know what each of them
# had delivered.
TOGETHER: Final = (
    ("load/a",),
    ("load/**",),
    ("load/b", "load/deep/d"),
    ("load/*", "load/a"),
    ("load/deep/*", "load/c"),
)
APART: Final = (
    ("load/a", "load/b", "load/c"),
    ("load/*", "load/deep/d"),
    ("load/deep/**", "load/b"),
    ("load/*/e", "load/c"),
)

# The codes with which a server may answer for a while.
_PASSING: Final = frozenset({"draining", "unavailable"})


class Reader(threading.Thread):
    """
    One reader.

    @ivar lives: The lives that are over.

    @ivar counts: The numbers of C{deliveries}, C{connections}, C{broken},
        C{closes}, C{gaps}, C{lives} and C{replays}.
    """

    def __init__(
        self,
        number: int,
        sites: Sequence[Site],
        book: Book,
        begin: Cursor,
        seed: int,
        transport: str | None = None,
        isApart: bool = True,
    ) -> None:
        """
        @param transport: Its transport, or L{None} if it changes.

        @param isApart: Whether it begins anew now and then, with a start
            position for each name.
        """
        super().__init__(daemon=True)
        self.label = f"reader {number} ({transport or 'any'})"
        self.lives: list[Life] = []
        self.counts: Counter[str] = Counter()
        self._sites = sites
        self._book = book
        self._chance = random.Random(f"reader {number} {seed}")
        self._transport = transport
        self._isApart = isApart
        self._goal: Cursor | None = None
        self._isStopped = False
        # Its last actions, to look into findings.
        self.trail: deque[str] = deque(maxlen=60)
        self._recent: deque[Cursor] = deque(maxlen=300)
        # The name subscribed on the open connection whose answer is not due yet.
        self._adding: tuple[str, Cursor] | None = None
        names = TOGETHER[number % len(TOGETHER)]
        self._begin(names, dict.fromkeys(names, begin))

    def _begin(self, names: Sequence[str], begins: dict[str, Cursor]) -> None:
        self._begins = begins
        self._entries: list[Entry] = []
        self.state = ResumeState(names, begins)
        self.counts["lives"] += 1
        self._trace(f"reads {', '.join(f'{name} from {begins[name]}' for name in names)}")

    def _trace(self, text: str) -> None:
        self.trail.append(f"{time.strftime('%H:%M:%S')} {text}")

    def finish(self, goal: Cursor) -> None:
        """
        Read up to this cursor, and no further.
        """
        self._goal = goal

    def stop(self) -> None:
        """
        Read no more, at any cursor.
        """
        self._isStopped = True

    @property
    def isDone(self) -> bool:
        """
        Whether the reader has reached its goal.
        """
        goal, state = self._goal, self.state
        return (
            goal is not None
            and not state.late
            and state.cursor.epoch == goal.epoch
            and state.cursor >= goal
        )

    def run(self) -> None:
        """
        Read until the goal is reached.
        """
        try:
            while not self.isDone and not self._isStopped:
                self._leg()
                if self._isApart and self._goal is None and self._chance.random() < 0.15:
                    self._beginAnew()
            self._end()
        except BaseException as error:
            self._book.find("harness", self.label, repr(error))
            raise

    def _end(self) -> None:
        state = self.state
        life = Life(self.label, self._begins, self._entries, state.cursor.epoch, state.reached)
        self.lives.append(life)

    def _beginAnew(self) -> None:
        recent = self._lately()
        if self.state.late or not recent:
            return
        self._end()
        names = self._chance.choice(APART)
        begins = {
            name: self.state.cursor if self._chance.random() < 0.4 else self._chance.choice(recent)
            for name in names
        }
        self._begin(names, begins)

    def _leg(self) -> None:
        """
        Read over one connection.
        """
        transport = self._transport or self._chance.choice(list(READERS))
        number = self._chance.randrange(len(self._sites))
        client = READERS[transport](self._sites[number], variant=self._chance.randrange(6))
        since, late = self.state.opened(transport)
        self._entries.append(OPENED)
        self._adding = None
        self._trace(f"{transport} at node {number} from {since} {late or ''}")
        isBroken = True
        try:
            client.open(self.state.names, since, late, **self._parameters(transport))
            self.counts["connections"] += 1
            self._read(client, transport)
            isBroken = False
        except (Ended, Silence, OSError) as error:
            self._trace(f"broken: {error!r}")
        except Refused as error:
            self._trace(f"refused: {error}")
            self._wasSentAway(error.code)
        except Violation as error:
            self._book.find("wire", self.label, f"{error}; {self.trail[-1]}")
        finally:
            self._leave(client)
        rewound = self.state.ended()
        if rewound is not None:
            self._entries.append(rewound)
        self._trace(f"left at {self.state.cursor} {self.state.late or ''}")
        if isBroken:
            self.counts["broken"] += 1
            time.sleep(self._chance.uniform(0.02, 0.3))

    def _parameters(self, transport: str) -> dict[str, str]:
        parameters = {}
        if transport in ("longpoll", "jsonp"):
            parameters["wait"] = self._chance.choice(("1", "2", "3"))
        if transport in BY_BODY and self._chance.random() < 0.3:
            parameters["limit"] = self._chance.choice(("1", "5", "20"))
        return parameters

    def _leave(self, client: Client) -> None:
        try:
            if self._chance.random() < 0.5:
                client.cut()
            else:
                client.close()
        except OSError:
            pass

    def _read(self, client: Client, transport: str) -> None:
        until = time.monotonic() + self._chance.choice((0.0, 0.3, 1.5, 4.0, 8.0, 15.0))
        # A poll body can be left only at its end.
        canLeave = True
        while not self._isStopped:
            isEnough = time.monotonic() > until or self.isDone
            if isEnough and canLeave:
                return
            event = client.next(PATIENCE)
            self._heard(event)
            if isinstance(client, Widening):
                self._widen(client, event)
            if isinstance(event, Close):
                self._wasSentAway(event.code)
                return
            canLeave = transport not in BY_BODY or isinstance(event, BareCursor)

    def _widen(self, client: Widening, event: Event) -> None:
        """
        Subscribe one more name now and then, and go on with it when the answer
        has its turn.
        """
        state = self.state
        if self._adding is not None:
            name, begin = self._adding
            if event is not client.subscribed:
                return
            self._adding = None
            self._trace(f"adds {name} from {begin} at {state.cursor}")
            self._end()
            self._begin(
                (*state.names, name), {**dict.fromkeys(state.names, state.cursor), name: begin}
            )
            self.state.joined(state)
            self.counts["added"] += 1
        elif self._isApart and self._goal is None and self._chance.random() < 0.02:
            name = self._chance.choice(("load/a", "load/b", "load/deep/*", "load/deep/d"))
            isNew = not any(
                isNamed(held, each)
                for held in state.names
                for each in CHANNELS
                if isNamed(name, each)
            )
            # A name that begins ahead of the others is not told of before they are
            # there, too.
            recent = [each for each in self._lately() if each <= state.cursor]
            if isNew and recent and not state.late:
                self._adding = name, self._chance.choice(recent)
                client.add(name, str(self._adding[1]))

    def _lately(self) -> list[Cursor]:
        return [each for each in self._recent if each.epoch == self.state.cursor.epoch]

    def _wasSentAway(self, code: str) -> None:
        self.counts["closes"] += 1
        self._trace(f"sent away: {code}")
        if code not in _PASSING:
            self._book.find("wire", self.label, f"sent away with {code!r}; {self.trail[-2]}")
        time.sleep(self._chance.uniform(0.0, 0.4))

    def _heard(self, event: Event) -> None:
        isReplay = isinstance(event, Message) and self.state.isReplay(event)
        entry = self.state.took(event)
        if isinstance(event, Message):
            self._message(event, isReplay)
        if entry is not None:
            self._entries.append(entry)
        if isinstance(entry, ToldGap):
            self.counts["gaps"] += 1
            self._trace(f"told of {entry}")

    def _message(self, message: Message, isReplay: bool) -> None:
        key = _keyOf(message)
        stored = self._book.saw(self.label, _channelOf(message), message.cursor, key)
        self._entries.append(Replayed((stored,)) if isReplay else stored)
        self.counts["deliveries"] += 1
        self.counts["replays"] += isReplay
        if not isReplay:
            self._recent.append(message.cursor)


def _keyOf(message: Message) -> str:
    data = message.data
    if not isinstance(data, dict) or not isinstance(data.get("key"), str):
        raise Violation(f"a foreign message: {message}")
    if "event" in data and message.event != data["event"]:
        raise Violation(f"the event of {message} is another")
    key: str = data["key"]
    return key


def _channelOf(message: Message) -> str:
    """
    Return the channel of a message.  C{sse} has the event name in its place, if
    the message has one.
    """
    data: dict[str, Any] = message.data
    if message.channel == data.get("event"):
        channel: str = data["channel"]
        return channel
    return message.channel
