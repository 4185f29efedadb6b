"""
Tests for the members that are kept in Redis: any history of several nodes, compared
with a simple model; nodes that die or are cut off; and what another program has
written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis.bus import RedisBus
from comet.bus.redis.memberreplies import readListed
from comet.bus.redis.memberstore import MOST_TENDED, MemberStore
from comet.bus.redis.replies import BadReply
from comet.errors import Unavailable
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.presence import Holding, MemberPage
from comet.testing.joining import GRACE, JoiningCase, gone, here
from tests.bus.membersmodel import MembersMachine
from tests.bus.redis.case import RedisCase, sharedServer
from tests.bus.redis.direct import DirectBus
from tests.bus.redis.test_model import urlOf

_ids = count(1)


class DirectNode:
    """
    A node that has every answer at once, on the log of a L{DirectBus}.

    @ivar number: Which node it is for the model.

    @ivar proved: When it has last proved that it lives.
    """

    def __init__(self, bus: DirectBus, now: float) -> None:
        self.bus = bus
        self.members = MemberStore(bus._store)
        self.number = next(_ids)
        self.proved = now
        self.hasSpoken = False

    @property
    def end(self) -> Cursor:
        """
        The end of the log.
        """
        return self.bus.end

    def setPresence(self, holdings: Sequence[Holding]) -> Deferred[Any]:
        """
        Say what the node has.
        """
        self.hasSpoken = True
        done = Deferred.fromCoroutine(
            self.members.set(self.bus.connection, holdings, self.bus.end.epoch)
        )
        return done.addCallback(lambda both: both[1])

    def membersOf(self, channel: str, after: str | None, limit: int) -> Deferred[MemberPage]:
        """
        Tell who is there.
        """
        return Deferred.fromCoroutine(self.members.list(self.bus.connection, channel, after, limit))

    def read(self, *arguments: Any) -> Deferred[Any]:
        """
        Read the log.
        """
        return self.bus.read(*arguments)


class RedisMachine(MembersMachine):
    """
    Compares the members that three nodes keep in Redis, of which some are killed.
    """

    def makeNodes(self) -> Sequence[Any]:
        """
        Make the nodes.
        """
        self.bus = DirectBus(
            sharedServer().port, urlOf("members"), self.clock, lambda _: Retention(), 10**9
        )
        return [DirectNode(self.bus, self.clock.seconds()) for _ in range(3)]

    @initialize()
    def begin(self) -> None:
        """
        Nobody is dead.
        """
        super().begin()
        self.dead: list[DirectNode] = []

    @rule(slot=st.integers(0, 2))
    def kill(self, slot: int) -> None:
        """
        Kill a node.  Another one takes its place.
        """
        self.dead.append(self.buses[slot])
        self.buses[slot] = DirectNode(self.bus, self.clock.seconds())  # type: ignore[index]

    def numberOf(self, slot: int) -> int:
        """
        Return the number of a node for the model.
        """
        number: int = self.buses[slot].number
        # What is said proves that it lives.
        self.buses[slot].proved = self.clock.seconds()
        return number

    def expire(self) -> None:
        """
        Let each node do what it does at a beat.
        """
        self.bus._catchUp()
        now = self.clock.seconds()
        for node in self.dead[:]:
            if now - node.proved > 10:
                self.model.die(node.number, now)
                self.dead.remove(node)
        for node in self.buses:
            node.proved = now
            while self.answer(Deferred.fromCoroutine(node.members.tend(self.bus.connection))):
                pass

    def teardown(self) -> None:
        """
        Delete the log.
        """
        if hasattr(self, "bus"):
            self.bus.stop()


class ModelTests(SynchronousTestCase):
    """
    L{RedisMachine}.
    """

    def test_agreesWithModel(self) -> None:
        """
        After any history, the members and what is told are those of the model.
        """
        run_state_machine_as_test(
            RedisMachine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
        )


class NodesTests(RedisCase, JoiningCase):
    """
    Several nodes on one Redis.
    """

    async def nodes(self, count: int) -> list[RedisBus]:
        """
        Make some nodes, each of which counts how often it was forgotten.
        """
        self.forgotten: dict[RedisBus, int] = {}
        made = []
        for _ in range(count):
            bus = await self.startedBus()
            self.forgotten[bus] = 0
            bus.attachPresence(lambda bus=bus: self.note(bus))  # type: ignore[misc]
            # The test says when it is time for a beat.
            bus._upkeep.stop()
            made.append(bus)
        return made

    def note(self, bus: RedisBus) -> None:
        """
        Count that a node was forgotten.
        """
        self.forgotten[bus] += 1

    async def tend(self, *buses: RedisBus) -> None:
        """
        Let nodes do what they do at each beat.
        """
        for bus in buses:
            connection = bus._usable.connection
            assert connection is not None
            await bus._nodeMembers.tend(connection)

    async def pass_(self, seconds: float, *buses: RedisBus) -> None:
        """
        Let time pass for nodes that live.
        """
        for _ in range(int(seconds / 5)):
            await self.advance(5)
            await self.tend(*buses)

    async def test_addsUpNodes(self) -> None:
        """
        The connections of a client on several nodes are one member, and its grace
        begins with the end of the last one.
        """
        one, two, three = await self.nodes(3)
        for node in (one, two, three):
            await self.say(node, here("ada"), Holding("room", "", 2))
        self.assertEqual(await self.members(three), ["ada 3"])
        self.assertEqual((await self.page(one)).anonymous, 6)
        await self.say(two, gone("ada"))
        await self.say(one, gone("ada"))
        await self.pass_(20, one, two, three)
        self.assertEqual(await self.members(one), ["ada 1"])
        await self.say(three, gone("ada"))
        await self.pass_(15, one, two, three)
        self.assertEqual(await self.told(two), ["join ada", "leave ada"])

    async def test_takesOutDead(self) -> None:
        """
        What a dead node had is taken out once, by whichever node finds it first: its
        clients leave after the grace, unless another node has them.
        """
        one, two, dead = await self.nodes(3)
        many = [here(f"client {number}") for number in range(MOST_TENDED)]
        for start in range(0, 2 * MOST_TENDED, MOST_TENDED):
            renamed = [here(f"{start} {each.client}") for each in many]
            await self.say(dead, *renamed)
        await self.say(dead, here("ada"), here("bob"), Holding("room", "", 9))
        await self.say(one, here("bob"), Holding("room", "", 1))
        await dead.stop()
        await self.pass_(10, one, two)
        self.assertEqual((await self.page(one, limit=0)).count, 2 * MOST_TENDED + 2)
        await self.pass_(5, one, two)
        page = await self.page(two)
        self.assertEqual(page.anonymous, 1)
        self.assertEqual({each.connections for each in page.members}, {0, 1})
        await self.pass_(10, one, two)
        self.assertEqual(await self.members(one), ["bob 1"])
        count, cursor, more = 0, Cursor(one.end.epoch, 0), True
        while more:
            told = await self.read(one, "$presence/room", cursor)
            count, cursor, more = count + len(told.messages), told.reached, told.more
        self.assertEqual(count, 2 * (2 * MOST_TENDED + 1) + 1)
        self.assertEqual(list(self.forgotten.values()), [0, 0, 0])

    async def test_leavesOneOfTwo(self) -> None:
        """
        A client that leaves on one node, and has a reader on another one that dies then,
        stays for the grace: it may come back.
        """
        one, dead = await self.nodes(2)
        for node in (one, dead):
            await self.say(node, here("ada"))
        await self.say(one, gone("ada", 0))
        await dead.stop()
        await self.pass_(15, one)
        self.assertEqual(await self.members(one), ["ada 0"])
        await self.say(one, here("ada"))
        self.assertEqual(await self.told(one), ["join ada"])

    async def test_comesBackFromGrace(self) -> None:
        """
        A node that was taken for dead is told so, at its next beat or word, and says
        anew what it has.  Its clients were there all the time if that is in time.
        """
        one, cut = await self.nodes(2)
        await self.say(cut, here("ada"), here("bob"), Holding("room", "", 3))
        await self.pass_(15, one)
        self.assertEqual(await self.members(one), ["ada 0", "bob 0"])
        await self.assertFailure(cut.setPresence([gone("bob")]), Unavailable)
        self.assertEqual(self.forgotten[cut], 1)
        await self.say(cut, Holding("room", "ada", 1, grace=GRACE), Holding("room", "", 3))
        await self.tend(cut)
        await self.pass_(20, one, cut)
        self.assertEqual(await self.members(one), ["ada 1"])
        self.assertEqual((await self.page(one)).anonymous, 3)
        self.assertEqual(await self.told(one), ["join ada", "join bob", "leave bob"])
        self.assertEqual(self.forgotten, {one: 0, cut: 1})

    async def test_comesBackWithoutGhosts(self) -> None:
        """
        A node that comes back after the grace has its clients join again, with the
        numbers that it says then.
        """
        one, cut = await self.nodes(2)
        await self.say(cut, here("ada", 5), here("bob", 5))
        await self.pass_(40, one)
        self.assertEqual(await self.members(one), [])
        await self.tend(cut)
        self.assertEqual(self.forgotten[cut], 1)
        await self.say(cut, Holding("room", "ada", 1, grace=GRACE))
        await self.pass_(20, one, cut)
        self.assertEqual(await self.members(one), ["ada 1"])
        expected = ["join ada", "join bob", "leave ada", "leave bob", "join ada"]
        self.assertEqual(await self.told(one), expected)

    async def test_readsOnlyWhatIsOurs(self) -> None:
        """
        Members that another program has written, and that comet cannot have, are left
        out, and do no harm when they are due.
        """
        [bus] = await self.nodes(1)
        await self.say(bus, here("ada"))
        prefix = self.url.prefix
        for name, shown in {
            "b1": "nonsense",
            "b2": '1.0 10.0 1\n{"client":"other"}',
            "b3": '1.0 10.0 0\n{"client":"b3","info":<script>}',
            "b4": '1.0 10.0 99999999999\n{"client":"b4"}',
            "b\n5": '1.0 10.0 1\n{"client":"b"}',
            "b6": '1...0 10.0 1\n{"client":"b6"}',
        }.items():
            self.server.ask("ZADD", f"{prefix}members:room", "99", name)
            self.server.ask("HSET", f"{prefix}shown:room", name, shown)
            self.server.ask("ZADD", f"{prefix}leaving", "1", f"room\n{name}")
        self.server.ask("ZADD", f"{prefix}leaving", "1", "nonsense")
        self.server.ask("ZADD", f"{prefix}gonenodes", "0", "nobody")
        self.server.ask("HSET", f"{prefix}node:other-1", "nonsense", "1", "room\nada", "x")
        self.server.ask("ZADD", f"{prefix}nodes", "1", "other-1")
        self.assertEqual([each.client for each in (await self.page(bus)).members], ["ada"])
        await self.tend(bus)
        await self.say(bus, here("b1"))
        self.assertIn("b1", [each.client for each in (await self.page(bus)).members])
        await self.say(bus, gone("ada", 0))
        self.assertIn("leave ada", await self.told(bus))


class ReplyTests(SynchronousTestCase):
    """
    L{readListed}.
    """

    def test_refusesTooMany(self) -> None:
        """
        More members than were asked for are no answer of the script's.
        """
        shown = [b"ada", b'1.0 10.0 1\n{"client":"ada"}']
        reply = [b"OK", b"e", 5, 4, 1, 0, 0, *shown]
        page, refused = readListed(reply, 1)
        self.assertEqual((page.cursor, page.changed, refused), (Cursor("e", 5), 4, []))
        self.assertRaises(BadReply, readListed, reply, 0)

    def test_leavesOutWhatIsNotOurs(self) -> None:
        """
        A member of which Redis has nonsense is left out, and no other.
        """
        shown: list[bytes] = []
        for name, rest in ((b"ada", b"1"), (b"bob", b"[1"), (b"cyd", b"2]"), (b"dan", b'{"a":2}')):
            shown += [name, b'1.0 10.0 1\n{"client":"%b","info":%b}' % (name, rest)]
        shown += [b"eve", b"", b"fay", b'1.0 10.0 1\n{"client":"fay"}']
        page, refused = readListed([b"OK", b"e", 5, 4, 6, 0, 0, *shown], 9)
        found = [(each.client, each.info) for each in page.members]
        self.assertEqual(found, [("ada", b"1"), ("dan", b'{"a":2}'), ("fay", None)])
        self.assertEqual(len(refused), 3)
