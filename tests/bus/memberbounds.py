"""
How many members there may be, on each bus of comet's own.
"""

from __future__ import annotations

from typing import Any

from comet.model.presence import Holding, MemberBounds
from comet.testing.joining import JoiningCase


def holding(name: str, connections: int = 1, grace: float = 0.0) -> Holding:
    """
    Say what a node has of a client.

    @param name: The channel and the client, with a hyphen between.
    """
    channel, client = name.split("-")
    return Holding(channel, client, connections, None, True, grace)


class MemberBoundsContract(JoiningCase):
    """
    C{memberBounds} of a bus.

    @cvar busType: The class of the bus.
    """

    busType: Any

    async def makeBounded(self) -> Any:
        """
        Make a bus whose channels may have two members each, and three in all.
        """
        self.patch(self.busType, "memberBounds", MemberBounds(each=2, inAll=3))
        return await self.makePresence()

    async def take(self, bus: Any, names: str) -> str:
        """
        Let clients come.

        @return: Those that were refused.
        """
        refused = await bus.setPresence([holding(name) for name in names.split()])
        return " ".join(f"{each.channel}-{each.client}" for each in refused)

    async def counts(self, bus: Any) -> list[int]:
        """
        Return how many members each of three channels has.
        """
        return [(await self.answer(bus.membersOf(name, None, 0))).count for name in "abc"]

    async def test_boundOfEach(self) -> None:
        """
        A client for which there is no room in a channel is no member, and nothing is
        told of it.
        """
        bus = await self.makeBounded()
        self.assertEqual(await self.take(bus, "a-ada a-bob a-cyd b-cyd"), "a-cyd")
        self.assertEqual(await self.counts(bus), [2, 1, 0])
        self.assertEqual(bus.end.position, 3)

    async def test_boundInAll(self) -> None:
        """
        Nor is a client for which there is no room among the members of all channels.
        Members may come with more readers, and return in their grace.
        """
        bus = await self.makeBounded()
        self.assertEqual(await self.take(bus, "a-ada b-bob c-cyd c-dan b-ada"), "c-dan b-ada")
        await self.say(bus, holding("a-ada", 2), holding("a-ada", 0, 10.0), holding("a-ada"))
        # Readers without a name are only counted.
        await self.say(bus, Holding("a", "", 7))
        self.assertEqual(await self.counts(bus), [1, 1, 1])

    async def test_roomAfterLeave(self) -> None:
        """
        A member that leaves, at once or after its grace, makes room for another one, in
        any channel.  One in its grace does not.
        """
        bus = await self.makeBounded()
        await self.take(bus, "a-ada b-bob c-cyd")
        await self.say(bus, holding("a-ada", 0))
        self.assertEqual(await self.take(bus, "b-dan b-eve"), "b-eve")
        await self.say(bus, holding("c-cyd", 0, 10.0))
        self.assertEqual(await self.take(bus, "a-eve"), "a-eve")
        await self.wait(bus, 11.0)
        self.assertEqual(await self.take(bus, "a-eve a-fay"), "a-fay")
        self.assertEqual(await self.counts(bus), [1, 2, 0])
