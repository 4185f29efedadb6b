"""
Reads where messages were stored, and checks every part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen

from comet.bus.redis.replies import POSITION, BadReply, epochOf, fieldsOf, numberOf, wordOf
from comet.model.messages import Publication, Published


@frozen
class KeyConflict:
    """
    A key came before with another message.

    @ivar index: The index of the publication with the key.
    """

    index: int


@frozen
class Stored:
    """
    The answer of the script C{publish}.

    @ivar outcomes: The outcome of each request: the answer to each of its
        publications, or why none is stored.

    @ivar more: Whether there is more to drop.
    """

    outcomes: list[list[Published] | KeyConflict]
    more: bool


def writeOrder(channels: Sequence[str]) -> str:
    """
    Write in which order a publication names its channels: the index of each, in
    the order of their names; empty if they are in this order already.
    """
    order = sorted(range(len(channels)), key=channels.__getitem__)
    return "" if order == list(range(len(channels))) else ",".join(map(str, order))


def readStored(reply: Any, requests: Sequence[Sequence[Publication]]) -> Stored:
    """
    Read the answer of C{publish}.
    """
    _, word, more, *outcomes = fieldsOf(reply, 3)
    epoch = epochOf(word)
    if len(outcomes) != len(requests):
        raise BadReply(f"{len(outcomes)} answers to {len(requests)} requests")
    return Stored(
        [_outcome(epoch, *each) for each in zip(outcomes, requests, strict=True)], more == 1
    )


def _outcome(
    epoch: str, answers: Any, publications: Sequence[Publication]
) -> list[Published] | KeyConflict:
    if not isinstance(answers, list):
        raise BadReply(f"a request was answered {answers!r:.100}")
    if len(answers) == 2 and answers[0] == b"KEY":
        index = numberOf(answers[1])
        if 0 <= index < len(publications):
            return KeyConflict(index)
    if len(answers) != len(publications):
        raise BadReply(f"{len(answers)} answers to {len(publications)} publications")
    return [
        Published(epoch, _positions(publication.channels, answer))
        for publication, answer in zip(publications, answers, strict=True)
    ]


def _positions(channels: Sequence[str], answer: Any) -> dict[str, int]:
    if isinstance(answer, int):
        if len(channels) == 1:
            return {channels[0]: answer}
        return dict(zip(channels, range(answer, answer + len(channels)), strict=True))
    # This is the answer of the first publication with the same key, perhaps
    # with the channels in another order.
    first, _, written = wordOf(answer).partition(" ")
    usual = [str(index) for index in range(len(channels))]
    order = written.split(",") if written else usual
    if not POSITION.fullmatch(first) or sorted(order) != sorted(usual):
        raise BadReply(f"{answer!r:.100} is not an answer to {channels!r:.100}")
    offsets = zip(sorted(channels), map(int, order), strict=True)
    found = {name: int(first) + offset for name, offset in offsets}
    return {channel: found[channel] for channel in channels}
