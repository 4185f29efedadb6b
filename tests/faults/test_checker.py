"""
Tests for L{tests.faults.checker}: it finds each kind of error, and no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.edge.envelopes import Cursor
from tests.faults.book import Stored
from tests.faults.checker import OPENED, Entry, Life, Replayed, Rules, check
from tests.faults.resuming import Rewound, ToldGap

CHANNELS = ("load/a", "load/b")


def stored(position: int, epoch: str = "e1") -> Stored:
    """
    Make the message at a position; the first channel has the even positions.
    """
    return Stored(CHANNELS[position % 2], Cursor(epoch, position), f"key {position}")


def logOf(last: int, epoch: str = "e1") -> dict[str, list[Stored]]:
    """
    Make a log with messages up to a position.
    """
    return {epoch: [stored(position, epoch) for position in range(1, last + 1)]}


def lifeOf(entries: Sequence[Entry], end: int = 10, epoch: str = "e1", begin: int = 0) -> Life:
    """
    Make the life of a reader of both channels.
    """
    return Life("r", {"load/**": Cursor("e1", begin)}, entries, epoch, {"load/**": end})


def told(
    names: Sequence[str], position: int, epoch: str = "e1", before: int | None = None
) -> ToldGap:
    """
    Make a gap of a reader that had reached C{before} in the first epoch.
    """
    stood = position if before is None else before
    return ToldGap(tuple(names), Cursor(epoch, position), {"load/**": stood}, "e1")


LOG = logOf(10)
WHOLE: list[Entry] = [stored(position) for position in range(1, 11)]


class CheckerTestCase(SynchronousTestCase):
    """
    A test with one life of a reader.
    """

    def assertFound(self, kinds: Sequence[str], life: Life, rules: Rules | None = None) -> None:
        """
        Check that the findings are of these kinds, in any order.
        """
        found = check(life, {**LOG, **logOf(4, "e2")}, rules or Rules())
        self.assertEqual(sorted(finding.kind for finding in found), sorted(kinds), found)


class OneEpochTests(CheckerTestCase):
    """
    A log with one epoch, which holds all messages.
    """

    def test_whole(self) -> None:
        """
        If all messages came once and in order, over any number of connections,
        nothing is found.
        """
        self.assertFound([], lifeOf([OPENED, *WHOLE[:4], OPENED, *WHOLE[4:]]))

    def test_lost(self) -> None:
        """
        Each message that did not arrive is found.
        """
        self.assertFound(["lost", "lost"], lifeOf([*WHOLE[:3], *WHOLE[5:]]))

    def test_lostAtEnds(self) -> None:
        """
        The first and the last message are found if they did not arrive.
        """
        self.assertFound(["lost", "lost"], lifeOf(WHOLE[1:-1]))

    def test_untilEnd(self) -> None:
        """
        Messages after the end of a life, or before its start, need not arrive.
        """
        self.assertFound([], lifeOf(WHOLE[2:7], begin=2, end=7))

    def test_beforeStart(self) -> None:
        """
        A message before the start of a life is found.
        """
        self.assertFound(["foreign", "disorder"], lifeOf(WHOLE[1:7], begin=2, end=7))

    def test_twice(self) -> None:
        """
        A message that arrived twice is found.
        """
        self.assertFound(["twice"], lifeOf([*WHOLE[:5], OPENED, *WHOLE[4:]]))

    def test_order(self) -> None:
        """
        Messages out of order are found.
        """
        swapped = [*WHOLE[:3], WHOLE[4], WHOLE[3], *WHOLE[5:]]
        self.assertFound(["disorder"], lifeOf(swapped))

    def test_foreign(self) -> None:
        """
        A message of a channel that the reader does not read is found.
        """
        life = Life("r", {"load/a": Cursor("e1", 0)}, WHOLE[:2], "e1", {"load/a": 2})
        self.assertFound(["foreign"], life)

    def test_gap(self) -> None:
        """
        A gap is found if no message can be lost.
        """
        entries = [*WHOLE[:5], told(["load/**"], 5), *WHOLE[5:]]
        self.assertFound(["gap"], lifeOf(entries))

    def test_otherEpoch(self) -> None:
        """
        Another epoch without a gap is found.
        """
        entries = [*WHOLE, *(stored(position, "e2") for position in range(1, 5))]
        self.assertFound(["disorder"], lifeOf(entries, 4, "e2"))

    @given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
    @settings(deadline=None)
    def test_any(self, lost: set[int], repeated: set[int]) -> None:
        """
        Lost and repeated messages are counted exactly.
        """
        entries: list[Entry] = []
        for index, entry in enumerate(WHOLE):
            entries += [entry] * ((index not in lost) + (index in repeated and index not in lost))
        kinds = ["lost"] * len(lost) + ["twice"] * len(repeated - lost)
        self.assertFound(kinds, lifeOf(entries))


class ReplayTests(CheckerTestCase):
    """
    Late names: those that begin behind others.
    """

    def setUp(self) -> None:
        """
        Let one of two names begin behind the other.
        """
        self.begins = {"load/a": Cursor("e1", 2), "load/b": Cursor("e1", 6)}

    def life(self, entries: Sequence[Entry], end: int = 10) -> Life:
        """
        Make the life of a reader with one late name.
        """
        return Life("r", self.begins, entries, "e1", dict.fromkeys(self.begins, end))

    def replays(self, *positions: int) -> list[Entry]:
        """
        Make replayed messages.
        """
        return [Replayed((stored(position),)) for position in positions]

    def test_replayed(self) -> None:
        """
        Replayed messages that come first, once and in order are right, also over
        several connections.
        """
        self.assertFound([], self.life([*self.replays(4, 6), *WHOLE[6:]]))
        broken = [OPENED, *self.replays(4), OPENED, *self.replays(6), *WHOLE[6:]]
        self.assertFound([], self.life(broken))

    def test_lost(self) -> None:
        """
        A message that was not replayed is found.
        """
        self.assertFound(["lost"], self.life([*self.replays(6), *WHOLE[6:]]))

    def test_order(self) -> None:
        """
        Replays out of order, and replays of names that are not late, are found.
        """
        self.assertFound(["disorder"], self.life([*self.replays(6, 4), *WHOLE[6:]]))
        entries = [*self.replays(4, 5, 6), *WHOLE[6:]]
        self.assertFound(["foreign"], self.life(entries))

    def test_notReplayed(self) -> None:
        """
        A message below the reader's cursor that is not marked as a replay is
        found.
        """
        self.assertFound(["disorder"] * 2, self.life([WHOLE[3], WHOLE[5], *WHOLE[6:]]))

    def test_rewound(self) -> None:
        """
        A reader that resumed from within a replay may read the messages after
        that cursor once more, and no others.
        """
        rewound = Rewound(Cursor("e1", 4))
        entries = [*self.replays(4, 6), rewound, stored(6), *WHOLE[6:]]
        self.assertFound([], self.life(entries))
        entries = [*self.replays(4, 6), rewound, stored(6), stored(6), *WHOLE[6:]]
        self.assertFound(["twice"], self.life(entries))
        entries = [*self.replays(4, 6), rewound, stored(4), stored(6), *WHOLE[6:]]
        self.assertFound(["twice"], self.life(entries))

    def test_rewoundOthers(self) -> None:
        """
        A reader that was rewound to the cursor of the late name gets the other
        names from there, too, also from before their start.
        """
        rewound = Rewound(Cursor("e1", 4))
        entries = [*self.replays(4), rewound, stored(5), *WHOLE[5:]]
        self.assertFound([], self.life(entries))
        entries = [*self.replays(4), rewound, *WHOLE[5:]]
        self.assertFound([], self.life(entries))


class LossyTests(CheckerTestCase):
    """
    A log that may begin a new epoch, or drops messages.
    """

    lossy = Rules(keepsEpoch=False)
    short = Rules(holdsAll=False)
    anew: Sequence[Entry] = [stored(position, "e2") for position in range(1, 5)]

    def test_newEpoch(self) -> None:
        """
        After a gap all messages of the new epoch must arrive, and none of the
        old one.
        """
        entries = [*WHOLE[:6], told(["load/**"], 0, "e2", 6), *self.anew]
        self.assertFound([], lifeOf(entries, 4, "e2"), self.lossy)

    def test_lostBefore(self) -> None:
        """
        A message lost before the gap is found.
        """
        entries = [*WHOLE[:4], *WHOLE[5:6], told(["load/**"], 0, "e2", 6), *self.anew]
        self.assertFound(["lost"], lifeOf(entries, 4, "e2"), self.lossy)

    def test_lostAfter(self) -> None:
        """
        A message of the new epoch that did not arrive is found.
        """
        entries = [*WHOLE[:6], told(["load/**"], 0, "e2", 6), *self.anew[1:]]
        self.assertFound(["lost"], lifeOf(entries, 4, "e2"), self.lossy)

    def test_twiceInEpochs(self) -> None:
        """
        A message that arrived twice in one epoch is found; the same position in
        another epoch is another message.
        """
        entries = [*WHOLE[:6], told(["load/**"], 0, "e2", 6), *self.anew, self.anew[-1]]
        self.assertFound(["twice"], lifeOf(entries, 4, "e2"), self.lossy)

    def test_pollGap(self) -> None:
        """
        A gap without a cursor, as in a poll body, allows another epoch.
        """
        gap = ToldGap(("load/**",), None, {"load/**": 6}, "e1")
        self.assertFound([], lifeOf([*WHOLE[:6], gap, *self.anew], 4, "e2"), self.lossy)

    def test_needless(self) -> None:
        """
        A gap within an epoch that holds all messages is found.
        """
        entries = [*WHOLE[:5], told(["load/**"], 5), *WHOLE[5:]]
        self.assertFound(["gap"], lifeOf(entries), self.lossy)

    def test_dropped(self) -> None:
        """
        A message that a short log has dropped may be missing only at the
        position of the gap.
        """
        entries = [*WHOLE[:3], told(["load/**"], 3), *WHOLE[6:]]
        self.assertFound([], lifeOf(entries), self.short)
        entries = [*WHOLE[:3], *WHOLE[6:]]
        self.assertFound(["lost"] * 3, lifeOf(entries), self.short)
        entries = [*WHOLE[:3], *WHOLE[6:8], told(["load/**"], 8), *WHOLE[8:]]
        self.assertFound(["lost"] * 3, lifeOf(entries), self.short)
