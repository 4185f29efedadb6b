"""
Members after any history of any bus, compared with a very simple model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from comet.errors import BadRequest
from comet.model.cursors import Cursor
from comet.model.messages import Message
from comet.model.presence import Holding, MemberPage

CHANNELS = ("a", "b/c")
CLIENTS = ("", "ada", "bob", "cyd/<é>")
MOST = 1 << 20

holdings = st.builds(
    Holding,
    st.sampled_from(CHANNELS),
    st.sampled_from(CLIENTS),
    st.sampled_from([0, 0, 1, 1, 2]),
    st.sampled_from([None, b"1", b'{"x":"\\u003c"}']),
    st.booleans(),
    st.sampled_from([0.0, 2.0, 5.0, 5.0]),
)

# A message as the event, the name of the client, and what is shown of it.
Told = tuple[str, str, Any]


class ModelMember:
    """
    A member.
    """

    def __init__(self, info: bytes | None) -> None:
        self.info = info
        self.connections: dict[int, int] = {}
        self.due: float | None = None
        self.grace = 0.0

    @property
    def total(self) -> int:
        """
        How many connections it has on all nodes.
        """
        return sum(self.connections.values())


class MembersModel:
    """
    Answers what a bus with the same history answers.

    @ivar told: What was told in each channel since L{take} was called.
    """

    def __init__(self) -> None:
        self.members: dict[str, dict[str, ModelMember]] = {name: {} for name in CHANNELS}
        self.anonymous: dict[tuple[str, int], int] = {}
        self.told: dict[str, list[Told]] = {name: [] for name in CHANNELS}

    def _tell(self, channel: str, event: str, client: str, info: bytes | None) -> None:
        self.told[channel].append((event, client, info))

    def set(self, node: int, holding: Holding, now: float) -> None:
        """
        Take what a node has of a client.
        """
        channel, client = holding.channel, holding.client
        if not client:
            self.anonymous[channel, node] = holding.connections
            return
        members = self.members[channel]
        member = members.get(client)
        isNew = member is None
        if member is None:
            comes = holding.connections or (holding.isTaken and holding.grace)
            if not comes:
                return
            member = members[client] = ModelMember(holding.info)
            self._tell(channel, "join", client, holding.info)
        before = member.total
        member.connections[node] = holding.connections
        if holding.connections or not member.total:
            member.grace = holding.grace
        if not member.total and not holding.grace:
            self._leave(channel, client)
            return
        if not isNew and holding.isTaken and member.info != holding.info:
            member.info = holding.info
            self._tell(channel, "update", client, holding.info)
        if member.total:
            member.due = None
        elif isNew or before or holding.isTaken:
            member.due = now + holding.grace

    def _leave(self, channel: str, client: str) -> None:
        self._tell(channel, "leave", client, self.members[channel].pop(client).info)

    def die(self, node: int, now: float) -> None:
        """
        End all readers of a node.
        """
        for members in self.members.values():
            for member in members.values():
                if member.connections.pop(node, 0) and not member.total:
                    member.due = now + member.grace
        self.anonymous = {key: count for key, count in self.anonymous.items() if key[1] != node}

    def restart(self, now: float) -> None:
        """
        Begin the grace of all members anew.
        """
        for members in self.members.values():
            for member in members.values():
                member.due = now + member.grace

    def expire(self, now: float) -> None:
        """
        Let members leave whose grace is over.
        """
        for channel, members in self.members.items():
            for client, member in list(members.items()):
                if member.due is not None and member.due <= now:
                    self._leave(channel, client)

    def take(self) -> dict[str, list[Told]]:
        """
        Return what was told, sorted, and begin anew.
        """
        told, self.told = self.told, {name: [] for name in CHANNELS}
        return {name: sorted(each, key=repr) for name, each in told.items()}


def heard(message: Message) -> Told:
    """
    Read a message about a member.
    """
    said = json.loads(message.payload)
    info = message.payload.partition(b',"info":')[2][:-1] or None
    return message.event or "", said["client"], info


class MembersMachine(RuleBasedStateMachine):
    """
    Says the same to the nodes of a bus and to a model, and compares the members and
    what is told, each time.

    @cvar nodes: How many nodes there are.
    """

    nodes = 1

    def makeNodes(self) -> Sequence[Any]:
        """
        Make the nodes of a bus that answer at once, with the clock of the machine.
        """
        raise NotImplementedError

    def expire(self) -> None:
        """
        Let members leave whose grace is over.
        """

    @initialize()
    def begin(self) -> None:
        """
        Make the nodes, and the model.
        """
        self.clock = Clock()
        # Its seconds are exact, also far from 1970.
        self.clock.advance(1 << 30)
        self.buses = self.makeNodes()
        self.model = MembersModel()
        self.read = self.buses[0].end
        self.snapshot: list[tuple[str, Any]] = []

    def answer(self, asked: Deferred[Any]) -> Any:
        """
        Return what a bus answers at once.
        """
        results: list[Any] = []
        asked.addBoth(results.append)
        [only] = results
        if hasattr(only, "raiseException"):
            only.raiseException()
        return only

    @rule(node=st.integers(0, 2), said=st.lists(holdings, min_size=1, max_size=4))
    def say(self, node: int, said: list[Holding]) -> None:
        """
        Say what a node has.
        """
        node %= len(self.buses)
        assert self.answer(self.buses[node].setPresence(said)) == []
        for holding in said:
            self.model.set(self.numberOf(node), holding, self.clock.seconds())
        self.compare()

    def numberOf(self, node: int) -> int:
        """
        Return the number of a node for the model.
        """
        return node

    @rule(seconds=st.sampled_from([1, 2, 3, 6]))
    def advance(self, seconds: int) -> None:
        """
        Let time pass.
        """
        self.clock.advance(seconds)
        self.expire()
        self.model.expire(self.clock.seconds())
        self.compare()

    def compare(self) -> None:
        """
        Compare the members and what was told with those of the model.
        """
        expected = self.model.take()
        reached = self.read
        for channel in CHANNELS:
            name = f"$presence/{channel}"
            result = self.answer(self.buses[0].read([name], self.read, 1000, MOST, None))
            assert sorted(map(heard, result.messages), key=repr) == expected[channel]
            reached = max(reached, result.reached)
            for bus in self.buses:
                page = self.page(bus, channel)
                self.comparePage(channel, page)
                self.checkReplay(channel, page, result.messages)
        self.read = reached

    def page(self, bus: Any, channel: str) -> MemberPage:
        """
        Put the pages of a channel together.
        """
        members: list[Any] = []
        after = None
        while True:
            page = self.answer(bus.membersOf(channel, after, 2))
            members += page.members
            if not page.more:
                return MemberPage(page.cursor, page.changed, page.count, page.anonymous, members)
            after = members[-1].client

    def comparePage(self, channel: str, page: MemberPage) -> None:
        """
        Compare the members of a channel.
        """
        expected = self.model.members[channel]
        assert [(m.client, m.info, m.connections) for m in page.members] == [
            (client, member.info, member.total) for client, member in expected.items()
        ]
        assert page.count == len(expected)
        assert page.anonymous == sum(
            count for (name, _), count in self.model.anonymous.items() if name == channel
        )
        for client in CLIENTS[1:]:
            if client not in expected:
                try:
                    self.answer(self.buses[0].membersOf(channel, client, 1))
                except BadRequest:
                    continue
                raise AssertionError(f"{client} is no member")

    def checkReplay(self, channel: str, page: MemberPage, messages: Sequence[Message]) -> None:
        """
        Check that all that was told of the channel is before the cursor, and that the
        last of it is what the page calls the last change.
        """
        if messages:
            assert page.changed == messages[-1].position
            assert page.cursor >= messages[-1].cursor
        assert page.cursor >= Cursor(page.cursor.epoch, page.changed)

    def teardown(self) -> None:
        """
        Stop the nodes.
        """
        for bus in getattr(self, "buses", ()):
            bus.stop()
