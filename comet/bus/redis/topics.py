"""
The names that listeners need, and the fewest topics of Redis that carry them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from comet.interfaces.messagebus import IBusListener
from comet.model.channels import isPattern
from comet.model.patterns import PatternTable

# The characters with a meaning in a pattern of PSUBSCRIBE.
_SPECIAL: Final = re.compile(r"([\\*?\[\]^])")
_STARS: Final = re.compile(r"\*+")


class Topic(NamedTuple):
    """
    A topic to which a connection can be subscribed.

    @ivar isGlob: Whether it is a pattern of Redis.  Such a pattern may match
        more channels than the name that it carries.

    @ivar text: The channel or pattern of Redis.
    """

    isGlob: bool
    text: bytes


def escape(text: str) -> str:
    """
    Write a text as a pattern of Redis that matches only this text.
    """
    return _SPECIAL.sub(r"\\\1", text)


class Topics:
    """
    The names that listeners need, and the topics that carry them.
    """

    def __init__(self, topicPrefix: str) -> None:
        """
        @param topicPrefix: The beginning of the topics of messages.
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
        Return the topic that carries a name.
        """
        if not isPattern(name):
            return Topic(False, f"{self._topicPrefix}{name}".encode())
        # A star of Redis also matches slashes, and the empty text.
        segments = ["*" if each in ("*", "**") else escape(each) for each in name.split("/")]
        return Topic(True, f"{escape(self._topicPrefix)}{'/'.join(segments)}".encode())

    def add(self, listener: IBusListener, names: Iterable[str]) -> list[Topic]:
        """
        Note that a listener needs names.

        @return: The topics that were not needed before.
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
        Note that a listener needs these names no more.  Names that it does not
        need are ignored.

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
        Whether a listener needs the messages of a channel.
        """
        return bool(self._names.matching(channel))
