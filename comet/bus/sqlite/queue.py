"""
What waits for the thread that writes, in the order in which it was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from comet.interfaces.busabilities import Outcome
from comet.model.messages import Publication

# How much is committed together at most: messages, and bytes of payload.  Who asked
# first waits for all of it.
MOST_TOGETHER: Final = 1024
MOST_BYTES_TOGETHER: Final = 4 * 1024 * 1024

# How many bytes may wait for a slow disk before publishers are refused.
MOST_WAITING: Final = 128 * 1024 * 1024

# What a message costs in memory while it waits, beside its bytes.
_OVERHEAD: Final = 1024


class PublishBurst:
    """
    One call of L{IBurstBus.publishBurst<comet.interfaces.busabilities.IBurstBus.publishBurst>}.

    @ivar requests: Each of these is stored as a whole, or not at all.

    @ivar answered: Fires with the outcome of each request.

    @ivar messages: How many messages they make.

    @ivar size: How many bytes the messages take while they wait.
    """

    __slots__ = ("answered", "messages", "requests", "size")

    def __init__(self, requests: Sequence[Sequence[Publication]]) -> None:
        self.requests = requests
        self.answered: Deferred[Sequence[Outcome]] = Deferred()
        self.messages = self.size = 0
        for request in requests:
            for each in request:
                self.messages += len(each.channels)
                self.size += (len(each.payload) + _OVERHEAD) * len(each.channels)


class WriteTask:
    """
    A write other than publishing.

    @ivar do: Does the write; called in the thread that writes.

    @ivar done: Fires with the result of C{do}, or fails with its exception.

    @ivar isBeside: Whether it need not keep its place among publications.
    """

    __slots__ = ("do", "done", "isBeside")

    def __init__(self, do: Callable[[], Any], isBeside: bool = False) -> None:
        self.do = do
        self.isBeside = isBeside
        self.done: Deferred[Any] = Deferred()


class WriteQueue:
    """
    Bursts and write tasks, first come first served.  Bursts that follow one another are
    taken together.

    Tasks that need not keep their place have a line of their own.  While both lines wait
    they are served by turns: so a publication waits for one change of members at most,
    however many clients come.

    @ivar size: How many bytes wait.
    """

    def __init__(self) -> None:
        self._waiting: deque[PublishBurst | WriteTask] = deque()
        self._beside: deque[WriteTask] = deque()
        self._wasBeside = False
        self.size = 0

    def __len__(self) -> int:
        """
        How many bursts and tasks wait.
        """
        return len(self._waiting) + len(self._beside)

    @property
    def isFull(self) -> bool:
        """
        Whether publishers have to be refused.
        """
        return self.size > MOST_WAITING

    def add(self, item: PublishBurst | WriteTask) -> None:
        """
        Add a burst or task at the end of its line.
        """
        if isinstance(item, WriteTask) and item.isBeside:
            self._beside.append(item)
            return
        self._waiting.append(item)
        if isinstance(item, PublishBurst):
            self.size += item.size

    def take(self) -> list[PublishBurst] | WriteTask:
        """
        Remove what is to be done next: a task, or all bursts that are to be
        committed together.  The queue must not be empty.
        """
        self._wasBeside = bool(self._beside) and not (self._wasBeside and self._waiting)
        if self._wasBeside:
            return self._beside.popleft()
        first = self._waiting[0]
        if isinstance(first, WriteTask):
            self._waiting.popleft()
            return first
        together: list[PublishBurst] = []
        messages = size = 0
        while self._waiting:
            call = self._waiting[0]
            if isinstance(call, WriteTask):
                break
            messages += call.messages
            size += call.size
            if together and (messages > MOST_TOGETHER or size > MOST_BYTES_TOGETHER):
                break
            together.append(call)
            self._waiting.popleft()
            self.size -= call.size
        return together
