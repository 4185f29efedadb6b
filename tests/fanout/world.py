"""
What the clients share that take part in the tests of the promise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from twisted.internet.defer import Deferred

from comet.fanout.joinpoint import Spot
from comet.fanout.reader import Reader
from comet.hub import Hub
from comet.model.messages import Publication
from comet.model.positions import Beginning, Location, Now, Place
from tests.fanout.doubles import ANYONE
from tests.fanout.oracle import Found
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
        self.where: dict[int, Found] = {}
        # What the bus has answered, by the identity of the answer: readers that
        # ask the same share one.
        self.answered: dict[int, Found] = {}
        # Identities are not used again while these are there.
        self.keep: list[Beginning | Location] = []
        # What was wrong, in calls whose errors are logged and go no further.
        self.failures: list[AssertionError] = []
        self._spots: dict[tuple[object, ...], WatchedSpot] = {}
        # Publishers: whether they still wait.
        self.unanswered: list[bool] = []
        bus.onLocated = self._located
        self._locate = hub.fanout.locate
        vars(hub.fanout)["locate"] = self._locateFor

    def _located(self, names: Mapping[str, Beginning], location: Location) -> None:
        self.keep.append(location)
        self.answered[id(location)] = Found(location, self.bus.lost())

    def _locateFor(
        self, names: Mapping[str, Beginning], isPassing: bool = True
    ) -> Deferred[Location]:
        """
        Note who is given which answer.
        """

        def note(location: Location) -> Location:
            for beginning in names.values():
                self.where[id(beginning)] = self.answered[id(location)]
            return location

        return self._locate(names, isPassing).addCallback(note)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """
        Keep what is found to be wrong.
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

        self.hub.store(ANYONE, publications).addCallback(answered)

    def spot(self, names: tuple[str, ...], *shape: object) -> WatchedSpot:
        """
        Where players are that ask for the same names in the same shape.
        """
        return self._spots.setdefault((names, *shape), WatchedSpot(self, names))

    def found(self, beginnings: Mapping[str, Beginning]) -> Found:
        """
        Where these began.
        """
        for beginning in beginnings.values():
            return self.where[id(beginning)]
        return Found(Location(self.bus.head, {}), frozenset())


class WatchedSpot(Spot):
    """
    A spot of the players.
    """

    def __init__(self, world: World, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self._world = world

    def enter(self, reader: Reader, beginning: Beginning) -> bool:
        """
        Note where a reader begins, if it is here.
        """
        isHere = super().enter(reader, beginning)
        if isHere:
            cursor = reader.progress.cursor
            if isinstance(beginning, Now):
                heads = {self._world.hub.head}
                if self._world.isExact:
                    heads.add(self._world.bus.head)
                assert heads == {cursor}
            # All that is stored after it is still to come, wherever it is held.
            places = {name: Place(cursor.position) for name in self.names}
            found = Found(Location(cursor, places), frozenset())
            self._world.where[id(beginning)] = found
        return isHere
