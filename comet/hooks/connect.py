"""
Asking the backend which client sends a request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from comet.errors import BadCredential, CometError, Unauthorized, Unavailable
from comet.hooks.hookclients import HookClient, Question, UnaskedClient
from comet.hooks.rememberedanswers import RememberedAnswers
from comet.hooks.sender import HookFailure, HookSender
from comet.hooks.verdicts import ConnectAnswer, readConnect
from comet.http.credentials import Credentials
from comet.http.outgoing import CONNECT
from comet.limits.addresses import countsAs
from comet.logging.clientlog import ClientLogger
from comet.model.clients import ANONYMOUS, Client, Known
from comet.reactor.timers import NOT_SET, TimerWheel

# For how many seconds a refusal is remembered.
REFUSAL_SECONDS: Final = 2.0

# By how many seconds the time of day and the clock that goes on may part.
MOST_MOVED: Final = 5.0

# The transports on which a client names channels by commands.
COMMANDING: Final = frozenset({"websocket", "tcp"})

# After how many seconds a backend that gives no answer is asked about a reader again.
SILENT_SECONDS: Final = 10.0


class Connect:
    """
    Finds out which client sends a request, by asking the backend.

    An answer is remembered; equal questions under way are asked once.
    """

    _log = ClientLogger()

    def __init__(
        self,
        sender: HookSender,
        wheel: TimerWheel,
        now: Callable[[], float],
        seconds: Callable[[], float],
    ) -> None:
        """
        @param wheel: Asks again after a while.

        @param now: Returns the wall-clock time, in seconds since 1970.

        @param seconds: Returns the time of a clock that goes on.
        """
        self._sender = sender
        self._wheel = wheel
        self._now = now
        self._seconds = seconds
        self._remembered = RememberedAnswers(seconds)
        self._asked: dict[Question, _Asked] = {}
        self._isReplaced = False
        self._successor: Connect | None = None

    def replacedBy(self, other: object) -> None:
        """
        Let another decide from now on also about connections that began before: those
        that name their first channel later, and those of clients whose time is over.

        @param other: Another L{Connect}; anything else if no backend is asked any more.
        """
        self._isReplaced = True
        self._successor = other if isinstance(other, Connect) else None
        self.stop()

    def stop(self) -> Deferred[Any]:
        """
        Close the connections to the backend that wait for another question.

        @return: Fires when they are closed.
        """
        return self._sender.stop()

    @property
    def headers(self) -> tuple[str, ...]:
        """
        The names, in lower case, of the headers that the backend is shown.
        """
        return self._sender.settings.headers

    def identify(
        self, credentials: Credentials, isOpen: Callable[[str, bool], bool]
    ) -> Client | Deferred[Client]:
        """
        Find out which client sends a request.  A connection for commands that begins
        without a name is asked about when it names the first.

        @param isOpen: Tells of a name, and whether it is published to, whether every
            client may do that.  A client of which the backend would see nothing but its
            address is not asked about where a name is open.

        @return: The client, if it is remembered.  Else a Deferred of it, which fails with
            the L{CometError} with which the backend refuses, or with L{Unavailable} if it
            gives no answer.

        @raise CometError: If the backend has refused it just before.
        """
        given = credentials.credential
        credential = None if given is None else given.text
        question = Question(self._headersOf(credentials), credential, credentials.address)
        ask = partial(self._askFor, question, isOpen)
        if credentials.isBare and credentials.transport in COMMANDING:
            return UnaskedClient("", known=Known.NOT, ask=ask)
        return ask(credentials.names, credentials.transport == "publish") or ANONYMOUS

    def _askFor(
        self,
        question: Question,
        isOpen: Callable[[str, bool], bool],
        names: Sequence[str],
        isPublishing: bool,
    ) -> Client | Deferred[Client] | None:
        showsNothing = question.credential is None and not question.headers
        if showsNothing and any(isOpen(name, isPublishing) for name in names):
            return None
        return self._ask(question)

    def _headersOf(self, credentials: Credentials) -> tuple[tuple[str, str], ...]:
        shown = ((name, credentials.header(name)) for name in self.headers)
        return tuple((name, value) for name, value in shown if value is not None)

    def _ask(self, question: Question) -> Client | Deferred[Client]:
        last: Connect | None = self
        while last is not None and last._isReplaced:
            last = last._successor
        if last is not self:
            # By its headers, the question is still the one that was shown.
            return ANONYMOUS if last is None else last._ask(question)
        remembered = self._remembered.find(question)
        if isinstance(remembered, CometError):
            raise _again(remembered)
        if remembered is not None and not self._isMoved(remembered):
            return remembered
        asked = self._asked.get(question)
        if asked is None:
            asked = self._asked[question] = _Asked(question, self._answered, self._givenUp)
            answer = asked.wait()
            self._send(asked)
            return answer
        return asked.wait()

    def _isMoved(self, client: Client) -> bool:
        """
        Tell whether the time of day was set since the backend has told of a client: its time
        would be over long after, or before, the backend is to be asked again.
        """
        if not isinstance(client, HookClient) or client.until is None:
            return False
        left = client.dueAt - self._seconds()
        return abs(client.until - self._now() - left) > MOST_MOVED

    def _send(self, asked: _Asked) -> None:
        question = asked.question
        content = {
            "client": None,
            "headers": dict(question.headers),
            "credential": question.credential,
            "address": question.address,
        }
        asked.begin(self._sender.send(CONNECT, content, readConnect, countsAs(question.address)))

    def _givenUp(self, asked: _Asked) -> None:
        if self._asked.get(asked.question) is asked:
            del self._asked[asked.question]

    def _answered(self, asked: _Asked, result: ConnectAnswer | Failure) -> None:
        """
        The backend has answered, or has not.
        """
        told: Client | CometError
        if isinstance(result, Failure):
            told = self._refusal(result, asked.question)
            seconds = REFUSAL_SECONDS if isinstance(result.value, CometError) else 0.0
        else:
            told, seconds = self._clientIn(asked.question, result), result.expires
        if isinstance(told, Client) and asked.isForgotten(told):
            # The question began before the client was disconnected or revoked, and the
            # answer may be as old.
            self._send(asked)
            return
        self._givenUp(asked)
        if seconds:
            self._remembered.add(asked.question, told, seconds)
        asked.end(told)

    def _refusal(self, failure: Failure, question: Question) -> CometError:
        error = failure.value
        if isinstance(error, Unauthorized) and question.credential is not None:
            return BadCredential(error.detail)
        if isinstance(error, CometError):
            return error
        if not isinstance(error, (HookFailure, CancelledError)):
            self._log.failure("the backend could not be asked", failure=failure)
        return _noAnswer()

    def _clientIn(self, question: Question, told: ConnectAnswer) -> Client:
        if told.isNobody:
            return ANONYMOUS
        until = self._now() + told.expires
        return HookClient(
            told.name,
            rights=told.granted.rights,
            info=told.granted.info,
            known=Known.HOOK,
            expires=until,
            until=until,
            question=question,
            dueAt=self._seconds() + told.expires,
        )

    # -- Asking again, and forgetting

    def renew(self, client: Client) -> Deferred[Client] | None:
        """
        Ask again about a client whose time is over.  While the backend gives no answer, it
        is asked again.

        @return: L{None} if the backend did not tell of it.  Else fires with the client
            that takes its place: L{ANONYMOUS} if the backend refuses it, or tells of a
            client with another name.  It does not fail.  Cancel it when it is of no use
            any more.
        """
        if not isinstance(client, HookClient) or client.question is None:
            return None
        # By another clock it may still be remembered for a moment.
        self._remembered.drop(client.question, client)
        return _Renewal(self._ask, self._wheel, client, client.question).done

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget what was told of some clients: they are asked about when they come next.
        """
        self._remembered.forget(matches)
        for asked in self._asked.values():
            asked.forget(matches)

    def clear(self) -> None:
        """
        Forget all that was told.
        """
        self._remembered.clear()
        for asked in self._asked.values():
            asked.forget(lambda client: True)


def _again(error: CometError) -> CometError:
    """
    Copy an error, since one that is raised again and again grows.
    """
    return type(error)(error.detail)


def _noAnswer() -> Unavailable:
    return Unavailable("the backend, which decides who this is, gives no answer now")


class _Asked:
    """
    A question under way, and the clients that wait for its answer.
    """

    def __init__(
        self,
        question: Question,
        answered: Callable[[_Asked, ConnectAnswer | Failure], None],
        givenUp: Callable[[_Asked], None],
    ) -> None:
        """
        @param answered: Called with the answer, or the failure.

        @param givenUp: Called when nothing waits for the answer any more.
        """
        self.question = question
        self._answered = answered
        self._givenUp = givenUp
        self._waiting: dict[Deferred[Client], None] = {}
        self._forgotten: list[Callable[[Client], bool]] = []
        self._request: Deferred[ConnectAnswer] | None = None

    def wait(self) -> Deferred[Client]:
        """
        Return a Deferred of the answer.  If all are cancelled, so is the request.
        """
        answer: Deferred[Client] = Deferred(self._left)
        self._waiting[answer] = None
        return answer

    def begin(self, request: Deferred[ConnectAnswer]) -> None:
        """
        Wait for a request.
        """
        self._forgotten.clear()
        self._request = request
        request.addBoth(self._came)

    def _came(self, result: ConnectAnswer | Failure) -> None:
        self._request = None
        if self._waiting:
            self._answered(self, result)

    def _left(self, answer: Deferred[Client]) -> None:
        self._waiting.pop(answer, None)
        if not self._waiting:
            self._givenUp(self)
            request, self._request = self._request, None
            if request is not None:
                request.cancel()

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Let the answer not count for some clients.
        """
        self._forgotten.append(matches)

    def isForgotten(self, client: Client) -> bool:
        """
        Tell whether the answer does not count for a client.
        """
        return any(matches(client) for matches in self._forgotten)

    def end(self, told: Client | CometError) -> None:
        """
        Answer all that wait.
        """
        waiting, self._waiting = self._waiting, {}
        for answer in waiting:
            # One of them may leave because of another.
            if not answer.called:
                answer.callback(told) if isinstance(told, Client) else answer.errback(_again(told))


class _Renewal:
    """
    Asks about one client until the backend answers.
    """

    def __init__(
        self,
        ask: Callable[[Question], Client | Deferred[Client]],
        wheel: TimerWheel,
        client: Client,
        question: Question,
    ) -> None:
        self.timerSlot = NOT_SET
        self.done: Deferred[Client] = Deferred(lambda _: self._stop())
        self._ask = ask
        self._wheel = wheel
        self._client = client
        self._question = question
        self._answer: Deferred[Client] | None = None
        self._isStopped = False
        self.timedOut()

    def timedOut(self) -> None:
        """
        Ask.
        """
        try:
            found = self._ask(self._question)
        except CometError as error:
            self._refused(error)
            return
        if isinstance(found, Client):
            self._end(found)
            return
        self._answer = found
        found.addCallbacks(self._end, self._failed)

    def _failed(self, failure: Failure) -> None:
        self._answer = None
        error = failure.value
        if isinstance(error, CometError):
            self._refused(error)
        elif not self._isStopped:
            self._wheel.set(self, SILENT_SECONDS)

    def _refused(self, error: CometError) -> None:
        if error.isTemporary:
            # Silence is Unavailable, and a backend that is too busy to say is as silent.
            self._wheel.set(self, SILENT_SECONDS)
        else:
            self._end(ANONYMOUS)

    def _end(self, found: Client) -> None:
        self._answer = None
        own = self._client.name
        self.done.callback(found if own in ("", found.name) else ANONYMOUS)

    def _stop(self) -> None:
        self._isStopped = True
        self._wheel.clear(self)
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.addErrback(lambda _: None)
            answer.cancel()
