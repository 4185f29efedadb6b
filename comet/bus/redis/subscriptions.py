"""
What Redis was asked to push on a connection, kept in step with what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred

from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.topics import Topic, Topics
from comet.interfaces import IBusListener

# How many topics one command names.
_MOST_NAMED = 500


class Subscriptions:
    """
    Subscribes to topics, each once, whoever wants it.
    """

    def __init__(self, topics: Topics, end: str) -> None:
        """
        @param topics: What is wanted.

        @param end: The topic of the moves of the head, which is always heard.
        """
        self._topics = topics
        self._end = Topic(False, end.encode())
        self._effective: set[Topic] = set()
        # Which call has asked for a topic that is not confirmed.
        self._asked: dict[Topic, object] = {}

    async def begin(self, connection: RedisProtocol) -> Sequence[Topic]:
        """
        Subscribe to everything, on a new connection.

        @return: What was subscribed to.
        """
        topics = [self._end, *self._topics]
        await self._subscribe(connection, topics)
        return topics

    def began(self, connection: RedisProtocol, topics: Sequence[Topic]) -> None:
        """
        The connection is in use from now on.

        @param topics: What L{begin} subscribed to.
        """
        self._effective = {topic for topic in topics if topic in self._topics}
        self._unsubscribe(connection, set(topics) - self._effective - {self._end})

    def lost(self) -> None:
        """
        The connection is gone.
        """
        self._effective.clear()
        self._asked.clear()

    def add(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Let a listener wait for names; L{confirm} makes it effective.
        """
        self._topics.add(listener, names)

    def remove(
        self, connection: RedisProtocol | None, listener: IBusListener, names: Iterable[str]
    ) -> None:
        """
        End it for these names.

        @param connection: The one that is in use, if there is one.
        """
        ended = self._topics.remove(listener, names)
        known = [each for each in ended if each in self._effective or each in self._asked]
        for topic in known:
            self._effective.discard(topic)
            self._asked.pop(topic, None)
        if connection is not None:
            self._unsubscribe(connection, known)

    async def confirm(self, connection: RedisProtocol, names: Iterable[str]) -> None:
        """
        See that those of some names that are still wanted are heard on a
        connection.
        """
        needed = {self._topics.topicOf(name) for name in names}
        while True:
            missing = [
                each for each in needed if each in self._topics and each not in self._effective
            ]
            if not missing:
                return
            new = [each for each in missing if each not in self._asked]
            if not new:
                # Somebody has asked; whatever is answered after this, is
                # answered after that.
                await connection.command("PING")
                continue
            token = object()
            self._asked.update(dict.fromkeys(new, token))
            try:
                await self._subscribe(connection, new)
                mine = [each for each in new if self._asked.get(each) is token]
                self._effective.update(mine)
            finally:
                for each in new:
                    if self._asked.get(each) is token:
                        del self._asked[each]

    async def _subscribe(self, connection: RedisProtocol, topics: Iterable[Topic]) -> None:
        answers = _send(connection, "SUBSCRIBE", "PSUBSCRIBE", topics)
        for answer in answers:
            # The others are not left without anybody who hears of their end.
            answer.addErrback(lambda failure: failure)
        try:
            for answer in answers:
                await answer
        finally:
            for answer in answers:
                answer.addErrback(lambda failure: None)

    def _unsubscribe(self, connection: RedisProtocol, topics: Iterable[Topic]) -> None:
        for answer in _send(connection, "UNSUBSCRIBE", "PUNSUBSCRIBE", topics):
            # If it fails there is nothing more to be heard anyway.
            answer.addErrback(lambda failure: None)


def _send(
    connection: RedisProtocol, plain: str, glob: str, topics: Iterable[Topic]
) -> list[Deferred[None]]:
    both = list(topics)
    answers = []
    for verb, isGlob in ((plain, False), (glob, True)):
        texts = [topic.text for topic in both if topic.isGlob is isGlob]
        for start in range(0, len(texts), _MOST_NAMED):
            answers.append(connection.subscribe(verb, texts[start : start + _MOST_NAMED]))
    return answers
