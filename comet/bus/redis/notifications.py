"""
Tells listeners what Redis pushes to this node, in order: messages, moves of the
log end, and new epochs.
"""

from __future__ import annotations

from collections.abc import Callable

from comet.bus.listeners import Listeners
from comet.bus.redis.replies import BadReply, readEndMoved, readPushed
from comet.bus.redis.topics import Topics
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.messages import Message


class Notifications:
    """
    Tells the listeners of what is pushed: each message once, in the order of
    positions.

    @ivar end: The newest position that was pushed, in the present epoch.
    """

    def __init__(
        self,
        topicPrefix: str,
        topics: Topics,
        listeners: Listeners,
        refused: Callable[[object], None],
    ) -> None:
        """
        @param topicPrefix: The beginning of all topics.

        @param refused: Told of pushes that no script of comet's can have sent.
            They are ignored: a message that was stored is pushed by its script,
            and a push that is missing shows when the log end moves.
        """
        self.end = Cursor("", 0)
        self._endTopic = f"{topicPrefix}head".encode()
        self._messages = f"{topicPrefix}m:".encode()
        self._topics = topics
        self._listeners = listeners
        self._refused = refused
        # The log end as the scripts have pushed it, and the newest position
        # that was seen in any push.
        self._told = self._newest = self.end
        self._fresh: list[Message] = []
        self._isMissing = False

    def began(self, end: Cursor, isFirst: bool) -> None:
        """
        A connection has become ready.  Everything that is stored from now on is
        pushed to it.

        @param isFirst: Whether it is the first connection; no message was
            missed before it.
        """
        self._fresh.clear()
        self._isMissing = False
        self.end = self._told = self._newest = end
        if not isFirst:
            self._listeners.interrupted()

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        Take a push.
        """
        try:
            self._pushed(topic, data)
        except (BadReply, NotOurs) as error:
            self._refused(error)

    def _pushed(self, topic: bytes, data: bytes) -> None:
        if topic == self._endTopic:
            self._endMoved(*readEndMoved(data))
        elif topic.startswith(self._messages):
            message = readPushed(topic[len(self._messages) :], data)
            # A message is pushed once for each topic that carries it.
            if message.epoch == self._told.epoch and message.position > self._newest.position:
                self._newest = message.cursor
                if self._topics.isWanted(message.channel):
                    self._fresh.append(message)

    def _endMoved(self, end: Cursor, before: int) -> None:
        if end.epoch != self._told.epoch:
            self.flush()
            self._told = self._newest = self.end = end
            self._listeners.interrupted()
            return
        if before != self._told.position:
            # A foreign writer, or a lost push: treat both as missed messages.
            self._isMissing = True
        self._told = end
        self._newest = max(self._newest, end)

    def flush(self) -> None:
        """
        Tell the listeners what was pushed since the last flush.
        """
        if self._newest == self.end:
            return
        self.end = self._newest
        fresh, self._fresh = self._fresh, []
        if self._isMissing:
            self._isMissing = False
            self._listeners.interrupted()
            return
        if fresh:
            self._listeners.messagesStored(fresh)
        self._listeners.endMoved(self.end)
