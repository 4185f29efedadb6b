"""
Orders to all nodes: what is revoked, and who is disconnected.

Each order is a message of the channel C{$control}, which every node reads.  What is
revoked is kept as state of the bus besides (L{IStateBus<comet.interfaces.statebus.IStateBus>}), for
nodes that start later, and for those that have lost messages: these read it anew, and
judge no token until they have.
"""

from __future__ import annotations

import random
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.access.keptrevocations import RESTORE, REVOKE, revocationOf
from comet.access.leases import Leases
from comet.access.revocations import Revocation, takes
from comet.control.audience import Audience
from comet.control.endedcount import EndedCount
from comet.control.inforce import InForce
from comet.errors import CometError
from comet.fanout.application import Subscription
from comet.framing.orders import Order, encodeOrder, readOrderPayload, readPayload
from comet.framing.strictjson import encode
from comet.hooks.hookclients import AskedAnew
from comet.interfaces.access import IAccess
from comet.interfaces.busabilities import INodesBus
from comet.interfaces.messagebus import IMessageBus
from comet.interfaces.receiver import IReceiver
from comet.logging.clientlog import ClientLogger
from comet.model.channels import CONTROL
from comet.model.clients import Client, Known
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message, Publication

# The events of the channel's other messages.
DISCONNECT: Final = "disconnect"
# What another node has ended because of an order.
ENDED: Final = "ended"

REVOKED: Final = Close("revoked", "what the client may do was revoked", None)

# After how many seconds the channel is asked for again that could not be read.
AGAIN: Final = 1.0

# After how many seconds an order to disconnect is not obeyed any more: the client may
# have come back since.
LATE: Final = 60.0

# For how many seconds it is waited for what other nodes have ended.
COUNTED: Final = 1.0

# How many orders are remembered as obeyed.
_OBEYED: Final = 4096

# Within how many seconds clients come back that were disconnected.
_BACK: Final = (0.05, 1.0)


class Subscribe(Protocol):
    """
    Subscribes in the server's own name: see
    L{Hub.subscribe<comet.hub.inprocess.InProcess.subscribe>}.
    """

    def __call__(self, names: str, since: str, receiver: IReceiver) -> Deferred[Subscription]:
        """
        Begin to read.
        """


@implementer(IReceiver)
class Control:
    """
    Gives orders to all nodes, and obeys those of all.

    @ivar inForce: Finds out what is revoked.

    @ivar revocations: What is revoked, as far as this node knows.

    @ivar kept: What is revoked on all nodes, as the bus keeps it.

    @ivar askedAnew: The clients about which the backend has to be asked anew.

    @ivar forgetting: Called with a function that tells which clients an order concerns:
        what was remembered of these is to be forgotten.  They must not raise.

    @ivar others: What is called with the messages that are no orders, by their events.
        They may raise a L{CometError}.
    """

    _log = Logger()
    # Other programs may write to the bus as often as they like.
    _busLog = ClientLogger()

    def __init__(
        self,
        bus: IMessageBus,
        audience: Audience,
        leases: Leases,
        subscribe: Subscribe,
        clock: IReactorTime,
    ) -> None:
        """
        @param audience: Finds the readers that an order concerns.

        @param leases: Tells what any client may read, and what time it is.

        @param subscribe: Reads the channel.
        """
        self._bus = bus
        self._audience = audience
        self._leases = leases
        self.inForce = InForce(bus, self.now, clock, self._endRevoked)
        self.revocations = self.inForce.revocations
        self.kept = self.inForce.kept
        self.askedAnew = AskedAnew()
        self.forgetting: list[Callable[[Callable[[Client], bool]], object]] = []
        self.others: dict[str, Callable[[Message], object]] = {}
        self._subscribe = subscribe
        self._clock = clock
        self._subscription: Subscription | None = None
        self._isStarted = self._isStopped = False
        self._again: IDelayedCall | None = None
        self._obeyed: OrderedDict[str, None] = OrderedDict()
        # By the ids of orders that were given here, and of which other nodes tell.
        self._tallies: dict[str, EndedCount] = {}

    # -- Following the channel

    @property
    def isFollowing(self) -> bool:
        """
        Whether there is a reader of the channel.
        """
        return self._subscription is not None

    @property
    def isStarted(self) -> bool:
        """
        Whether L{start} was called.
        """
        return self._isStarted

    def now(self) -> float:
        """
        Tell the time of day, in seconds since 1970.
        """
        return self._leases.now()

    def start(self) -> None:
        """
        Obey orders from now on, and find out what is revoked.  The bus has to be
        started.  Does nothing if that was done before.
        """
        if self._isStarted or self._isStopped:
            return
        self._isStarted = True
        if self.kept.isKept:
            self.revocations.unload()
        self._follow()

    def whenLoaded(self) -> Deferred[None]:
        """
        Wait until it is known what is revoked.

        @return: Fires then, or after L{LOADING<comet.control.inforce.LOADING>} seconds:
            tokens are unavailable by then.
        """
        return self.inForce.whenLoaded()

    def stop(self) -> None:
        """
        Obey no more.  No timer is left.
        """
        self._isStopped = True
        self.inForce.stop()
        again, self._again = self._again, None
        if again is not None:
            again.cancel()
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.unsubscribe()

    def _follow(self) -> None:
        # Before the state is read: a change of it is told either there or here.
        self._subscribe(CONTROL, "now", self).addCallbacks(
            lambda _: self.inForce.load(), self._notFollowed
        )

    def _notFollowed(self, failure: Failure) -> None:
        self.inForce.tellTrouble("the orders to all nodes cannot be read", failure)
        self._followAgain()

    def _followAgain(self) -> None:
        if not self._isStopped and self._again is None:
            self._again = self._clock.callLater(AGAIN, self._tryAgain)

    def _tryAgain(self) -> None:
        self._again = None
        self._follow()

    def subscriptionOpened(self, subscription: Subscription) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """
        self._subscription = subscription

    def subscriptionClosed(self, close: Close) -> None:
        """
        See L{IReceiver.subscriptionClosed}: begin anew, unless the server goes down.
        """
        self._subscription = None
        if close.code != "draining":
            self.inForce.mistrust()
            self._followAgain()

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        See L{IReceiver.gapFound}: orders were lost.
        """
        self.inForce.load()

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        See L{IReceiver.messageReceived}: obey an order.
        """
        event = message.event or ""
        obey = self.others.get(event)
        if event in _ORDERS:
            obey = partial(_ORDERS[event], self)
        if obey is None:
            # Of a newer version of comet, perhaps.
            return
        try:
            obey(message)
        except CometError as error:
            self._busLog.warn("an order of the nodes is not obeyed: {detail}", detail=error.detail)
            if message.event == REVOKE:
                # It may be kept so that it can be read.
                self.inForce.loadLater()

    # -- What is in force

    def _endRevoked(self, missed: Collection[str]) -> None:
        """
        End what is revoked, and had begun before that was known.

        @param missed: The names of clients about which this node has not heard an order.
        """
        revocations = self.revocations
        named = {each.client for each in revocations} - {""}
        for name in named:
            self.askedAnew.add(name)
        self._forget(lambda client: client.name in named or revocations.isRevoked(client))
        self._audience.end(revocations.isRevoked, lambda: REVOKED)
        self._audience.end(
            lambda client: client.known is Known.TOKEN,
            lambda: REVOKED,
            lambda name, client: (
                not revocations.hasLost(client, name) or self._leases.mayRead(name)
            ),
        )
        if missed:
            # The backend or the application is asked about them when they come back.  It may
            # have been asked since the order, so they are not told to stay away.
            self._audience.end(
                lambda client: client.known is not Known.TOKEN and client.name in missed,
                _disconnected,
            )

    # -- Giving orders

    def revoke(self, order: Order) -> Deferred[Revocation]:
        """
        Revoke what a client or a token may do, on all nodes.

        @return: Fires once all nodes will know, and this one obeys.  Fails with a
            L{CometError}, and then nothing is revoked; but with
            L{Unknown<comet.errors.Unknown>} it may be.
        """
        self.start()

        def stored(revocation: Revocation) -> Revocation:
            self._revoked(revocation, order)
            return revocation

        return self.kept.put(secrets.token_hex(8), order).addCallback(stored)

    def restore(self, id: str) -> Deferred[bool]:
        """
        Put a revocation out of force, on all nodes.

        @return: Fires with whether it was in force.  Fails with a L{CometError}.
        """
        self.start()

        def stored(wasInForce: bool) -> bool:
            if wasInForce:
                self.inForce.remove(id)
            return wasInForce

        return self.kept.drop(id).addCallback(stored)

    def disconnect(self, order: Order) -> Deferred[int]:
        """
        End the readers of a client or a token, on all nodes.  It may come back.

        @return: Fires with how many readers were ended, or lost names: on this node and
            those that tell within L{COUNTED} seconds.  Fails with a L{CometError}, and
            then none was.
        """
        self.start()
        return Deferred.fromCoroutine(self._giveDisconnect(order))

    async def _giveDisconnect(self, order: Order) -> int:
        id = secrets.token_hex(8)
        change = Publication((CONTROL,), encodeOrder(order, id), DISCONNECT, publisher="server")
        others = 0
        # A bus that is away is not waited for: publishing says so at once.
        if INodesBus.providedBy(self._bus) and self._bus.isAvailable and self.isFollowing:
            others = await self._bus.countListening(CONTROL) - 1
        tally = self._tallies[id] = EndedCount(others)
        try:
            await self._bus.publish([change])
            self._isNew(id)
            count = await self._end(order, order.concerns, _disconnected)
            tally.done.addTimeout(COUNTED, self._clock, lambda result, seconds: None)
            await tally.done
            return count + tally.count
        finally:
            del self._tallies[id]

    # -- Obeying

    def _isNew(self, id: str) -> bool:
        """
        Tell whether an order was not obeyed before: the node that gives it obeys at
        once, and orders come again when a reader begins anew.
        """
        if id in self._obeyed:
            return False
        self._obeyed[id] = None
        if len(self._obeyed) > _OBEYED:
            self._obeyed.popitem(last=False)
        return True

    def _obeyRevoke(self, message: Message) -> None:
        id, order = readOrderPayload(message.payload, True)
        self._revoked(revocationOf(id, order, message.time), order)

    def _revoked(self, revocation: Revocation, order: Order) -> None:
        if not self._isNew(revocation.id):
            return
        self.inForce.add(revocation)

        def concerns(client: Client) -> bool:
            if client.known is Known.TOKEN:
                return revocation.applies(client)
            return order.concerns(client)

        self._end(order, concerns, lambda: REVOKED)

    def _obeyRestore(self, message: Message) -> None:
        id, _ = readPayload(message.payload)
        self.inForce.remove(id)

    def _obeyDisconnect(self, message: Message) -> None:
        id, order = readOrderPayload(message.payload, False)
        if self._leases.now() - message.time < LATE and self._isNew(id):
            ended = self._end(order, order.concerns, _disconnected)
            if INodesBus.providedBy(self._bus):
                ended.addCallback(self._tellEnded, id)

    def _tellEnded(self, count: int, id: str) -> None:
        """
        Tell the node that has given an order how many readers were ended here.
        """
        payload = encode({"id": id, "count": count})
        told = self._bus.publish([Publication((CONTROL,), payload, ENDED, publisher="server")])
        # Nothing depends on it.
        told.addErrback(lambda failure: None)

    def _obeyEnded(self, message: Message) -> None:
        id, fields = readPayload(message.payload)
        tally, count = self._tallies.get(id), fields.get("count")
        if tally is not None and type(count) is int and count >= 0:
            tally.add(count)

    def _end(
        self, order: Order, concerns: Callable[[Client], bool], close: Callable[[], Close]
    ) -> Deferred[int]:
        """
        End the readers that an order concerns, or their names.
        """
        if order.client:
            self.askedAnew.add(order.client)
        self._forget(concerns)
        end = partial(self._audience.end, concerns, close, client=order.client, token=order.token)
        if not order.channels:
            return end()

        def mayRead(name: str, client: Client) -> bool:
            return not takes(order.channels, name) or self._leases.mayRead(name)

        return end(mayRead)

    def _forget(self, concerns: Callable[[Client], bool]) -> None:
        """
        Have the access object forget what it remembers of some clients.
        """
        # An application's own need not remember anything.
        access: Any = self._access
        forget = getattr(access, "forget", None)
        if forget is not None:
            try:
                forget(concerns)
            except Exception:
                self._log.failure("the access object could not forget a client")
        for each in self.forgetting:
            each(concerns)

    @property
    def _access(self) -> IAccess:
        return self._leases.getAccess()


# How the orders are obeyed, by the events of their messages.
_ORDERS: Final = {
    REVOKE: Control._obeyRevoke,
    RESTORE: Control._obeyRestore,
    DISCONNECT: Control._obeyDisconnect,
    ENDED: Control._obeyEnded,
}


def _disconnected() -> Close:
    """
    Make the reason for a client that may come back, at a moment of its own.
    """
    return Close(
        "disconnected", "an admin has ended the connection", round(random.uniform(*_BACK), 3)
    )
