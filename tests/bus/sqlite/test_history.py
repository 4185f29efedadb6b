"""
How much of the database is looked at to read before a cursor.
"""

from __future__ import annotations

from comet.bus.parts import PART_MESSAGES
from comet.bus.sqlite.reader import LogReader
from comet.model.cursors import Cursor
from comet.model.log import Retention
from comet.testing.case import positionsOf
from tests.bus.sqlite.case import StoreTestCase
from tests.bus.sqlite.watched import Watched


class HistoryTests(StoreTestCase):
    """
    L{LogReader.recalling}.
    """

    def test_looksAtWhatItReads(self) -> None:
        """
        It looks at the messages of the page and one more, and finds them by their
        channel, however many there are before, behind and between them.
        """
        store = self.openStore(Retention(messages=10000))
        positions = []
        for _ in range(6):
            positions += self.put(store, "a b c d " * 250)[::4]
        end = store.end
        watched = Watched(self.path)
        reader = LogReader(self.path, lambda channel: Retention(messages=10000), watched.connect)
        self.addCleanup(reader.close)
        for limit in (1, 50, PART_MESSAGES):
            watched.rows = 0
            before = Cursor(end.epoch, positions[1200])
            [page] = reader.recalling("a", before, limit, 10**6, self.now)
            assert page is not None
            self.assertEqual(positionsOf(page.messages), positions[1200 - limit : 1200])
            self.assertLessEqual(watched.rows, 2 * limit + 5)
        messages = [plan for plan in watched.plans() if "messages" in plan.split(":")[0]]
        self.assertGreater(len(messages), 1)
        for plan in messages:
            self.assertRegex(
                plan, r"^SEARCH messages USING (INDEX messagesByChannel|INTEGER PRIMARY KEY)"
            )
