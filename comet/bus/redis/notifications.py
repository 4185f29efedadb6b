"""
Tells listeners what Redis pushes to this node, in order: messages, moves of the
log end, and new epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from comet.bus.listeners import Listeners
from comet.bus.redis.pushes import readEndMoved, readPushed
from comet.bus.redis.replies import BadReply
from comet.bus.redis.topics import Topics
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.messages import Message

# How many bytes of pushed messages wait for the log end to follow: more than one
# script stores.
MOST_PENDING: Final = 1 << 28


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
        # The log end as the scripts have pushed it last, and the newest one.
        self._told = self._newest = self.end
        self._fresh: list[Message] = []
        # By position: messages whose script has not moved the log end yet, and
        # how many bytes they take.  A foreign writer's never does.
        self._pending: dict[int, Message] = {}
        self._pendingBytes = 0
        self._isMissing = False

    def began(self, end: Cursor, isFirst: bool) -> None:
        """
        A connection has become ready.  Everything that is stored from now on is
        pushed to it.

        @param isFirst: Whether it is the first connection; no message was
            missed before it.
        """
        self._fresh.clear()
        self._forgetPending()
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
            if message.epoch == self._told.epoch and message.position > self._told.position:
                self._wait(message)

    def _wait(self, message: Message) -> None:
        """
        Keep a message until its script moves the log end, as the script does
        before any other client can push.  Only then its position is believed.
        """
        position = message.position
        if not self._topics.isWanted(message.channel):
            return
        # A message is pushed once for each topic that carries it.
        if position not in self._pending:
            self._pendingBytes += message.size
        self._pending[position] = message
        if self._pendingBytes > MOST_PENDING:
            self._refused(f"{len(self._pending)} pushed messages that the log end does not follow")
            self._forgetPending()
            self._isMissing = True

    def _forgetPending(self) -> None:
        self._pending.clear()
        self._pendingBytes = 0

    def _endMoved(self, end: Cursor, before: int) -> None:
        pending = self._pending
        if end.epoch != self._told.epoch:
            self._forgetPending()
            self.flush()
            self._told = self._newest = self.end = end
            self._listeners.interrupted()
            return
        if before != self._told.position or end < self._newest:
            # A foreign writer, or a lost push: treat both as missed messages.
            self._isMissing = True
        elif pending:
            self._fresh += [
                pending[position] for position in sorted(pending) if position <= end.position
            ]
        self._forgetPending()
        self._told = end
        self._newest = max(self._newest, end)

    def flush(self) -> None:
        """
        Tell the listeners what was pushed since the last flush.
        """
        if self._newest == self.end and not self._isMissing:
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
