"""
Reads what the scripts of members answer, and checks every part of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from comet.bus.redis.replies import BadReply, epochOf, fieldsOf, numberOf, rowsOf, wordOf
from comet.framing.members import areInfos, checkMemberName, makeMember, splitMember
from comet.framing.stored import NotOurs
from comet.model.cursors import Cursor
from comet.model.presence import Member, MemberPage


class SetMembers(NamedTuple):
    """
    The answer of the script C{setmembers}.

    @ivar end: The end of the log.

    @ivar more: Whether there is more to drop.

    @ivar refused: The indices of clients for which there was no room.
    """

    end: Cursor
    more: bool
    refused: Sequence[int]


def readSet(reply: Any) -> SetMembers | None:
    """
    Read the answer of C{setmembers}.

    @return: L{None} if the node was forgotten.
    """
    if reply == [b"FORGOTTEN"]:
        return None
    _, epoch, end, more, *refused = fieldsOf(reply, 4)
    return SetMembers(
        Cursor(epochOf(epoch), numberOf(end)), more == 1, list(map(numberOf, refused))
    )


def readTended(reply: Any) -> tuple[bool, bool]:
    """
    Read the answer of C{tendmembers}: whether what the node has said counts, and
    whether there is more to do.
    """
    _, _, counts, more = fieldsOf(reply, 4)[:4]
    return counts == 1, more == 1


_SHOWN: Final = re.compile(rb"([0-9.]{1,24}) [0-9.]{1,24} ([0-9]{1,10})\n(.*)", re.DOTALL)


def readListed(reply: Any, limit: int) -> tuple[MemberPage, Sequence[NotOurs]]:
    """
    Read the answer of C{listmembers}.

    @param limit: How many members were asked for.

    @return: The page, and what is wrong with members that are left out.
    """
    _, epoch, end, changed, count, anonymous, more, *rest = fieldsOf(reply, 7)
    found: list[_Found] = []
    refused: list[NotOurs] = []
    for name, shown in rowsOf(rest, 2):
        try:
            found.append(_split(name, shown))
        except NotOurs as error:
            refused.append(error)
    # To check each by itself takes as long as all the rest.
    areRight = areInfos([each.info for each in found if each.info is not None])
    members: list[Member] = []
    for each in found:
        try:
            members.append(makeMember(*each, isInfoChecked=areRight))
        except NotOurs as error:
            refused.append(error)
    if len(members) > limit:
        raise BadReply(f"{len(members)} members were told of, and {limit} asked for")
    cursor = Cursor(epochOf(epoch), numberOf(end))
    counts = max(0, numberOf(count)), max(0, numberOf(anonymous))
    return MemberPage(cursor, numberOf(changed), *counts, members, more == 1), refused


class _Found(NamedTuple):
    """
    What Redis has of a member: all but its name is to be checked.
    """

    client: str
    info: bytes | None
    connections: int
    since: float


def _split(name: Any, shown: Any) -> _Found:
    found = _SHOWN.fullmatch(shown) if isinstance(shown, bytes) else None
    try:
        client = checkMemberName(wordOf(name))
        since, connections, payload = found.groups() if found else (b"", b"", b"")
        return _Found(client, splitMember(payload, client), int(connections), float(since))
    except (BadReply, ValueError) as error:
        raise NotOurs("member", str(error)) from None
