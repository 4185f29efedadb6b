"""
Who is in a channel: what a node says of its readers, and what a bus tells of the
members.

A I{member} of a channel is a client with a name.  It is there while a reader of it has
the channel's name, on any node; and for a I{grace} after the last one has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from comet.errors import BadRequest
from comet.model.channels import MAX_NAME_BYTES
from comet.model.cursors import Cursor

# What a channel's name begins with on which the changes of another one are told.
PREFIX: Final = "$presence/"

# The events of such a channel.
JOIN: Final = "join"
LEAVE: Final = "leave"
UPDATE: Final = "update"

# How many holdings a bus takes in one step: a shared store does nothing else
# meanwhile.
MOST_TOGETHER: Final = 100


@frozen
class MemberBounds:
    """
    How many members there may be.  A client for which there is no room reads, and is no
    member.

    @ivar each: How many members a channel may have.

    @ivar inAll: How many all channels together may have.
    """

    each: int = 250_000
    inAll: int = 1_000_000


# How many members one page has at most.
MOST_LISTED: Final = 1000

# After how many bytes of what is shown of its members a page ends.
MOST_LISTED_BYTES: Final = 1024 * 1024


def presenceChannel(channel: str) -> str:
    """
    Return the channel that tells of the members of another one; empty if its name
    would be too long: then no presence is kept of the other one.
    """
    name = PREFIX + channel
    return name if len(name.encode()) <= MAX_NAME_BYTES else ""


@frozen
class Holding:
    """
    What one node has of one client in one channel, from now on.

    @ivar channel: The channel, of which L{presenceChannel} is not empty.

    @ivar client: The name of the client; empty for all readers together that have
        none.

    @ivar connections: How many readers of the client have the channel's name on this
        node; 0 to L{MOST_CONNECTIONS}.

    @ivar info: What others are shown of the client, as
        L{comet.framing.strictjson.encode} writes it; or L{None}.

    @ivar isTaken: Whether a reader has taken the name since the node spoke of this
        client last.  Only then C{info} counts for a client that is a member already;
        and a client that has ended again by now becomes one, for the grace.

    @ivar grace: For how many seconds the client stays a member once no node has a
        reader of it.  0 ends that at once.  A node without a reader does not change what
        others say that have one.
    """

    channel: str
    client: str
    connections: int
    info: bytes | None = None
    isTaken: bool = False
    grace: float = 0.0


# How many readers of one client a node may count in one channel.
MOST_CONNECTIONS: Final = 2**31 - 1


@frozen
class Member:
    """
    One member of a channel.

    @ivar client: The name of the client.

    @ivar info: What is shown of it, as JSON; or L{None}.

    @ivar connections: How many readers of it have the channel's name, on all nodes; 0
        in the grace.

    @ivar since: When it has come, in seconds since 1970.
    """

    client: str
    info: bytes | None
    connections: int
    since: float


@frozen
class MemberPage:
    """
    Members of a channel at one moment.

    @ivar cursor: The end of the log at this moment: what
        L{presenceChannel} has after it is not in the page, and all before it is.

    @ivar changed: The position of the last message of L{presenceChannel}, or 0 if none
        is known.

    @ivar count: How many members the channel has.

    @ivar anonymous: How many readers without a client name have the channel's name, on
        all nodes.

    @ivar members: The members that were asked for, in the order in which they have
        come; fewer once they have L{MOST_LISTED_BYTES}.

    @ivar more: Whether others have come after these.
    """

    cursor: Cursor
    changed: int
    count: int
    anonymous: int
    members: Sequence[Member] = ()
    more: bool = False


def goneMember(client: str) -> BadRequest:
    """
    Make the error for a page that begins after a client that is no member.
    """
    return BadRequest(f"{client[:64]!r} is no member any more: begin with the first page again")
