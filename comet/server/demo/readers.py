"""
The readers over raw TCP of the visits of the lab page.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from comet.model.messages import Message

# How many seconds lie between two reports of a reader at least, and how long it
# waits before it comes back.
PAUSE: Final = 0.05
RETRY: Final = 1.0

# How many messages wait to be reported at most, how many bytes the data of one may
# have to be repeated, and how many a report has besides its messages.
MOST_WAITING: Final = 1000
MOST_DATA: Final = 256
ROOM: Final = 256

# For how many messages it is kept when they were stored.
MOST_TIMES: Final = 1000


@frozen
class Beside:
    """
    What a reader needs of the server that it runs beside.

    @ivar endpoint: Where raw TCP is served.

    @ivar maxMessage: How many bytes a message has at most.

    @ivar wallClock: Seconds since 1970.

    @ivar tell: Tells a visit something, by its name.
    """

    endpoint: IStreamClientEndpoint
    maxMessage: int
    clock: IReactorTime
    wallClock: Callable[[], float]
    tell: Callable[[str, dict[str, Any]], None]


class LineReader(LineOnlyReceiver):
    """
    One connection of a reader.
    """

    delimiter = b"\n"
    # More than the interface of a transport says.
    transport: Any

    def __init__(self, visit: Visit, most: int) -> None:
        """
        @param most: How many bytes a line may have.
        """
        self.MAX_LENGTH = most
        self.visit = visit

    def say(self, command: dict[str, Any]) -> None:
        """
        Say something to the server.
        """
        line = json.dumps(command, separators=(",", ":")).encode("ascii")
        self.visit.traffic["dataIn"] += len(line) + 1
        self.sendLine(line)

    def dataReceived(self, data: bytes) -> None:
        """
        Count what comes.
        """
        self.visit.traffic["dataOut"] += len(data)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """
        The server said something.
        """
        self.visit.heard(json.loads(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone.
        """
        self.visit.disconnected(self)


class Visit:
    """
    A visit of the lab page, and its reader.

    @ivar traffic: What the reader has cost.

    @ivar heardAt: When the page was last heard of.
    """

    def __init__(self, name: str, cursor: str | None, beside: Beside) -> None:
        """
        @param cursor: Where the reader begins, or L{None} for now.
        """
        self.name = name
        self.state = "cut"
        self.heardAt = beside.clock.seconds()
        self._beside = beside
        self.traffic = dict.fromkeys(
            ("open", "requests", "headIn", "dataIn", "headOut", "dataOut"), 0
        )
        # When the messages were stored that have not come yet, by their cursors.
        self._storedAt: OrderedDict[str, float] = OrderedDict()
        self._cursor = cursor
        self._messages: list[dict[str, Any]] = []
        self._hasGap = False
        self._connection: LineReader | None = None
        self._connecting: Any = None
        self._retrying: Any = None
        self._reporting: Any = None

    def open(self) -> None:
        """
        Connect, unless it is connected or about to be.
        """
        if self._connection is None and self._connecting is None:
            self._stopRetrying()
            self._changeState("opening")
            most = self._beside.maxMessage * 8
            factory = Factory.forProtocol(lambda: LineReader(self, most))
            factory.noisy = False
            self._connecting = self._beside.endpoint.connect(factory)
            self._connecting.addCallbacks(self._connected, self._notConnected)

    def stored(self, message: Message) -> None:
        """
        A message was stored that the reader will get.
        """
        self._storedAt[str(message.cursor)] = message.time
        while len(self._storedAt) > MOST_TIMES:
            self._storedAt.popitem(last=False)

    def cut(self) -> None:
        """
        Cut the connection, and stay away.
        """
        self._stopRetrying()
        self._changeState("cut")
        if self._connecting is not None:
            self._connecting.cancel()
        connection, self._connection = self._connection, None
        self.traffic["open"] = 0
        if connection is not None:
            connection.transport.abortConnection()

    def end(self) -> None:
        """
        The page is gone.
        """
        self.cut()
        if self._reporting is not None:
            self._reporting.cancel()
            self._reporting = None

    def _connected(self, connection: Any) -> None:
        self._connecting = None
        self._connection = connection
        self.traffic["open"] = 1
        self.traffic["requests"] += 1
        command: dict[str, Any] = {"id": 1, "subscribe": [f"lab/{self.name}"]}
        if self._cursor is not None:
            command["since"] = self._cursor
        connection.say(command)

    def _notConnected(self, failure: Failure) -> None:
        self._connecting = None
        if self.state != "cut":
            self._retry()

    def disconnected(self, connection: LineReader) -> None:
        """
        The server has left.
        """
        if connection is self._connection:
            self._connection = None
            self.traffic["open"] = 0
            self._changeState("opening")
            self._retry()

    def _retry(self) -> None:
        self._retrying = self._beside.clock.callLater(RETRY, self._retryNow)

    def _retryNow(self) -> None:
        self._retrying = None
        self.open()

    def _stopRetrying(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None

    def heard(self, value: Any) -> None:
        """
        The server said something to the reader.
        """
        if "ok" in value:
            self._changeState("open")
            self._hasGap |= "gap" in value["ok"]
            self._cursor = value["ok"]["cursor"]
        elif "cursor" in value:
            self._cursor = value["cursor"]
            self._hasGap |= "gap" in value
            if "data" in value:
                self._messageReceived(value)
        self.reportSoon()

    def _messageReceived(self, envelope: dict[str, Any]) -> None:
        cursor = envelope["cursor"]
        storedAt = self._storedAt.pop(cursor, None)
        data = envelope["data"]
        isShort = len(json.dumps(data)) <= MOST_DATA
        self._messages.append(
            {
                "cursor": cursor,
                "delay": None if storedAt is None else self._beside.wallClock() - storedAt,
                "data": data if isShort else None,
            }
        )
        del self._messages[:-MOST_WAITING]

    def _changeState(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.reportSoon()

    def reportSoon(self) -> None:
        """
        Tell the page how it stands, with what else happens at once.
        """
        if self._reporting is None:
            self._reporting = self._beside.clock.callLater(PAUSE, self._report)

    def _report(self) -> None:
        self._reporting = None
        messages = self._takeMessages()
        if self._messages:
            self.reportSoon()
        hasGap, self._hasGap = self._hasGap, False
        self._beside.tell(
            self.name,
            {
                "state": self.state,
                "traffic": self.traffic,
                "gap": hasGap,
                "messages": messages,
            },
        )

    def _takeMessages(self) -> list[dict[str, Any]]:
        """
        As many messages as one report can carry.
        """
        room = self._beside.maxMessage - ROOM
        taken = 0
        for message in self._messages:
            room -= len(json.dumps(message))
            if taken and room < 0:
                break
            taken += 1
        messages, self._messages = self._messages[:taken], self._messages[taken:]
        return messages
