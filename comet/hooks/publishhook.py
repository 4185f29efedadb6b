"""
Asking before a client's messages are stored.

Each message is asked about for each of its channels, all before the first is stored.
What one client publishes to one channel is stored in the order in which it came, however
long each answer takes; all else goes on meanwhile.

A message that comes again with its key, and was stored, is answered without asking: the
first answer may have rewritten it, or the next one refuse what is stored already.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from comet.errors import CometError, Unavailable
from comet.framing.publications import Limits, fromValue
from comet.hooks.answeredkeys import AnsweredKeys
from comet.hooks.hooktable import HookTable
from comet.hooks.lanes import Lanes, Ticket
from comet.hooks.places import Places, holderOf
from comet.hooks.publicationparts import joined, partsOf, piecesOf, sizeOf
from comet.hooks.questions import Questions
from comet.http.outgoing import PUBLISH
from comet.interfaces.hooks import IHooks
from comet.model.clients import Client
from comet.model.hookanswers import UNCHANGED, Rewritten
from comet.model.messages import KeyScope, Publication, Published

# How many messages may wait for answers, or behind others, and how many bytes of data.
MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 64 * 1024 * 1024

Done: TypeAlias = Callable[[Sequence[Published]], object]
Failed: TypeAlias = Callable[[Failure], object]
Store: TypeAlias = Callable[[Sequence[Publication], Done, Failed], object]


class Pending(Protocol):
    """
    Counts what is not stored yet, so that the server does not stop before.
    """

    def hold(self) -> None:
        """
        Something is asked about that is to be stored later.
        """

    def release(self) -> None:
        """
        It was given to be stored, or is refused.
        """


class PublishHook:
    """
    Asks before messages are stored.

    @ivar hooks: Who is asked.

    @ivar table: Which channels are asked about.

    @ivar questions: Asks.

    @ivar keys: The keys of the messages that are, or were, asked about.

    @ivar places: The places of the messages that wait for answers, or for others before
        them: one for each channel.
    """

    def __init__(
        self,
        hooks: IHooks,
        table: HookTable,
        questions: Questions,
        limits: Callable[[], Limits],
        check: Callable[[Client, Sequence[str]], None],
        seconds: Callable[[], float],
        pending: Pending,
    ) -> None:
        """
        @param limits: Returns the limits of a publication.

        @param check: Checks that a client may publish to some channels; raises a
            L{CometError}.

        @param seconds: Returns the time of a clock that goes on.
        """
        self.hooks = hooks
        self.table = table
        self.questions = questions
        self.places = Places(MOST_WAITING, MOST_BYTES)
        self._limits = limits
        self._check = check
        self._lanes = Lanes()
        self._pending = pending
        self.keys = AnsweredKeys(seconds)

    def publish(
        self,
        client: Client,
        peer: object,
        publications: Sequence[Publication],
        store: Store,
        done: Done,
        failed: Failed,
    ) -> None:
        """
        Have some publications stored, all or none, once each may be.

        @param client: Who publishes, and has the right to.

        @param peer: Stands for the client if it has no name.

        @param store: Stores them.  Called with C{done} and C{failed}.

        @param done: Called with the answer to each publication.

        @param failed: Called with a L{CometError} if nothing is stored.
        """
        if client.mayPublishAll:
            # The backend would wait for itself.
            store(publications, done, failed)
            return
        who = client.publisher or peer
        keys = [(who, channel) for each in publications for channel in each.channels]
        asks = self.table.asks
        isFree = self._lanes.areFree(keys)
        if isFree and not any(asks(PUBLISH, channel) for _, channel in keys):
            store(publications, done, failed)
            return
        isOne = isFree and len(keys) == 1 and publications[0].key is None
        if isOne and not self.questions.isBackend:
            self._publishOne(client, peer, keys[0], publications[0], store, done, failed)
            return
        keyed = (each.keyScope for each in publications if each.key is not None)
        scopes = list(filter(None, keyed))
        for scope in scopes:
            if self.keys.isUnderWay(scope):
                again = partial(self.publish, client, peer, publications, store, done, failed)
                holder = holderOf(client, peer)
                if self._takePlaces(holder, publications, failed):
                    wait = partial(self._goOn, holder, publications, again)
                    self.keys.wait(scope, wait)
                return
        request = _Request(self, client, peer, publications, store, done, failed)
        request.scopes = tuple(dict.fromkeys(scopes))
        self._begin(request, keys)

    def _publishOne(
        self,
        client: Client,
        peer: object,
        key: tuple[object, str],
        publication: Publication,
        store: Store,
        done: Done,
        failed: Failed,
    ) -> None:
        """
        Ask an application about the only message of a request, for which no other is
        waited for.
        """
        try:
            answer = self.questions.ask(PUBLISH, self.hooks.publish, peer, client, publication)
            if not isinstance(answer, Deferred):
                store((self.rewritten(publication, answer),), done, failed)
                return
        except CometError:
            failed(Failure())
            return
        request = _Request(self, client, peer, (publication,), store, done, failed)
        self._begin(request, [key], answer)

    def _begin(
        self, request: _Request, keys: Sequence[Hashable], asked: Deferred[Any] | None = None
    ) -> None:
        """
        Begin a request that has to wait for its turn.

        @param asked: The answer to its only question, if that was asked already.
        """
        if not self._takePlaces(request.holder, request.publications, request.failed):
            if asked is not None:
                asked.addErrback(lambda _: None)
                asked.cancel()
            return
        self._pending.hold()
        self.keys.begin(request.scopes)
        request.ticket = self._lanes.enter(keys, request.go)
        if asked is None:
            request.ask()
        else:
            request.wait(0, 0, asked)
        request.settle()

    def _takePlaces(
        self, holder: Hashable, publications: Sequence[Publication], failed: Failed
    ) -> bool:
        """
        Count messages that wait.

        @param failed: Called if there are too many.

        @return: Whether they may wait.
        """
        if self.places.take(holder, *sizeOf(publications)):
            return True
        error = Unavailable("too many messages of this client wait for leave to be stored")
        failed(Failure(error))
        return False

    def _goOn(
        self, holder: Hashable, publications: Sequence[Publication], again: Callable[[], object]
    ) -> None:
        """
        What has come again with its key waits no more for the first.
        """
        self.places.leave(holder, *sizeOf(publications))
        again()

    def settled(self, request: _Request) -> None:
        """
        A request is ready for its turn.
        """
        ticket = request.ticket
        assert ticket is not None, "a request without a place"
        self._lanes.ready(ticket)

    def check(self, client: Client, publications: Sequence[Publication]) -> None:
        """
        Check that a client may still publish.

        @raise CometError: If it may not.
        """
        for each in publications:
            self._check(client, each.channels)

    def stored(self, request: _Request) -> None:
        """
        A request has had its turn.
        """
        self.places.leave(request.holder, *sizeOf(request.publications))
        self._pending.release()

    def rewritten(self, publication: Publication, answer: object) -> Publication:
        """
        Return what is to be stored of a message.

        @param answer: What the hook has answered.

        @raise Unavailable: If that is not allowed.
        """
        if answer is None:
            return publication
        if not isinstance(answer, Rewritten):
            kind = type(answer).__name__
            raise self.questions.notAllowed(PUBLISH, f"a {kind} is neither None nor a Rewritten")
        own = publication
        event: Any = own.event if answer.event is UNCHANGED else answer.event
        data = own.data if answer.data is UNCHANGED else answer.data
        try:
            made = fromValue(own.channels, data, self._limits(), event, own.key, own.publisher)
        except (CometError, TypeError, AttributeError) as error:
            raise self.questions.notAllowed(PUBLISH, str(error)[:256]) from None
        if own.key is None:
            return made if own.exclude is None else evolve(made, exclude=own.exclude)
        return evolve(made, exclude=own.exclude, mark=own.fingerprint())


class _Request:
    """
    Publications that wait for answers, or for others before them.

    @ivar publications: All of them.

    @ivar failed: Called if none is stored.

    @ivar holder: Whose places it takes.

    @ivar ticket: Its place in the lanes.

    @ivar scopes: Those of its idempotency keys.
    """

    __slots__ = (
        "_client",
        "_done",
        "_error",
        "_hook",
        "_left",
        "_open",
        "_parts",
        "_peer",
        "_store",
        "failed",
        "holder",
        "publications",
        "scopes",
        "ticket",
    )

    def __init__(
        self,
        hook: PublishHook,
        client: Client,
        peer: object,
        publications: Sequence[Publication],
        store: Store,
        done: Done,
        failed: Failed,
    ) -> None:
        self.ticket: Ticket | None = None
        self.scopes: tuple[KeyScope, ...] = ()
        self._hook = hook
        self._client = client
        self._peer = peer
        self.holder = holderOf(client, peer)
        self.publications = publications
        self._store = store
        self._done = done
        self.failed = failed
        self._error: Failure | None = None
        # How many answers are waited for, and the Deferreds of them.
        self._left = 0
        self._open: list[Deferred[Any]] = []
        # What is to be stored of each publication, by channel; or what it was answered
        # before.
        self._parts: list[list[Publication] | Published] = [partsOf(each) for each in publications]

    def ask(self) -> None:
        """
        Ask about each message that has to be asked about.
        """
        # Until all are asked.
        self._left += 1
        self._askAll()
        self._left -= 1

    def _askAll(self) -> None:
        hook = self._hook
        for index, publication in enumerate(self.publications):
            try:
                known = hook.keys.find(publication)
                if known is not None:
                    self._parts[index] = known
                    continue
                parts: Any = self._parts[index]
                for place, part in enumerate(parts):
                    if not hook.table.asks(PUBLISH, part.channels[0]):
                        continue
                    answer = hook.questions.ask(
                        PUBLISH, hook.hooks.publish, self._peer, self._client, part
                    )
                    if isinstance(answer, Deferred):
                        self.wait(index, place, answer)
                    else:
                        parts[place] = hook.rewritten(part, answer)
            except CometError:
                self._refuse(Failure())
            if self._error is not None:
                return

    def wait(self, index: int, place: int, answer: Deferred[Any]) -> None:
        """
        Wait for the answer about a message.

        @param index: That of the publication.

        @param place: That of the channel.
        """
        hook = self._hook
        parts: Any = self._parts[index]
        part = parts[place]
        self._left += 1
        self._open.append(answer)

        def came(result: object) -> None:
            if isinstance(result, Failure):
                self._refuse(result)
            else:
                try:
                    parts[place] = hook.rewritten(part, result)
                except CometError:
                    self._refuse(Failure())
            self._left -= 1
            self.settle()

        answer.addBoth(came)

    def _refuse(self, failure: Failure) -> None:
        """
        One message is refused, and so is the whole request: what else is asked is asked in
        vain.
        """
        if self._error is None:
            self._error = failure
            waited, self._open = self._open, []
            for each in waited:
                each.cancel()

    def settle(self) -> None:
        """
        Be ready if no answer is waited for.
        """
        if self.ticket is not None and not (self._left or self.ticket.isReady):
            self._hook.settled(self)

    def go(self) -> None:
        """
        It is this request's turn: have everything stored, or refuse it.
        """
        try:
            self._go()
        finally:
            self._hook.stored(self)

    def _go(self) -> None:
        self._open = []
        if self._error is None:
            try:
                self._hook.check(self._client, self.publications)
            except Exception:
                self._error = Failure()
        if self._error is not None:
            self._end(partial(self.failed, self._error))
            return
        stored = [each for parts in self._pieces() for each in parts]
        if stored:
            self._store(stored, self._stored, self._notStored)
        else:
            self._stored(())

    def _pieces(self) -> list[Sequence[Publication]]:
        """
        Return what is to be stored of each publication; nothing of one that was answered
        before.
        """
        return [
            () if isinstance(parts, Published) else piecesOf(publication, parts)
            for publication, parts in zip(self.publications, self._parts, strict=True)
        ]

    def _stored(self, answers: Sequence[Published]) -> None:
        left = list(answers)
        told = []
        for publication, parts, pieces in zip(
            self.publications, self._parts, self._pieces(), strict=True
        ):
            if isinstance(parts, Published):
                told.append(parts)
                continue
            own, left = left[: len(pieces)], left[len(pieces) :]
            answer = joined(own)
            self._hook.keys.remember(publication, answer)
            told.append(answer)
        self._end(partial(self._done, told))

    def _notStored(self, failure: Failure) -> None:
        self._end(partial(self.failed, failure))

    def _end(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        finally:
            self._hook.keys.end(self.scopes)
