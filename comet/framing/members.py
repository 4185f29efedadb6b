"""
Members of channels as JSON: what is told when one joins, leaves or is shown anew; and
the check of what a store has of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from comet.framing.stored import NotOurs, areStoredPayloads, checkStoredPayload, checkStoredTime
from comet.framing.strictjson import encode, encodeText
from comet.model.clients import checkClientName
from comet.model.presence import MOST_CONNECTIONS, Member, MemberPage

# How many bytes of info a member may have, as JSON with escapes, of which the longest
# stands for one byte.
MOST_INFO: Final = 6 * 4096
MOST_INFO_LEVELS: Final = 64


def encodeInfo(info: Any) -> bytes | None:
    """
    Encode what others are shown of a client.  Values that differ only in the order of
    keys are encoded alike: no update is told for them.

    @param info: A value of JSON; L{None} if nothing is shown.

    @raise BadMessage: If it is no value of JSON.
    """
    if info is None:
        return None
    encoded = encode(info, MOST_INFO_LEVELS)
    isNested = isinstance(info, (dict, list))
    return encode(_sorted(info), MOST_INFO_LEVELS) if isNested else encoded


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def encodeMember(client: str, info: bytes | None) -> bytes:
    """
    Write what a message about a member says of it.
    """
    shown = b"" if info is None else b',"info":' + info
    return b'{"client":%b%b}' % (encodeText(client), shown)


def readMember(client: Any, info: Any, connections: Any, since: Any) -> Member:
    """
    Make a member of what a store has of it, as strictly as if a client had sent it.

    @raise NotOurs: If a part could not come from comet.
    """
    return makeMember(checkMemberName(client), info, connections, since)


def makeMember(
    client: str, info: Any, connections: Any, since: Any, isInfoChecked: bool = False
) -> Member:
    """
    Do as L{readMember} does, where the name is checked already.

    @param isInfoChecked: Whether L{areInfos} has found it right.

    @raise NotOurs: If a part could not come from comet.
    """
    shown = info if isInfoChecked else _checkInfo(info)
    return Member(client, shown, _checkCount(connections), checkStoredTime(since))


def areInfos(infos: Sequence[bytes]) -> bool:
    """
    Check many infos at once, in a fraction of the time.

    @return: Whether none is wrong.  If not, each has to be checked by itself.
    """
    return all(len(info) <= MOST_INFO for info in infos) and areStoredPayloads(infos)


def checkMemberName(client: Any) -> str:
    """
    Check the name of a client that a store has.

    @raise NotOurs: If no member can have it.
    """
    try:
        return checkClientName(client)
    except ValueError as error:
        raise NotOurs("client", str(error)) from None


def _checkInfo(info: Any) -> bytes | None:
    if info is None:
        return None
    checked = checkStoredPayload(info)
    if len(checked) > MOST_INFO:
        raise NotOurs("info", f"it has {len(checked)} bytes; {MOST_INFO} are allowed")
    return checked


def splitMember(payload: bytes, client: str) -> bytes | None:
    """
    Return the info in what L{encodeMember} has written of a client.  It is not checked.

    @raise NotOurs: If what is around it was not written so.
    """
    start = encodeMember(client, None)[:-1]
    if not payload.startswith(start) or not payload.endswith(b"}"):
        raise NotOurs("member", f"{payload[:64]!r} is not what is told of {client[:64]!r}")
    rest = payload[len(start) : -1]
    if not rest:
        return None
    if not rest.startswith(b',"info":'):
        raise NotOurs("member", f"{payload[:64]!r} is not what is told of {client[:64]!r}")
    return rest.removeprefix(b',"info":')


def _checkCount(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= MOST_CONNECTIONS:
        raise NotOurs("connections", f"{value!r:.64} is not a number of connections")
    return value


def encodePage(page: MemberPage) -> bytes:
    """
    Write the answer to the question who is in a channel, as one line of JSON without its
    end.
    """
    members = b",".join(
        b'%b,"connections":%d,"since":%b}'
        % (
            encodeMember(each.client, each.info)[:-1],
            each.connections,
            repr(each.since).encode("ascii"),
        )
        for each in page.members
    )
    return b'{"cursor":"%b","count":%d,"anonymous":%d,"members":[%b]%b}' % (
        str(page.cursor).encode("ascii"),
        page.count,
        page.anonymous,
        members,
        b',"more":true' if page.more else b"",
    )
