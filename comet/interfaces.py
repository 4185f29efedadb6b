"""
The promises between the parts of the house, in words.

A L{bus<IMessageBus>} keeps the log; a L{listener<IBusListener>} hears what is
stored in it; a L{receiver<IReceiver>} is how an application reads; a
L{sink<ISink>} takes the bytes for one client; L{access<IAccess>} says who may
do what.  All of them are called from the reactor's thread only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from comet.model.cursors import Cursor
from comet.model.messages import Close, Message, Publication, Published
from comet.model.positions import ReadResult, ResolvedStarts, StartPosition

if TYPE_CHECKING:
    from socket import socket

    from twisted.internet.interfaces import IReactorTime

    from comet.configuration import Configuration
    from comet.model.clients import Client


class IBusListener(Interface):
    """
    Hears what is stored.  None of its methods may raise, and all return at
    once; they may call the bus.
    """

    def messagesStored(messages: Sequence[Message]) -> None:
        """
        These were stored, in this order, after all that was heard before.  At
        least those of the names that are listened to are heard, each once,
        and perhaps others.
        """

    def endMoved(end: Cursor) -> None:
        """
        Everything up to this cursor, in the names that are listened to, has
        been heard.
        """

    def interrupted() -> None:
        """
        From now on everything is heard again, but something before may have
        been missed, or a new epoch has begun: read again from where each
        reader stands.
        """


class IMessageBus(Interface):
    """
    Keeps a bounded log of messages for each channel, under positions that are
    common to all channels.

    No method blocks the reactor.  What is given back is not changed later by
    either side.

    Of one bus these hold together, also where it works elsewhere and answers
    later:

      - L{end} is of an answer's epoch before that answer fires.
      - What is read after a message was heard reaches that message at least,
        and what is read after C{listen} has fired reaches all that was stored
        before.
      - C{endMoved} may tell of a head that is older than L{end}; it never
        goes back within an epoch.
    """

    isAvailable: bool = Attribute(
        """Whether a message can be stored, as far as is known without trying."""
    )

    end: Cursor = Attribute(
        """
        The position of the newest message that is known to be stored, in the
        epoch of now.
        """
    )

    def start() -> Deferred[None]:
        """
        Make ready.  Called once, before anything else.

        @return: Fires when the bus can be used; fails with
            L{CometError<comet.errors.CometError>} when it never will, with
            what a person can do about it.
        """

    def stop() -> Deferred[None]:
        """
        Let go of everything.  Called once, after everything else.
        """

    def publish(publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store all of these messages, in order, or none.

        For five minutes, a key that comes again from the same publisher to the
        same channels stores nothing and is answered as it was at first; while
        the first is under way, the second waits for it.

        @return: Fires with an answer for each publication once all are stored,
            and the listeners of this bus have heard what they hear of them.
            Fails with L{Unavailable<comet.errors.Unavailable>} if nothing was
            stored; with L{Unknown<comet.errors.Unknown>} if that cannot be
            known; with L{KeyReused<comet.errors.KeyReused>} if a key comes
            with another message than before, and nothing was stored.
        """

    def forget(channel: str) -> Deferred[None]:
        """
        Drop what is held of a channel: its floor rises to its newest message.
        """

    def resolve(names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        Find where each of some names (channels or patterns) begins, all at one
        moment.

        A cursor of another epoch, or beyond the head, or unreadable, begins
        before the oldest message that is held of its name, with a gap; C{now},
        C{earliest} and the last few have none.
        """

    def read(
        names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        Read the log of some names (channels or patterns).

        @param limit: How many messages at most, at least 1.

        @param maxBytes: After how many bytes of payload to end early; one
            message is read in any case.

        @param upTo: The last position to read, or L{None} for the head.
        """

    def listen(listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        Let a listener hear some names (channels or patterns), besides those
        that it hears.

        @return: Fires once it is effective: every message that is stored from
            then on will be heard.  Fails with
            L{Unavailable<comet.errors.Unavailable>}.
        """

    def unlisten(listener: IBusListener, names: Iterable[str]) -> None:
        """
        End what L{listen} began for these names.
        """


class IBusMaker(Interface):
    """
    Makes buses of one kind: a plugin of Twisted's, in C{twisted.plugins}, adds
    it to what C{--bus} understands.  Such a plugin provides
    L{IPlugin<twisted.plugin.IPlugin>}, too.
    """

    scheme: str = Attribute("""What the URLs of such buses begin with, before the colon.""")

    isShared: bool = Attribute(
        """
        Whether several processes may use what one URL names, and each hears
        what is published through the others.  Where a maker does not say, they
        may not.
        """
    )

    def makeBus(url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        Make a bus, without connecting to anything.

        @raise ConfigurationError: If the URL is not one.
        """


class ISink(Interface):
    """
    Takes the bytes for one client, in order.

    It is I{ready}, or I{behind} while bytes that were written wait in memory
    because the client does not take them.
    """

    def attach(owner: ISinkOwner) -> None:
        """
        Say who is to be told.  Called once, before anything is written.
        """

    def write(data: bytes) -> bool:
        """
        Take all of the data.

        @return: Whether the sink is ready; if not, the owner is told when it
            is ready again.  Never calls the owner before it has returned.
        """

    def finish() -> None:
        """
        Close the connection once all that was written is sent.
        """

    def abort() -> None:
        """
        Close the connection now, whatever is unsent.
        """


class IDirectSink(ISink):
    """
    A sink over a socket of which it keeps nothing back: while it is ready,
    others may send to the socket.
    """

    direct: socket | None = Attribute(
        """
        The socket, which does not block; L{None} if what is sent has to be
        counted for this client alone.
        """
    )

    def sent(count: int) -> None:
        """
        Somebody else has sent so many bytes, or given them to L{keep}: to this
        client and to others that are counted in the same place.
        """

    def keep(rest: bytes) -> None:
        """
        The socket did not take this; the sink is behind from now on.
        """


class ISinkOwner(Interface):
    """
    Whoever writes to a sink.
    """

    def sinkReady() -> None:
        """
        The sink was behind, and is ready.
        """

    def sinkLost() -> None:
        """
        The client is gone.  Said once, and nothing after it.
        """


class IReceiver(Interface):
    """
    How an application reads: given to L{Hub.subscribe<comet.hub.Hub.subscribe>}.

    What it raises is logged, and loses nothing.  It may publish, pause, change
    its names and unsubscribe from within any of these calls.
    """

    def messageReceived(message: Message, replay: bool) -> None:
        """
        A message of one of the names, each once, in the order of positions.

        @param replay: Whether it is older than where the reader stood: brought
            to a name that begins behind the others, and not to be taken as
            progress of the reader.
        """

    def gapFound(cursor: Cursor, names: Sequence[str]) -> None:
        """
        These names lost messages after this cursor; what is held follows.
        """

    def subscriptionClosed(close: Close) -> None:
        """
        The server ended the subscription.  Nothing comes after this.
        """


class IAccess(Interface):
    """
    Who may do what.  Each method returns, or raises
    L{Unauthorized<comet.errors.Unauthorized>} or
    L{Forbidden<comet.errors.Forbidden>}.
    """

    def identify(authorization: str | None) -> Client:
        """
        Tell who asks, by the value of the header C{Authorization}; without
        one it is somebody anonymous, with a bad one nobody.
        """

    def checkSubscribe(client: Client, name: str) -> None:
        """
        May they read this channel or pattern?
        """

    def checkPublish(client: Client, channel: str) -> None:
        """
        May they publish to this channel?
        """

    def checkDelete(client: Client, channel: str) -> None:
        """
        May they make this channel forget its messages?
        """
