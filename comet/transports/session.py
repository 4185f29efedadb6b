"""
The commands of one client on a transport that carries both directions.  They
are carried out, and their answers are written between the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.python.failure import Failure

from comet.access.lookups import Lookup
from comet.clientlog import ClientLogger
from comet.errors import CometError, Forbidden, Internal, publicError
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.framing.commands import (
    CommandError,
    Fields,
    Id,
    Ping,
    Publish,
    Subscribe,
    Token,
    Unsubscribe,
    encodeError,
    encodeOK,
    readCommand,
)
from comet.framing.envelope import EnvelopeShape
from comet.http.credentials import Credential, Credentials, CredentialSource
from comet.hub import Hub
from comet.model.clients import ANONYMOUS, Client
from comet.model.cursors import Cursor
from comet.model.messages import Published

C = TypeVar("C")

# Commands of one client that are carried out at the same time, and bytes of data that
# they publish, before no more is read from it.
MAX_PENDING_COMMANDS: Final = 256
MAX_PENDING_BYTES: Final = 1024 * 1024


class Session:
    """
    Carries out the commands of one client.

    The session stops reading from a client that does not take its answers, or
    that has too many commands under way, and goes on later.  No command is lost
    by that.

    What is published in one turn is stored together, and answered by one write, in
    the order of the commands.  A command that reads finds what those before it have
    published.

    @ivar reader: The reader of this client.
    """

    _log = ClientLogger()

    __slots__ = (
        "_answers",
        "_client",
        "_finish",
        "_hub",
        "_isPaused",
        "_lookup",
        "_names",
        "_pending",
        "_pendingBytes",
        "_shape",
        "_transport",
        "reader",
    )

    def __init__(
        self, hub: Hub, client: Client, reader: StreamReader, shape: EnvelopeShape, transport: Any
    ) -> None:
        """
        @param transport: A push producer: the source of the commands, which the
            session pauses and resumes.
        """
        self._hub = hub
        self._client = client
        self.reader = reader
        self._shape = shape
        self._transport = transport
        self._pending = self._pendingBytes = 0
        # The answers to publications that are to be written together.
        self._answers: list[bytes] = []
        self._isPaused = False
        # Ends the connection.  Set once the client sends nothing more.
        self._finish: Callable[[], None] | None = None
        # Finds out which client a credential names.
        self._lookup: Lookup | None = None
        # Commands that change the reader's names run one after the other.
        self._names = DeferredLock()

    def commandReceived(self, raw: bytes | Fields) -> None:
        """
        Carry out a command.

        @param raw: The command as JSON, or as L{readFields
            <comet.framing.commands.readFields>} has read it.
        """
        if self.reader.state is State.CLOSED:
            # The client will not get the answer.
            return
        try:
            command = readCommand(raw, self._hub.settings.limits, self._client.name)
        except CommandError as refused:
            self.refuse(refused.id, refused.error)
            return
        self._pending += 1
        if isinstance(command, Publish):
            self._publish(command)
            self._throttle()
            return
        done: Deferred[Any]
        if isinstance(command, Ping):
            done = maybeDeferred(self._answer, command.id, {"pong": command.value})
        elif isinstance(command, Token):
            done = maybeDeferred(self._identify, command)
        elif isinstance(command, Subscribe):
            done = self._names.run(self._whenOpen, self._subscribe, command)
        else:
            done = self._names.run(self._whenOpen, self._unsubscribe, command)
        done.addErrback(self._failed, command.id)
        done.addBoth(self._commandDone)
        self._throttle()

    def refuse(self, id: Id, error: CometError) -> None:
        """
        Answer with an error.

        @param id: The id of the command, or L{None} if it could not be read.
        """
        self._say(encodeError(id, error))
        self._throttle()

    def sendPong(self, frame: bytes) -> None:
        """
        Write the answer to a ping of the transport itself.

        @param frame: The answer, framed already.
        """
        self.reader.sayFramed(frame)
        self._throttle()

    def _say(self, json: bytes) -> None:
        self._sayAnswers()
        self.reader.say(self._shape.piece(json))

    def _answer(self, id: Id, fields: dict[str, Any]) -> None:
        self._say(encodeOK(id, fields))

    def _failed(self, failure: Failure, id: Id) -> None:
        self._say(self._encodeFailure(failure, id))

    def _encodeFailure(self, failure: Failure, id: Id) -> bytes:
        def log() -> None:
            self._log.failure(
                "command {id!r} of client {client!r} failed",
                failure=failure,
                id=id,
                client=self._client.name,
            )

        return encodeError(id, publicError(failure.value, log))

    def _commandDone(self, result: object) -> None:
        self._pending -= 1
        self._throttle()
        if self._finish is not None:
            self._finishWhenDone()

    def _throttle(self) -> None:
        """
        Pause or resume the client's input: it is read only while the client
        takes its answers and has few commands under way.
        """
        if self.reader.state is State.CLOSED:
            return
        isBusy = (
            self._pending >= MAX_PENDING_COMMANDS
            or self._pendingBytes >= MAX_PENDING_BYTES
            or self._lookup is not None
            or self.reader.state is State.BEHIND
        )
        if isBusy != self._isPaused:
            self._isPaused = isBusy
            if isBusy:
                self._transport.pauseProducing()
            else:
                self._transport.resumeProducing()

    def clientLeft(self) -> None:
        """
        The client is gone: ask about it no more.
        """
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.abandon()

    def readerClosed(self) -> None:
        """
        The reader is closed.  What the client still sends is discarded, but
        must be read, or it would not be seen that the client leaves.
        """
        if self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()

    def unthrottle(self) -> None:
        """
        Let the client's input go on, which the caller has paused, unless the session
        has paused it meanwhile.
        """
        if not self._isPaused:
            self._transport.resumeProducing()

    def sinkReady(self) -> None:
        """
        The client has taken all that was written to it.
        """
        self._throttle()
        if self._finish is not None:
            self._finishWhenDone()

    def inputEnded(self, finish: Callable[[], None]) -> None:
        """
        The client sends nothing more.  Once its commands are carried out and their
        answers are sent, end the connection.  A client that reads names is
        written to for as long as it takes it.

        @param finish: Ends the connection.
        """
        self._finish = finish
        # Before it is open, the reader does not have its names.
        self.reader.whenOpen().addCallback(lambda _: self._finishWhenDone())

    def _finishWhenDone(self) -> None:
        finish, state = self._finish, self.reader.state
        if finish is None or self._pending or state in (State.OPENING, State.BEHIND):
            return
        self._finish = None
        if state is not State.CLOSED and self.reader.progress.names:
            self.reader.inputEnded()
        else:
            finish()

    # -- The commands

    def _publish(self, command: Publish) -> None:
        publication = command.publication
        size = len(publication.payload)
        self._pendingBytes += size

        def stored(answers: Sequence[Published]) -> None:
            self._answerLater(encodeOK(command.id, {"cursor": str(answers[0].cursor)}), size)

        def notStored(failure: Failure) -> None:
            self._answerLater(self._encodeFailure(failure, command.id), size)

        try:
            self._hub.checkPublish(self._client, publication.channels)
        except Exception:
            notStored(Failure())
        else:
            self._hub.bursts.add([publication], stored, notStored)

    def _answerLater(self, json: bytes, size: int) -> None:
        """
        Answer a publication, together with those that are answered in the same turn.

        @param size: How many bytes of data it has.
        """
        self._pendingBytes -= size
        self._answers.append(self._shape.piece(json))
        if len(self._answers) == 1:
            self._hub.fanout.afterAnswers(self._answered)

    def _answered(self) -> None:
        """
        All publications have been answered whose answers are due by now.
        """
        self._sayAnswers()
        self._throttle()
        if self._finish is not None:
            self._finishWhenDone()

    def _sayAnswers(self) -> None:
        answers, self._answers = self._answers, []
        if answers:
            self._pending -= len(answers)
            self.reader.say(*answers)

    def _identify(self, command: Token) -> Deferred[None] | None:
        """
        Take the client that a credential names in place of the present one.  What
        is under way goes on with the rights that it began with.
        """
        credential = Credential(command.token, CredentialSource.COMMAND)
        address = partial(getattr, self._transport, "address", "")
        known = self._hub.identify(Credentials("command", getAddress=address, given=credential))
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
        present = self._client
        if present.name not in (ANONYMOUS.name, client.name) and not client.mayPublishAll:
            raise Forbidden("the token is of another client than the one that this connection has")
        self._client = client
        # Keys, which are all that there is, do not expire.
        self._answer(id, {"expires": None})

    def _whenOpen(self, carryOut: Callable[[C], Any], command: C) -> Deferred[Any]:
        """
        Carry out a command once the reader is open, when its names are known.
        """
        return self.reader.whenOpen().addCallback(lambda _: carryOut(command))

    def _subscribe(self, command: Subscribe) -> Deferred[None]:
        reader = self.reader
        # It finds what was published before.
        self._hub.bursts.store()
        held = reader.progress.names
        new = [name for name in command.names if name not in held]
        self._hub.check(self._client, new, len(held))
        if reader.state is State.CLOSED:
            raise Internal("the connection is closed")
        added = reader.addNames({name: command.since.of(name) for name in new})
        return added.addCallback(self._subscribed, command.id)

    def _subscribed(self, gap: tuple[str, ...], id: Id) -> None:
        self._say(encodeSubscribed(id, self.reader.standing, gap))
        self.reader.resume()

    def _unsubscribe(self, command: Unsubscribe) -> None:
        if self.reader.state is not State.CLOSED:
            self.reader.removeNames(command.names)
        self._answer(command.id, {})


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
