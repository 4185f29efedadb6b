"""
Tests of what is read ahead of readers of a few channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import evolve

from comet.bus.parts import AHEAD_BYTES, AHEAD_MESSAGES
from comet.bus.sqlite import reader as module
from comet.bus.sqlite.snapshot import Snapshot
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.model.positions import (
    At,
    Earliest,
    Last,
    Now,
    ReadResult,
    StartPosition,
    Unreadable,
)
from comet.testing.case import positionsOf
from tests.bus.sqlite.case import StoreTestCase


class OpeningTests(StoreTestCase):
    """
    One question in the place of two.
    """

    def setUp(self) -> None:
        """
        Make a database whose channels have lost messages.
        """
        super().setUp()
        self.patch(Snapshot, "stepSeconds", 60.0)
        store = self.openStore(Retention(messages=3))
        self.put(store, "a b a a c a a b")
        self.end = store.end
        self.reader = self.openReader()

    def page(self, names: Mapping[str, StartPosition]) -> ReadResult:
        """
        Assert that what is found in one step is what is found in two.

        @return: What was read ahead.
        """
        steps = list(self.reader.resolving(names, self.now))
        self.assertEqual(len(steps), 1)
        [opened] = steps
        patched = self.patch(module, "isOpening", lambda names: False)
        resolved = self.reader.resolve(names, self.now)
        patched.restore()
        assert opened is not None and opened.page is not None
        self.assertEqual((resolved.page, resolved), (None, evolve(opened, page=None)))
        page = opened.page
        lowest = min(each.position for each in opened.starts.values())
        self.assertEqual(page.after, Cursor(self.end.epoch, lowest))
        read = self.reader.read(
            list(names), page.after, AHEAD_MESSAGES, AHEAD_BYTES, None, self.now
        )
        self.assertEqual(positionsOf(page.messages), positionsOf(read.messages))
        self.assertEqual(evolve(page, messages=[]), evolve(read, messages=[]))
        return page

    def test_asInTwoSteps(self) -> None:
        """
        Whatever the beginning, the names begin where they do without reading ahead, and what
        was read there is what a reader would be given.
        """
        starts: Sequence[StartPosition] = (
            *(Last(count) for count in (1, 2, 3, 9)),
            Earliest(),
            Unreadable(),
            At(Cursor("other", 3)),
            *(At(Cursor(self.end.epoch, each)) for each in range(self.end.position + 2)),
        )
        for names in ("a", "b", "none", "a b", "b none c a"):
            for start in starts:
                self.page(dict.fromkeys(names.split(), start))
        page = self.page({"a": Last(1), "b": Earliest(), "c": Unreadable()})
        self.assertEqual(positionsOf(page.messages), [2, 4, 5, 6, 7, 8])

    def test_othersAreNotReadAhead(self) -> None:
        """
        Nothing is read ahead of patterns, of readers that begin at the end, or at several
        cursors.
        """
        several: list[dict[str, StartPosition]] = [
            {"*": Earliest()},
            {"a": Now(), "b": Last(1)},
            {"a": At(Cursor(self.end.epoch, 3)), "b": At(Cursor(self.end.epoch, 4))},
        ]
        for names in several:
            self.assertIsNone(self.reader.resolve(names, self.now).page)
