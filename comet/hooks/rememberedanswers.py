"""
What the backend has answered, for a while.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from comet.access.granted import MAX_INFO
from comet.errors import CometError
from comet.hooks.hookclients import Question
from comet.model.clients import Client

# How many answers are remembered, and how many bytes the questions have in all.
MAX_ANSWERS: Final = 50_000
MAX_BYTES: Final = 64 * 1024 * 1024

# What an answer takes beside its question, about.
_EACH: Final = 512

# What a pattern takes beside its own bytes.
_PATTERN: Final = 80


class RememberedAnswers:
    """
    The answers by their questions.  Beyond the bounds the one goes first that was used
    least recently: it is asked for again.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        maxAnswers: int = MAX_ANSWERS,
        maxBytes: int = MAX_BYTES,
    ) -> None:
        """
        @param seconds: Returns the time of a clock that goes on.
        """
        self._seconds = seconds
        self._maxAnswers = maxAnswers
        self._maxBytes = maxBytes
        self._bytes = 0
        self._answers: OrderedDict[Question, tuple[Client | CometError, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, question: Question) -> Client | CometError | None:
        """
        Return the answer to a question, or L{None} if none is remembered.
        """
        found = self._answers.get(question)
        if found is None:
            return None
        answer, due = found
        if self._seconds() >= due:
            self._drop(question)
            return None
        self._answers.move_to_end(question)
        return answer

    def add(self, question: Question, answer: Client | CometError, seconds: float) -> None:
        """
        Remember an answer for some seconds.
        """
        if question in self._answers:
            self._drop(question)
        self._bytes += _size(question, answer)
        self._answers[question] = (answer, self._seconds() + seconds)
        while self._answers and (
            len(self._answers) > self._maxAnswers or self._bytes > self._maxBytes
        ):
            self._drop(next(iter(self._answers)))

    def drop(self, question: Question, client: Client) -> None:
        """
        Forget the answer to a question if it is this very client.
        """
        if question in self._answers and self._answers[question][0] is client:
            self._drop(question)

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget the answers that name some clients.
        """
        for question, (answer, _) in list(self._answers.items()):
            if isinstance(answer, Client) and matches(answer):
                self._drop(question)

    def clear(self) -> None:
        """
        Forget all answers.
        """
        self._answers.clear()
        self._bytes = 0

    def _drop(self, question: Question) -> None:
        answer, _ = self._answers.pop(question)
        self._bytes -= _size(question, answer)


def _size(question: Question, answer: Client | CometError) -> int:
    """
    How many bytes a question and its answer take, about.
    """
    size = question.size + _EACH
    if isinstance(answer, Client):
        rights = answer.rights
        patterns = (*rights.subscribe, *rights.publish, *rights.presence)
        size += MAX_INFO * (answer.info is not None)
        size += sum(_PATTERN + len(each) for each in patterns)
    return size
