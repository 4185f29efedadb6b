"""
Which names are heard, and what Redis is asked for that: the fewest topics that
carry them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from comet.interfaces import IBusListener
from comet.model.channels import isPattern
from comet.model.patterns import PatternTable

# What means something to Redis in a pattern of PSUBSCRIBE.
_SPECIAL: Final = re.compile(r"([\\*?\[\]^])")
_STARS: Final = re.compile(r"\*+")


class Topic(NamedTuple):
    """
    What Redis is asked to push.

    @ivar isGlob: Whether it is a pattern, as Redis understands it, which may
        match more than what is wanted.

    @ivar text: The channel of Redis, or the pattern.
    """

    isGlob: bool
    text: bytes


def escape(text: str) -> str:
    """
    Write a text as a pattern of Redis that only matches it.
    """
    return _SPECIAL.sub(r"\\\1", text)


class Topics:
    """
    The names that listeners wait for, and the topics that carry them.
    """

    def __init__(self, topicPrefix: str) -> None:
        """
        @param topicPrefix: What the topics of messages begin with.
        """
        self._topicPrefix = topicPrefix
        self._names: PatternTable[set[IBusListener]] = PatternTable()
        self._carried: dict[Topic, int] = {}

    def __iter__(self) -> Iterator[Topic]:
        return iter(list(self._carried))

    def __contains__(self, topic: object) -> bool:
        return topic in self._carried

    def topicOf(self, name: str) -> Topic:
        """
        The topic that carries a name.
        """
        if not isPattern(name):
            return Topic(False, f"{self._topicPrefix}{name}".encode())
        # A star of Redis also matches what is between segments, and nothing.
        segments = ["*" if each in ("*", "**") else escape(each) for each in name.split("/")]
        return Topic(True, f"{escape(self._topicPrefix)}{'/'.join(segments)}".encode())

    def add(self, listener: IBusListener, names: Iterable[str]) -> list[Topic]:
        """
        Let a listener wait for names.

        @return: The topics that are needed from now on, and were not before.
        """
        new = []
        for name in names:
            listeners = self._names.get(name)
            if listeners is None:
                listeners = set()
                self._names.add(name, listeners)
                topic = self.topicOf(name)
                self._carried[topic] = self._carried.get(topic, 0) + 1
                if self._carried[topic] == 1:
                    new.append(topic)
            listeners.add(listener)
        return new

    def remove(self, listener: IBusListener, names: Iterable[str]) -> list[Topic]:
        """
        End it for these names; those that it does not wait for change nothing.

        @return: The topics that are not needed any more.
        """
        ended = []
        for name in names:
            listeners = self._names.get(name)
            if listeners is None or listener not in listeners:
                continue
            listeners.remove(listener)
            if not listeners:
                self._names.remove(name)
                topic = self.topicOf(name)
                self._carried[topic] -= 1
                if not self._carried[topic]:
                    del self._carried[topic]
                    ended.append(topic)
        return ended

    def isWanted(self, channel: str) -> bool:
        """
        Whether anybody waits for the messages of a channel.
        """
        return bool(self._names.matching(channel))
