"""
What the parts of comet promise one another.

A L{bus<IMessageBus>} keeps the log.  A L{listener<IBusListener>} hears what the
bus stores.  A L{receiver<IReceiver>} is how an application reads.  A
L{sink<ISink>} takes the bytes for one client.  L{Access<IAccess>} decides what
a client may do, and L{hooks<IHooks>} have a say in what it does.  All methods are
called from the reactor's thread only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from comet.model.cursors import Cursor
from comet.model.held import Held
from comet.model.log import Retention
from comet.model.messages import Close, Message, Publication, Published
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition
from comet.model.presence import Holding, MemberPage
from comet.model.state import StateEntry, StatePage

if TYPE_CHECKING:
    from socket import socket

    from twisted.internet.interfaces import IReactorTime

    from comet.http.credentials import Credential, Credentials
    from comet.model.clients import Client
    from comet.model.hookanswers import Allowed, Rewritten
    from comet.settings.configuration import Configuration

# What becomes of a request to publish: the answer to each of its publications, or
# why none is stored.
Outcome: TypeAlias = Sequence[Published] | Exception


class IBusListener(Interface):
    """
    Hears what a bus stores.

    No method may raise, and none may block.  Each may call the bus: what the
    bus tells because of such a call is heard only after the present call has
    returned.
    """

    def messagesStored(messages: Sequence[Message]) -> None:
        """
        The bus has stored these messages, in this order, after every message
        that this listener heard before.

        The messages of the names that are listened to are all heard, each once.
        Messages of other names may be among them.
        """

    def endMoved(end: Cursor) -> None:
        """
        The listener has heard everything up to this cursor in the names that it
        listens to.
        """

    def interrupted() -> None:
        """
        The listener may have missed messages, or a new epoch has begun.

        From now on it hears everything again.  What it missed has to be read
        from the log, from the position of each reader.
        """


class IMessageBus(Interface):
    """
    Keeps a bounded log of messages for each channel.  Positions are common to
    all channels.

    No method blocks the reactor.  Neither the bus nor its caller changes an
    argument or a result later.

    The bus keeps these promises also if it works elsewhere and answers later:

      - L{end} is in the epoch of an answer before that answer fires.
      - A read that begins after a message was heard reaches that message.  A
        read that begins after C{listen} has fired reaches everything that was
        stored before.
      - C{endMoved} may tell of a log end that is older than L{end}.  It never
        goes back within an epoch.

    A bus that bounds what it holds in all drops the oldest messages first.  The
    server's own channels (L{isReserved<comet.model.channels.isReserved>}) are apart
    from all others: they lose nothing to these while they take no more than a quarter
    of the total.  Above that they lose their own oldest messages first.
    """

    isAvailable: bool = Attribute(
        """Whether a message can be stored, as far as the bus knows without trying."""
    )

    end: Cursor = Attribute(
        """
        The cursor of the newest message that is known to be stored, in the
        present epoch.
        """
    )

    def start() -> Deferred[None]:
        """
        Make the bus ready.  Called once, before every other method.

        @return: Fires when the bus can be used.  Fails with
            L{CometError<comet.errors.CometError>} if it never will be; the
            error says what the operator can do about it.
        """

    def stop() -> Deferred[None]:
        """
        Release all resources.  Called once, after every other method.
        """

    def publish(publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store all of these publications, in order, or none of them.

        A key is known for five minutes.  If it comes again from the same
        publisher to the same channels, nothing is stored, and the answer is the
        one of the first time.  While the first publication is under way, the
        second waits for it.

        Each publisher has a budget for its keys, and all publishers have one
        together (see L{KeyBudget<comet.bus.idempotency.KeyBudget>}).  A
        publisher with too many loses its oldest keys early; the keys of a
        publisher that takes less than an equal share of all are never forgotten
        for those of others.

        @return: Fires with an answer for each publication, once all are stored
            and the listeners of this bus have heard of them.  Fails with
            L{Unavailable<comet.errors.Unavailable>} if nothing was stored; with
            L{Unknown<comet.errors.Unknown>} if the bus cannot know whether it
            was; with L{KeyReused<comet.errors.KeyReused>} if a key came before
            with another message, and then nothing was stored.
        """

    def forget(channel: str) -> Deferred[None]:
        """
        Drop all messages that are held of a channel.  Its floor rises to its
        newest message.

        @return: Fires when the messages are dropped.  Fails with
            L{Unavailable<comet.errors.Unavailable>}.
        """

    def resolve(names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        Find where each of some names begins, all at the same moment.

        C{now}, C{earliest} and the last few messages begin without a gap.  A
        cursor that is of another epoch, or beyond the log end, or unreadable,
        begins before the oldest message that is held of its name, with a gap.
        The last few messages are told of at most 1,000 channels, named ones and
        then those with the newest messages; all others begin at the log end.

        @param names: The start position of each channel or pattern.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """

    def read(
        names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        Read the log of some names, in the order of positions.

        A read that would take long for the bus may end earlier than asked, even
        without a message: then it tells how far it came, that there is more, and
        that this is a part.

        @param names: Channels or patterns.  A message that several of them
            match is read once.

        @param after: The cursor after which to begin.

        @param limit: How many messages to read at most; at least 1.

        @param maxBytes: After how many bytes of payload to stop.  One message
            is read even if it has more.

        @param upTo: The last position to read, or L{None} for the log end.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """

    def history(
        channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        Read the newest messages of a channel before a cursor.  It costs as much as
        it reads, however many messages or channels there are.

        Nothing is known of what was before a cursor of another epoch, or one beyond
        the log end: then no message is read, and it is a gap.

        A page that would take long for the bus may end earlier than asked, with a message
        at least: then it says that this is a part.

        @param before: The cursor; the message that it is of is not read.  L{None}
            for the log end, with the newest message.

        @param limit: How many messages to read at most; at least 1.

        @param maxBytes: After how many bytes of payload to stop.  One message is
            read even if it has more.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """

    def listen(listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        Let a listener hear some names (channels or patterns), in addition to
        those that it hears already.

        @return: Fires once the bus listens: the listener will hear every
            message that is stored from then on.  Fails with
            L{Unavailable<comet.errors.Unavailable>}, or with
            L{Forbidden<comet.errors.Forbidden>} if the bus may not listen to
            one of the names and asking again changes nothing; then the listener
            does not hear these names.
        """

    def unlisten(listener: IBusListener, names: Iterable[str]) -> None:
        """
        Stop telling a listener of these names.  Names that it does not listen
        to are ignored.
        """


class IBurstBus(IMessageBus):
    """
    Stores several requests in one step, at less than the cost of each alone: what
    has arrived in one turn of the reactor is stored so.  A bus that joins by itself
    what is published in a moment need not provide this.

    A subclass that overrides C{publish} overrides C{publishBurst}, too, or it is not
    called.
    """

    def publishBurst(requests: Sequence[Sequence[Publication]]) -> Deferred[Sequence[Outcome]]:
        """
        Store the publications of several requests.  Each request is stored as by
        C{publish}, as a whole or not at all, after those before it, and whatever
        becomes of these.

        @return: Fires with the outcome of each request, in their order, once all are
            stored and the listeners of this bus have heard of them: the answers to its
            publications, or what C{publish} would fail with.  Fails with
            L{Unavailable<comet.errors.Unavailable>} if nothing of all was stored, and
            with L{Unknown<comet.errors.Unknown>} if the bus cannot know whether it was.
        """


class IConfigurableBus(IMessageBus):
    """
    Takes other bounds for its log while it runs.  Without this, a server has to be
    restarted when they are to change.
    """

    def configure(
        retention: Callable[[str], Retention], totalBytes: int, settings: Mapping[str, str]
    ) -> None:
        """
        Hold messages by other bounds from now on.  Channels that have messages
        follow them from their next message on at the latest.  What is then too much
        is a gap like any other; nothing that was dropped comes back.

        It does not fail, and may be called before the bus starts.

        @param retention: Returns how much to hold of a channel, given its name.
            Called from any thread.

        @param totalBytes: How many bytes to hold in all.

        @param settings: The values of other options that all nodes with one bus
            should have in common, by name.
        """


class IMeasuredBus(IMessageBus):
    """
    Tells how much it holds, for those who watch the server.
    """

    def measure() -> Deferred[Held]:
        """
        Tell how much the bus holds, of all nodes.  It must not keep publishers and readers
        waiting: it is asked every few seconds.

        @return: Fails with a L{CometError<comet.errors.CometError>} if that is not known.
        """


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


class IStateBus(IMessageBus):
    """
    Keeps state beside the log: values by their keys, in tables.  Each table is of one
    reserved channel, on which every change is told.  What is revoked is kept so.

    The state is no part of the log: retention, eviction, C{forget} and a new epoch leave
    it as it is.  It lasts as long as the log can at best: with a file, over restarts.

    A change and the message that tells of it are stored in one step, both or neither.  So
    one reads the state, then the channel from the cursor of what was read, and knows
    every change.
    """

    def putState(
        change: Publication, key: str, seconds: float | None, most: int
    ) -> Deferred[StateEntry]:
        """
        Keep the payload of a publication under a key, in place of what was there, and
        store the publication.

        @param change: Has one channel, whose table is meant.  Its idempotency key is
            ignored: to put the same again changes nothing.

        @param key: 1 to 128 printable ASCII characters, none a space.

        @param seconds: For how long to keep it, or L{None} for until it is dropped.  Then
            it goes without a message.

        @param most: How many entries the table may have with this one.

        @return: Fires once it is stored and the listeners of this bus have heard of it.
            Fails with L{TooMany<comet.errors.TooMany>} if the table is full, and with
            L{Unavailable<comet.errors.Unavailable>}: nothing is changed then.  Fails
            with L{Unknown<comet.errors.Unknown>} as C{publish} does.
        """

    def dropState(change: Publication, key: str) -> Deferred[bool]:
        """
        Take out what is kept under a key, and store a publication that tells of it.

        @return: Fires with whether there was something; if not, nothing is stored.
            Fails as L{putState} does.
        """

    def readState(channel: str, after: str, limit: int) -> Deferred[StatePage]:
        """
        Read what is kept in a table, in the order of the keys.

        @param channel: The channel of the table.

        @param after: The key after which to begin; empty for the first.

        @param limit: How many entries to read at most; at least 1.

        @return: Fires with the page.  An entry that cannot be read is not left out without
            a word: its key is in L{StatePage.unreadable
            <comet.model.state.StatePage>}.  Fails with
            L{Unavailable<comet.errors.Unavailable>}.
        """


class INodesBus(IMessageBus):
    """
    Carries messages between several nodes, and knows how many there are.
    """

    def countListening(channel: str) -> Deferred[int]:
        """
        Count the nodes that listen to a channel.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """


class IBusMaker(Interface):
    """
    Makes buses of one kind.  A Twisted plugin in C{twisted.plugins} that
    provides this interface, and L{IPlugin<twisted.plugin.IPlugin>}, adds its
    scheme to those that C{--bus} accepts.
    """

    scheme: str = Attribute("""The scheme of the URLs of such buses, without the colon.""")

    isShared: bool = Attribute(
        """
        Whether several processes may share the bus that one URL names, so that
        each hears what the others publish.  A maker without this attribute
        makes buses that may not be shared.
        """
    )

    def makeBus(url: str, reactor: IReactorTime, configuration: Configuration) -> IMessageBus:
        """
        Make a bus, without connecting to anything.

        @raise ConfigurationError: If the URL is not valid.
        """


class ISink(Interface):
    """
    Takes the bytes for one client, in order.

    A sink is I{ready}, or I{behind} while written bytes wait in memory because
    the client does not take them.
    """

    def attach(owner: ISinkOwner) -> None:
        """
        Set the owner, which the sink tells of its changes.  Called once, before
        the first write.
        """

    def write(data: bytes) -> bool:
        """
        Take all of the data.

        @return: Whether the sink is ready.  If it is not, it tells its owner
            when it is ready again.  It never calls the owner before this method
            has returned.
        """

    def stalled(isStalled: bool) -> None:
        """
        The client has taken nothing for a while, or takes what is written again.
        The sink cuts the connection of a client that has vanished; one whose
        program only does not read is left to the owner.

        @param isStalled: Whether it takes nothing.  This is told again and again
            for as long as it is so, and once when it is over.
        """

    def finish() -> None:
        """
        Close the connection once all written bytes are sent.
        """

    def abort() -> None:
        """
        Close the connection now, and discard unsent bytes.
        """


class IDirectSink(ISink):
    """
    A sink over a socket that holds no bytes back: while it is ready, other code
    may send to the socket directly.
    """

    direct: socket | None = Attribute(
        """
        The non-blocking socket, or L{None} if the bytes that are sent have to
        be counted for this client alone.
        """
    )

    def sent(count: int) -> None:
        """
        Count bytes that other code has sent to the socket, or has given to
        L{keep}.

        @param count: The bytes sent to this client and to others that are
            counted in the same place.
        """

    def keep(rest: bytes | memoryview) -> None:
        """
        Keep bytes that the socket did not take.  The sink is behind from now
        on.
        """


class ISinkOwner(Interface):
    """
    Writes to a sink, and is told of its changes.
    """

    def sinkReady() -> None:
        """
        The sink was behind, and is ready again.
        """

    def sinkLost() -> None:
        """
        The client is gone.  Called once; the sink calls nothing after it.
        """

    def inputEnded() -> None:
        """
        The client has closed its writing side.  What it sent before was received.
        It may read on, or may have left: only writing to it tells.
        """


class IReceiver(Interface):
    """
    Reads messages for an application: see
    L{Hub.subscribe<comet.hub.hub.Hub.subscribe>}.

    An exception from any method is logged, and no message is lost because of
    it.  From within any method, the receiver may publish, pause, change its
    names and unsubscribe.

    The methods are no coroutine functions: nothing would wait for them.
    """

    def subscriptionOpened(subscription: Any) -> None:
        """
        The subscription has begun.  Called once, before every other method.

        @param subscription: The L{Subscription<comet.fanout.application.Subscription>}
            that L{Hub.subscribe<comet.hub.hub.Hub.subscribe>} fires with afterwards.
        """

    def messageReceived(message: Message, replay: bool) -> None:
        """
        A message of one of the names has arrived.  Each comes once, in the
        order of positions.

        @param replay: Whether the message is older than the reader's position:
            it is for a name that began behind the others.  The receiver must
            not take its cursor as its own progress.
        """

    def gapFound(cursor: Cursor, names: Sequence[str]) -> None:
        """
        These names lost messages after this cursor.  The messages that are
        still held follow.
        """

    def subscriptionClosed(close: Close) -> None:
        """
        The server has ended the subscription.  No other call follows.
        """


class IAccess(Interface):
    """
    Finds out which client sends a request, and decides what it may do.

    Each check returns if the client has the right, and raises
    L{Unauthorized<comet.errors.Unauthorized>} or
    L{Forbidden<comet.errors.Forbidden>} if not.  It is called for each request,
    command and message, and must not take long.
    """

    def identify(credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Find out which client sends a request.  Called for each request, for each
        WebSocket when it opens, and for each connection of raw TCP at its first
        line.

        A request with a body may be asked about when its head has come.  A reader
        that is refused on the lean edge may be asked about twice.

        @return: The client, or a Deferred or coroutine of it.  Only the client
            that asks waits then; if it leaves, or does not get an answer within
            the hub's C{identifySeconds}, the Deferred is cancelled.  Without a
            credential, L{ANONYMOUS<comet.model.clients.ANONYMOUS>}.

        @raise Unauthorized: If the credential is not valid.  Such a client must
            not count as anonymous.

        @raise CometError: If the request is refused for another reason.  Any
            other exception is logged, and the client is told of an internal error.
        """

    def checkSubscribe(client: Client, name: str) -> None:
        """
        Check that the client may read a channel or pattern.
        """

    def checkPublish(client: Client, channel: str) -> None:
        """
        Check that the client may publish to a channel.
        """

    def checkDelete(client: Client, channel: str) -> None:
        """
        Check that the client may delete the messages of a channel.
        """


class ICredentialAccess(IAccess):
    """
    Knows clients by their credential alone, at once.

    Where C{identify} is not overridden below C{clientOf}, only C{clientOf} is
    called, which is cheaper: nothing else of a request is read.  Where it is
    overridden, C{clientOf} still tells which requests for an unknown host have the
    publish key.
    """

    def clientOf(credential: Credential | None) -> Client | None:
        """
        Return the client that has a credential, or L{None} if that cannot be told by
        the credential alone, or not at once: then C{identify} is called.

        @param credential: L{None} if the request has none.

        @raise Unauthorized: If the credential is not valid.
        """


class IPublisherAccess(IAccess):
    """
    Knows also which clients may publish nowhere.  Such a client is refused
    before the server takes the body of its request.

    A subclass that overrides C{checkPublish} overrides C{checkPublisher}, too,
    or it is not asked.
    """

    def checkPublisher(client: Client) -> None:
        """
        Check that there may be a channel to which the client may publish.
        """


class IHooks(Interface):
    """
    Has a say in what clients do that have the right to: see
    L{Hub.useHooks<comet.hub.hub.Hub.useHooks>}.  A backend that is asked by webhooks is one
    provider of it.

    Each method returns its answer, or a Deferred or coroutine of it.  Only what is asked
    about waits then, and what the same client publishes to the same channel behind it.
    An answer that takes longer than the hub's C{identifySeconds} is
    L{Unavailable<comet.errors.Unavailable>}, and the Deferred is cancelled; also when it is
    seen that the client has left which wanted to read, or to call.

    A method refuses with any L{CometError<comet.errors.CometError>}.  Any other exception
    is logged, and the client is told of an internal error.  What an answer changes is
    checked as if the client had said it; what is not allowed is logged, and the client is
    told C{unavailable}.

    What a client does with a publish key or the admin key is not asked about, but for
    calls.
    """

    def subscribe(
        client: Client, names: Sequence[str]
    ) -> Allowed | Awaitable[Allowed | None] | None:
        """
        Decide whether a client may read channels and patterns.  What is allowed a client
        with a name is remembered for a while, by that name, so that polls and reconnects
        do not ask again.

        @param names: Those that the hub is told to ask about; at least one.

        @return: L{None} to let it be, which is remembered for 60 seconds.  All of them may
            be read, or none.
        """

    def publish(
        client: Client, publication: Publication
    ) -> Rewritten | Awaitable[Rewritten | None] | None:
        """
        Decide whether a message is stored, and how.  Each message of a request, and each of
        its channels, is asked about, all before the first is stored.  If one is refused,
        nothing of the request is stored.

        A message that comes again with its idempotency key is not asked about if it was
        stored.

        @param publication: The message, with one channel.

        @return: L{None} to let it be.
        """

    def call(client: Client, method: str, data: Any) -> Any:
        """
        Answer a client's call.

        @param method: A name that the client has chosen, in the form of a channel's.

        @param data: A value of JSON, or L{bytes}.

        @return: A value of JSON, or L{bytes}; or a Deferred or coroutine of it.

        @raise NotFound: If there is no such method.
        """
