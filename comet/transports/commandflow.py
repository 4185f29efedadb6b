"""
The order in which the commands of one client are carried out and answered, and how much
of them the server keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.python.failure import Failure

from comet.errors import CometError, TooMany, publicError
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.framing.commands import (
    Command,
    CommandError,
    Fields,
    Id,
    Publish,
    encodeError,
    encodeOK,
    encodeStored,
    readCommand,
)
from comet.framing.envelope import EnvelopeShape
from comet.hub.hub import Hub
from comet.hub.requests import PublishRequest
from comet.logging.clientlog import ClientLogger
from comet.model.clients import Client
from comet.model.messages import Published

# A command as JSON, or read so far; or why it is none, as the transport has seen.
Raw = bytes | Fields | CommandError

# Commands of one client that are under way or wait, and bytes of them, before no more is
# read from it.
MAX_PENDING_COMMANDS: Final = 256
MAX_PENDING_BYTES: Final = 1024 * 1024


class CommandAnswer(PublishRequest):
    """
    A command to publish, and its answer.

    @ivar size: How many bytes of data it has.

    @ivar piece: The answer as it is written; empty until it is known.
    """

    __slots__ = ("_flow", "_id", "piece", "size")

    def __init__(self, flow: CommandFlow, id: Id, size: int) -> None:
        """
        @param id: The id of the command.
        """
        self._flow = flow
        self._id = id
        self.size = size
        self.piece = b""

    def stored(self, results: Sequence[Published]) -> None:
        """
        See L{PublishRequest.stored<comet.hub.requests.PublishRequest.stored>}.
        """
        self._flow.answerInTurn(self, encodeStored(self._id, results[0]))

    def notStored(self, failure: Failure) -> None:
        """
        See L{PublishRequest.notStored<comet.hub.requests.PublishRequest.notStored>}.
        """
        self._flow.answerInTurn(self, self._flow.encodeFailure(failure, self._id))


class CommandFlow:
    """
    Lets each command of a client wait for the answers to those before it, and writes the
    answers.  What commands do is up to the subclass.

    Publications behind each other go together: what is published in one turn is stored
    together, and answered by one write.  A command that reads finds what those before it
    have published.

    A client that does not take its answers, or that has too many commands under way, is
    read from no more, and later again.  No command is lost by that.

    @ivar reader: The reader of this client.
    """

    _log = ClientLogger()

    __slots__ = (
        "_answers",
        "_client",
        "_commandsFull",
        "_finish",
        "_held",
        "_hub",
        "_isAnswering",
        "_isPaused",
        "_isReleasing",
        "_others",
        "_pending",
        "_pendingBytes",
        "_shape",
        "_transport",
        "reader",
    )

    def __init__(
        self,
        hub: Hub,
        client: Client,
        reader: StreamReader,
        shape: EnvelopeShape,
        transport: Any,
    ) -> None:
        """
        @param transport: A push producer: the source of the commands, which is paused and
            resumed here.
        """
        self._hub = hub
        self._client = client
        self.reader = reader
        self._shape = shape
        self._transport = transport
        # When the client may send as many commands at once again as it ever may.
        self._commandsFull = 0.0
        # How many commands are under way or wait, and bytes that they have.
        self._pending = self._pendingBytes = 0
        # The answers to publications, in their order; and whether they are to be written
        # together when the turn ends.
        self._answers: list[CommandAnswer] = []
        self._isAnswering = False
        self._isPaused = False
        # Ends the connection.  Set once the client sends nothing more.
        self._finish: Callable[[], None] | None = None
        # How many commands are under way that publish nothing; and the commands that wait
        # for those before them, each with whether it publishes, if that is known.
        self._others = 0
        self._held: list[tuple[Raw, bool | None]] = []
        self._isReleasing = False

    @property
    def _isHeldUp(self) -> bool:
        """
        Whether something is asked before whose answer nothing more is to be read.
        """
        raise NotImplementedError

    def _begin(self, command: Command | CommandError, raw: Raw) -> None:
        """
        Begin a command in its turn.

        @param raw: The command as it came.
        """
        raise NotImplementedError

    def commandReceived(self, raw: Raw) -> None:
        """
        Carry out a command, in its turn.

        @param raw: The command as JSON, or as L{readFields
            <comet.framing.commands.readFields>} has read it; or why it is refused, if the
            transport knows that.
        """
        if self.reader.state is State.CLOSED:
            # The client will not get the answer.
            return
        if self._held:
            self._hold(raw, None)
            return
        command = self._read(raw)
        isPublishing = isinstance(command, Publish)
        # Mostly there is nothing to wait for.
        if self._pending and self._mustWait(isPublishing):
            self._hold(raw, isPublishing)
        else:
            self._begin(command, raw)

    def _read(self, raw: Raw) -> Command | CommandError:
        if isinstance(raw, CommandError):
            return raw
        try:
            return readCommand(raw, self._hub.settings.limits, self._client.publisher)
        except CommandError as refused:
            return refused

    def _mustWait(self, isPublishing: bool) -> bool:
        """
        Tell whether a command has to wait for the answers to those before it.
        Publications go together, unless one is asked about: they are answered in their
        order.
        """
        if isPublishing:
            return bool(self._others or self._isHeldUp)
        return self._pending > len(self._held)

    def _hold(self, raw: Raw, isPublishing: bool | None) -> None:
        self._held.append((raw, isPublishing))
        self._pending += 1
        self._pendingBytes += _sizeOf(raw)
        self._throttle()

    def _release(self) -> None:
        """
        Begin the commands that have to wait no longer, while the client takes the answers.
        """
        if self._isReleasing:
            return
        self._isReleasing = True
        while self._held and self.reader.state is not State.BEHIND:
            raw, isPublishing = self._held[0]
            if isPublishing is not None and self._mustWait(isPublishing):
                break
            # It is read anew: the client may be another one by now.
            command = self._read(raw)
            isPublishing = isinstance(command, Publish)
            if self._mustWait(isPublishing):
                self._held[0] = raw, isPublishing
                break
            del self._held[0]
            self._pending -= 1
            self._pendingBytes -= _sizeOf(raw)
            # A client that has left gets no answer, but what it has published counts.
            if isPublishing or self.reader.state is not State.CLOSED:
                self._begin(command, raw)
        self._isReleasing = False
        self._throttle()

    def _mayCommand(self, id: Id) -> bool:
        """
        Count a command, and refuse it if the client has sent too many.

        @return: Whether it is to be carried out.
        """
        limits = self._hub.clientLimits
        if limits.commands is not None:
            try:
                self._commandsFull = limits.command(self._client, self._commandsFull)
            except TooMany as error:
                self._refuse(id, error)
                return False
        return True

    def _refuse(self, id: Id, error: CometError) -> None:
        """
        Answer with an error.

        @param id: The id of the command, or L{None} if it could not be read.
        """
        self._hub.fanout.tally.refused.add(error.code)
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
        self._say(self.encodeFailure(failure, id))

    def encodeFailure(self, failure: Failure, id: Id) -> bytes:
        """
        Encode why a command has failed, and count it.
        """

        def log() -> None:
            self._log.failure(
                "command {id!r} of client {client!r} failed",
                failure=failure,
                id=id,
                client=self._client.name,
            )

        error = publicError(failure.value, log)
        self._hub.fanout.tally.refused.add(error.code)
        return encodeError(id, error)

    def _newAnswer(self, id: Id, size: int) -> CommandAnswer:
        """
        Return the answer to a publication, behind those to all before it.

        @param size: How many bytes of data it has.
        """
        answer = CommandAnswer(self, id, size)
        self._answers.append(answer)
        self._pendingBytes += size
        return answer

    def answerInTurn(self, answer: CommandAnswer, json: bytes) -> None:
        """
        Answer a publication once those before it are answered, together with those that
        are answered in the same turn.
        """
        self._pendingBytes -= answer.size
        answer.piece = self._shape.piece(json)
        if self._isAnswering or not self._answers[0].piece:
            return
        if len(self._answers) == 1:
            self._answers.clear()
            self._pending -= 1
            self.reader.say(answer.piece)
            self._goOn()
        else:
            self._isAnswering = True
            self._hub.fanout.afterAnswers(self._answered)

    def _refuseLater(self, failure: Failure, id: Id) -> None:
        """
        Refuse a command once the publications before it are answered.
        """
        self._pending += 1
        self._newAnswer(id, 0).notStored(failure)
        self._throttle()

    def _answered(self) -> None:
        """
        All publications have been answered whose answers are due by now.
        """
        self._isAnswering = False
        self._sayAnswers()
        self._goOn()

    def _sayAnswers(self) -> None:
        """
        Write the answers to publications that are known, up to the first that is not.
        """
        known: list[bytes] = []
        for answer in self._answers:
            if not answer.piece:
                break
            known.append(answer.piece)
        if known:
            del self._answers[: len(known)]
            self._pending -= len(known)
            self.reader.say(*known)

    def _commandDone(self, result: object) -> None:
        self._pending -= 1
        self._others -= 1
        self._goOn()

    def _goOn(self) -> None:
        """
        Some commands have been answered, or the client has taken the answers.
        """
        if self._held:
            self._release()
        elif self._isPaused or self.reader.state is State.BEHIND:
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
            or self.reader.state is State.BEHIND
            or self._isHeldUp
        )
        if isBusy != self._isPaused:
            self._isPaused = isBusy
            if isBusy:
                self._transport.pauseProducing()
            else:
                self._transport.resumeProducing()

    def readerClosed(self) -> None:
        """
        The reader is closed.  What the client still sends is discarded, but
        must be read, or it would not be seen that the client leaves.
        """
        if self._isPaused:
            self._isPaused = False
            self._transport.resumeProducing()
        self._release()

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
        self._goOn()

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


def _sizeOf(raw: Raw) -> int:
    """
    Return how many bytes a command has that waits.  One that was read already is the first
    of its connection, and waits for none.
    """
    return len(raw) if isinstance(raw, bytes) else 0
