"""
Tests of L{comet.errors}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from comet import errors
from comet.errors import (
    CometError,
    Internal,
    MethodNotAllowed,
    NotFound,
    TooMany,
    Unavailable,
    publicError,
)


def leaves(kind: type[CometError]) -> Iterator[type[CometError]]:
    """
    Every subclass of an error, and every subclass of these.
    """
    for each in kind.__subclasses__():
        yield each
        yield from leaves(each)


class TreeTests(SynchronousTestCase):
    """
    The tree of errors.
    """

    def test_documentsEveryError(self) -> None:
        """
        The tree in the module's docstring has every error of the module, with
        its code and status, and no other.
        """
        drawn = re.findall(r"\+-- (\w+) +(\w+) +(\d+)", errors.__doc__ or "")
        own = [each for each in leaves(CometError) if each.__module__ == errors.__name__]
        self.assertEqual(
            sorted(drawn), sorted((each.__name__, each.code, str(each.status)) for each in own)
        )

    def test_isTemporaryWithRetryAfter(self) -> None:
        """
        An error is temporary if it says when to try again.
        """
        for error in (TooMany("full"), Unavailable("gone", 3.0)):
            self.assertTrue(error.isTemporary)
        self.assertFalse(NotFound("nothing").isTemporary)

    def test_detailIsText(self) -> None:
        """
        The detail is the text of the exception.
        """
        self.assertEqual(str(NotFound("nothing here")), "nothing here")

    def test_internalRefersToLog(self) -> None:
        """
        L{Internal} refers the client to the log of the server.
        """
        self.assertIn("log", Internal().detail)

    def test_methodNotAllowedKeepsMethods(self) -> None:
        """
        L{MethodNotAllowed} keeps the methods that are allowed.
        """
        self.assertEqual(MethodNotAllowed("no", ["GET"]).allowed, ("GET",))


class PublicErrorTests(SynchronousTestCase):
    """
    L{publicError}: what a client is told of a failure.
    """

    def test_returnsCometError(self) -> None:
        """
        A L{CometError} is told as it is, and is not logged.
        """
        logged: list[None] = []
        error = NotFound("nothing here")
        self.assertIs(publicError(error, lambda: logged.append(None)), error)
        self.assertEqual(logged, [])

    def test_hidesOtherExceptions(self) -> None:
        """
        Any other exception is logged, and is told as L{Internal}.
        """
        logged: list[None] = []
        error = publicError(KeyError("secret"), lambda: logged.append(None))
        self.assertIs(type(error), Internal)
        self.assertNotIn("secret", error.detail)
        self.assertEqual(logged, [None])
