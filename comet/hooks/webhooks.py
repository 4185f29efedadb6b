"""
The backend's say in what clients do, by signed requests.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.errors import NotFound, Unavailable
from comet.hooks.sender import BadAnswer, HookFailure, HookSender, NoPlace
from comet.hooks.verdicts import readCalled, readPublish, readSubscribe
from comet.http.outgoing import CALL, PUBLISH, SUBSCRIBE
from comet.interfaces.hooks import IHooks
from comet.model.clients import Client
from comet.model.hookanswers import Allowed, Rewritten
from comet.model.messages import Publication


@implementer(IHooks)
class Webhooks:
    """
    Asks the backend.

    @ivar events: What it is asked: some of L{ASKED<comet.http.outgoing.ASKED>}.

    @ivar isLenient: Whether what it gives no answer about is let be, but for calls.

    @cvar isBackend: What is asked may be told for which client, so that clients wait in turn;
        and it is counted where requests are sent.
    """

    isBackend = True

    def __init__(self, sender: HookSender, events: Collection[str], isLenient: bool) -> None:
        self._sender = sender
        self.events = frozenset(events)
        self.isLenient = isLenient

    def subscribe(
        self, client: Client, names: Sequence[str], holder: Hashable = None
    ) -> Deferred[Allowed | None] | None:
        """
        See L{IHooks.subscribe}.

        @param holder: As for L{HookSender.send}, here and below.
        """
        return self._ask(SUBSCRIBE, client, {"names": list(names)}, readSubscribe, holder)

    def publish(
        self, client: Client, publication: Publication, holder: Hashable = None
    ) -> Deferred[Rewritten | None] | None:
        """
        See L{IHooks.publish}.
        """
        content = {
            "channel": publication.channels[0],
            "event": publication.event,
            # Bytes are shown as they are published: as text, in their encoding.
            "data": json.loads(publication.payload),
            "encoding": publication.encoding,
        }
        return self._ask(PUBLISH, client, content, readPublish, holder)

    def call(
        self, client: Client, method: str, data: Any, holder: Hashable = None
    ) -> Deferred[Any]:
        """
        See L{IHooks.call}.
        """
        if CALL not in self.events:
            raise NotFound("the backend is not asked to answer calls")
        encoding = None
        if isinstance(data, bytes):
            data, encoding = b64encode(data).decode("ascii"), "base64"
        content = {"method": method, "data": data, "encoding": encoding}
        asked = self._send(CALL, client, content, readCalled, holder)
        return asked.addErrback(_unavailable)

    def _ask(
        self,
        kind: str,
        client: Client,
        content: Mapping[str, Any],
        read: Callable[[dict[str, Any]], Any],
        holder: Hashable,
    ) -> Deferred[Any] | None:
        if kind not in self.events:
            return None
        return self._send(kind, client, content, read, holder).addErrback(self._noAnswer)

    def _send(
        self,
        kind: str,
        client: Client,
        content: Mapping[str, Any],
        read: Callable[[dict[str, Any]], Any],
        holder: Hashable,
    ) -> Deferred[Any]:
        return self._sender.send(kind, {"client": client.name or None, **content}, read, holder)

    def _noAnswer(self, failure: Failure) -> None:
        """
        Let be what the backend has given no answer about, if that is so.  An answer that is
        not allowed may have meant to refuse; and a client that asks too much must not get
        past the backend by that.
        """
        failure.trap(HookFailure)
        if not self.isLenient or failure.check(BadAnswer, NoPlace):
            _unavailable(failure)


def _unavailable(failure: Failure) -> None:
    failure.trap(HookFailure)
    raise Unavailable("the backend, which decides about this, gives no answer now") from None
