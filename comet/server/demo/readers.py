"""
A reader over raw TCP, for a visit of the lab page.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from comet.model.messages import Message

# The shortest time between two reports of a reader, and the delay before it
# reconnects, in seconds.
PAUSE: Final = 0.05
RETRY: Final = 1.0

# How many messages wait to be reported.
MOST_WAITING: Final = 1000

# How many bytes of JSON the data of a message may have to be part of a report.
MOST_DATA: Final = 256

# How many bytes a report has besides its messages.
ROOM: Final = 256

# Of how many messages a visit remembers the time at which they were stored.
MOST_TIMES: Final = 1000


@frozen
class ReaderContext:
    """
    What the server gives its readers.

    @ivar endpoint: Connects to the server over raw TCP.

    @ivar maxMessage: The most bytes of a message.

    @ivar wallClock: Returns the seconds since 1970.

    @ivar report: Publishes a report to the visit of a name.
    """

    endpoint: IStreamClientEndpoint
    maxMessage: int
    clock: IReactorTime
    wallClock: Callable[[], float]
    report: Callable[[str, dict[str, Any]], None]


class LineReader(LineOnlyReceiver):
    """
    One connection of a reader.
    """

    delimiter = b"\n"
    # It is a TCP transport, which has more than ITransport says.
    transport: Any

    def __init__(self, visit: Visit, most: int) -> None:
        """
        @param most: The most bytes of a line.
        """
        self.MAX_LENGTH = most
        self.visit = visit

    def sendCommand(self, command: dict[str, Any]) -> None:
        """
        Send a command to the server.
        """
        line = json.dumps(command, separators=(",", ":")).encode("ascii")
        self.visit.traffic["dataIn"] += len(line) + 1
        self.sendLine(line)

    def dataReceived(self, data: bytes) -> None:
        """
        Count the bytes.
        """
        self.visit.traffic["dataOut"] += len(data)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """
        The server sent an envelope or a reply.
        """
        self.visit.envelopeReceived(json.loads(line))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is lost.
        """
        self.visit.disconnected(self)


class Visit:
    """
    A visit of the lab page, and its reader.

    @ivar state: C{opening}, C{open} or C{cut}.

    @ivar traffic: What the reader has cost, as the server's metrics count it.

    @ivar heardAt: When the page last published, by the reactor's clock.
    """

    _connecting: Deferred[IProtocol] | None = None
    _retrying: IDelayedCall | None = None
    _reporting: IDelayedCall | None = None

    def __init__(self, name: str, cursor: str | None, context: ReaderContext) -> None:
        """
        @param cursor: The cursor at which the reader begins, or L{None} for
            the log's end.
        """
        self.name = name
        self.state = "cut"
        self.heardAt = context.clock.seconds()
        self._context = context
        self.traffic = dict.fromkeys(
            ("open", "requests", "headIn", "dataIn", "headOut", "dataOut"), 0
        )
        # When the messages that the reader has yet to get were stored, by cursor.
        self._storedAt: OrderedDict[str, float] = OrderedDict()
        self._cursor = cursor
        self._messages: list[dict[str, Any]] = []
        self._hasGap = False
        self._connection: LineReader | None = None

    def open(self, cursor: str | None = None) -> None:
        """
        Connect, unless the reader is connected or connecting.

        @param cursor: The cursor from which a reader goes on that was cut off: up to
            it the page has all messages, and of what was reported later it may have
            none.  L{None} for that which the reader has reached.
        """
        if self.state == "cut" and cursor is not None:
            self._cursor = cursor
            self._messages.clear()
        if self._connection is None and self._connecting is None:
            self._stopRetrying()
            self._changeState("opening")
            most = self._context.maxMessage * 8
            factory = Factory.forProtocol(lambda: LineReader(self, most))
            factory.noisy = False
            self._connecting = self._context.endpoint.connect(factory)
            self._connecting.addCallbacks(self._connected, self._notConnected)

    def messageStored(self, message: Message) -> None:
        """
        The bus has stored a message that the reader will get.
        """
        self._storedAt[str(message.cursor)] = message.time
        while len(self._storedAt) > MOST_TIMES:
            self._storedAt.popitem(last=False)

    def cut(self) -> None:
        """
        Cut the connection, and do not reconnect.
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
        End the visit: the page is gone.
        """
        self.cut()
        if self._reporting is not None:
            self._reporting.cancel()
            self._reporting = None

    def _connected(self, connection: IProtocol) -> None:
        assert isinstance(connection, LineReader)
        self._connecting = None
        self._connection = connection
        self.traffic["open"] = 1
        self.traffic["requests"] += 1
        command: dict[str, Any] = {"id": 1, "subscribe": [f"lab/{self.name}"]}
        if self._cursor is not None:
            command["since"] = self._cursor
        connection.sendCommand(command)

    def _notConnected(self, failure: Failure) -> None:
        self._connecting = None
        if self.state != "cut":
            self._retry()

    def disconnected(self, connection: LineReader) -> None:
        """
        A connection was lost.
        """
        if connection is self._connection:
            self._connection = None
            self.traffic["open"] = 0
            self._changeState("opening")
            self._retry()

    def _retry(self) -> None:
        self._retrying = self._context.clock.callLater(RETRY, self._retryNow)

    def _retryNow(self) -> None:
        self._retrying = None
        self.open()

    def _stopRetrying(self) -> None:
        if self._retrying is not None:
            self._retrying.cancel()
            self._retrying = None

    def envelopeReceived(self, value: dict[str, Any]) -> None:
        """
        The server sent an envelope, or the reply to a command.
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
                "delay": None if storedAt is None else self._context.wallClock() - storedAt,
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
        Report to the page after a short pause, together with what happens in it.
        """
        if self._reporting is None:
            self._reporting = self._context.clock.callLater(PAUSE, self._report)

    def _report(self) -> None:
        self._reporting = None
        messages = self._takeMessages()
        if self._messages:
            self.reportSoon()
        hasGap, self._hasGap = self._hasGap, False
        self._context.report(
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
        Take as many messages as one report can carry.
        """
        room = self._context.maxMessage - ROOM
        taken = 0
        for message in self._messages:
            room -= len(json.dumps(message))
            if taken and room < 0:
                break
            taken += 1
        messages, self._messages = self._messages[:taken], self._messages[taken:]
        return messages
