"""
What a bus promises that knows the members of channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from comet.interfaces.messagebus import IMessageBus
from comet.model.presence import Holding, MemberPage


class IPresence(IMessageBus):
    """
    Knows who is in which channel, as far as its nodes say.

    Each bus object that is started is one node.  What it says of its readers counts
    until it says otherwise, or is gone: once it has stopped or died, or was cut off
    for some seconds by the clock of the store, its readers have ended, and the grace
    of their clients begins.  Who was there before a restart of the whole bus is there
    for the grace.

    When a client becomes a member of a channel, leaves it or is shown anew, a message
    of L{presenceChannel<comet.model.presence.presenceChannel>} says so, with the event
    C{join}, C{leave} or C{update} and
    L{encodeMember<comet.framing.members.encodeMember>}.  It is stored in one step with
    the change itself.  Each C{join} is followed by one C{leave} before the next one,
    unless a new epoch begins, which may begin with no members.
    """

    def attachPresence(forgotten: Callable[[], None]) -> None:
        """
        Set what is called when nothing of what this node said counts any more, because
        it was cut off, or the store has lost it: the node has to say all of it anew.
        It may be called also where nothing was lost.

        @param forgotten: Called at any time, also while L{setPresence} is under way.
            What is said from then on counts.  It must not raise.
        """

    def setPresence(holdings: Sequence[Holding]) -> Deferred[Sequence[Holding]]:
        """
        Say what this node has of some clients, in order; all in one step.  To say the
        same again does no harm.

        @param holdings: At most L{MOST_TOGETHER<comet.model.presence.MOST_TOGETHER>}.

        @return: Fires once it is stored and the listeners of this bus have heard of it,
            with those that were refused, because there are too many members, of the
            channel or of all (L{MemberBounds<comet.model.presence.MemberBounds>}).
            Fails with L{Unavailable<comet.errors.Unavailable>} if nothing counts, and
            with L{Unknown<comet.errors.Unknown>} if the bus cannot know whether it
            does: then it has to be said again.
        """

    def membersOf(channel: str, after: str | None, limit: int) -> Deferred[MemberPage]:
        """
        Tell who is in a channel, in the order of their coming.

        @param after: The name of the member after which to begin, or L{None} for all.

        @param limit: How many members to tell of, from 0 to
            L{MOST_LISTED<comet.model.presence.MOST_LISTED>}.  Fewer are told of once they
            have L{MOST_LISTED_BYTES<comet.model.presence.MOST_LISTED_BYTES>}.

        @return: Fails with L{BadRequest<comet.errors.BadRequest>} if C{after} is no
            member, and with L{Unavailable<comet.errors.Unavailable>}.
        """
