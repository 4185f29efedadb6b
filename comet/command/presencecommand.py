"""
C{comet presence}: who is in a channel?
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from comet.command.console import dim, printable, show, showJSON, strong
from comet.command.serveroptions import connect, failures, serverOptions

if TYPE_CHECKING:
    from comet.client.blocking import Member, Presence


@click.command("presence", short_help="Print who is in a channel.")
@serverOptions
@click.argument("name")
@click.option("--json", "isJSON", is_flag=True, help="Print one line of JSON, for programs.")
def presenceCommand(name: str, isJSON: bool, **server: Any) -> None:
    """
    Print the members of a channel, in the order of their coming, 1,000 at most.
    """
    client = connect(**server)
    with failures(), client:
        presence = client.presence(name)
    if isJSON:
        showJSON(_asJSON(presence))
        return
    for line in _lines(presence):
        show(line)


def _asJSON(presence: Presence) -> dict[str, Any]:
    return {
        "cursor": presence.cursor,
        "count": presence.count,
        "anonymous": presence.anonymous,
        "members": [_member(each) for each in presence.members],
        "more": presence.more,
    }


def _member(member: Member) -> dict[str, Any]:
    shown = {"client": member.client, "info": member.info, "since": member.since}
    return {name: value for name, value in shown.items() if value is not None}


def _timeOf(seconds: float) -> str:
    """
    Return a time of the server's as text.
    """
    try:
        return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
    except (OverflowError, OSError, ValueError):
        # No calendar has it.
        return f"{seconds:g} s"


def _lines(presence: Presence) -> Iterator[str]:
    """
    Yield a line for each member, and one for all.
    """
    for member in presence.members:
        words = [strong(printable(member.client))]
        if member.info is not None:
            words.append(printable(json.dumps(member.info, ensure_ascii=False)))
        if member.since is not None:
            words.append(dim(f"since {_timeOf(member.since)}"))
        yield " ".join(words)
    members = "member" if presence.count == 1 else "members"
    more = f" ({presence.count - len(presence.members)} not listed)" if presence.more else ""
    yield f"{presence.count} {members}{more}, {presence.anonymous} anonymous"
