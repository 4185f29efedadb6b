"""
Tests of L{comet.errors}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from comet import errors
from comet.errors import CometError, Internal, MethodNotAllowed, NotFound, TooMany, Unavailable


def leaves(kind: type[CometError]) -> Iterator[type[CometError]]:
    """
    The errors that there are.
    """
    for each in kind.__subclasses__():
        yield each
        yield from leaves(each)


class TreeTests(SynchronousTestCase):
    """
    The tree of errors.
    """

    def test_drawn(self) -> None:
        """
        The drawing at the top of the module is of the errors that there are.
        """
        drawn = re.findall(r"\+-- (\w+) +(\w+) +(\d+)", errors.__doc__ or "")
        own = [each for each in leaves(CometError) if each.__module__ == errors.__name__]
        self.assertEqual(
            sorted(drawn), sorted((each.__name__, each.code, str(each.status)) for each in own)
        )

    def test_temporary(self) -> None:
        """
        What passes says when to ask again.
        """
        for error in (TooMany("full"), Unavailable("gone", 3.0)):
            self.assertTrue(error.isTemporary)
        self.assertFalse(NotFound("nothing").isTemporary)

    def test_details(self) -> None:
        """
        The detail is the text of the error; a fault of ours tells nothing of
        its cause.
        """
        self.assertEqual(str(NotFound("nothing here")), "nothing here")
        self.assertIn("log", Internal().detail)
        self.assertEqual(MethodNotAllowed("no", ["GET"]).allowed, ("GET",))
