"""
The promise: each reader gets exactly the messages of its names after its
position, in the order of positions, each once, or a gap, at its place.  Hypothesis
chooses what happens, and in which order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from comet.fanout.states import State
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.messages import Close
from comet.model.positions import At, Earliest, Last, Now, StartPosition, Unreadable
from tests.fanout.doubles import ANYONE, AllAccess, TurnClock
from tests.fanout.happenings import (
    ACTION,
    ALIKE,
    BIG,
    CHANNEL,
    PICK,
    PLACE,
    SOME_NAMES,
    STEPS,
    adding,
    blink,
    publishing,
)
from tests.fanout.players import (
    AdoptingStream,
    Application,
    Player,
    Poll,
    Stream,
    add,
    remove,
)
from tests.fanout.slowbus import SlowBus, WatchedBus
from tests.fanout.world import World


class Promise(RuleBasedStateMachine):
    """
    What can happen over a bus that answers at once.
    """

    isSlow = False
    readsAhead = False

    def __init__(self) -> None:
        super().__init__()
        self.clock = TurnClock()
        retention = Retention(messages=4, seconds=60.0)
        self.inner = WatchedBus(self.clock, lambda channel: retention, 400_000, self.clock.seconds)
        self.inner.readsAhead = self.readsAhead
        self.bus = SlowBus(self.inner) if self.isSlow else self.inner
        self.hub = Hub(self.bus, self.clock, Settings(heartbeat=25.0), AllAccess())
        self.world = World(self.hub, self.inner, isExact=not self.isSlow)
        self.players: list[Player] = []

    # -- Choosing

    def _pick(self, kind: type[Player] | tuple[type[Player], ...], pick: int) -> Any:
        there = [each for each in self.players if isinstance(each, kind) and not each.isOver]
        return there[pick % len(there)] if there else None

    def _live(self, pick: int) -> Any:
        player = self._pick(Stream, pick)
        isLive = player is not None and player.isBegun and player.reader.state is State.LIVE
        return player if isLive and player.tracker.names and not player.isChanging else None

    def _beginning(self, start: tuple[str, int]) -> StartPosition:
        kind, number = start
        end = self.inner.end
        if kind == "now":
            return Now()
        if kind == "earliest":
            return Earliest()
        if kind == "last":
            return Last(number % 3 + 1)
        if kind == "unreadable":
            return Unreadable()
        if kind == "lost":
            epochs = list(self.inner.stored)
            return At(Cursor(epochs[number % len(epochs)], number))
        if kind == "beyond":
            return At(Cursor(end.epoch, end.position + 1 + number))
        return At(Cursor(end.epoch, max(end.position - number, 0)))

    def _beginnings(
        self, names: list[str], starts: list[tuple[str, int]]
    ) -> dict[str, StartPosition]:
        return {
            name: self._beginning(starts[index % len(starts)]) for index, name in enumerate(names)
        }

    # -- What happens

    @rule(batches=st.lists(st.lists(CHANNEL, min_size=1, max_size=3, unique=True), max_size=4))
    def publish(self, batches: list[list[str]]) -> None:
        """
        Several messages are published together.
        """
        if batches:
            self.world.publish(batches)

    @rule(channel=CHANNEL)
    def publishBig(self, channel: str) -> None:
        """
        A message is so big that few of them are read or held at once.
        """
        self.world.publish([[channel]] * 3, BIG)

    @rule()
    def turn(self) -> None:
        """
        One turn of the reactor.
        """
        self.clock.turn()

    @rule(seconds=st.sampled_from([0.3, 12.0, 30.0, 70.0, 90000.0]))
    def wait(self, seconds: float) -> None:
        """
        Time goes by.
        """
        self.clock.advance(seconds)

    @rule(
        names=SOME_NAMES,
        starts=st.lists(PLACE, min_size=1, max_size=3),
        adopts=st.booleans(),
        tag=st.sampled_from(["", "other"]),
        budget=st.sampled_from([None, None, 1, 3]),
    )
    def openStream(
        self,
        names: list[str],
        starts: list[tuple[str, int]],
        adopts: bool,
        tag: str,
        budget: int | None,
    ) -> None:
        """
        A client begins to read a stream.
        """
        kind = AdoptingStream if adopts else Stream
        self.players.append(kind(self.world, self._beginnings(names, starts), tag, budget))

    @rule(
        names=SOME_NAMES,
        starts=st.lists(PLACE, min_size=1, max_size=3),
        limit=st.sampled_from([1, 2, 1000]),
        wait=st.sampled_from([0.0, 20.0, 200.0]),
    )
    def openPoll(
        self, names: list[str], starts: list[tuple[str, int]], limit: int, wait: float
    ) -> None:
        """
        A client polls.
        """
        self.players.append(Poll(self.world, self._beginnings(names, starts), limit, wait))

    @rule(
        names=ALIKE,
        count=st.integers(1, 3),
        isPoll=st.booleans(),
        back=st.sampled_from([None, 0, 0, 1, 2, 5]),
    )
    def openAlike(self, names: list[str], count: int, isPoll: bool, back: int | None) -> None:
        """
        Several clients ask for the same names, from the log end on, or from where the
        live ones stand or stood.
        """
        for _ in range(count):
            cursor = self.hub.fanout.cursor
            start: StartPosition = Now()
            if cursor.epoch and back is not None:
                start = At(cursor._replace(position=max(cursor.position - back, 0)))
            startPositions = dict.fromkeys(names, start)
            if isPoll:
                self.players.append(Poll(self.world, startPositions, 2, 20.0))
            else:
                self.players.append(Stream(self.world, startPositions, "", None))

    @rule(names=ALIKE, channel=CHANNEL, isPoll=st.booleans(), back=st.integers(0, 5))
    def followAlike(self, names: list[str], channel: str, isPoll: bool, back: int) -> None:
        """
        A client reads what another one has read, when nothing else is under way.
        """
        self.openAlike(names, 1, isPoll, None)
        self.rest()
        self.world.publish([[channel]])
        self.rest()
        self.openAlike(names, 1, isPoll, back)

    @rule(
        names=SOME_NAMES,
        starts=st.lists(PLACE, min_size=1, max_size=3),
        script=st.lists(ACTION, max_size=4),
    )
    def subscribe(
        self,
        names: list[str],
        starts: list[tuple[str, int]],
        script: list[Callable[[Application], None]],
    ) -> None:
        """
        An application subscribes.
        """
        startPositions = self._beginnings(names, starts)
        self.players.append(Application(self.world, startPositions, list(script)))

    @rule(pick=PICK, names=SOME_NAMES, starts=st.lists(PLACE, min_size=1, max_size=3))
    def addNames(self, pick: int, names: list[str], starts: list[tuple[str, int]]) -> None:
        """
        A reader reads more names.
        """
        player = self._pick((Stream, Application), pick)
        if player is not None and player.mayAdd and not player.adopts:
            add(player, self._beginnings(names, starts))

    @rule(pick=PICK, names=SOME_NAMES)
    def removeNames(self, pick: int, names: list[str]) -> None:
        """
        A reader reads fewer names.
        """
        player = self._pick((Stream, Application), pick)
        if player is not None and player.mayAdd and not player.adopts:
            remove(player, names)

    @rule(pick=PICK, budget=st.integers(1, 3))
    def fill(self, pick: int, budget: int) -> None:
        """
        A client will soon take no more.
        """
        player = self._pick(Stream, pick)
        if player is not None:
            player.sink.fill(budget)

    @rule(pick=PICK)
    def drain(self, pick: int) -> None:
        """
        A client has taken everything.
        """
        player = self._pick(Stream, pick)
        if player is not None and not player.sink.isEnding:
            player.sink.drain()

    @rule(pick=PICK)
    def tell(self, pick: int) -> None:
        """
        A client is told where its reader stands, as after a silence.
        """
        player = self._live(pick)
        if player is not None:
            player.reader.sayStanding()

    @rule(pick=PICK)
    def sendAway(self, pick: int) -> None:
        """
        A client is sent away, and told where its reader stands.
        """
        player = self._live(pick)
        if player is not None:
            player.reader.close(Close("later", "", 1.0))

    @rule(pick=PICK, isPausing=st.booleans())
    def pause(self, pick: int, isPausing: bool) -> None:
        """
        An application pauses, or goes on.
        """
        player = self._pick(Application, pick)
        if player is not None and player.isBegun:
            if isPausing:
                player.subscription.pauseProducing()
            else:
                player.subscription.resumeProducing()

    @rule(pick=PICK)
    def leave(self, pick: int) -> None:
        """
        A client goes away.
        """
        player = self._pick(Player, pick)
        if player is not None and not (isinstance(player, Stream) and player.sink.isEnding):
            player.leave()

    @rule(pick=PICK, back=st.integers(0, 5), kind=st.integers(0, 3))
    def comeBack(self, pick: int, back: int, kind: int) -> None:
        """
        A client that has left comes back with its cursor, on any transport.
        """
        gone = [each for each in self.players if each.isOver and each.history]
        if not gone:
            return
        player = gone[pick % len(gone)]
        cursor, byName = player.history[-1 - back % len(player.history)]
        names = list(player.tracker.names) or list(player.startPositions)
        same = At(cursor)
        startPositions = {name: byName.get(name, same) for name in names}
        self.players.remove(player)
        new: Player
        if kind == 0:
            new = Stream(self.world, startPositions, "", None)
        elif kind == 1:
            new = AdoptingStream(self.world, startPositions, "", None)
        elif kind == 2:
            new = Poll(self.world, startPositions, 2, 20.0, player)
        else:
            new = Application(self.world, startPositions, [])
        self.players.append(new)

    @rule(channel=CHANNEL)
    def forget(self, channel: str) -> None:
        """
        A channel forgets what it holds.
        """
        self.hub.forget(ANYONE, [channel])

    @rule()
    def renew(self) -> None:
        """
        A new epoch begins.
        """
        self.inner.renew()

    @rule()
    def interrupt(self) -> None:
        """
        Messages may have been missed.
        """
        if not isinstance(self.bus, SlowBus):
            self.hub.fanout.interrupted()

    # -- What is true

    @invariant()
    def collect(self) -> None:
        """
        All that the clients were told is right.
        """
        if self.world.failures:
            raise self.world.failures[0]
        for player in self.players:
            if isinstance(player, Poll):
                player.collect()

    @rule()
    def rest(self) -> None:
        """
        When nothing is left to do, each client has all its messages.
        """
        self.clock.settle()
        while isinstance(self.bus, SlowBus) and self.bus.catchUp():
            self.clock.settle()
        self.collect()
        for player in self.players:
            player.checkAtRest()
        assert not any(self.world.unanswered), "a publisher was not answered"

    def teardown(self) -> None:
        """
        All clients take what was written, and leave; then nothing is left.
        """
        self.rest()
        for player in self.players:
            if isinstance(player, Stream) and not player.isOver and not player.sink.isEnding:
                player.sink.drain()
            if isinstance(player, Application):
                player.script.clear()
                player.subscription.resumeProducing()
        self.rest()
        for player in self.players:
            if not player.isOver and not (isinstance(player, Stream) and player.sink.isEnding):
                player.leave()
        assert not self.hub.fanout.readers
        self.clock.advance(60)
        assert len(self.hub.fanout.registry) == 0
        assert len(self.hub.fanout.wheel) == 0


class SlowPromise(Promise):
    """
    What can happen over a bus that answers later.
    """

    isSlow = True
    bus: SlowBus

    @rule(steps=STEPS)
    def flow(self, steps: list[str]) -> None:
        """
        Turns pass; the bus carries out some operations and answers some; the
        fan-out hears some messages; more are published.
        """
        for each in steps:
            kind, _, which = each.partition(" ")
            if kind == "publish":
                self.world.publish([[which]])
            elif kind == "turn":
                self.clock.turn()
            elif kind == "hear":
                self.bus.hear()
            elif kind == "do":
                self.bus.do(int(which))
            else:
                self.bus.answer(int(which))

    @rule(steps=STEPS)
    def flowOn(self, steps: list[str]) -> None:
        """
        The same rule as C{flow}, so that it is chosen more often.
        """
        self.flow(steps)

    @rule()
    def beat(self) -> None:
        """
        The bus reports its log end.
        """
        self.bus.beat()

    @rule(isCut=st.booleans())
    def cut(self, isCut: bool) -> None:
        """
        The link to the bus is cut, or mended.
        """
        if isCut:
            self.bus.cut()
        elif self.bus.isDeaf:
            self.bus.mend()


class AheadPromise(SlowPromise):
    """
    What can happen over a bus that answers later, and reads ahead.
    """

    readsAhead = True


class _InParts:
    """
    Nearly each flush takes long: it goes on for many turns, one reader in each.
    """

    def __init__(self) -> None:
        super().__init__()
        # Any: this is mixed into a L{Promise}.
        promise: Any = self
        promise.world.isDirect = self.isDirect
        parts = promise.hub.fanout.parts
        parts.most = parts.left = 0
        parts.seconds = 0.0
        parts.eachAtOnce = 1

    isDirect = False

    @rule(
        names=ALIKE,
        kinds=st.lists(st.booleans(), min_size=2, max_size=4),
        channels=st.lists(CHANNEL, min_size=1, max_size=3),
        back=st.sampled_from([None, 0, 1, 2]),
    )
    def meet(
        self, names: list[str], kinds: list[bool], channels: list[str], back: int | None
    ) -> None:
        """
        More is published while a group is busy, and others join it or come back.
        """
        promise: Any = self
        for isPoll in kinds:
            promise.openAlike(names, 1, isPoll, None)
        promise.rest()
        for channel in channels:
            promise.world.publish([[channel]])
            promise.clock.turn()
        promise.openAlike(names, 1, kinds[0], back)
        promise.openAlike(names, 1, not kinds[0], back)

    @rule(pick=PICK, channel=CHANNEL)
    def returnSoon(self, pick: int, channel: str) -> None:
        """
        A client is answered and comes back in the same turn, as its group goes on.
        """
        promise: Any = self
        promise.world.publish([[channel]])
        promise.clock.turn()
        promise.collect()
        promise.comeBack(pick, 0, 2)

    @rule(pick=PICK, channel=CHANNEL)
    def speak(self, pick: int, channel: str) -> None:
        """
        A client is told where it stands as its group goes on.
        """
        promise: Any = self
        promise.world.publish([[channel]])
        promise.clock.turn()
        promise.tell(pick)
        promise.tell(pick + 1)


class PartsPromise(_InParts, Promise):
    """
    What can happen while flushes go on.
    """


class DirectPartsPromise(_InParts, Promise):
    """
    What can happen while flushes go on to streams that are sent to directly.
    """

    isDirect = True


class SlowPartsPromise(_InParts, SlowPromise):
    """
    What can happen while flushes go on, over a bus that answers later.
    """

    isDirect = True


EXAMPLES = settings(deadline=None, max_examples=150, stateful_step_count=40)


class PromiseTests(SynchronousTestCase):
    """
    The promise.
    """

    def test_holdsOverABusInMemory(self) -> None:
        """
        The promise holds over a bus that answers at once.
        """
        run_state_machine_as_test(Promise, settings=EXAMPLES)

    def test_holdsOverASlowBus(self) -> None:
        """
        The promise holds over a bus that answers later.
        """
        run_state_machine_as_test(SlowPromise, settings=EXAMPLES)

    def test_holdsOverABusThatReadsAhead(self) -> None:
        """
        The promise holds over a bus that answers later, and tells the first messages of
        names together with where they begin.
        """
        run_state_machine_as_test(AheadPromise, settings=EXAMPLES)

    def test_holdsInParts(self) -> None:
        """
        The promise holds while flushes go on for many turns.
        """
        run_state_machine_as_test(PartsPromise, settings=EXAMPLES)

    def test_holdsInPartsToSockets(self) -> None:
        """
        The promise holds while flushes to sockets go on for many turns.
        """
        run_state_machine_as_test(DirectPartsPromise, settings=EXAMPLES)

    def test_holdsInPartsOverASlowBus(self) -> None:
        """
        The promise holds while flushes go on for many turns, over a bus that answers later.
        """
        run_state_machine_as_test(SlowPartsPromise, settings=EXAMPLES)

    def test_nameIsAddedWhilePaused(self) -> None:
        """
        A receiver that pauses, adds a name and goes on while it is told what was
        read, as others wait to read on in this turn, gets the messages of that name.
        """
        state = Promise()
        state.interrupt()
        state.subscribe(names=["a"], script=[publishing("c/x")], starts=[("now", 0)])
        script = [_pause, adding("c/x"), blink]
        state.subscribe(names=["a"], script=script, starts=[("now", 0)])
        state.openAlike(names=["a"], count=1, isPoll=False, back=0)
        state.publish(batches=[["a"], ["a"], ["a"]])
        # Everybody is asked what has not come.
        state.teardown()

    def test_losesMoreBelowTheFloorOfAPattern(self) -> None:
        """
        A pattern is replayed behind another name, and its gap is told with the highest floor
        of its channels, ahead of where the reader stands.  What another channel loses below
        that floor, before the reader is there, is no gap of its own.
        """
        state = SlowPromise()
        state.publish(batches=[["a"], ["a", "b", "c/x"]])
        state.rest()
        state.subscribe(names=["a", "**"], starts=[("at", 3), ("earliest", 0)], script=[])
        # It listens, and knows where its names begin.
        state.flow(steps=["answer 0"] * 3)
        for channel in ("c/x", "a"):
            # One is gone before the replay is read, the other before what follows is.
            state.forget(channel=channel)
            state.flow(steps=["answer -1", "answer 0"])
        state.teardown()
        (reader,) = state.players
        gaps = [each for each in reader.tracker.heard if isinstance(each, tuple)]
        self.assertEqual([each[2] for each in gaps if each[0] == "gap"], [("**",), ("a",)])


def _pause(player: Application) -> None:
    player.subscription.pauseProducing()
