"""
Asks all nodes for an admin, and answers the others.

A question is a message of the channel C{$control}, which every node reads.  The answers
are messages of the channel C{$nodes}, which a node reads only while it waits for answers.
So nodes send one another no figures while no admin asks.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from comet.control.control import Control
from comet.errors import CometError, TooMany
from comet.fanout.application import Subscription
from comet.fanout.core import Fanout
from comet.interfaces.busabilities import INodesBus
from comet.interfaces.messagebus import IMessageBus
from comet.logging.clientlog import ClientLogger
from comet.model.channels import CONTROL, NODES
from comet.model.messages import Message, Publication
from comet.nodes.nodemessages import (
    Answer,
    Question,
    What,
    answerStart,
    encodeAnswer,
    encodeQuestion,
    readAnswer,
    readQuestion,
)
from comet.nodes.survey import Survey

# The events of questions, and of answers.
ASK: Final = "ask"
TOLD: Final = "told"

# For how many seconds it is waited for other nodes; none answers a question that is older
# than LATE seconds.
PATIENCE: Final = 1.0
LATE: Final = 5.0

# How many questions one node asks or answers at a time.
MOST_ASKED: Final = 32


@frozen
class Found:
    """
    What the nodes have answered.

    @ivar count: How many rows there are on all nodes together.  Of names, those count
        once that were told by several nodes.

    @ivar rows: The first of them.  Each has the name of its node as C{node}; but names
        are added up over the nodes, those with most readers first.

    @ivar isComplete: Whether all nodes have answered.
    """

    count: int
    rows: Sequence[dict[str, Any]]
    isComplete: bool


class _Waiting:
    """
    Waits for what other nodes answer.

    @ivar answers: By the name of the node.

    @ivar done: Fires when all have.
    """

    _log = ClientLogger()

    def __init__(self, id: str, what: What, others: int) -> None:
        self.answers: dict[str, Answer] = {}
        self.done: Deferred[None] = Deferred()
        self.others = others
        self.subscription: Subscription | None = None
        self._start = answerStart(id)
        self._what = what

    def told(self, message: Message) -> None:
        """
        Some node has answered some question.
        """
        # A payload may be large, and not be for this question.
        if message.event != TOLD or not message.payload.startswith(self._start):
            return
        try:
            _, answer = readAnswer(message.payload, self._what)
        except CometError as error:
            self._log.warn("an answer of a node is of no use: {detail}", detail=error.detail)
            return
        self.answers.setdefault(answer.node, answer)
        if len(self.answers) >= self.others and not self.done.called:
            self.done.callback(None)


class Nodes:
    """
    Asks all nodes, and answers the others.

    @ivar name: A random word that names this node, from its start to its end.
    """

    _log = Logger()
    _busLog = ClientLogger()

    def __init__(
        self,
        bus: IMessageBus,
        control: Control,
        fanout: Fanout,
        subscribe: Callable[..., Deferred[Subscription]],
        clock: IReactorTime,
        figures: Callable[[], dict[str, Any]],
    ) -> None:
        """
        @param subscribe: Reads the channel of the answers.

        @param figures: Returns the figures of this node.
        """
        self.name = secrets.token_hex(4)
        self._bus = bus
        self._control = control
        self._fanout = fanout
        self._subscribe = subscribe
        self._clock = clock
        self._survey = Survey(self.name, fanout, figures)
        self._asking = self._answering = 0
        # The ids of the questions of this node.
        self._own: set[str] = set()
        control.others[ASK] = self._asked

    # -- Asking

    def ask(self, question: Question) -> Deferred[Found]:
        """
        Ask all nodes, and wait for those that do not answer no longer than L{PATIENCE}
        seconds.

        @return: Fails with L{TooMany} if this node asks too much at a time.  If the others
            cannot be asked, there is this node's answer.
        """
        return Deferred.fromCoroutine(self._ask(question))

    async def _ask(self, question: Question) -> Found:
        if self._asking >= MOST_ASKED:
            raise TooMany(f"{MOST_ASKED} questions to the nodes are under way")
        self._asking += 1
        id = secrets.token_hex(8)
        self._own.add(id)
        waiting: _Waiting | None = None
        isComplete = True
        try:
            try:
                waiting = await self._askOthers(question, id)
            except CometError as error:
                isComplete = False
                self._busLog.warn("the nodes cannot be asked: {detail}", detail=error.detail)
            answers = [await self._survey.answer(question)]
            if waiting is not None:
                if not waiting.done.called:
                    waiting.done.addTimeout(PATIENCE, self._clock, lambda result, seconds: None)
                await waiting.done
                isComplete = len(waiting.answers) >= waiting.others
                answers += waiting.answers.values()
        finally:
            self._asking -= 1
            self._own.discard(id)
            if waiting is not None and waiting.subscription is not None:
                waiting.subscription.unsubscribe()
        isComplete = isComplete and (self._control.isFollowing or not self._isOneOfMany)
        return _add(question, answers, isComplete)

    @property
    def _isOneOfMany(self) -> bool:
        return INodesBus.providedBy(self._bus)

    async def _askOthers(self, question: Question, id: str) -> _Waiting | None:
        """
        Ask the other nodes.

        @return: L{None} if there are none.
        """
        bus: Any = self._bus
        if not self._isOneOfMany or not self._control.isFollowing:
            return None
        others = await bus.countListening(CONTROL) - 1
        if others < 1:
            return None
        waiting = _Waiting(id, question.what, others)
        waiting.subscription = await self._subscribe(NODES, "now", waiting.told)
        try:
            asked = Publication((CONTROL,), encodeQuestion(question, id), ASK, publisher="server")
            await bus.publish([asked])
        except CometError:
            waiting.subscription.unsubscribe()
            raise
        return waiting

    # -- Answering

    def _asked(self, message: Message) -> None:
        """
        Some node asks.

        @raise BadRequest: If it is no question.
        """
        id, question = readQuestion(message.payload)
        isLate = self._control.now() - message.time > LATE
        if id in self._own or isLate or self._answering >= MOST_ASKED:
            return
        self._answering += 1
        Deferred.fromCoroutine(self._answer(question, id)).addErrback(self._notAnswered)

    async def _answer(self, question: Question, id: str) -> None:
        try:
            answer = await self._survey.answer(question)
            payload = encodeAnswer(answer, id)
            await self._bus.publish([Publication((NODES,), payload, TOLD, publisher="server")])
        finally:
            self._answering -= 1

    def _notAnswered(self, failure: Failure) -> None:
        # If the bus is down, the other node is not waited for long.
        if failure.check(CometError) is None:
            self._log.failure("a question of another node could not be answered", failure)


def _add(question: Question, answers: Sequence[Answer], isComplete: bool) -> Found:
    """
    Put the answers of all nodes together.
    """
    if question.what is not What.NAMES:
        rows = [{"node": each.node, **row} for each in answers for row in each.rows]
        return Found(sum(each.count for each in answers), rows[: question.limit], isComplete)
    counted: Counter[str] = Counter()
    for each in answers:
        for row in each.rows:
            counted[row["channel"]] += row["readers"]
    busiest = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    names = [{"channel": name, "readers": count} for name, count in busiest[: question.limit]]
    # What a node has left out may be what another one has told, too.
    count = max(len(counted), *(each.count for each in answers))
    return Found(count, names, isComplete)
