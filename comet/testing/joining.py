"""
The contract of buses that know who is in a channel.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from zope.interface.verify import verifyObject

from comet.errors import BadRequest
from comet.interfaces.memberbus import IPresence
from comet.model.messages import Message
from comet.model.presence import MOST_LISTED_BYTES, MOST_TOGETHER, Holding, MemberPage
from comet.testing.case import BusCase, Listener

GRACE = 10.0


def here(client: str, connections: int = 1, info: bytes | None = None, **more: Any) -> Holding:
    """
    Say that a reader of a client has taken C{room}.
    """
    return Holding("room", client, connections, info, **{"isTaken": True, "grace": GRACE, **more})


def gone(client: str, grace: float = GRACE) -> Holding:
    """
    Say that no reader of a client has C{room} any more.
    """
    return Holding("room", client, 0, grace=grace)


def told(messages: Sequence[Message]) -> list[str]:
    """
    Write messages about members shortly: C{"join ada"}.
    """
    return [f"{each.event} {json.loads(each.payload)['client']}" for each in messages]


class JoiningCase(BusCase):
    """
    Short words for tests of members.
    """

    async def makePresence(self) -> Any:
        """
        Make a bus, as L{makeBus} does.
        """
        bus = await self.makeBus()
        self.assertTrue(IPresence.providedBy(bus))
        return bus

    async def expire(self, bus: Any) -> None:
        """
        Let the members leave whose grace is over.  A bus that does so by the clock
        of C{advance} has nothing to do.
        """

    async def say(self, bus: Any, *holdings: Holding) -> None:
        """
        Say what a node has, all of which is taken.
        """
        self.assertEqual(await bus.setPresence(holdings), [])

    async def wait(self, bus: Any, seconds: float) -> None:
        """
        Let time pass.
        """
        await self.advance(seconds)
        await self.expire(bus)

    async def page(self, bus: Any, after: str | None = None, limit: int = 1000) -> MemberPage:
        """
        Ask who is in C{room}.
        """
        page: MemberPage = await self.answer(bus.membersOf("room", after, limit))
        return page

    async def members(self, bus: Any) -> list[str]:
        """
        Return the members of C{room}, each with its number of connections.
        """
        page = await self.page(bus)
        self.assertEqual(page.count, len(page.members))
        return [f"{each.client} {each.connections}" for each in page.members]

    async def told(self, bus: Any) -> list[str]:
        """
        Return what was told of C{room}.
        """
        return told((await self.read(bus, "$presence/room")).messages)


class PresenceContract(JoiningCase):
    """
    L{IPresence}.
    """

    async def test_providesIPresence(self) -> None:
        """
        The bus provides the interface.
        """
        verifyObject(IPresence, await self.makePresence())

    async def test_joins(self) -> None:
        """
        A client whose reader takes a name is a member.  That is told to the readers of
        the channel beside it.
        """
        bus = await self.makePresence()
        listener = Listener()
        await bus.listen(listener, ["$presence/room"])
        await self.say(bus, here("ada", info=b'{"name":"Ada"}'))
        await self.settle(bus)
        [message] = listener.messages
        self.assertEqual(message.channel, "$presence/room")
        self.assertEqual((message.event, message.encoding), ("join", None))
        self.assertEqual(message.payload, b'{"client":"ada","info":{"name":"Ada"}}')
        page = await self.page(bus)
        self.assertEqual((page.cursor, page.changed), (bus.end, message.position))
        self.assertEqual((page.count, page.anonymous, page.more), (1, 0, False))
        [member] = page.members
        self.assertEqual((member.client, member.info), ("ada", b'{"name":"Ada"}'))
        self.assertEqual((member.connections, member.since), (1, message.time))
        read = await self.read(bus, "$presence/room")
        self.assertEqual([each.payload for each in read.messages], [message.payload])

    async def test_joinsOnce(self) -> None:
        """
        More connections of a client, and saying the same again, tell nothing.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada"), here("ada", 2), here("ada", 2))
        await self.say(bus, Holding("room", "ada", 3, grace=GRACE))
        self.assertEqual(await self.members(bus), ["ada 3"])
        self.assertEqual(await self.told(bus), ["join ada"])

    async def test_leavesAfterGrace(self) -> None:
        """
        A client without connections stays for the grace, and leaves then.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada"), here("bob"))
        await self.say(bus, gone("ada"))
        await self.wait(bus, GRACE - 1)
        self.assertEqual(await self.members(bus), ["ada 0", "bob 1"])
        await self.wait(bus, 2)
        self.assertEqual(await self.members(bus), ["bob 1"])
        self.assertEqual(await self.told(bus), ["join ada", "join bob", "leave ada"])

    async def test_returnsWithinGrace(self) -> None:
        """
        A client that comes back in time was there all the time.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada"))
        before = (await self.page(bus)).members[0].since
        for _ in range(3):
            await self.say(bus, gone("ada"))
            await self.wait(bus, GRACE - 1)
            await self.say(bus, here("ada"))
        await self.wait(bus, 3 * GRACE)
        self.assertEqual(await self.members(bus), ["ada 1"])
        self.assertEqual((await self.page(bus)).members[0].since, before)
        self.assertEqual(await self.told(bus), ["join ada"])

    async def test_saysAgainThatNobodyIsThere(self) -> None:
        """
        Saying again that a client has ended does not prolong its grace.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada"), gone("ada"))
        await self.wait(bus, GRACE - 1)
        await self.say(bus, gone("ada"))
        await self.wait(bus, 2)
        self.assertEqual(await self.members(bus), [])

    async def test_takesForAMoment(self) -> None:
        """
        A client that has taken the name and ended again is a member for the grace,
        which begins anew with each time.
        """
        bus = await self.makePresence()
        for _ in range(3):
            await self.say(bus, here("ada", 0))
            self.assertEqual(await self.members(bus), ["ada 0"])
            await self.wait(bus, GRACE - 1)
        await self.wait(bus, 2)
        self.assertEqual(await self.told(bus), ["join ada", "leave ada"])

    async def test_leavesAtOnce(self) -> None:
        """
        Without grace, a client leaves at once, also from within the grace.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada"), gone("ada", 0), here("bob"), gone("bob"), gone("bob", 0))
        self.assertEqual(await self.members(bus), [])
        expected = ["join ada", "leave ada", "join bob", "leave bob"]
        self.assertEqual(await self.told(bus), expected)
        await self.wait(bus, 2 * GRACE)
        self.assertEqual(await self.told(bus), expected)

    async def test_ignoresWhoWasNotThere(self) -> None:
        """
        Of a client that is no member, nothing is told when it ends.
        """
        bus = await self.makePresence()
        before = bus.end
        await self.say(bus, gone("ada"), gone("ada", 0), here("ada", 0, grace=0.0))
        page = await self.page(bus)
        self.assertEqual((page.cursor, page.changed, page.count), (before, 0, 0))

    async def test_updates(self) -> None:
        """
        What is shown of a client is what its last connection brought.  It is told
        where it differs, and what was shown last is told when it leaves.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada", info=b"1"), here("ada", 2, info=b"1"))
        await self.say(bus, here("ada", 3, info=b"2"))
        await self.say(bus, Holding("room", "ada", 1, b"3", grace=GRACE))
        self.assertEqual((await self.page(bus)).members[0].info, b"2")
        await self.say(bus, here("ada"), here("ada", info=b"4"), gone("ada", 0))
        read = await self.read(bus, "$presence/room")
        self.assertEqual(
            [(each.event, each.payload) for each in read.messages],
            [
                ("join", b'{"client":"ada","info":1}'),
                ("update", b'{"client":"ada","info":2}'),
                ("update", b'{"client":"ada"}'),
                ("update", b'{"client":"ada","info":4}'),
                ("leave", b'{"client":"ada","info":4}'),
            ],
        )

    async def test_countsAnonymous(self) -> None:
        """
        Readers without a client name are counted, and nothing else.
        """
        bus = await self.makePresence()
        before = bus.end
        for count in (3, 2):
            await self.say(bus, Holding("room", "", count))
            page = await self.page(bus)
            self.assertEqual((page.anonymous, page.count, page.members), (count, 0, []))
        await self.say(bus, Holding("room", "", 0))
        self.assertEqual((await self.page(bus)).anonymous, 0)
        self.assertEqual(bus.end, before)

    async def test_pages(self) -> None:
        """
        Members are told in the order of their coming, in pages.  A client that left
        and has come again is the last.
        """
        bus = await self.makePresence()
        names = [f"client {number}" for number in range(20)]
        await self.say(bus, *map(here, names))
        await self.say(bus, gone("client 7", 0), here("client 7"), gone("client 3", 0))
        expected = [name for name in names if name not in ("client 7", "client 3")] + ["client 7"]
        found: list[str] = []
        page = await self.page(bus, None, 5)
        while True:
            self.assertEqual(page.count, 19)
            found += [each.client for each in page.members]
            if not page.more:
                break
            page = await self.page(bus, found[-1], 5)
        self.assertEqual(found, expected)
        page = await self.page(bus, None, 0)
        self.assertEqual((page.count, page.members, page.more), (19, [], True))
        page = await self.page(bus, found[-1], 5)
        self.assertEqual((page.count, page.members, page.more), (19, [], False))
        await self.assertFailure(bus.membersOf("room", "client 3", 5), BadRequest)
        await self.assertFailure(bus.membersOf("room", "nobody", 0), BadRequest)

    async def test_endsLargePage(self) -> None:
        """
        A page of members of whom much is shown ends early, and the next one goes on.
        """
        bus = await self.makePresence()
        info = b'"%b"' % (b"x" * (MOST_LISTED_BYTES // 50))
        names = [f"{number}" for number in range(60)]
        for name in names:
            await self.say(bus, here(name, info=info))
        first = await self.page(bus)
        self.assertTrue(first.more)
        self.assertIn(len(first.members), (49, 50))
        second = await self.page(bus, first.members[-1].client)
        self.assertFalse(second.more)
        found = [each.client for each in (*first.members, *second.members)]
        self.assertEqual((found, second.count), (names, 60))

    async def test_tellsWhenItChanged(self) -> None:
        """
        A page tells the position of the last change of this channel, and the end of
        the log.
        """
        bus = await self.makePresence()
        await self.say(bus, here("ada"))
        joined = bus.end.position
        await self.put(bus, "room other")
        await self.say(bus, Holding("other", "ada", 1, None, True, GRACE), here("ada", 2))
        page = await self.page(bus)
        self.assertEqual((page.changed, page.cursor), (joined, bus.end))
        await self.say(bus, gone("ada", 0))
        left = bus.end.position
        await self.put(bus, "room")
        page = await self.page(bus)
        self.assertEqual((page.changed, page.cursor), (left, bus.end))

    async def test_manyTogether(self) -> None:
        """
        As many as a step may have are taken in one step, and leave one by one.
        """
        bus = await self.makePresence()
        start = bus.end.position
        names = [f"{number}" for number in range(MOST_TOGETHER)]
        await self.say(bus, *(here(name, info=b'"<"'.replace(b"<", b"\\u003c")) for name in names))
        self.assertEqual(bus.end.position, start + MOST_TOGETHER)
        await self.say(bus, *(gone(name) for name in names))
        await self.wait(bus, GRACE + 1)
        self.assertEqual(await self.members(bus), [])
        read = await self.read(bus, "$presence/room", limit=2 * MOST_TOGETHER)
        self.assertEqual(
            sorted(told(read.messages)[MOST_TOGETHER:]), sorted(f"leave {name}" for name in names)
        )

    async def test_forgetsInNewEpoch(self) -> None:
        """
        No member is there in a new epoch, and the bus says that it has forgotten.
        """
        bus = await self.makePresence()
        forgotten: list[None] = []
        bus.attachPresence(lambda: forgotten.append(None))
        await self.say(bus, here("ada"), here("bob"), gone("bob"), Holding("room", "", 2))
        self.assertEqual(forgotten, [])
        await self.renew(bus)
        await self.awaitForgotten(bus, forgotten)
        page = await self.page(bus)
        self.assertEqual((page.count, page.anonymous, page.changed), (0, 0, 0))
        await self.say(bus, here("ada"))
        await self.wait(bus, 2 * GRACE)
        self.assertEqual(await self.told(bus), ["join ada"])

    async def awaitForgotten(self, bus: Any, forgotten: Sequence[None]) -> None:
        """
        Wait until the bus has said that it has forgotten.
        """
        await self.expire(bus)
        self.assertTrue(forgotten)
