"""
The commands of one client on a transport that carries both directions.  They
are carried out, and their answers are written between the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred, succeed
from twisted.python.failure import Failure

from comet.access.leases import EXPIRED
from comet.access.lookups import Lookup
from comet.errors import CometError, Forbidden, Internal
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.framing.commands import (
    Call,
    Command,
    CommandError,
    Id,
    Leave,
    Ping,
    Presence,
    Publish,
    Subscribe,
    Token,
    Unsubscribe,
    encodeOK,
    encodePong,
    encodeRawOK,
)
from comet.framing.envelope import EnvelopeShape
from comet.framing.members import encodePage
from comet.hooks.hookclients import UnaskedClient
from comet.hooks.publishhook import Done, Failed, PublishHook
from comet.hooks.subscribehook import NO_STARTS, ReadLookup
from comet.http.credentials import Credential, Credentials, CredentialSource
from comet.hub.hub import Hub
from comet.model.clients import ANONYMOUS, Client, Known
from comet.model.cursors import Cursor
from comet.model.messages import Close, Publication
from comet.model.positions import StartPosition
from comet.model.presence import presenceChannel
from comet.transports.commandflow import CommandFlow, Raw

C = TypeVar("C")

# The commands before which it has to be known which client sends them.
_ASKED: Final = (Subscribe, Publish, Presence, Call)

# The end of a reader whose client has taken a token that permits none of its names.
FORBIDDEN: Final = Close("forbidden", "the new token permits none of the names", None)


class Session(CommandFlow):
    """
    Carries out the commands of one client.
    """

    __slots__ = (
        "_due",
        "_forwarded",
        "_isAsking",
        "_lookup",
        "_name",
        "_names",
        "_readLookup",
    )

    def __init__(
        self,
        hub: Hub,
        client: Client,
        reader: StreamReader,
        shape: EnvelopeShape,
        transport: Any,
        forwarded: str | None = None,
    ) -> None:
        """
        @param transport: A push producer: the source of the commands, which the
            session pauses and resumes.

        @param forwarded: The client's IP address, if a trusted proxy has told it.
        """
        # It may be long ago that the reader was opened.
        super().__init__(hub, hub.leases.present(reader, client), reader, shape, transport)
        # The name that the client has, or had before its time was over.
        self._name = client.name
        self._forwarded = forwarded
        # Whether a publication is asked about, or a call.
        self._isAsking = False
        # Finds out which client a credential names.
        self._lookup: Lookup | None = None
        # Finds out whether names may be read, and what goes on then.
        self._readLookup: tuple[ReadLookup, Deferred[Any]] | None = None
        # Commands that change the reader's names run one after the other.
        self._names = DeferredLock()
        # Why names end that the client may not read, and which it may, while they are to
        # be judged.
        self._due: list[tuple[Close, Callable[[str], bool]]] = []
        reader.watcher = self

    @property
    def address(self) -> str:
        """
        See L{Peer.address<comet.limits.clientlimits.Peer.address>}.
        """
        return self._forwarded or str(getattr(self._transport, "address", ""))

    @property
    def _isHeldUp(self) -> bool:
        """
        See L{CommandFlow._isHeldUp}.
        """
        return self._isAsking or self._lookup is not None or self._readLookup is not None

    def _begin(self, command: Command | CommandError, raw: Raw) -> None:
        """
        See L{CommandFlow._begin}.
        """
        client = self._client
        # Each publication comes by here: others than these are told apart without a call.
        isHooks = client.known is Known.HOOK
        mustAsk = isinstance(client, UnaskedClient) or (isHooks and self._hub.mustAskAnew(client))
        if isinstance(command, Publish):
            if not mustAsk or self._ask(client, command, raw):
                self._publish(command)
            return
        # What is no command counts as one.
        if not self._mayCommand(command.id):
            return
        if isinstance(command, CommandError):
            self._refuse(command.id, command.error)
            return
        if mustAsk and isinstance(command, _ASKED) and not self._ask(client, command, raw):
            return
        self._carryOut(command)

    def _ask(self, client: Client, command: Command, raw: Raw) -> bool:
        """
        Have the backend asked which client this is, with its first names or call, or with
        those that are the first since an order about it.

        @param raw: The command.

        @return: Whether it may be carried out now; else it comes again, or is refused.
        """
        isPublishing, names = isinstance(command, Publish), tuple[str, ...]()
        if isinstance(command, Publish):
            names = command.publication.channels
        elif isinstance(command, Presence):
            names = (presenceChannel(command.channel) or command.channel,)
        elif isinstance(command, Subscribe):
            names = command.names
        try:
            if isinstance(client, UnaskedClient):
                become = self._become
                known = self._hub.ask(client, names, isPublishing)
            else:
                become = self._replace
                known = self._hub.askAnew(client)
            if isinstance(known, Client):
                if known is client:
                    return True
                become(known)
        except Exception:
            self._refuseLater(Failure(), command.id)
            return False
        if isinstance(known, Client):
            self._carryOutAgain(raw)
            return False
        # Nothing more is read meanwhile: commands are answered in their order.
        self._lookup = known
        self._pending += 1
        self._others += 1

        def found(result: Client | CometError) -> None:
            self._lookup = None
            try:
                if isinstance(result, CometError):
                    raise result
                become(result)
            except CometError:
                self._refuseLater(Failure(), command.id)
            else:
                self._carryOutAgain(raw)
            self._commandDone(None)

        known.then(found, found)
        self._throttle()
        return False

    def _become(self, client: Client) -> None:
        """
        Take another client in place of the present one.

        @raise TooMany: If it has too many connections; nothing is changed.
        """
        self._hub.clientChanged(self.reader, client)
        self._client = client
        self._name = client.name

    def _replace(self, client: Client) -> None:
        """
        Take another client in place of one about which the backend was asked anew.

        @raise TooMany: As L{_become}.
        """
        self._hub.clientChanged(self.reader, client)
        self.clientRenewed(client)

    def _carryOutAgain(self, raw: Raw) -> None:
        """
        Carry out a command that was read before, as of the client that is known now: an
        idempotency key is the publisher's own.
        """
        if self.reader.state is State.CLOSED:
            return
        command = self._read(raw)
        if isinstance(command, CommandError):
            # The limits are others by now.
            self._refuseLater(Failure(command.error), command.id)
        else:
            self._carryOut(command)

    def _carryOut(self, command: Command) -> None:
        if isinstance(command, Publish):
            self._publish(command)
            return
        self._pending += 1
        self._others += 1
        done: Deferred[Any]
        if isinstance(command, Ping):
            done = maybeDeferred(self._say, encodePong(command))
        elif isinstance(command, Token):
            done = maybeDeferred(self._identify, command)
        elif isinstance(command, Call):
            done = self._call(command)
        elif isinstance(command, Subscribe):
            done = self._names.run(self._whenOpen, self._subscribe, command)
        elif isinstance(command, Presence):
            # The client finds itself in what it has subscribed to before.
            done = self._names.run(self._whenOpen, self._tellMembers, command)
        elif isinstance(command, Leave):
            done = self._names.run(self._whenOpen, self._leave, command)
        else:
            done = self._names.run(self._whenOpen, self._unsubscribe, command)
        done.addErrback(self._failed, command.id)
        done.addBoth(self._commandDone)
        self._throttle()

    def clientLeft(self) -> None:
        """
        The client is gone: ask about it no more.
        """
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.abandon()
        asked, self._readLookup = self._readLookup, None
        if asked is not None:
            asked[0].abandon()
            asked[1].errback(Internal("the connection is closed"))
        self._release()

    # -- The commands

    def _publish(self, command: Publish) -> None:
        hub, publication = self._hub, command.publication
        self._pending += 1
        answer = self._newAnswer(command.id, len(publication.payload))
        try:
            hub.checkPublish(self._client, publication.channels)
            if hub.clientLimits.isLimitingPublishers:
                hub.limitPublish(self._client, [publication], self)
        except Exception:
            answer.notStored(Failure())
        else:
            hook = hub.publishHook
            if hook is None:
                answer.publications = (publication,)
                answer.publisher = self
                hub.bursts.addRequest(answer)
            else:
                self._askToPublish(hook, publication, answer.stored, answer.notStored)
        # Where this one alone is under way, its answer looks whether the client is to be
        # read.
        if self._pending > 1 or self._isAsking:
            self._throttle()

    def _askToPublish(
        self, hook: PublishHook, publication: Publication, stored: Done, notStored: Failed
    ) -> None:
        """
        Publish once that may be.  While it is asked about, nothing more is read: commands
        are answered in their order.
        """
        isBegun = isOver = False

        def store(publications: Sequence[Publication], done: Done, failed: Failed) -> None:
            nonlocal isBegun
            isBegun = True
            self._hub.bursts.add(publications, done, failed, self)

        def end(tell: Callable[[C], object], result: C) -> None:
            nonlocal isOver
            isOver = True
            if isAsked:
                self._isAsking = False
            tell(result)

        isAsked = False
        done, failed = partial(end, stored), partial(end, notStored)
        hook.publish(self._client, self, [publication], store, done, failed)
        if not (isBegun or isOver):
            isAsked = self._isAsking = True

    def _call(self, command: Call) -> Deferred[Any]:
        """
        Have a call answered.  Nothing more is read meanwhile: commands are answered in their
        order.
        """
        answered: Deferred[Any] = self._hub.call(self._client, command.method, command.data, self)

        def came(result: Any) -> Any:
            self._isAsking = False
            return result

        self._isAsking = True
        answered.addBoth(came)
        return answered.addCallback(partial(self._answer, command.id))

    def _identify(self, command: Token) -> Deferred[None] | None:
        """
        Take the client that a credential names in place of the present one.  What
        is under way goes on with the rights that it began with.
        """
        credential = Credential(command.token, CredentialSource.COMMAND)
        shown = Credentials("command", getAddress=lambda: self.address, given=credential)
        known = self._hub.identify(shown)
        if isinstance(known, Client):
            self._takeClient(known, command.id)
            return None
        # Nothing more is read meanwhile: the next command may need the new rights.
        self._lookup = known
        found: Deferred[Client] = Deferred()

        def goOn(call: Callable[[Any], None], result: Client | CometError) -> None:
            self._lookup = None
            call(result)

        known.then(partial(goOn, found.callback), partial(goOn, found.errback))
        return found.addCallback(self._takeClient, command.id)

    def _takeClient(self, client: Client, id: Id) -> None:
        if self._name not in (ANONYMOUS.name, client.name) and not client.mayPublishAll:
            raise Forbidden("the token is of another client than the one that this connection has")
        self._become(client)
        left = None if client.expires is None else client.expires - self._hub.leases.now()
        self._answer(id, {"expires": left if left is None else max(round(left, 3), 0)})
        self.judgeNames(FORBIDDEN, self._mayRead)

    def _judgeDue(self) -> None:
        """
        End the names that the client may not read, if they are to be judged.  Called while
        no names are being added.
        """
        due, self._due = self._due, []
        for close, mayRead in due:
            self._sayAnswers()
            self.reader.judge(mayRead, close)

    def clientRenewed(self, client: Client) -> None:
        """
        See L{Watcher.clientRenewed<comet.access.leases.Watcher.clientRenewed>}.
        """
        self._client = client
        self._name = client.name or self._name
        self.judgeNames(EXPIRED, self._mayRead)

    def clientExpired(self) -> None:
        """
        See L{Watcher.clientExpired<comet.access.leases.Watcher.clientExpired>}.  Another token has
        to be of the same name.
        """
        self._client = ANONYMOUS
        self._hub.clientChanged(self.reader, ANONYMOUS)
        self.judgeNames(EXPIRED, self._mayRead)

    def _mayRead(self, name: str) -> bool:
        return self._hub.leases.mayRead(name, self._client)

    def judgeNames(self, close: Close, mayRead: Callable[[str], bool]) -> None:
        """
        See L{Watcher.judgeNames<comet.access.leases.Watcher.judgeNames>}.
        """
        self._due.append((close, mayRead))
        judged = self._names.run(self._whenOpen, lambda _: self._judgeDue(), None)
        judged.addErrback(self._notJudged)

    def _notJudged(self, failure: Failure) -> None:
        self._log.failure("the names of a client with a new token were not judged", failure)
        self.reader.failed()

    def _whenOpen(self, carryOut: Callable[[C], Any], command: C) -> Deferred[Any]:
        """
        Carry out a command once the reader is open, when its names are known.
        """
        return self.reader.whenOpen().addCallback(lambda _: carryOut(command))

    def _subscribe(self, command: Subscribe) -> Deferred[None]:
        self._judgeDue()
        if self._hub.subscribeHook is None:
            return self._addNames(command, NO_STARTS)
        new, held = self._newIn(command)
        asked = self._hub.askToRead(self._client, new, held, self)
        if not isinstance(asked, ReadLookup):
            return self._addNames(command, asked)
        # Nothing more is read meanwhile: commands are answered in their order.
        allowed: Deferred[Any] = Deferred()
        self._readLookup = (asked, allowed)
        self._throttle()

        def goOn(call: Callable[[Any], None], result: Any) -> None:
            self._readLookup = None
            call(result)

        asked.then(partial(goOn, allowed.callback), partial(goOn, allowed.errback))
        return allowed.addCallback(lambda _: self._addNames(command, asked.starts))

    def _newIn(self, command: Subscribe) -> tuple[list[str], int]:
        """
        Return the names that the reader does not have yet, and how many it has.
        """
        held = self.reader.progress.names
        return [name for name in command.names if name not in held], len(held)

    def _addNames(self, command: Subscribe, starts: Mapping[str, StartPosition]) -> Deferred[None]:
        """
        Add the names of a command that may be read.

        @param starts: Where some of them begin unless the client has said so.
        """
        reader = self.reader
        # It finds what was published before.
        self._hub.bursts.store()
        new, held = self._newIn(command)
        self._hub.check(self._client, new, held)
        if reader.state is State.CLOSED:
            raise Internal("the connection is closed")
        if command.reader is not None:
            self._hub.spareReader(reader, command.reader)
        since = command.since.completed(starts)
        added = reader.addNames({name: since.of(name) for name in new})
        attendance = self._hub.attendance
        if attendance is not None:
            client, members = self._client, attendance
            added.addCallback(lambda gap: members.joined(client, new).addCallback(lambda _: gap))
        return added.addCallback(self._subscribed, command.id)

    def _subscribed(self, gap: tuple[str, ...], id: Id) -> None:
        self._say(encodeSubscribed(id, self.reader.standing, gap))
        self._judgeDue()
        self.reader.resume()

    def _unsubscribe(self, command: Unsubscribe) -> None:
        if self.reader.state is not State.CLOSED:
            self.reader.removeNames(command.names)
        self._answer(command.id, {})

    def _tellMembers(self, command: Presence) -> Deferred[None]:
        asked = self._hub.membersFor(self._client, command.channel, command.after, command.limit)
        return asked.addCallback(lambda page: self._say(encodeRawOK(command.id, encodePage(page))))

    def _leave(self, command: Leave) -> Deferred[None]:
        if self.reader.state is not State.CLOSED:
            self.reader.removeNames(command.names)
        attendance, left = self._hub.attendance, succeed(None)
        if attendance is not None:
            left = attendance.leave(self._client, command.names)
        return left.addCallback(lambda _: self._answer(command.id, {}))


def encodeSubscribed(id: Id, standing: Cursor, gap: Sequence[str] = ()) -> bytes:
    """
    Encode the answer to a L{Subscribe} that was carried out.

    @param standing: The cursor at which the reader stands.

    @param gap: The names that begin with a gap.
    """
    fields: dict[str, Any] = {"cursor": str(standing)}
    if gap:
        fields["gap"] = list(gap)
    return encodeOK(id, fields)
