"""
What this node says of its readers, and how it learns that nothing of it counts any more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from comet.bus.redis.memberreplies import SetMembers
from comet.bus.redis.memberstore import Forgotten, MemberStore
from comet.bus.redis.notifications import Notifications
from comet.bus.redis.protocol import RedisProtocol
from comet.bus.redis.replies import NoLog
from comet.errors import Unavailable
from comet.model.presence import Holding

# How many steps are taken at most each time that members are tended.
_MOST_STEPS: Final = 100


class NodeMembers:
    """
    Says what this node has, under a name that it takes anew when it was forgotten.
    """

    def __init__(self, members: MemberStore, notifications: Notifications) -> None:
        self._members = members
        self._notifications = notifications
        self._forgotten: Callable[[], object] = _nothing

    def attach(self, forgotten: Callable[[], object]) -> None:
        """
        Call a function each time that this node was forgotten.
        """
        self._forgotten = forgotten

    async def set(
        self, connection: RedisProtocol, holdings: Sequence[Holding]
    ) -> tuple[SetMembers, list[Holding]]:
        """
        Say what this node has of some clients, as L{MemberStore.set} does.

        @raise Unavailable: If this node was forgotten.
        """
        try:
            return await self._members.set(connection, holdings, self._notifications.end.epoch)
        except Forgotten:
            self._beginAnew()
            raise Unavailable("this node was cut off: all it has is to be said anew") from None

    async def tend(self, connection: RedisProtocol) -> None:
        """
        Prove that this node lives, and do what is to do for members of all nodes.
        """
        try:
            for _ in range(_MOST_STEPS):
                if not await self._members.tend(connection):
                    break
        except Forgotten:
            self._beginAnew()
        except NoLog:
            # The next check begins one.
            pass

    def _beginAnew(self) -> None:
        self._members.beginAnew(self._notifications.end.epoch)
        self._forgotten()


def _nothing() -> None:
    pass
