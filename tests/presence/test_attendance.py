"""
Tests for L{comet.presence.attendance}: which members the readers of a hub make.
"""

from __future__ import annotations

import json
from socket import socket
from types import SimpleNamespace
from typing import Any

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from twisted.internet.defer import fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.membertable import MemberTable
from comet.bus.memory.bus import MemoryBus
from comet.errors import BadChannel, BadRequest, NotFound, Unavailable
from comet.fanout.polls import PollReader
from comet.http.polls import PollResponseShape
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client
from comet.model.messages import Close
from comet.model.positions import StartPositions
from comet.model.presence import MOST_TOGETHER
from comet.presence import attendance
from comet.presence.attendance import AGAIN, Attendance
from comet.presence.keptchannels import KeptChannels
from comet.testing.joining import told
from comet.testing.memoryhub import MemoryHub

GRACE = 10.0
SHAPE = PollResponseShape(100, False)


class Waiter:
    """
    Takes the response to a poll.
    """

    direct: socket | None = None
    keepsTime = False
    isBehind = False

    def pollAnswered(self, response: Any) -> None:
        """
        Discard it.
        """

    def pollEmpty(self, cursor: Any) -> None:
        """
        Discard it.
        """


def poll(hub: MemoryHub, client: Client, names: str, wait: float = 1000.0) -> PollReader[Any]:
    """
    Begin a poll of some names, which are given with spaces between.
    """
    return hub.openPoll(client, names.split(), StartPositions(), SHAPE, Waiter(), wait)


class StandIn:
    """
    Stands in for a reader of a client.
    """

    client = Client("ada")

    def __init__(self, names: list[str]) -> None:
        self.progress = SimpleNamespace(names=names)


class AttendanceCase(SynchronousTestCase):
    """
    A hub that keeps presence of C{chat/**}.
    """

    def setUp(self) -> None:
        """
        Make the hub.
        """
        self.hub = MemoryHub()
        self.hub.keepPresence(["chat/**"], GRACE)

    def members(self, channel: str = "chat/a") -> dict[str, int]:
        """
        Return the members of a channel with their connections; under C{""} how many
        readers have no name, if there are any.
        """
        self.hub.advance()
        page = self.successResultOf(self.hub.members(channel))
        found = {each.client: each.connections for each in page.members}
        return {**found, "": page.anonymous} if page.anonymous else found

    def told(self, channel: str = "chat/a") -> list[str]:
        """
        Return what was told of a channel.
        """
        return told(self.hub.published(f"$presence/{channel}"))


class AttendanceTests(AttendanceCase):
    """
    L{Attendance<comet.presence.attendance.Attendance>} on a hub.
    """

    def test_countsConnections(self) -> None:
        """
        All readers of a client in a channel are one member.
        """
        readers = [poll(self.hub, Client("ada"), "chat/a chat/b news") for _ in range(3)]
        self.assertEqual((self.members(), self.members("chat/b")), ({"ada": 3}, {"ada": 3}))
        readers[0].ended()
        self.assertEqual(self.members(), {"ada": 2})
        self.assertEqual(self.told(), ["join ada"])

    def test_staysForGrace(self) -> None:
        """
        A client between two polls is a member; without another one it leaves.
        """
        for _ in range(3):
            poll(self.hub, Client("ada"), "chat/a").ended()
            self.hub.advance()
            self.hub.advance(GRACE - 1)
            self.assertEqual(self.members(), {"ada": 0})
        self.hub.advance(1)
        self.assertEqual(self.members(), {})
        self.assertEqual(self.told(), ["join ada", "leave ada"])

    def test_countsPollsThatDoNotWait(self) -> None:
        """
        A poll that is answered at once makes a member, too.
        """
        poll(self.hub, Client("ada"), "chat/a", 0.0)
        self.assertEqual(self.members(), {"ada": 0})

    def test_pollersDoNotFlap(self) -> None:
        """
        Clients that poll for long, with pauses shorter than the grace, are told of once.
        """
        clients = [Client(f"{number}") for number in range(50)]
        for _ in range(30):
            for client in clients:
                poll(self.hub, client, "chat/a", 5.0)
            self.hub.advance()
            self.hub.advance(6.0)
            self.hub.advance(4.0)
        self.assertEqual(len(self.told()), len(clients))
        self.assertEqual(self.members(), {client.name: 0 for client in clients})

    def test_ignoresPatterns(self) -> None:
        """
        Readers of patterns, of other channels and of the server's own are not counted,
        nor are the application's.
        """
        poll(self.hub, Client("ada"), "chat/* ** news")
        poll(self.hub, KEY_HOLDER, "$presence/chat/a")
        self.successResultOf(self.hub.subscribe(["chat/a"], None, lambda message: None))
        self.assertEqual(self.members(), {})
        self.assertEqual(self.hub.published(), [])

    def test_countsAnonymous(self) -> None:
        """
        Readers without a client name are counted while they are there.  So are those of
        a name that no client of comet's can have.
        """
        for client in (ANONYMOUS, KEY_HOLDER, Client("a\nb"), Client("x" * 256)):
            reader = poll(self.hub, client, "chat/a")
        self.assertEqual(self.members(), {"": 4})
        reader.ended()
        self.assertEqual((self.members(), self.told()), ({"": 3}, []))

    def test_becomesAnother(self) -> None:
        """
        A reader that becomes a client's makes a member of it, and begins the grace of
        the client whose it was.
        """
        reader = poll(self.hub, ANONYMOUS, "chat/a")
        self.assertEqual(self.members(), {"": 1})
        self.hub.clientChanged(reader, Client("ada"))
        self.assertEqual(self.members(), {"ada": 1})
        self.hub.clientChanged(reader, Client("bob"))
        self.assertEqual(self.members(), {"ada": 0, "bob": 1})
        self.hub.clientChanged(reader, ANONYMOUS)
        self.assertEqual(self.members(), {"ada": 0, "bob": 0, "": 1})

    def test_losesNames(self) -> None:
        """
        A reader that gives a name up keeps the others.
        """
        reader = poll(self.hub, Client("ada"), "chat/a chat/b")
        reader.removeNames(["chat/a"])
        self.assertEqual((self.members(), self.members("chat/b")), ({"ada": 0}, {"ada": 1}))

    def test_showsLastInfo(self) -> None:
        """
        What is shown of a client is what its last reader brought; a value that is none
        of JSON is not shown.
        """
        for info in ({"n": 1}, {"n": 2}, object(), "x" * 30000):
            poll(self.hub, Client("ada", info=info), "chat/a")
            self.hub.advance()
        reader = poll(self.hub, Client("ada", info=[3]), "chat/a")
        self.hub.advance()
        self.hub.clientChanged(reader, Client("ada", info=[4]))
        self.hub.advance()
        shown = [
            (each.event, json.loads(each.payload).get("info"))
            for each in self.hub.published("$presence/chat/a")
        ]
        self.assertEqual(
            shown,
            [
                ("join", {"n": 1}),
                ("update", {"n": 2}),
                ("update", None),
                ("update", [3]),
                ("update", [4]),
            ],
        )

    def test_readsInfoOnce(self) -> None:
        """
        What is shown of a client is encoded once, however many channels it has taken.
        """
        encoded: list[Any] = []

        def encode(info: Any) -> bytes:
            encoded.append(info)
            return b"1"

        self.patch(attendance, "encodeInfo", encode)
        names = " ".join(f"chat/{number}" for number in range(MOST_TOGETHER - 1))
        for name in ("ada", "bob"):
            poll(self.hub, Client(name, info={"name": name}), names)
        self.hub.advance()
        self.assertEqual(encoded, [{"name": "ada"}, {"name": "bob"}])
        page = self.successResultOf(self.hub.members("chat/1"))
        self.assertEqual([each.info for each in page.members], [b"1", b"1"])

    def test_takesOneOfMany(self) -> None:
        """
        A reader of thousands of names that takes one more, or loses it, does not compare
        each with each.
        """
        compared = 0

        class Name(str):
            """
            A name that counts how often it is compared.
            """

            __slots__ = ()

            def __eq__(self, other: object) -> bool:
                nonlocal compared
                compared += 1
                return str.__eq__(self, other)

            __hash__ = str.__hash__

        class Named(Attendance):
            """
            Counts in all channels.
            """

            def channelsOf(self, names: Any) -> tuple[str, ...]:
                """
                Return new objects, as a command would bring.
                """
                return tuple(Name(name) for name in names)

        bus: Any = self.hub.bus
        counted = Named(bus, Clock(), KeptChannels([]), GRACE)
        names = [f"chat/{number}" for number in range(2000)]
        reader = StandIn(names)
        counted.namesChanged(reader)
        for held in ([*names, "chat/a"], names):
            compared = 0
            reader.progress.names = held
            counted.namesChanged(reader)
            self.assertLess(compared, 20 * len(names))

    def test_leaves(self) -> None:
        """
        A client that says so leaves at once, unless it has another reader.
        """
        hub = self.hub
        assert hub.attendance is not None
        reader, other = (poll(hub, Client("ada"), "chat/a") for _ in range(2))
        for each in (reader, other):
            each.ended()
            left = hub.attendance.leave(Client("ada"), ["chat/a", "news", "chat/*"])
            hub.advance()
            self.successResultOf(left)
        self.assertEqual(self.told(), ["join ada", "leave ada"])
        self.assertEqual(hub.attendance._attendees, {})

    def test_seesItselfAfterItBegan(self) -> None:
        """
        A reader of a channel and of what tells of it, that begins at the end, is told of
        its own client.
        """
        reader = poll(self.hub, KEY_HOLDER, "chat/a $presence/chat/a")
        self.hub.clientChanged(reader, Client("ada"))
        start = reader.position.position
        self.hub.advance()
        [joined] = self.hub.published("$presence/chat/a")
        self.assertGreater(joined.position, start)

    def test_tellsMany(self) -> None:
        """
        Very many clients that come at once are told in several requests, one after the
        other.  Whoever asks gets an answer when its own are told.
        """
        assert self.hub.attendance is not None
        count = 2 * MOST_TOGETHER + 1
        for number in range(count):
            poll(self.hub, Client(f"{number}"), "chat/a")
        said = self.hub.attendance.said()
        self.assertNoResult(said)
        self.hub.advance()
        self.successResultOf(said)
        page = self.successResultOf(self.hub.members("chat/a", limit=0))
        self.assertEqual((page.count, page.more), (count, True))

    def test_tellsAgain(self) -> None:
        """
        What the bus did not take is told again, as it is then; and the caller that waits
        is told of the failure.
        """
        assert self.hub.attendance is not None
        bus: Any = self.hub.bus
        self.patch(bus, "setPresence", lambda said: fail(Unavailable("no")))
        reader = poll(self.hub, Client("ada"), "chat/a")
        poll(self.hub, Client("bob"), "chat/a").ended()
        said = self.hub.attendance.said()
        self.hub.advance()
        self.failureResultOf(said, Unavailable)
        reader.ended()
        left = self.hub.attendance.leave(Client("ada"), ["chat/a"])
        self.hub.advance(AGAIN)
        self.failureResultOf(left, Unavailable)
        del bus.setPresence
        self.hub.advance(AGAIN)
        self.assertEqual(self.members(), {"bob": 0})

    def test_leavesOutWhoHasPassed(self) -> None:
        """
        The bus is told nothing of readers without a name that have come and gone, and
        nothing is left of them.  Whoever waits for what is said is answered.
        """
        bus, counted = self.hub.bus, self.hub.attendance
        assert counted is not None
        asked: list[Any] = []
        set_: Any = MemoryBus.setPresence

        def setPresence(said: Any) -> Any:
            asked.append(said)
            return set_(bus, said)

        self.patch(bus, "setPresence", setPresence)
        passing = [poll(self.hub, ANONYMOUS, f"chat/{number}") for number in range(250)]
        said = counted.said()
        for reader in passing:
            reader.ended()
        self.assertEqual((counted._attendees, counted._unsaid), ({}, {}))
        self.hub.advance()
        self.successResultOf(said)
        self.assertEqual(asked, [])
        passing = [poll(self.hub, ANONYMOUS, f"chat/{number}") for number in range(250)]
        said = counted.said()
        for reader in passing[50:]:
            reader.ended()
        self.hub.advance()
        self.successResultOf(said)
        self.assertEqual([len(each) for each in asked], [50])
        self.assertEqual((self.members("chat/1"), self.members("chat/51")), ({"": 1}, {}))
        passing[1].ended()
        self.assertEqual(self.members("chat/1"), {})

    def test_boundsWhatIsUnsaid(self) -> None:
        """
        While too many are unsaid, those are left out that have come and gone, and no
        others; and a client that leaves where it has no reader is told to wait.
        """
        bus: Any = self.hub.bus
        counted = self.hub.attendance
        assert counted is not None
        self.patch(attendance, "MOST_UNSAID", 5)
        self.patch(bus, "setPresence", lambda said: fail(Unavailable("no")))
        stays = poll(self.hub, Client("ada"), "chat/stays chat/left")
        for number in range(20):
            poll(self.hub, Client("ada"), f"chat/{number}").ended()
        stays.removeNames(["chat/left"])
        self.assertEqual(len(counted._unsaid), 5)
        poll(self.hub, Client("ada"), "chat/last")
        left = counted.leave(Client("ada"), ["chat/a"])
        self.failureResultOf(left, Unavailable)
        self.assertEqual(len(counted._attendees), 6)
        del bus.setPresence
        self.hub.advance(AGAIN)
        self.assertEqual(counted._unsaid, {})
        told = [self.members(f"chat/{each}") for each in ("stays", "last", 0, 19)]
        self.assertEqual(told, [{"ada": 1}, {"ada": 1}, {"ada": 0}, {}])

    def test_logsOtherFailures(self) -> None:
        """
        A bus that fails in another way does not end it.
        """
        bus: Any = self.hub.bus
        self.patch(bus, "setPresence", lambda said: fail(ZeroDivisionError()))
        poll(self.hub, Client("ada"), "chat/a")
        self.hub.advance()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        del bus.setPresence
        self.hub.advance(AGAIN)
        self.assertEqual(self.members(), {"ada": 1})

    def test_saysAnewWhatWasForgotten(self) -> None:
        """
        What the bus has forgotten of those who are there is said anew.
        """
        poll(self.hub, Client("ada"), "chat/a")
        poll(self.hub, ANONYMOUS, "chat/a")
        poll(self.hub, Client("bob"), "chat/a").ended()
        self.hub.advance()
        bus: Any = self.hub.bus
        bus._members = MemberTable()
        bus._forgotten()
        self.assertEqual(self.members(), {"ada": 1, "": 1})

    def test_changesWhatIsKept(self) -> None:
        """
        What presence is kept of can change while clients read.
        """
        poll(self.hub, Client("ada"), "chat/a news")
        self.assertEqual(self.members(), {"ada": 1})
        self.hub.keepPresence([("chat/b", False), "chat/b", "news"], 5.0)
        self.hub.advance()
        self.failureResultOf(self.hub.members("chat/a"), NotFound)
        self.failureResultOf(self.hub.members("chat/b"), NotFound)
        self.assertEqual(self.members("news"), {"ada": 1})
        self.hub.advance(5.0)
        self.assertEqual(self.told(), ["join ada", "leave ada"])

    def test_refusesBus(self) -> None:
        """
        A bus that does not know who is in a channel is refused, where presence of any
        is to be kept.
        """
        hub = MemoryHub()
        self.patch(hub, "bus", Bare())
        hub.keepPresence([])
        error = self.assertRaises(ValueError, hub.keepPresence, "chat/**")
        self.assertIn("Bare", str(error))
        self.assertRaises(BadChannel, hub.keepPresence, "a//b")

    def test_checksQuestions(self) -> None:
        """
        What is asked has to be valid, and of a channel of which presence is kept.
        """
        for channel, after, limit, error in (
            ("news", None, 1, NotFound),
            ("chat/*", None, 1, BadChannel),
            ("chat/a", None, -1, BadRequest),
            ("chat/a", None, 1001, BadRequest),
            ("chat/a", "nobody", 1, BadRequest),
        ):
            self.failureResultOf(self.hub.members(channel, after, limit), error)
        self.failureResultOf(MemoryHub().members("chat/a"), NotFound)

    def test_stops(self) -> None:
        """
        A hub that stops has no timer left, and says nothing more.
        """
        reader = poll(self.hub, Client("ada"), "chat/a")
        reader.ended()
        self.successResultOf(self.hub.stop())
        self.assertEqual(self.hub.clock.getDelayedCalls(), [])


class Bare:
    """
    A bus without presence.
    """


class KeptChannelsTests(SynchronousTestCase):
    """
    L{KeptChannels}.
    """

    def test_firstRuleCounts(self) -> None:
        """
        For a channel the first rule counts that matches it.
        """
        kept = KeptChannels([("chat/secret", False), ("chat/**", True), ("**", False)])
        names = ["chat/a", "chat/secret", "news", "chat/*", "chat/$x", "chat/" + "x" * 245]
        self.assertEqual(kept.of(names), ("chat/a",))
        self.assertNotIn(7, kept)
        self.assertTrue(KeptChannels([("a", False)]).isEmpty)


class AttendanceMachine(RuleBasedStateMachine):
    """
    Clients that come, go, are cut off and become others; compared with a plain model of
    who has a reader, and since when not.
    """

    @initialize()
    def begin(self) -> None:
        """
        Make the hub.
        """
        self.hub = MemoryHub()
        self.hub.keepPresence(["chat/**"], GRACE)
        self.readers: list[PollReader[Any]] = []
        # When each member has lost its last reader; None while it has one.
        self.gone: dict[str, float | None] = {}

    @rule(
        name=st.sampled_from(["", "ada", "bob"]),
        names=st.sampled_from(["chat/a", "chat/a chat/b", "chat/b", "chat/*"]),
        wait=st.sampled_from([0.0, 3.0, 1000.0]),
    )
    def poll(self, name: str, names: str, wait: float) -> None:
        """
        A client polls.
        """
        reader = poll(self.hub, evolve(ANONYMOUS, name=name), names, wait)
        if name and "chat/a" in names.split():
            self.gone[name] = self.hub.clock.seconds()
        self.readers.append(reader)
        self.compare()

    @rule(index=st.integers(0, 9))
    def cut(self, index: int) -> None:
        """
        A reader is gone without a word, or is sent away.
        """
        if self.readers:
            reader = self.readers.pop(index % len(self.readers))
            if index % 2:
                reader.ended()
            else:
                reader.close(Close("draining", "", 0.0))
        self.compare()

    @rule(index=st.integers(0, 9), name=st.sampled_from(["", "ada", "bob"]))
    def become(self, index: int, name: str) -> None:
        """
        A reader becomes another client's.
        """
        held = [each for each in self.readers if each.group is not None]
        if held:
            reader = held[index % len(held)]
            self.hub.clientChanged(reader, evolve(ANONYMOUS, name=name))
            if name and "chat/a" in reader.progress.names:
                self.gone[name] = self.hub.clock.seconds()
        self.compare()

    @rule(seconds=st.sampled_from([1.0, 2.0, 4.0, 9.0]))
    def advance(self, seconds: float) -> None:
        """
        Time passes in steps in which nothing else happens.
        """
        for _ in range(int(seconds)):
            self.hub.advance(1.0)
            self.compare()

    @rule()
    def publish(self) -> None:
        """
        A message answers all polls of the channel.
        """
        self.hub.publish("chat/a", 1)
        self.compare()

    def compare(self) -> None:
        """
        Compare the members with those of the model, and what was told with both.
        """
        self.hub.advance()
        now = self.hub.clock.seconds()
        held: dict[str, int] = {}
        for reader in self.readers:
            if reader.group is not None and "chat/a" in reader.progress.names:
                held[reader.client.name] = held.get(reader.client.name, 0) + 1
        for name in list(self.gone):
            since = self.gone[name]
            if held.get(name):
                self.gone[name] = None
            elif since is None:
                self.gone[name] = now
            elif now >= since + GRACE:
                del self.gone[name]
        results: list[Any] = []
        self.hub.members("chat/a").addBoth(results.append)
        [page] = results
        assert {each.client: each.connections for each in page.members} == {
            name: held.get(name, 0) for name in self.gone
        }
        assert page.anonymous == held.get("", 0)
        there: dict[str, None] = {}
        for message in self.hub.published("$presence/chat/a"):
            name = json.loads(message.payload)["client"]
            # Each join is followed by one leave.
            assert (message.event == "join") == (name not in there)
            if message.event == "join":
                there[name] = None
            else:
                del there[name]
        assert list(there) == [each.client for each in page.members]


class MachineTests(SynchronousTestCase):
    """
    L{AttendanceMachine}.
    """

    def test_agreesWithModel(self) -> None:
        """
        After any history, the members are those that the model has.
        """
        run_state_machine_as_test(
            AttendanceMachine,
            settings=settings(max_examples=40, stateful_step_count=25, deadline=None),
        )
