"""
The hub: the one gate that every request passes, on every transport.  Who sends a request
and what it may do is in L{comet.hub.gate}, whom it reads for in L{comet.hub.readership}; here is
what is published, and what an application calls.

An application talks to it in plain Python::

    hub = Hub(MemoryBus(reactor), reactor)
    hub.publish("news", {"headline": "..."}).addCallback(print)
    hub.subscribe(["news", "chat/*"], "now", receiver)

and puts a L{CometResource<comet.web.resources.CometResource>} over it for clients
outside.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python import threadable
from twisted.python.failure import Failure

from comet.access.revocations import Revocation
from comet.errors import (
    BadRequest,
    CometError,
    NotFound,
    Unavailable,
)
from comet.fanout.application import ApplicationReader, Subscription, Where, readStartPositions
from comet.fanout.departures import LEAST, SPREAD, Departures, spanFor
from comet.fanout.iterator import Messages
from comet.fanout.reader import Reader
from comet.fanout.receivers import makeReceiver
from comet.fanout.unsent import POLL_BYTES
from comet.framing.orders import Order, readOrder
from comet.framing.publications import fromValue
from comet.hooks.callhook import CallHook
from comet.hooks.hookcounts import HookCounts
from comet.hooks.hookgate import HookGate
from comet.hooks.hooktable import HookTable
from comet.hooks.publishhook import PublishHook
from comet.http.forwarded import Proxies
from comet.http.origins import Origins
from comet.http.reads import DEFAULT_PAGE, MAX_LIMIT
from comet.hub.hubsettings import Settings
from comet.hub.readership import Readership
from comet.hub.siblings import Siblings
from comet.interfaces.access import IAccess
from comet.interfaces.hooks import IHooks
from comet.interfaces.messagebus import IMessageBus
from comet.interfaces.receiver import IReceiver
from comet.limits.capacity import PartialCommands, Uploads
from comet.limits.clientlimits import NOWHERE, Peer
from comet.metrics.traffic import Metrics
from comet.model.channels import parseChannel
from comet.model.clients import Client
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Close, Message, Publication, Published
from comet.model.positions import HistoryPage
from comet.nodes.asking import Nodes
from comet.nodes.figures import figuresOf
from comet.reactor.deferreds import gather
from comet.reactor.threads import checkThread

# How many seconds a reader has, that was sent away last, to take its last words
# before its connection is cut; and then to be closed.
LAST_MOMENT: Final = 1.0

# Why a server takes no clients: see L{Hub.whyNotReady}.
REASONS: Final = ("draining", "starting", "bus", "revocations")


class Hub(Readership):
    """
    Lets clients publish and read, within their rights and the settings.

    @ivar origins: The web pages and host names that are trusted.

    @ivar proxies: The proxies that are trusted; L{None} if there is none.

    @ivar hooks: What has a say in what clients do; L{None} if nothing has: see
        L{useHooks}.

    @ivar publishHook: Asks about messages; L{None} where none is asked about.

    @ivar callHook: Has calls answered; L{None} if nothing answers any.

    @ivar hookCounts: Counts what the backend and the application are asked.

    @ivar turns: Those that have input of their clients left.

    @ivar metrics: Counts what passes on each transport.

    @ivar tally: Counts messages and readers, and how long things take.

    @ivar nodes: Asks all nodes what an admin wants to see, and answers the others.

    @ivar uploads: Counts the bytes of bodies that are on their way.

    @ivar partialCommands: Counts the bytes of commands that have half come.

    @ivar siblings: The other workers of the server; L{None} where there are none.

    @ivar isStarting: Whether the server has not started yet.

    @ivar isLeaving: Whether the server will drain soon.  It takes everything
        until then, but is not ready.
    """

    _log = Logger()

    def __init__(
        self,
        bus: IMessageBus,
        clock: IReactorTime,
        settings: Settings | None = None,
        access: IAccess | None = None,
        origins: Origins | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        """
        @param clock: The reactor.

        @param access: By default only the application itself may publish, and
            every client may read.

        @param origins: By default the server is known by C{localhost} and IP
            addresses only, and its own pages alone are trusted.

        @param proxies: By default what proxies tell is not believed.
        """
        super().__init__(
            bus, clock, Settings() if settings is None else settings, access, self.subscribe
        )
        self.control.forgetting.append(self._forgetAllowed)
        self.origins = Origins() if origins is None else origins
        self.proxies = proxies
        self.hooks: IHooks | None = None
        self.publishHook: PublishHook | None = None
        self.callHook: CallHook | None = None
        self._hookGate: HookGate | None = None
        self.hookCounts = HookCounts()
        self.turns = self.fanout.turns
        self.metrics = Metrics()
        self.tally = self.fanout.tally
        self.nodes = Nodes(
            bus,
            self.control,
            self.fanout,
            self.subscribe,
            self.clock,
            lambda: figuresOf(self.fanout, self.metrics, self.whyNotReady),
        )
        self.uploads = Uploads(self.settings.uploadBytes, self.refusals)
        self.partialCommands = PartialCommands(self.settings.uploadBytes, self.refusals)
        self.siblings: Siblings | None = None
        self.isStarting = self.isLeaving = False

    # -- For applications

    def publish(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Deferred[Cursor]:
        """
        Publish to one or more channels, in the server's own name.

        @param data: A value that JSON can express, or L{bytes}.

        @param event: The name of the message's event.

        @param key: An idempotency key, which makes it safe to publish again
            after L{Unknown<comet.errors.Unknown>}.

        @return: Fires with the cursor of the message, or of the last one of
            several, once it is stored and was written to the readers.  Fails
            with a L{CometError} if nothing was stored, or with
            L{Unknown<comet.errors.Unknown>} if that cannot be known.

        @raise RuntimeError: If this is not the thread of the reactor; in another
            one, call L{publishFromThread}.
        """
        checkThread("hub.publish")

        def publish() -> Deferred[Sequence[Published]]:
            limits = self.settings.limits
            publication = fromValue(channels, data, limits, event, key, "server")
            answered: Deferred[Sequence[Published]] = Deferred()
            # Now: the application may look into the bus next.
            self.bursts.publish([publication], answered.callback, answered.errback)
            return answered

        return maybeDeferred(publish).addCallback(lambda answers: answers[0].cursor)

    def publishFromThread(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Cursor:
        """
        Publish as L{publish} does, from another thread than that of the reactor,
        and wait until the message is stored.

        @return: The cursor of the message, or of the last one of several.

        @raise CometError: If nothing was stored.

        @raise Unknown: If that cannot be known.

        @raise RuntimeError: If this is the thread of the reactor, which would wait
            for itself.
        """
        if threadable.isInIOThread():
            raise RuntimeError(
                "hub.publishFromThread was called in the thread of the reactor: call hub.publish"
            )
        # A program without threads need not load it.
        from twisted.internet.threads import blockingCallFromThread

        publish: Callable[..., Any] = self.publish
        reactor: Any = self.reactor
        cursor: Cursor = blockingCallFromThread(reactor, publish, channels, data, event, key)
        return cursor

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Where,
        receiver: IReceiver | Callable[[Message], object],
    ) -> Deferred[Subscription]:
        """
        Read channels and patterns, in the server's own name.

        @param since: The start position: C{"now"} or L{None}, C{"earliest"},
            C{"-3"}, a cursor; or a mapping of names to these.

        @param receiver: An L{IReceiver}, or a function that is called with each
            message; what a function is not told is logged.  May be called before this
            returns, if the reader starts at held messages.

        @return: Fires with the subscription once every message that is stored
            will be received.  Fails with a L{CometError}.

        @raise RuntimeError: If this is not the thread of the reactor.

        @raise TypeError: If the receiver is neither an L{IReceiver} nor a function, or
            a coroutine function; see L{messages}.
        """
        checkThread("hub.subscribe")
        receives = makeReceiver(receiver)

        def subscribe() -> Deferred[Subscription]:
            self.bursts.store()
            startPositions = readStartPositions(names, since)
            self._checkDraining()
            reader = ApplicationReader(self.fanout, receives)
            reader.subscription = subscription = Subscription(reader)
            opened = reader.open(startPositions)
            opened.addCallbacks(lambda _: subscription, self._notOpened, errbackArgs=(reader,))
            return opened

        return maybeDeferred(subscribe)

    def messages(self, names: str | Sequence[str], since: Where = None) -> Messages:
        """
        Read channels and patterns in a coroutine, in the server's own name::

            async for message in hub.messages("news"):
                print(message.data)

        @param since: As for L{subscribe}.
        """
        subscribe = partial(self.subscribe, names, since)
        reactor: Any = self.reactor
        later = getattr(reactor, "callFromThread", lambda call: call())
        return Messages(subscribe, later)

    def history(
        self, channel: str, before: str | Cursor | None = None, limit: int = DEFAULT_PAGE
    ) -> Deferred[HistoryPage]:
        """
        Read the newest messages of a channel before a cursor, in the server's own
        name.  To read on into the past, give the cursor of the oldest message of
        one page as C{before} of the next.

        @param before: The cursor; the message that it is of is not read.  L{None}
            for the newest messages.

        @param limit: How many messages to read at most: 1 to L{MAX_LIMIT}.  A page
            has at most a megabyte of data, or one message.

        @return: Fires with the page.  Its messages are in the order of positions;
            C{more} tells whether older ones are held, and C{isGap} whether older
            ones are gone.  Fails with a L{CometError}.

        @raise RuntimeError: If this is not the thread of the reactor.
        """
        checkThread("hub.history")

        def recall() -> Deferred[HistoryPage]:
            if not 1 <= limit <= MAX_LIMIT:
                raise BadRequest(f"limit is {limit}; 1 to {MAX_LIMIT} is allowed")
            cursor = None if before is None else parseCursor(str(before))
            self.bursts.store()
            return self.fanout.history(parseChannel(channel), self, cursor, limit, POLL_BYTES)

        return maybeDeferred(recall)

    @property
    def filter(self) -> Callable[[Publication], Publication] | None:
        """
        Called with each publication before it is stored, whoever publishes it, on
        every transport: those of clients once their right is checked, and those of
        the application, of the publisher C{"server"}.  It returns what is stored in its
        place: the publication itself, or what L{withData} makes of it; or it raises a
        L{CometError}, which refuses the request as a whole.  It must not take long.

        A publication that is repeated with its key is compared as it is stored.
        """
        return self.bursts.filter

    @filter.setter
    def filter(self, filter: Callable[[Publication], Publication] | None) -> None:
        self.bursts.filter = filter

    def withData(self, publication: Publication, data: Any) -> Publication:
        """
        Return a publication with other data, for L{filter}.

        @raise CometError: If the data are not allowed.
        """
        limits, own = self.settings.limits, publication
        made = fromValue(own.channels, data, limits, own.event, own.key, own.publisher)
        return made if own.exclude is None else evolve(made, exclude=own.exclude)

    def useHooks(
        self, hooks: IHooks | None, tables: Sequence[tuple[str, Collection[str]]] = ()
    ) -> None:
        """
        Let an application have a say in what clients do::

            hub.useHooks(Moderator(), [("chat/**", ["publish"]), ("game/*", ["subscribe"])])

        It may be called again at any time.  What was asked about before is not asked about
        again.

        @param hooks: Is asked from now on; L{None} to ask no more.

        @param tables: Channels or patterns, and what is asked about each: C{"publish"},
            C{"subscribe"}.  For a channel the first one counts that matches it.

        @raise ValueError: If a channel or pattern is not valid, or a kind is none of
            these.
        """
        self.hooks = hooks
        if hooks is None:
            self.publishHook = self.subscribeHook = self.callHook = None
            return
        table, wait = HookTable(tables), self.settings.identifySeconds
        gate = self._hookGate
        if gate is None:
            fanout = self.fanout
            gate = self._hookGate = HookGate(
                hooks,
                table,
                fanout.wheel,
                fanout.seconds,
                lambda: self.settings.limits,
                wait,
                self.checkPublish,
                self.bursts,
                self.hookCounts,
            )
        else:
            gate.configure(hooks, table, wait)
        self.publishHook, self.subscribeHook = gate.publish, gate.subscribe
        self.callHook = gate.call

    def _forgetAllowed(self, concerns: Callable[[Client], bool]) -> None:
        """
        Ask again what some clients may do.
        """
        if self._hookGate is not None:
            self._hookGate.forget(concerns)

    def clients(self, pattern: str) -> Deferred[list[Client]]:
        """
        Find the clients that read a channel, or one that a pattern matches, on this node.
        A client that polls is not there between two polls.

        @return: Fires with one client of each name, and all that have no name, in the
            order in which they came; those of which nothing is known are left out.  Fails
            with a L{CometError}.
        """
        return maybeDeferred(self._audience.clients, pattern)

    def disconnect(
        self,
        client: str | None = None,
        token: str | None = None,
        channels: Sequence[str] = (),
    ) -> Deferred[int]:
        """
        End what a client reads, on all nodes.  It may come back, and is identified anew.

        @param client: The client's name.

        @param token: The C{jti} of its token, in the place of its name.

        @param channels: The channels and patterns to end; all if there are none.

        @return: Fires with how many readers were ended, or lost names, on all nodes, but
            for those that do not tell within a second.  Fails with a L{CometError}, and
            then none was.
        """
        fields = {"client": client, "token": token, "channels": list(channels) or None}
        return maybeDeferred(lambda: self.control.disconnect(_order(fields, False)))

    def endKeyHolders(self, holders: Sequence[Client]) -> Deferred[int]:
        """
        End what was begun with keys that count no longer, on this node: see
        L{Access.gone<comet.access.rights.Access>}.

        @return: Fires with how many readers were ended.
        """
        return self._audience.endKeyHolders(holders)

    def revoke(
        self,
        client: str | None = None,
        token: str | None = None,
        channels: Sequence[str] = (),
        issuedBefore: float | None = None,
        seconds: float | None = None,
    ) -> Deferred[Revocation]:
        """
        Refuse the tokens of a client, or one token, on all nodes; and end what was begun
        with them.  Of what the backend or the application knows, the client is asked
        about again.

        @param client: The client's name.

        @param token: The C{jti} of the token, in the place of a name.

        @param channels: The channels and patterns that are taken away; all if there are
            none.

        @param issuedBefore: Which tokens of the client are meant, in seconds since 1970:
            those that were made up to the end of this second.  By default of now.

        @param seconds: For how long; by default, as long as any token lasts.

        @return: Fires once all nodes will know.  Fails with a L{CometError}, and then
            nothing is revoked; but with L{Unknown<comet.errors.Unknown>} it may be.
        """
        fields = {
            "client": client,
            "token": token,
            "channels": list(channels) or None,
            "issuedBefore": issuedBefore,
            "seconds": self.settings.revokedSeconds if seconds is None else seconds,
        }
        return maybeDeferred(lambda: self.control.revoke(_order(fields, True)))

    def restore(self, id: str) -> Deferred[bool]:
        """
        Undo what L{revoke} has done, on all nodes.

        @param id: The id of the revocation.

        @return: Fires with whether it was in force.  Fails with a L{CometError}.
        """
        return maybeDeferred(self.control.restore, id)

    def revocations(self) -> list[Revocation]:
        """
        Return what is revoked, as far as this node knows.
        """
        return list(self._revoked)

    # -- For the edges

    def store(
        self,
        client: Client,
        publications: Sequence[Publication],
        isAwaited: bool = False,
        peer: Peer = NOWHERE,
        publisher: object | None = None,
    ) -> Deferred[Sequence[Published]]:
        """
        Publish for a client: all publications or none.  A caller that has called
        L{checkPublish<comet.hub.gate.Gate.checkPublish>} and L{limitPublish} may add them to
        L{bursts} instead, through L{publishHook} if there is one.

        @param isAwaited: Whether the client can publish nothing more in this turn
            before this is answered: then it is stored at once, behind what was
            published before.

        @param peer: Where the client is.

        @param publisher: As for L{Bursts.add}.

        @return: Fires with what became of each publication, in their order,
            once all are stored and were written to the readers.  Fails with a
            L{CometError}.
        """
        try:
            self.checkKnown(client)
            for publication in publications:
                self.checkPublish(client, publication.channels)
            if self.clientLimits.isLimitingPublishers:
                self.limitPublish(client, publications, peer)
        except CometError:
            return _failed()
        answered: Deferred[Sequence[Published]] = Deferred()
        store = self.bursts.publish if isAwaited else self.bursts.add
        if publisher is not None:
            store = partial(store, publisher=publisher)
        done, failed = answered.callback, answered.errback
        if self.publishHook is None:
            store(publications, done, failed)
        else:
            who = answered if peer is NOWHERE else peer
            self.publishHook.publish(client, who, publications, store, done, failed)
        return answered

    def checkCall(self) -> CallHook:
        """
        Return what answers calls.

        @raise NotFound: If nothing does.
        """
        if self.callHook is None:
            raise NotFound("calls are not answered here: there is no hook for them")
        return self.callHook

    def call(
        self, client: Client, method: str, data: Any, peer: Peer = NOWHERE
    ) -> Deferred[dict[str, Any]]:
        """
        Have a client's call answered by the L{hooks}, once all is stored that was published
        before.

        @param data: A value of JSON that was decoded, or L{bytes}.

        @param peer: Where the client is.

        @return: As that of L{CallHook.call<comet.hooks.callhook.CallHook.call>}.
        """

        def call() -> Deferred[dict[str, Any]]:
            hook = self.checkCall()
            self._revoked.admit(client)
            self.bursts.store()
            return hook.call(client, method, data, peer)

        return maybeDeferred(call)

    def forget(self, client: Client, channels: Sequence[str]) -> Deferred[None]:
        """
        Delete the messages of some channels, for a client.

        @return: Fires once they are deleted.  Fails with a L{CometError}.
        """

        def forget() -> Deferred[Any]:
            self._revoked.admit(client)
            self.bursts.store()
            for channel in channels:
                self.access.checkDelete(client, channel)
            forgotten = [self.bus.forget(channel) for channel in channels]
            return gather(forgotten)

        return maybeDeferred(forget).addCallback(lambda _: None)

    def limitPublish(self, client: Client, publications: Sequence[Publication], peer: Peer) -> None:
        """
        Count what a client publishes, which it has the right to.

        @raise TooMany: If that is too much at this time.  Nothing is counted then.
        """
        count = sum(len(publication.channels) for publication in publications)
        self.clientLimits.publish(client, peer, count)

    def _notOpened(self, failure: Failure, reader: Reader) -> Failure:
        reader.ended()
        return failure

    def configure(self, settings: Settings) -> None:
        """
        Go by other settings from now on.  What is under way goes on as it began;
        readers that are open take the new heartbeat after the next one.
        """
        self.settings = settings
        self.fanout.heartbeat = settings.heartbeat
        self.uploads.most = self.partialCommands.most = settings.uploadBytes
        self.clientLimits.configure(settings.clients)

    # -- Readiness and draining

    @property
    def isReady(self) -> bool:
        """
        Whether a load balancer should send clients here.
        """
        return not self.whyNotReady

    @property
    def whyNotReady(self) -> str:
        """
        What keeps the server from taking clients, one of L{REASONS}: C{draining},
        C{starting}, C{bus} where the bus is not available, or C{revocations} where it is
        not known what is revoked, so that no token is taken.  Empty if nothing does.
        """
        if self.isLeaving or self.isDraining:
            return "draining"
        if self.isStarting:
            return "starting"
        if not self.bus.isAvailable:
            return "bus"
        return "" if self.control.revocations.isLoaded else "revocations"

    @property
    def end(self) -> Cursor:
        """
        The log end, as a cursor.

        @raise Unavailable: If it is not known yet, as before the bus has started.
        """
        self.bursts.store()
        end = self.bus.end
        if not end.epoch:
            raise Unavailable("the bus has not started")
        return end

    def drain(self, seconds: float, isShared: bool = False) -> Deferred[None]:
        """
        Take no new readers, and close all that there are.  Their clients do not
        all come back at once: they are spread over C{seconds}, or a second for
        each thousand of them, if that is less.

        Publications are still taken, until the bus is stopped.

        @param seconds: The longest time over which clients are spread, and how
            long to wait for publications under way.

        @param isShared: Whether other servers on the same bus take the clients.
            Each reader is closed at its own moment then, and its client comes
            back at once.  Otherwise all are closed now, and the clients told to
            come back at their moments.

        @return: Fires when all connections of closed readers are closed and all
            publications are answered, or the time is over.
        """
        self.isDraining = self.fanout.isDraining = True
        readers = list(self.fanout.readers)
        span = spanFor(len(readers), seconds)
        self._retryWithin = LEAST if isShared else span
        closed: Deferred[None] = succeed(None)
        if isShared and span <= seconds:
            closed = Departures(readers, self._dismiss, span * SPREAD, self.clock).start()
        else:
            for reader in readers:
                self._dismiss(reader)
        closed.addCallback(lambda _: self.fanout.whenDrained())
        done = gather([closed, self.bursts.whenAnswered()])
        done.addTimeout(seconds, self.clock, onTimeoutCancel=lambda result, timeout: None)
        return done.addCallback(lambda _: None)

    def _dismiss(self, reader: Any) -> None:
        reader.close(Close("draining", "the server is going down", self._retry()))

    def stop(self) -> Deferred[None]:
        """
        Stop the bus, and keep nothing for clients.  Call it when the hub is
        drained.

        @return: Fires when neither a timer nor a connection of a reader is left.
        """
        self.isDraining = self.fanout.isDraining = True
        self.control.stop()
        self._audience.stop()
        if self.attendance is not None:
            self.attendance.stop()
        for reader in list(self.fanout.readers):
            self._dismiss(reader)
        stopped = self._within(LAST_MOMENT, self.fanout.whenDrained())
        stopped.addCallback(lambda _: self.fanout.cut())
        # A sink of an application's own may never report that it is lost.
        stopped.addCallback(lambda _: self._within(LAST_MOMENT, self.fanout.whenDrained()))
        stopped.addCallback(lambda _: self.fanout.stop())
        if self.events is not None:
            stopped.addCallback(lambda _: self.events and self.events.stop())
        return stopped.addCallback(lambda _: self.bus.stop())

    def _within(self, seconds: float, done: Deferred[None]) -> Deferred[None]:
        """
        Wait for something no longer than some seconds.
        """
        return done.addTimeout(seconds, self.clock, onTimeoutCancel=lambda result, timeout: None)


def _order(fields: dict[str, Any], isRevoking: bool) -> Order:
    """
    Make an order of what an application gives.

    @raise BadRequest: If it is not allowed.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    return readOrder(given, isRevoking)


def _failed() -> Deferred[Any]:
    """
    @return: A Deferred that has failed with the error being handled.
    """
    failed: Deferred[Any] = Deferred()
    failed.errback()
    return failed
