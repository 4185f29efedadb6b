"""
Calls: what a client asks the backend, or the application, through comet.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.python.failure import Failure

from comet.errors import BadChannel, BadRequest, CometError, Unavailable
from comet.framing.publications import Limits, fromValue
from comet.hooks.places import Places, holderOf
from comet.hooks.questions import Questions
from comet.http.outgoing import CALL
from comet.interfaces.hooks import IHooks
from comet.model.channels import parseChannel
from comet.model.clients import Client

# How many calls wait for answers at most, and how many bytes of data they have.
MOST_WAITING: Final = 10_000
MOST_BYTES: Final = 64 * 1024 * 1024

# How many bytes of JSON an answer has at most.
MOST_ANSWER: Final = 1024 * 1024


def checkMethod(name: str) -> str:
    """
    Check the name of a method, which has the form of a channel's.

    @raise BadRequest: If it has another form.
    """
    try:
        return parseChannel(name)
    except BadChannel as error:
        raise BadRequest(
            f"the name of a method has the form of a channel's: {error.detail}"
        ) from None


class CallHook:
    """
    Has calls answered.

    @ivar hooks: Who answers them.

    @ivar places: The places of the calls that wait for answers.
    """

    def __init__(self, hooks: IHooks, questions: Questions, limits: Callable[[], Limits]) -> None:
        """
        @param limits: Returns the limits of what clients send.
        """
        self.hooks = hooks
        self.places = Places(MOST_WAITING, MOST_BYTES)
        self._questions = questions
        self._limits = limits

    def call(
        self, client: Client, method: str, data: Any, peer: object
    ) -> Deferred[dict[str, Any]]:
        """
        Have a call answered.

        @param data: What the client has sent: a value of JSON that was decoded, or L{bytes}.

        @param peer: Where the client is.

        @return: Fires with C{data}, and C{encoding} if they stand for bytes, for the client.
            Fails with a L{CometError}.  If it is cancelled, so is the question.
        """
        return maybeDeferred(self._call, client, method, data, peer).addErrback(_checkCancelled)

    def _call(self, client: Client, method: str, data: Any, peer: object) -> Any:
        # Its size is that of a message.
        said = fromValue(checkMethod(method), data, self._limits(), isDecoded=True)
        # Before it is asked: it may do something.
        place = holderOf(client, peer), 1, len(said.payload)
        if not self.places.take(*place):
            raise Unavailable("too many calls of this client wait for answers")
        ask = self._questions.ask
        answer = maybeDeferred(ask, CALL, self.hooks.call, peer, client, method, data)

        def came(result: Any) -> Any:
            self.places.leave(*place)
            return result

        return answer.addBoth(came).addCallback(self._checked)

    def _checked(self, answer: object) -> dict[str, Any]:
        """
        Check an answer.

        @raise Unavailable: If it is not allowed.
        """
        try:
            limits = Limits(MOST_ANSWER, self._limits().maxDepth)
            size = len(fromValue(CALL, answer, limits).payload)
            if size > MOST_ANSWER:
                raise ValueError(f"it has {size} bytes; at most {MOST_ANSWER} are allowed")
        except (CometError, TypeError, ValueError) as error:
            raise self._questions.notAllowed(CALL, str(error)[:256]) from None
        if isinstance(answer, (bytes, bytearray, memoryview)):
            return {"data": b64encode(answer).decode("ascii"), "encoding": "base64"}
        return {"data": answer}


def _checkCancelled(failure: Failure) -> Failure:
    if failure.check(CancelledError):
        raise Unavailable("the call was given up") from None
    return failure
