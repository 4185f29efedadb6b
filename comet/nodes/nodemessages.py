"""
What nodes ask one another for an admin, and what they answer: as messages of their own
channels.  Both are checked when they come, since other programs may write to the bus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, TypeGuard

from attrs import frozen

from comet.errors import BadChannel, BadMessage, BadRequest
from comet.framing.orders import readPayload
from comet.framing.strictjson import decode, encode
from comet.metrics.traffic import COUNTED
from comet.model.channels import parseName

# The most rows that one answer has.
MOST_ROWS: Final = 1000

# How many bytes an answer has at most: a node leaves out the rows that have no room.
MOST_BYTES: Final = 128 * 1024

# How many levels of JSON it has at most.
_LEVELS: Final = 8

# The numbers of the figures of a node, and of its lateness.
_FIGURES: Final = ("time", "behind", "unsent", "published", "delivered", "gaps", "refused")
_LATENESS: Final = ("calls", "seconds", "late")


class What(Enum):
    """
    What is asked for.

    @cvar FIGURES: What passes through each node: one row a node.

    @cvar NAMES: The channels and patterns that are read: one row a name.

    @cvar READERS: The streams and held requests: one row each.  With a channel also the
        server's own readers of it.
    """

    FIGURES = "figures"
    NAMES = "names"
    READERS = "readers"


@frozen
class Question:
    """
    What is asked.

    @ivar channel: A channel or pattern: names and readers only that have to do with it;
        empty for all.

    @ivar client: The name of a client, for its readers only; empty for all.

    @ivar limit: How many rows an answer may have.
    """

    what: What
    channel: str = ""
    client: str = ""
    limit: int = MOST_ROWS


@frozen
class Answer:
    """
    What one node answers.

    @ivar node: The name of the node.

    @ivar count: How many rows there would be without a limit.

    @ivar rows: The first of them: for names the ones with most readers.
    """

    node: str
    count: int
    rows: Sequence[dict[str, Any]]


def encodeQuestion(question: Question, id: str) -> bytes:
    """
    Encode a question as the payload of a message.

    @param id: Identifies it, for its answers.
    """
    return encode(
        {
            "id": id,
            "what": question.what.value,
            "channel": question.channel,
            "client": question.client,
            "limit": question.limit,
        }
    )


def readQuestion(payload: bytes) -> tuple[str, Question]:
    """
    Read what L{encodeQuestion} has made.

    @return: The id and the question.

    @raise BadRequest: If it has made no such payload.
    """
    id, fields = readPayload(payload)
    channel, client, limit = (fields.get(name) for name in ("channel", "client", "limit"))
    try:
        what = What(fields.get("what"))
    except ValueError:
        raise BadRequest("a question of the nodes asks for something unknown") from None
    if not (isinstance(channel, str) and isinstance(client, str)):
        raise BadRequest("the channel and the client of a question are texts")
    try:
        # It is compared with every name that is read.
        if channel:
            parseName(channel)
    except BadChannel as error:
        raise BadRequest(f"the channel of a question is not valid: {error.detail}") from None
    if type(limit) is not int or not 1 <= limit <= MOST_ROWS:
        raise BadRequest(f"the limit of a question is 1 to {MOST_ROWS}")
    return id, Question(what, channel, client, limit)


def answerStart(id: str) -> bytes:
    """
    Return how the payload of each answer to a question begins.
    """
    return encode({"id": id})[:-1] + b","


def encodeAnswer(answer: Answer, id: str) -> bytes:
    """
    Encode an answer as the payload of a message, with as many of its rows as have room.
    """
    head = encode({"id": id, "node": answer.node, "count": answer.count})
    rows: list[bytes] = []
    size = len(head) + len(b',"rows":[]')
    for row in answer.rows:
        encoded = encode(row)
        size += len(encoded) + 1
        if size > MOST_BYTES:
            break
        rows.append(encoded)
    return b'%b,"rows":[%b]}' % (head[:-1], b",".join(rows))


def readAnswer(payload: bytes, what: What) -> tuple[str, Answer]:
    """
    Read what L{encodeAnswer} has made.

    @param what: What was asked for.

    @return: The id of the question, and the answer.

    @raise BadRequest: If it has made no such payload.
    """
    if len(payload) > MOST_BYTES:
        raise BadRequest(f"an answer of a node has at most {MOST_BYTES} bytes")
    try:
        value = decode(payload, _LEVELS)
    except BadMessage as error:
        raise BadRequest(error.detail) from None
    fields = value if isinstance(value, dict) else {}
    id, node, count, rows = (fields.get(name) for name in ("id", "node", "count", "rows"))
    if not (isinstance(id, str) and isinstance(node, str) and 1 <= len(node) <= 64):
        raise BadRequest("an answer of a node has an id and the name of the node")
    if not (_isCount(count) and isinstance(rows, list)):
        raise BadRequest("an answer of a node has a count and rows")
    if len(rows) > MOST_ROWS or not all(_isRow(row, what) for row in rows):
        raise BadRequest("the rows of an answer are too many, or none of ours")
    return id, Answer(node, max(count, len(rows)), rows)


def _isRow(row: object, what: What) -> bool:
    # The node is added to its rows: none says that it is another's.
    return isinstance(row, dict) and "node" not in row and _FORMS[what](row)


def _areFigures(row: Mapping[str, Any]) -> bool:
    transports, readers = row.get("transports"), row.get("readers")
    return (
        type(row.get("ready")) is bool
        and isinstance(row.get("reason", ""), str)
        and _haveNumbers([row], _FIGURES)
        and _haveNumbers([row.get("lateness")], _LATENESS)
        and isinstance(readers, dict)
        and _haveNumbers([readers], readers)
        and isinstance(transports, dict)
        and _haveNumbers(transports.values(), COUNTED)
    )


def _isName(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("channel"), str) and _isCount(row.get("readers"))


def _isReader(row: Mapping[str, Any]) -> bool:
    texts = [row.get(name) for name in ("known", "kind", "state")]
    texts += [row.get(name, "") for name in ("client", "token")]
    channels = row.get("channels")
    return (
        isinstance(channels, list)
        and all(isinstance(text, str) for text in (*texts, *channels))
        and _isCount(row.get("names"))
    )


_FORMS: Final[Mapping[What, Callable[[Mapping[str, Any]], bool]]] = {
    What.FIGURES: _areFigures,
    What.NAMES: _isName,
    What.READERS: _isReader,
}


def _isCount(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _haveNumbers(values: Iterable[object], names: Iterable[str]) -> bool:
    """
    Whether each value is an object with a number of each name.
    """
    return all(
        isinstance(value, dict) and all(type(value.get(name)) in (int, float) for name in names)
        for value in values
    )
