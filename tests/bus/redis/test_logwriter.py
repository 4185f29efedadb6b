"""
What becomes of requests that a script has stored.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from comet.bus.redis.logwriter import LogWriter
from comet.bus.redis.storedreplies import KeyConflict, Stored
from comet.errors import CometError, Unknown
from comet.interfaces.busabilities import Outcome
from comet.model.cursors import Cursor
from comet.model.messages import Publication, Published


@define
class Parts:
    """
    What a writer has around it: a store, what has heard of the messages, and a connection.

    @ivar outcomes: What the script has told.

    @ivar end: The end of the log of which this node was told.

    @ivar aborted: Why the connection was closed.
    """

    outcomes: list[list[Published] | KeyConflict]
    end: Cursor
    aborted: list[str] = field(factory=list)

    async def publish(self, connection: object, requests: object) -> Stored:
        """
        Store requests.
        """
        return Stored(self.outcomes, False)

    def abort(self, reason: str) -> None:
        """
        Close the connection.
        """
        self.aborted.append(reason)


class LogWriterTests(SynchronousTestCase):
    """
    L{LogWriter.publish}.
    """

    def publish(
        self, parts: Any, requests: Sequence[Sequence[Publication]]
    ) -> Deferred[Sequence[Outcome]]:
        """
        Store requests.
        """
        writer = LogWriter(parts, parts, parts, parts)
        return Deferred.fromCoroutine(writer.publish(parts, requests))

    def test_pushed(self) -> None:
        """
        Requests that were heard are answered, each with its outcome.
        """
        stored = [Published("e", {"b": 4, "a": 3}), Published("e", {"a": 5})]
        parts = Parts([stored, KeyConflict(0)], Cursor("e", 5))
        asked = [Publication(("b", "a"), b"1"), Publication(("a",), b"2")]
        refused = Publication(("a",), b"3", key="k", publisher="p")
        first, second = self.successResultOf(self.publish(parts, [asked, [refused]]))
        self.assertEqual(first, stored)
        self.assertIsInstance(second, CometError)
        self.assertEqual(parts.aborted, [])

    def test_notPushed(self) -> None:
        """
        If any message was stored and not heard, it is not known what readers were told.
        """
        for positions in ([6, 5], [5, 6]):
            stored = [Published("e", {"a": position}) for position in positions]
            parts = Parts([[each] for each in stored], Cursor("e", 5))
            self.failureResultOf(self.publish(parts, [[Publication(("a",), b"1")]] * 2), Unknown)
            self.assertEqual(parts.aborted, ["a stored message was not pushed"])

    def test_calls(self) -> None:
        """
        A message of a large batch takes no call of its own.
        """

        def count(size: int) -> int:
            stored = [Published("e", {"a": number + 1}) for number in range(size)]
            parts = Parts([stored], Cursor("e", size))
            called = 0

            def profile(frame: object, event: str, argument: object) -> None:
                nonlocal called
                called += event == "call"

            sys.setprofile(profile)
            try:
                answer = self.publish(parts, [[Publication(("a",), b"1")] * size])
            finally:
                sys.setprofile(None)
            self.assertEqual(self.successResultOf(answer), [stored])
            return called

        self.assertLess(count(1000) - count(1), 100)
