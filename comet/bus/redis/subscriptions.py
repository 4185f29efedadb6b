"""
Keeps the topics to which a connection is subscribed in step with what the
listeners need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred

from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.topics import Topic, Topics
from comet.interfaces import IBusListener

# How many topics one command names at most.
_MOST_NAMED = 500


class Subscriptions:
    """
    Subscribes to topics, each once, regardless of the number of listeners.
    """

    def __init__(self, topics: Topics, end: str) -> None:
        """
        @param topics: The topics that listeners need.

        @param end: The topic of the moves of the log end, to which every
            connection is subscribed.
        """
        self._topics = topics
        self._end = Topic(False, end.encode())
        self._effective: set[Topic] = set()
        # The call of L{confirm} that has subscribed to a topic which Redis has
        # not confirmed yet.
        self._asked: dict[Topic, object] = {}

    async def begin(self, connection: RedisProtocol) -> Sequence[Topic]:
        """
        Subscribe a new connection to everything that is needed.

        @return: The topics it is subscribed to.
        """
        topics = [self._end, *self._topics]
        await self._subscribe(connection, topics)
        return topics

    def began(self, connection: RedisProtocol, topics: Sequence[Topic]) -> None:
        """
        Use a connection from now on.

        @param topics: The topics that L{begin} returned.
        """
        self._effective = {topic for topic in topics if topic in self._topics}
        self._unsubscribe(connection, set(topics) - self._effective - {self._end})

    def lost(self) -> None:
        """
        Forget the connection, which is lost.
        """
        self._effective.clear()
        self._asked.clear()

    def add(self, listener: IBusListener, names: Iterable[str]) -> None:
        """
        Note that a listener needs names.  L{confirm} subscribes to them.
        """
        self._topics.add(listener, names)

    def remove(
        self, connection: RedisProtocol | None, listener: IBusListener, names: Iterable[str]
    ) -> None:
        """
        Note that a listener needs these names no more, and unsubscribe.

        @param connection: The connection in use, or L{None} if there is none.
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
        Subscribe to those of some names that are still needed, and return once
        all are confirmed.
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
                # Another call has subscribed to these topics.  Redis answers in
                # order: a reply to a later command comes after the
                # confirmation.
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
            # If one of the answers fails, the others are not awaited: without
            # this, their failures would be logged.
            answer.addErrback(lambda failure: failure)
        try:
            for answer in answers:
                await answer
        finally:
            for answer in answers:
                answer.addErrback(lambda failure: None)

    def _unsubscribe(self, connection: RedisProtocol, topics: Iterable[Topic]) -> None:
        for answer in _send(connection, "UNSUBSCRIBE", "PUNSUBSCRIBE", topics):
            # If this fails, the connection is lost, and the subscription with
            # it.
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
