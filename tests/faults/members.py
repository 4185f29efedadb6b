"""
What is said of the members of a channel, and whether it agrees: the messages on
C{$presence/...}, the snapshots that were taken, and the members that there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from tests.edge.connections import Violation
from tests.edge.envelopes import Cursor, Message, readAnswer, readCursor
from tests.faults.book import Finding

_EVENTS: Final = ("join", "leave", "update")


class Told(NamedTuple):
    """
    One message about a member.

    @ivar event: C{join}, C{leave} or C{update}.

    @ivar info: What it shows of the member.
    """

    cursor: Cursor
    event: str
    client: str
    info: Any


class Snapshot(NamedTuple):
    """
    An answer to the question of who is in a channel.

    @ivar where: The visitor and the node.

    @ivar infos: What is shown of each member.

    @ivar connections: How many readers each member has.

    @ivar anonymous: How many readers have no name.
    """

    where: str
    channel: str
    cursor: Cursor
    infos: Mapping[str, Any]
    connections: Mapping[str, int]
    anonymous: int


def readTold(message: Message) -> Told:
    """
    Read a message about a member.
    """
    data = message.data
    if message.event not in _EVENTS or not isinstance(data, dict) or "client" not in data:
        raise Violation(f"no message about a member: {message}")
    return Told(message.cursor, message.event, data["client"], data.get("info"))


def readSnapshot(where: str, channel: str, body: bytes) -> Snapshot:
    """
    Read who is in a channel, which has few members.
    """
    value = readAnswer(body)
    if not isinstance(value, dict) or value.get("more") or len(value["members"]) != value["count"]:
        raise Violation(f"not all members: {value}")
    members = value["members"]
    return Snapshot(
        where,
        channel,
        readCursor(value["cursor"]),
        {each["client"]: each.get("info") for each in members},
        {each["client"]: each["connections"] for each in members},
        value["anonymous"],
    )


def check(
    channel: str,
    log: Sequence[Told],
    snapshots: Iterable[Snapshot],
    isWhole: bool = True,
) -> Iterator[Finding]:
    """
    Yield what does not agree: a join of a member, a leave or an update of a client that
    is none, an update that changes nothing, and a snapshot that shows others than those
    that the messages up to its cursor leave.

    @param log: All messages about the channel in one epoch, in their order.

    @param snapshots: Some snapshots of the channel; those of other epochs are left out.

    @param isWhole: Whether nobody was there when the log began.  Otherwise the first
        message about each client may be any, and no snapshot is compared.
    """
    here: dict[str, Any] = {}
    known: set[str] = set()
    left = sorted(snapshots, key=lambda each: each.cursor)
    for told in log:
        if isWhole:
            yield from _compared(left, here, told.cursor)
        isFirst = not isWhole and told.client not in known
        isHere = told.client in here
        if not isFirst and isHere == (told.event == "join"):
            yield Finding("member", channel, f"{told} of a client that was {_state(isHere)}")
        elif not isFirst and told.event == "update" and here[told.client] == told.info:
            yield Finding("member", channel, f"{told} changes nothing")
        known.add(told.client)
        if told.event == "leave":
            here.pop(told.client, None)
        else:
            here[told.client] = told.info
    if isWhole and log:
        yield from _compared(left, here, Cursor(log[-1].cursor.epoch, 1 << 62))


def _state(isHere: bool) -> str:
    return "there" if isHere else "not there"


def _compared(left: list[Snapshot], here: Mapping[str, Any], before: Cursor) -> Iterator[Finding]:
    """
    Compare the snapshots whose cursor is lower than that of the next message.
    """
    while left and left[0].cursor < before:
        snapshot = left.pop(0)
        if snapshot.cursor.epoch == before.epoch and snapshot.infos != here:
            text = f"at {snapshot.cursor} shows {snapshot.infos}, and told were {dict(here)}"
            yield Finding("member", f"{snapshot.where} in {snapshot.channel}", text)
