"""
One run of C{comet bench}.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from comet.client.failures import Lost
from comet.command.benchsockets import BenchPublisher, BenchReader, Target
from comet.command.latencies import Latencies
from comet.command.marks import Marks

# For how many seconds nothing may come before what is missing counts as lost.
_PATIENCE: Final = 5.0

_NANO: Final = 1_000_000_000


@frozen
class Asked:
    """
    What is asked of the server.

    @ivar channel: The channel.

    @ivar transport: How it is read.

    @ivar readers: By how many readers.

    @ivar messages: How many messages are published.

    @ivar rate: How many a second; 0 for the next when all readers have the last.

    @ivar size: How many characters each has.
    """

    channel: str
    transport: str
    readers: int
    messages: int
    rate: float
    size: int


class Run:
    """
    Readers and a publisher at work.

    @ivar deliveries: How long it took from publishing until a reader had a message.

    @ivar answers: How long it took until the publisher was answered.

    @ivar seconds: How long the whole took.

    @ivar broken: How many readers lost their connections.
    """

    def __init__(self, target: Target, asked: Asked, marks: Marks) -> None:
        self._target = target
        self._asked = asked
        self._marks = marks
        self._selector = selectors.DefaultSelector()
        self._readers: list[BenchReader] = []
        self._published = 0
        self.deliveries, self.answers = Latencies(), Latencies()
        self.seconds = 0.0
        self.broken = 0

    @property
    def lost(self) -> int:
        """
        How many messages readers did not get, all together.
        """
        return self._published * len(self._readers) - self.deliveries.count

    @property
    def repeated(self) -> int:
        """
        How many messages readers got again, or too late.
        """
        return sum(each.sequence.repeated for each in self._readers)

    def open(self, opened: Callable[[int], object]) -> None:
        """
        Open the readers.

        @param opened: Told of so many more.

        @raise CometError: If the server refuses one, or there is no connection.
        """
        asked = self._asked
        for _ in range(asked.readers):
            reader = BenchReader(
                self._target, asked.channel, asked.transport, self._marks, self.deliveries
            )
            self._readers.append(reader)
            reader.awaitGreeting()
            self._selector.register(reader.socket, selectors.EVENT_READ, reader)
            opened(1)

    def work(self, published: Callable[[int], object]) -> None:
        """
        Publish all messages, and wait until they are read.

        @param published: Told of so many more.

        @raise CometError: If the server refuses a message.
        """
        publisher = BenchPublisher(self._target, self._asked.channel, self.answers)
        self._selector.register(publisher.socket, selectors.EVENT_READ, publisher)
        began = heard = time.perf_counter_ns()
        try:
            while True:
                now = time.perf_counter_ns()
                if self._isDue(publisher, now - began):
                    publisher.publish(self._marks.write(self._published, now), now)
                    self._published += 1
                    heard = now
                    published(1)
                isOver = self._published == self._asked.messages
                if isOver and not publisher.waiting and not self.lost:
                    break
                if self._take(self._pause(now - began)):
                    heard = time.perf_counter_ns()
                elif time.perf_counter_ns() - heard > _PATIENCE * _NANO:
                    break
        finally:
            publisher.socket.close()
        self.seconds = (time.perf_counter_ns() - began) / _NANO

    def _isDue(self, publisher: BenchPublisher, elapsed: int) -> bool:
        """
        Tell whether it is time for the next message.
        """
        asked = self._asked
        if self._published == asked.messages:
            return False
        if asked.rate:
            return elapsed >= self._published * _NANO / asked.rate
        return not publisher.waiting and not self.lost

    def _pause(self, elapsed: int) -> float:
        """
        Choose how long to wait for what comes, in seconds.
        """
        asked = self._asked
        if asked.rate and self._published < asked.messages:
            return max(self._published / asked.rate - elapsed / _NANO, 0.0)
        return _PATIENCE

    def _take(self, pause: float) -> bool:
        """
        Wait for what comes, and take it.

        @return: Whether anything has come.
        """
        events = self._selector.select(min(pause, _PATIENCE))
        for key, _ in events:
            connection = key.data
            try:
                connection.take(time.perf_counter_ns())
            except Lost:
                if isinstance(connection, BenchPublisher):
                    raise
                self.broken += 1
                self._selector.unregister(connection.socket)
        return bool(events)

    def close(self) -> None:
        """
        Close all connections.
        """
        self._selector.close()
        for each in self._readers:
            each.socket.close()
