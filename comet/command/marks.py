"""
The marks by which C{comet bench} knows its messages in the bytes that a reader gets.

A message is a string that begins with its mark: it is in the bytes of every transport as it
is, so that reading costs next to nothing beside what is measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

# How many bytes a mark has at most: 16 of the run, and two numbers.
_LONGEST: Final = 64


class Marks:
    """
    The marks of one run.
    """

    def __init__(self, run: str, size: int) -> None:
        """
        @param run: A word of letters and digits that no other run has.

        @param size: How many characters a message has, unless its mark has more.
        """
        self._run = run
        self._size = size
        self._pattern = re.compile(rb"%s-(\d{1,18})-(\d{1,20})-" % run.encode("ascii"))

    def write(self, number: int, nanoseconds: int) -> str:
        """
        Write a message.

        @param number: Its number, from 0.

        @param nanoseconds: When it is sent.
        """
        return f"{self._run}-{number}-{nanoseconds}-".ljust(self._size, "x")

    def find(self, data: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """
        Find the marks in what has arrived.

        @return: The number and the time of each, in digits, and the bytes in which one may
            have begun.
        """
        found = self._pattern.findall(data)
        if not found:
            return found, data[-_LONGEST:]
        # What follows a mark is no part of one, up to the end of the message.
        end = data.rindex(b"%s-%s-" % found[-1])
        return found, data[max(end + 1, len(data) - _LONGEST) :]


class Sequence:
    """
    What one reader has got of the messages of a run.

    @ivar got: How many different messages.

    @ivar repeated: How many came again, or after a later one.
    """

    def __init__(self) -> None:
        self.got = 0
        self.repeated = 0
        self._next = 0

    def take(self, found: Iterable[tuple[bytes, bytes]], now: int) -> list[int]:
        """
        Take marks.

        @param now: The time, in nanoseconds.

        @return: How long each message took that is new.
        """
        took = []
        for digits, sent in found:
            number = int(digits)
            if number < self._next:
                self.repeated += 1
            else:
                self._next = number + 1
                took.append(now - int(sent))
        self.got += len(took)
        return took
