"""
Visitors: clients that come into rooms and go again, with a name or without one, on any
node; some of them stay in the end.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from tests.edge.clients import Refused, pathOf, queryOf
from tests.edge.connections import Ended, HttpConnection, Response, Silence, Site, Violation
from tests.edge.envelopes import problemOf, readPollBody
from tests.edge.speakers import CommandFailed, Speaker
from tests.edge.test_tokens import token
from tests.faults.book import Book
from tests.faults.breakable import PATIENCE, READERS, connect
from tests.faults.members import Snapshot, readSnapshot

ROOMS: Final = ("room/a", "room/b")

# For how many seconds a member stays without a reader.
GRACE: Final = 2

# How many there are; the first ones have names, each two the same one.
VISITORS: Final = 10
_NAMED: Final = 7

# Those that stay: one of two with the same name, both of two, none of two, one alone.
_STAYING: Final = frozenset({0, 2, 3, 6, 7, 8})

_WAYS: Final = ("stream", "longpoll", "websocket", "tcp")

# The codes with which a server may answer for a while; a client may have left if Redis
# did not answer.
_PASSING: Final = frozenset({"draining", "unavailable", "unknown"})

_BROKEN: Final = (Ended, Silence, OSError)

# The interval at which a speaker asks whether its connection is alive, in seconds.
_PING: Final = 0.5


@cache
def _tokenOf(client: str, info: int) -> str:
    granted = {"subscribe": ["room/*"], "presence": ["room/*"], "info": {"n": info}}
    return token(sub=client, exp=time.time() + 36000, comet=granted)


def authorization() -> Mapping[str, str]:
    """
    Return the headers of a client that may ask for all rooms.
    """
    return {"Authorization": f"Bearer {_tokenOf('asks', 0)}"}


def ask(site: Site, room: str, where: str) -> Snapshot:
    """
    Ask a node who is in a room.

    @raise Refused: If it answers with an error.
    """
    connection = connect(site.port)
    try:
        connection.send("GET", f"/presence/{room}", authorization())
        answer = connection.answer(PATIENCE)
    finally:
        connection.tcp.close()
    if answer.status != 200:
        raise _refusal(answer)
    return readSnapshot(where, room, answer.body)


def _refusal(answer: Response) -> Refused:
    code = problemOf(answer.status, answer.headers, answer.body)
    return Refused(answer.status, code, answer.headers)


class Visitor(threading.Thread):
    """
    One visitor.

    @ivar client: Its name; empty if it has none.

    @ivar stays: Whether it is in its rooms in the end.

    @ivar held: The rooms in which it is now, for good.

    @ivar isPolling: Whether it is there by polls.

    @ivar snapshots: What it was told of who is there.

    @ivar counts: The numbers of C{visits}, of C{left} ones by the command, and of
        C{broken} ones.
    """

    def __init__(self, number: int, sites: Sequence[Site], book: Book, seed: int) -> None:
        super().__init__(daemon=True)
        self.client = f"visitor {number // 2}" if number < _NAMED else ""
        self.label = f"visitor {number}"
        self.stays = number in _STAYING
        self.held: tuple[str, ...] = ()
        self.isPolling = False
        self.snapshots: list[Snapshot] = []
        self.counts: Counter[str] = Counter()
        # Its last actions, to look into findings.
        self.trail: deque[str] = deque(maxlen=60)
        self._sites = sites
        self._book = book
        self._chance = random.Random(f"visitor {number} {seed}")
        self._isFinal = False
        self._isStopped = False
        self._until = 0.0
        self._rooms: tuple[str, ...] = ()

    def finish(self) -> None:
        """
        Go, or come to stay.
        """
        self._isFinal = True

    def stop(self) -> None:
        """
        Go.
        """
        self._isStopped = True

    @property
    def isSettled(self) -> bool:
        """
        Whether it is gone, or has come to stay.
        """
        return bool(self.held) if self.stays else not self.is_alive()

    def _trace(self, text: str) -> None:
        self.trail.append(f"{time.strftime('%H:%M:%S')} {text}")

    def run(self) -> None:
        """
        Come and go until L{finish} and L{stop} are called.
        """
        try:
            while not self._isStopped and (self.stays or not self._isFinal):
                self._visit()
        except BaseException as error:
            self._book.find("harness", self.label, repr(error))
            raise

    def _visit(self) -> None:
        isLast, chance = self._isFinal and self.stays, self._chance
        self._until = time.monotonic() + chance.choice((0.0, 0.3, 1.0, 3.0, 8.0))
        if isLast:
            self._until = float("inf")
        self._rooms = chance.choice((ROOMS[:1], ROOMS[1:], ROOMS))
        way, number = chance.choice(_WAYS), chance.randrange(len(self._sites))
        self._trace(f"{way} at node {number} in {', '.join(self._rooms)}")
        self.counts["visits"] += 1
        self.isPolling = way == "longpoll"
        try:
            self._enter(way, self._sites[number], isLast)
        except _BROKEN as error:
            self.counts["broken"] += 1
            self._trace(f"broken: {error!r}")
        except Refused as error:
            self._wasRefused(error.code)
        except CommandFailed as error:
            self._wasRefused(error.code)
        except Violation as error:
            self._book.find("wire", self.label, f"{error}; {self.trail[-1]}")
        finally:
            self.held = ()
        if not isLast:
            self._look()
        # Often shorter than the grace, sometimes longer.
        time.sleep(chance.choice((0.0, 0.1, 1.0, GRACE + 1.5)) if not self._isFinal else 0.1)

    def _wasRefused(self, code: str) -> None:
        self._trace(f"refused: {code}")
        if code not in _PASSING:
            self._book.find("wire", self.label, f"refused with {code!r}; {self.trail[-2]}")
        time.sleep(self._chance.uniform(0.0, 0.4))

    def _look(self) -> None:
        """
        Ask who is in a room.
        """
        number, room = self._chance.randrange(len(self._sites)), self._chance.choice(ROOMS)
        try:
            self.snapshots.append(ask(self._sites[number], room, f"{self.label} at node {number}"))
        except _BROKEN:
            pass
        except Refused as error:
            self._wasRefused(error.code)

    def _isOver(self) -> bool:
        return self._isStopped or time.monotonic() > self._until

    def _isIn(self, isLast: bool) -> None:
        if isLast:
            self.held = self._rooms

    def _token(self) -> str:
        return _tokenOf(self.client, self._chance.randrange(2))

    def _enter(self, way: str, site: Site, isLast: bool) -> None:
        if way in ("websocket", "tcp"):
            client = READERS[way](site)
            assert isinstance(client, Speaker)
            try:
                self._speak(client, isLast)
            finally:
                client.cut() if self._chance.random() < 0.5 else client.close()
            return
        connection = connect(site.port)
        try:
            if way == "stream":
                self._stream(connection, isLast)
            else:
                self._poll(connection, isLast)
        finally:
            self._chance.choice((connection.tcp.cut, connection.tcp.close))()

    def _headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token()}"} if self.client else {}

    def _stream(self, connection: HttpConnection, isLast: bool) -> None:
        target = pathOf(self._rooms) + queryOf({"transport": "stream"})
        connection.send("GET", target, self._headers())
        head = connection.head(PATIENCE)
        if head.status != 200:
            pieces = []
            while piece := connection.piece(PATIENCE):
                pieces.append(piece)
            raise _refusal(Response(head.status, head.headers, b"".join(pieces)))
        self._isIn(isLast)
        while not self._isOver():
            # There is at least a heartbeat.
            if not connection.piece(PATIENCE):
                raise Ended("the response is complete")

    def _poll(self, connection: HttpConnection, isLast: bool) -> None:
        headers, since = self._headers(), "now"
        while not self._isOver():
            query = {"transport": "longpoll", "wait": "1", "since": since}
            connection.send("GET", pathOf(self._rooms) + queryOf(query), headers)
            answer = connection.answer(PATIENCE)
            if answer.status != 200:
                raise _refusal(answer)
            since = str(readPollBody(answer.body).cursor)
            self._isIn(isLast)

    def _speak(self, client: Speaker, isLast: bool) -> None:
        client.open(())
        if self.client:
            client.command(PATIENCE, token=self._token())
        client.command(PATIENCE, subscribe=list(self._rooms))
        self._isIn(isLast)
        while not self._isOver():
            time.sleep(_PING)
            client.command(PATIENCE, ping=1)
        room = self._chance.choice(self._rooms)
        match self._chance.randrange(3):
            case 0:
                client.command(PATIENCE, unsubscribe=[room])
            case 1:
                client.command(PATIENCE, leave=[room])
                self.counts["left"] += 1
