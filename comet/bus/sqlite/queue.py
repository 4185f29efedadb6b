"""
What waits to be written, in the order in which it was asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred

from comet.model.messages import Publication, Published

# How much is committed at once: in messages, and in bytes of payload.
MOST_TOGETHER: Final = 4096
MOST_BYTES_TOGETHER: Final = 16 * 1024 * 1024

# How many bytes wait for a disk that is slow, before publishers are refused.
MOST_WAITING: Final = 128 * 1024 * 1024

# What a message costs while it waits, beside its bytes.
_OVERHEAD: Final = 1024


class PublishRequest:
    """
    What one publisher asked for at once.

    @ivar publications: All of these, or none.

    @ivar answered: Fires with an answer for each.

    @ivar messages: How many messages that are.

    @ivar size: How many bytes.
    """

    __slots__ = ("answered", "messages", "publications", "size")

    def __init__(self, publications: Sequence[Publication]) -> None:
        self.publications = publications
        self.answered: Deferred[Sequence[Published]] = Deferred()
        self.messages = sum(len(each.channels) for each in publications)
        self.size = sum(
            (len(each.payload) + _OVERHEAD) * len(each.channels) for each in publications
        )


class WriteTask:
    """
    Something else that is to be written.

    @ivar do: Does it, in the thread that writes.

    @ivar done: Fires with what it returns, or fails with what it raises.
    """

    __slots__ = ("do", "done")

    def __init__(self, do: Callable[[], Any]) -> None:
        self.do = do
        self.done: Deferred[Any] = Deferred()


class WriteQueue:
    """
    Calls and jobs, first come first served; calls that follow one another are
    served together.

    @ivar size: How many bytes wait.
    """

    def __init__(self) -> None:
        self._waiting: deque[PublishRequest | WriteTask] = deque()
        self.size = 0

    def __len__(self) -> int:
        """
        How many wait.
        """
        return len(self._waiting)

    @property
    def isFull(self) -> bool:
        """
        Whether nothing more should be taken.
        """
        return self.size > MOST_WAITING

    def add(self, item: PublishRequest | WriteTask) -> None:
        """
        Let it wait.
        """
        self._waiting.append(item)
        if isinstance(item, PublishRequest):
            self.size += item.size

    def take(self) -> list[PublishRequest] | WriteTask:
        """
        What is to be done next.  Something has to wait.
        """
        first = self._waiting[0]
        if isinstance(first, WriteTask):
            self._waiting.popleft()
            return first
        together: list[PublishRequest] = []
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
