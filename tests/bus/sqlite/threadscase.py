"""
The base of the tests that look at the statements of an SQLite bus.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread

from comet.bus.sqlite.bus import SQLiteBus
from comet.errors import CometError, Unavailable
from comet.model.messages import Published
from tests.bus.sqlite.case import SQLiteCase, publication
from tests.bus.sqlite.faulty import Faults


class ThreadsTestCase(SQLiteCase):
    """
    Tests that see each statement, and can hold one back.
    """

    def setUp(self) -> None:
        """
        Watch all statements.
        """
        super().setUp()
        self.faults = Faults()
        self.faults.seen = self.see
        self.connect = self.faults.connect
        self.seen: list[tuple[str, int]] = []
        self.holding: dict[str, threading.Event] = {}
        self.reached = threading.Event()

    def see(self, statement: str) -> None:
        """
        Note a statement, and hold it back if the test wants that.
        """
        self.seen.append((statement, threading.get_ident()))
        for startPosition, event in list(self.holding.items()):
            if statement.startswith(startPosition):
                self.reached.set()
                assert event.wait(30)

    def hold(self, startPosition: str) -> threading.Event:
        """
        Hold back statements with a beginning, until the event is set.
        """
        event = self.holding[startPosition] = threading.Event()
        self.addCleanup(event.set)
        self.reached.clear()
        return event

    async def awaitHeld(self) -> None:
        """
        Wait until a statement is held back.
        """
        self.assertTrue(await deferToThread(self.reached.wait, 30))

    async def failure(
        self, asked: Deferred[Any], kind: type[CometError] = Unavailable
    ) -> CometError:
        """
        Wait until a Deferred fails.
        """
        error: Any = await self.assertFailure(asked, kind)
        assert isinstance(error, CometError)
        return error

    def commits(self) -> int:
        """
        Return how many commits there were since the last call.
        """
        count = sum(statement == "COMMIT" for statement, _ in self.seen)
        self.seen.clear()
        return count

    def publishAll(self, bus: SQLiteBus, count: int) -> Deferred[list[Sequence[Published]]]:
        """
        Publish many messages, each by itself.
        """
        return gatherResults([bus.publish([publication("a")]) for _ in range(count)])
