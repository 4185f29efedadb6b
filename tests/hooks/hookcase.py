"""
What the tests of an application's hooks share: hooks that answer when a test does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.access.rights import Access
from comet.http.credentials import Credentials
from comet.interfaces.hooks import IHooks
from comet.model.clients import Client, Known
from comet.model.messages import Publication


@implementer(IHooks)
class Hooks:
    """
    Keeps the questions.

    @ivar asked: What was asked, in order, and where the answer goes.

    @ivar answer: What is answered at once; L{None} to let it be.  Where it is a
        Deferred, each question waits for a Deferred of its own.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Any, ...], Deferred[Any]]] = []
        self.answer: Any = Deferred()
        self.cancelled: list[tuple[Any, ...]] = []

    def _ask(self, *question: Any) -> Any:
        waits: Deferred[Any] = Deferred(lambda _: self.cancelled.append(question))
        self.asked.append((question, waits))
        if isinstance(self.answer, Exception):
            raise self.answer
        return waits if isinstance(self.answer, Deferred) else self.answer

    def subscribe(self, client: Client, names: Sequence[str]) -> Any:
        """
        See L{IHooks}.
        """
        return self._ask(client.name, tuple(names))

    def publish(self, client: Client, publication: Publication) -> Any:
        """
        See L{IHooks}.
        """
        (channel,) = publication.channels
        return self._ask(client.name, channel, publication.event, publication.data)

    def call(self, client: Client, method: str, data: Any) -> Any:
        """
        See L{IHooks}.
        """
        return self._ask(client.name, method, data)

    @property
    def questions(self) -> list[tuple[Any, ...]]:
        """
        What was asked, in order.
        """
        return [question for question, _ in self.asked]

    def reply(self, index: int, answer: Any = None) -> None:
        """
        Answer a question, or refuse it with an exception.
        """
        waits = self.asked[index][1]
        waits.errback(answer) if isinstance(answer, Exception) else waits.callback(answer)


class Names(Access):
    """
    Takes each client's word for its name.
    """

    def identify(self, credentials: Credentials) -> Any:
        """
        See L{Access.identify}.
        """
        name = credentials.header("X-Name")
        return Client(name, known=Known.TOKEN) if name else super().identify(credentials)
