"""
What the clients share that take part in the tests of the promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.errors import Unknown
from comet.fanout.core import Fanout
from comet.fanout.joinpoint import JoinPoint
from comet.fanout.readqueue import IsGone, never
from comet.hub.hub import Hub
from comet.model.cursors import Cursor
from comet.model.messages import Publication
from comet.model.positions import At, Now, ResolvedStart, ResolvedStarts, StartPosition
from tests.fanout.doubles import ANYONE
from tests.fanout.oracle import Found, reaches
from tests.fanout.slowbus import WatchedBus


class World:
    """
    What all players share.

    @ivar where: Where the names began that were asked for with a beginning.
    """

    def __init__(self, hub: Hub, bus: WatchedBus, isExact: bool) -> None:
        self.hub = hub
        self.bus = bus
        self.isExact = isExact
        # Whether streams are sent to directly.
        self.isDirect = False
        self.where: dict[int, Found] = {}
        # What the bus has answered, by the identity of the answer: readers that
        # ask the same share one.
        self.answered: dict[int, Found] = {}
        # Identities are not used again while these are there.
        self.keep: list[StartPosition | ResolvedStarts] = []
        # What was wrong, in calls whose errors are logged and go no further.
        self.failures: list[AssertionError] = []
        self._joinPoints: dict[tuple[object, ...], WatchedJoinPoint] = {}
        # Publishers: whether they still wait.
        self.unanswered: list[bool] = []
        bus.onResolved = self._resolved
        self._resolve = hub.fanout.questions.resolve
        vars(hub.fanout.questions)["resolve"] = self._resolveFor

    def _resolved(self, names: Mapping[str, StartPosition], resolved: ResolvedStarts) -> None:
        self.keep.append(resolved)
        self.answered[id(resolved)] = Found(resolved, self.bus.lost())

    def _resolveFor(
        self,
        names: Mapping[str, StartPosition],
        asker: object,
        isListening: bool = False,
        isGone: IsGone = never,
    ) -> Deferred[ResolvedStarts]:
        """
        Note which reader gets which result.
        """

        def note(resolved: ResolvedStarts) -> ResolvedStarts:
            for startPosition in names.values():
                self.where[id(startPosition)] = self.answered[id(resolved)]
            return resolved

        return self._resolve(names, asker, isListening, isGone).addCallback(note)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """
        Keep failed assertions, which the server would only log.
        """
        try:
            yield
        except AssertionError as error:
            self.failures.append(error)
            raise

    def publish(self, batches: list[list[str]], payload: bytes = b"1") -> None:
        """
        Publish to these channels.
        """
        index = len(self.unanswered)
        self.unanswered.append(True)
        publications = [Publication(tuple(channels), payload) for channels in batches]

        def answered(answers: object) -> None:
            self.unanswered[index] = False

        def late(failure: Failure) -> None:
            # The clock may go on for a minute before a slow bus has its turn.
            failure.trap(Unknown)
            self.unanswered[index] = False

        self.hub.store(ANYONE, publications).addCallbacks(answered, late)
        self.hub.bursts.store()

    def joinPoint(self, names: tuple[str, ...], *shape: object) -> WatchedJoinPoint:
        """
        The join point of players that ask for the same names in the same shape.
        """
        return self._joinPoints.setdefault((names, *shape), WatchedJoinPoint(self, names))

    def found(self, startPositions: Mapping[str, StartPosition]) -> Found:
        """
        Where these names started.
        """
        for startPosition in startPositions.values():
            found = self.where.get(id(startPosition))
            if found is None:
                # The reader was given the response of another one: it has all that was
                # stored after the cursor, and nothing of that was lost.
                assert isinstance(startPosition, At)
                cursor = startPosition.cursor
                starts = {name: ResolvedStart(cursor.position) for name in startPositions}
                found = Found(ResolvedStarts(cursor, starts), frozenset())
            return found
        return Found(ResolvedStarts(self.bus.end, {}), frozenset())


class WatchedJoinPoint(JoinPoint):
    """
    A join point that notes where readers start.
    """

    def __init__(self, world: World, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self._world = world

    def find(self, fanout: Fanout, startPosition: StartPosition) -> Cursor | None:
        """
        Note where a reader starts, if it is opened here.
        """
        cursor = super().find(fanout, startPosition)
        if cursor is not None:
            if isinstance(startPosition, Now):
                ends = {self._world.hub.end}
                if self._world.isExact:
                    ends.add(self._world.bus.end)
                assert ends == {cursor}
            else:
                assert isinstance(startPosition, At)
                self._checkNothingBetween(startPosition.cursor, cursor)
            # All that is stored after it is still to come, wherever it is held.
            starts = {name: ResolvedStart(cursor.position) for name in self.names}
            found = Found(ResolvedStarts(cursor, starts), frozenset())
            self._world.where[id(startPosition)] = found
        return cursor

    def _checkNothingBetween(self, known: Cursor, cursor: Cursor) -> None:
        """
        What a reader passes over that begins elsewhere than it asked for is of other
        names, whether it is held or was dropped since.
        """
        assert known.epoch == cursor.epoch
        passed = [
            position
            for position, channel in self._world.bus.stored[known.epoch].items()
            if known.position < position <= cursor.position
            and any(reaches(name, channel) for name in self.names)
        ]
        assert not passed, f"{passed} of {self.names} were passed over"
