"""
What a node hears from Redis, put in order: messages, moves of the head, and
new lives of the log.
"""

from __future__ import annotations

from comet.bus.listeners import Listeners
from comet.bus.redis.replies import readHead, readPushed
from comet.bus.redis.topics import Topics
from comet.model.cursors import Cursor
from comet.model.messages import Message


class Notifications:
    """
    Tells the listeners what is pushed: each message once, in the order of
    positions.

    @ivar end: The newest position that was heard of, in the epoch of now.
    """

    def __init__(self, topicPrefix: str, topics: Topics, listeners: Listeners) -> None:
        """
        @param topicPrefix: What topics begin with.
        """
        self.end = Cursor("", 0)
        self._endTopic = f"{topicPrefix}head".encode()
        self._messages = f"{topicPrefix}m:".encode()
        self._topics = topics
        self._listeners = listeners
        # The head as the scripts have told it, and the newest message.
        self._told = self._newest = self.end
        self._fresh: list[Message] = []
        self._isMissing = False

    def began(self, end: Cursor, isFirst: bool) -> None:
        """
        A connection is ready, after which everything is heard.
        """
        self._fresh.clear()
        self._isMissing = False
        self.end = self._told = self._newest = end
        if not isFirst:
            self._listeners.interrupted()

    def pushed(self, topic: bytes, data: bytes) -> None:
        """
        Take what is pushed.

        @raise BadReply: If it is not what our scripts publish.
        """
        if topic == self._endTopic:
            self._endMoved(*readHead(data))
        elif topic.startswith(self._messages):
            channel = topic[len(self._messages) :].decode("utf-8", "replace")
            message = readPushed(channel, data)
            # It comes once for each topic that carries it.
            if message.epoch == self._told.epoch and message.position > self._newest.position:
                self._newest = message.cursor
                if self._topics.isWanted(channel):
                    self._fresh.append(message)

    def _endMoved(self, end: Cursor, before: int) -> None:
        if end.epoch != self._told.epoch:
            self.flush()
            self._told = self._newest = self.end = end
            self._listeners.interrupted()
            return
        if before != self._told.position:
            # Somebody writes here who is none of us; or something was lost
            # where nothing can be.
            self._isMissing = True
        self._told = end
        self._newest = max(self._newest, end)

    def flush(self) -> None:
        """
        Tell what has come.
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
