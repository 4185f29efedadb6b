"""
Keeps the topics to which a connection is subscribed in step with what the
listeners need.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from twisted.internet.defer import Deferred

from comet.bus.redis.capabilities import isDenial
from comet.bus.redis.protocol import RedisProtocol, RedisRefused
from comet.bus.redis.topics import Topic, Topics
from comet.errors import Forbidden
from comet.interfaces.messagebus import IBusListener

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
        denied = await self._subscribe(connection, topics)
        # The listeners that need a denied topic are told by L{confirm}.
        return [each for each in topics if each not in denied]

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

        @raise Forbidden: If Redis does not allow its user to subscribe to a
            pattern.
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
                denied = await self._subscribe(connection, new)
                mine = [each for each in new if self._asked.get(each) is token]
                self._effective.update(each for each in mine if each not in denied)
            finally:
                for each in new:
                    if self._asked.get(each) is token:
                        del self._asked[each]
            if denied:
                refused = [name for name in names if self._topics.topicOf(name) in denied]
                raise Forbidden(
                    f"Redis does not allow this server to read the pattern {refused[0]!r}"
                )

    async def _subscribe(
        self, connection: RedisProtocol, topics: Iterable[Topic]
    ) -> Collection[Topic]:
        """
        Subscribe to topics.

        @return: The patterns among them to which the user may not subscribe.
            Redis compares a pattern with those of the user letter by letter, so
            it may deny any pattern of a user who may read all channels.
        """
        sent = _send(connection, "SUBSCRIBE", "PSUBSCRIBE", topics)
        for _, answer in sent:
            # If one of the answers fails, the others are not awaited: without
            # this, their failures would be logged.
            answer.addErrback(lambda failure: failure)
        denied: set[Topic] = set()
        try:
            for part, answer in sent:
                try:
                    await answer
                except RedisRefused as error:
                    if not part[0].isGlob or not isDenial(error):
                        raise
                    denied.update(await self._subscribeApart(connection, part))
        finally:
            for _, answer in sent:
                answer.addErrback(lambda failure: None)
        return denied

    async def _subscribeApart(
        self, connection: RedisProtocol, topics: Sequence[Topic]
    ) -> Collection[Topic]:
        """
        Subscribe to those of some patterns to which the user may subscribe,
        after Redis has denied all of them together because of one.
        """
        if len(topics) == 1:
            return topics
        half = len(topics) // 2
        first = await self._subscribe(connection, topics[:half])
        return [*first, *await self._subscribe(connection, topics[half:])]

    def _unsubscribe(self, connection: RedisProtocol, topics: Iterable[Topic]) -> None:
        for _, answer in _send(connection, "UNSUBSCRIBE", "PUNSUBSCRIBE", topics):
            # If this fails, the connection is lost, and the subscription with
            # it.
            answer.addErrback(lambda failure: None)


def _send(
    connection: RedisProtocol, plain: str, glob: str, topics: Iterable[Topic]
) -> list[tuple[Sequence[Topic], Deferred[None]]]:
    """
    Send commands for topics.

    @return: The topics of each command, none of which mixes both kinds; and the
        Deferred of its answer.
    """
    both = list(topics)
    sent: list[tuple[Sequence[Topic], Deferred[None]]] = []
    for verb, isGlob in ((plain, False), (glob, True)):
        alike = [topic for topic in both if topic.isGlob is isGlob]
        for start in range(0, len(alike), _MOST_NAMED):
            part = alike[start : start + _MOST_NAMED]
            sent.append((part, connection.subscribe(verb, [each.text for each in part])))
    return sent
