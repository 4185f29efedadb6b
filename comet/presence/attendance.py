"""
The readers of this node, counted by client and channel, and told to the bus.

How it works
============

A reader is looked at when it has taken names, when it has lost some, when it becomes
another client's, and when it ends; never while messages are delivered.  Of each client
in each channel there is an L{Attendee} with the number of its readers.  One that has
changed is I{unsaid}; at the end of the turn all that is unsaid is told to the bus, as
numbers that are true at that moment, one request after the other.  So of readers that
come and go within a turn, as polls do, the bus is told once.

What could not be told stays unsaid, and is told again a moment later.  What the bus has
forgotten is unsaid, too.

Clients can name other channels with each poll, faster than a bus is told.  So of readers
without a name that have come and gone, the bus is not told; nor of others, while
L{MOST_UNSAID} are unsaid.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from comet.errors import CometError, Unavailable
from comet.fanout.application import ApplicationReader
from comet.framing.members import MOST_INFO, encodeInfo
from comet.interfaces.memberbus import IPresence
from comet.logging.clientlog import ClientLogger
from comet.model.clients import Client, checkClientName
from comet.model.presence import MOST_TOGETHER, Holding
from comet.presence.keptchannels import KeptChannels

# After how many seconds what could not be told to the bus is told again.
AGAIN: Final = 1.0

# How many are unsaid at most before those are left out that have come and gone.  A bus
# takes as many in about a second.
MOST_UNSAID: Final = 20_000

# A channel, and the name of a client, or '' for all that have none.
_Key = tuple[str, str]


class Attendee:
    """
    A client in a channel, on this node.

    @ivar connections: How many readers it has there.

    @ivar client: The client of the reader that took the name last.

    @ivar isKnown: Whether the bus was asked to take something of it.

    @ivar isTaken: Whether a reader has taken the name, and that is unsaid.

    @ivar isLeaving: Whether it has said that it leaves, and that is unsaid.
    """

    __slots__ = ("client", "connections", "isKnown", "isLeaving", "isTaken")

    def __init__(self) -> None:
        self.connections = 0
        self.client: Client | None = None
        self.isKnown = False
        self.isTaken = False
        self.isLeaving = False


def checkKeeps(bus: object) -> None:
    """
    Check that presence can be kept with a bus.

    @raise ValueError: If it does not know who is in a channel.
    """
    if not IPresence.providedBy(bus):
        raise ValueError(
            f"presence cannot be kept: {type(bus).__name__} does not know who is in a channel"
        )


class Attendance:
    """
    Counts the readers of this node, and tells the bus.
    """

    _log = ClientLogger()

    def __init__(
        self, bus: IPresence, clock: IReactorTime, kept: KeptChannels, grace: float
    ) -> None:
        """
        @param kept: Of which channels presence is kept.

        @param grace: For how many seconds a client stays a member once it has no reader.
        """
        self._bus = bus
        self._clock = clock
        self.kept = kept
        self._grace = grace
        # The name under which each reader is counted, and where; only of those that
        # have such a channel.
        self._readers: dict[Any, tuple[str, tuple[str, ...]]] = {}
        self._attendees: dict[_Key, Attendee] = {}
        # How many attendees with a name have a reader now.
        self._held = 0
        self._unsaid: dict[_Key, None] = {}
        self._call: IDelayedCall | None = None
        self._isSaying = False
        self._isStopped = False
        # What is shown of the client that was encoded last, which mostly is the next one's,
        # too: it has taken many channels.
        self._shown: tuple[Client | None, bytes | None] = (None, None)
        # How many requests the bus was sent, and what fires after which of them.
        self._sent = 0
        self._waiting: deque[tuple[int, Deferred[None]]] = deque()

    # -- What is counted

    @property
    def members(self) -> int:
        """
        How many clients, of those with a name, readers of this node make members: one in
        ten channels counts ten times.
        """
        return self._held

    def channelsOf(self, names: Sequence[str]) -> tuple[str, ...]:
        """
        Return the channels in which a reader of some names is counted.
        """
        return self.kept.of(names)

    def nameOf(self, client: Client) -> str:
        """
        Return the name under which a client is a member; empty if it is none.
        """
        try:
            return checkClientName(client.name)
        except ValueError:
            return ""

    # -- Readers

    def namesChanged(self, reader: Any) -> None:
        """
        A reader has taken names, or lost some.  The application's own are not counted.
        """
        if not isinstance(reader, ApplicationReader) or reader.isCounted:
            names = self.channelsOf(reader.progress.names)
            self._count(reader, self.nameOf(reader.client), names)

    def clientChanged(self, reader: Any) -> None:
        """
        A reader is another client's from now on.
        """
        counted = self._readers.get(reader)
        if counted is None:
            return
        before, channels = counted
        name = self.nameOf(reader.client)
        self._count(reader, name, channels)
        if name and name == before:
            # Others may be shown something else of it.
            for channel in channels:
                attendee = self._attendee(channel, name)
                attendee.client, attendee.isTaken = reader.client, True

    def readerEnded(self, reader: Any) -> None:
        """
        A reader is closed.
        """
        if reader in self._readers:
            self._count(reader, "", ())

    def _count(self, reader: Any, name: str, channels: tuple[str, ...]) -> None:
        before, held = self._readers.get(reader, ("", ()))
        if (before, held) == (name, channels):
            return
        if channels:
            self._readers[reader] = name, channels
        else:
            self._readers.pop(reader, None)
        # A reader may have thousands of names, and take or lose one of them.
        kept = frozenset(held).intersection(channels) if before == name else frozenset()
        # What is taken comes first: a client does not end and begin again in between.
        for channel in channels:
            if channel not in kept:
                attendee = self._attendee(channel, name)
                attendee.connections += 1
                self._held += bool(name) and attendee.connections == 1
                attendee.isTaken = True
                attendee.isLeaving = False
                attendee.client = reader.client
        for channel in held:
            if channel not in kept:
                attendee = self._attendee(channel, before)
                attendee.connections -= 1
                self._held -= bool(before) and not attendee.connections
                if not (attendee.connections or attendee.isKnown):
                    self._hasPassed(channel, before)

    def _hasPassed(self, channel: str, name: str) -> None:
        """
        A client has come and gone, and the bus knows nothing of it.
        """
        if name and len(self._unsaid) > MOST_UNSAID:
            self._log.warn("clients come and go faster than the bus is told: some are not told")
        elif name:
            return
        del self._attendees[channel, name], self._unsaid[channel, name]

    def _attendee(self, channel: str, name: str) -> Attendee:
        """
        Return the attendee that changes now.
        """
        key = channel, name
        attendee = self._attendees.get(key)
        if attendee is None:
            attendee = self._attendees[key] = Attendee()
        self._unsaid[key] = None
        self._saySoon(0.0)
        return attendee

    def leave(self, client: Client, names: Sequence[str]) -> Deferred[None]:
        """
        End a client's membership of some channels at once, where it has no reader any
        more.

        @return: Fires once the bus knows it, and everything that was said before.  Fails
            with a L{CometError} if the bus cannot be told now; it is told later then, but
            for channels of which it was told already that no reader is left, if too much
            is unsaid.
        """
        name = self.nameOf(client)
        if not name:
            return self.said()
        for channel in self.channelsOf(names):
            if len(self._unsaid) > MOST_UNSAID and (channel, name) not in self._attendees:
                return fail(Unavailable("too many come and go: you leave once the grace is over"))
            attendee = self._attendee(channel, name)
            attendee.isLeaving = not attendee.connections
        return self.said()

    # -- Telling the bus

    def joined(self, client: Client, names: Sequence[str]) -> Deferred[None]:
        """
        Wait until a reader of a client that has taken some names makes it a member.  Its
        next command may come by another node, to which this one's members are those that
        the bus knows.

        @return: Fires once the bus knows the member, and also if it cannot be told now.
        """
        if not (self.nameOf(client) and self.channelsOf(names)):
            return succeed(None)
        return self.said().addErrback(lambda _: None)

    def said(self) -> Deferred[None]:
        """
        @return: Fires once the bus knows all that this node has to say now.  Fails with a
            L{CometError} if it cannot be told now.
        """
        if not self._unsaid and not self._isSaying:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        # What becomes unsaid later comes behind all that is.
        requests = -(-len(self._unsaid) // MOST_TOGETHER)
        self._waiting.append((self._sent + requests, waiting))
        return waiting

    def _saySoon(self, delay: float) -> None:
        if self._call is None and not self._isSaying and not self._isStopped:
            self._call = self._clock.callLater(delay, self._say)

    def _say(self) -> None:
        """
        Tell the bus some of what is unsaid.
        """
        self._call = None
        if not self._unsaid:
            self._tellWaiting()
            return
        keys = list(islice(self._unsaid, MOST_TOGETHER))
        for key in keys:
            del self._unsaid[key]
        self._isSaying = True
        self._sent += 1
        # What changes meanwhile is unsaid again.
        said = [self._takeHolding(*key) for key in keys]
        told = self._bus.setPresence(said)
        told.addCallbacks(self._wasSaid, self._notSaid, (said,), errbackArgs=(said,))

    def _takeHolding(self, channel: str, name: str) -> Holding:
        attendee = self._attendees[channel, name]
        info = self.infoOf(attendee) if name else None
        grace = 0.0 if attendee.isLeaving else self._grace
        holding = Holding(channel, name, attendee.connections, info, attendee.isTaken, grace)
        attendee.isTaken = attendee.isLeaving = False
        attendee.isKnown = True
        return holding

    def infoOf(self, attendee: Attendee) -> bytes | None:
        """
        Return what others are shown of an attendee.
        """
        client, shown = self._shown
        if attendee.client is not client:
            client = attendee.client
            shown = None if client is None else self._encodeInfo(client.info)
            self._shown = client, shown
        return shown

    def _encodeInfo(self, info: Any) -> bytes | None:
        try:
            encoded = encodeInfo(info)
        except CometError:
            self._log.warn("the info of a client is no value of JSON, and is not shown")
            return None
        if encoded is not None and len(encoded) > MOST_INFO:
            self._log.warn("the info of a client is too long, and is not shown")
            return None
        return encoded

    def _wasSaid(self, refused: Sequence[Holding], said: Sequence[Holding]) -> None:
        for each in refused:
            self._log.warn(
                "there is no room for a further member of {channel}: a client is not one",
                channel=each.channel,
            )
        for each in said:
            key = each.channel, each.client
            attendee = self._attendees.get(key)
            if attendee is not None and not attendee.connections and key not in self._unsaid:
                del self._attendees[key]
        self._isSaying = False
        if self._unsaid:
            self._saySoon(0.0)
        self._tellWaiting()

    def _tellWaiting(self) -> None:
        """
        Answer those that wait for what is said by now.
        """
        waiting = self._waiting
        # Thousands may wait while a crowd comes, and are in the order of their requests.
        while waiting and (not self._unsaid or waiting[0][0] <= self._sent):
            waiting.popleft()[1].callback(None)

    def _notSaid(self, failure: Failure, said: Sequence[Holding]) -> None:
        if not failure.check(CometError):
            self._log.failure("the bus failed to take who is there", failure)
        for each in said:
            key = each.channel, each.client
            attendee = self._attendees[key]
            attendee.isTaken = attendee.isTaken or each.isTaken
            isLeaving = bool(each.client) and not (each.grace or attendee.connections)
            attendee.isLeaving = attendee.isLeaving or (isLeaving and self._grace > 0)
            self._unsaid[key] = None
        self._isSaying = False
        self._saySoon(AGAIN)
        waiting, self._waiting = self._waiting, deque()
        for _, asked in waiting:
            asked.errback(failure)

    def forgotten(self) -> None:
        """
        The bus has forgotten what this node has said: see L{IPresence.attachPresence}.
        """
        self._unsaid.update(
            (key, None) for key, attendee in self._attendees.items() if attendee.connections
        )
        if self._unsaid:
            self._saySoon(0.0)

    # -- Changes, and the end

    def configure(self, kept: KeptChannels, grace: float, readers: Sequence[Any]) -> None:
        """
        Keep presence of other channels from now on.

        @param readers: All readers of this node.
        """
        self.kept = kept
        self._grace = grace
        for reader in readers:
            self.namesChanged(reader)

    def stop(self) -> None:
        """
        Tell the bus nothing more: it lets the grace of all clients begin.
        """
        self._isStopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
