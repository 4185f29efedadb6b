"""
The revocations in force on all nodes, which a bus keeps as state beside its log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from comet.access.revocations import MAX_REVOCATIONS, Revocation
from comet.errors import BadRequest, Unavailable
from comet.framing.orders import Order, encodeOrder, readOrderPayload
from comet.framing.strictjson import encode
from comet.interfaces.messagebus import IMessageBus
from comet.interfaces.statebus import IStateBus
from comet.model.channels import CONTROL
from comet.model.messages import Publication
from comet.model.state import StateEntry, StatePage, checkKey

# The events of the messages that tell of a change.
REVOKE: Final = "revoke"
RESTORE: Final = "restore"

# How many revocations are read at once.
PAGE: Final = 1000


@frozen
class RevocationPage:
    """
    A part of what is in force.

    @ivar found: In the order of the ids.

    @ivar rest: The id after which to read on, or L{None}.

    @ivar unreadable: By their ids, what is wrong with those that cannot be read.
    """

    found: tuple[Revocation, ...]
    rest: str | None
    unreadable: Mapping[str, str]


class KeptRevocations:
    """
    Reads and changes what is in force.  Each method fails with L{Unavailable} if the bus
    keeps no state.
    """

    _log = Logger()

    def __init__(self, bus: IMessageBus) -> None:
        self._bus = bus
        self._isWarned = False

    @property
    def isKept(self) -> bool:
        """
        Whether the bus keeps state.
        """
        return bool(IStateBus.providedBy(self._bus))

    def page(self, after: str, limit: int) -> Deferred[RevocationPage]:
        """
        Read some of what is in force, in the order of the ids.

        @param after: The id after which to begin; empty for the first.

        @param limit: How many to read at most.

        @return: Fails with a L{CometError<comet.errors.CometError>}.
        """
        if not IStateBus.providedBy(self._bus):
            return fail(self._cannotRevoke())
        read: Deferred[Any] = self._bus.readState(CONTROL, after, limit)
        return read.addCallback(_readPage)

    async def all(self) -> list[Revocation]:
        """
        Read all that is in force, or somewhat more than there may be.

        @raise CometError: If that cannot be known.  What an entry revokes that cannot be read
            is not known either.
        """
        found: list[Revocation] = []
        after: str | None = ""
        while after is not None and len(found) <= MAX_REVOCATIONS:
            page = await self.page(after, PAGE)
            for id, detail in page.unreadable.items():
                raise Unavailable(f"{id!r} {detail}; what it revokes is not known, so delete it")
            found += page.found
            after = page.rest
        return found

    def put(self, id: str, order: Order) -> Deferred[Revocation]:
        """
        Put a revocation in force, and tell all nodes.

        @return: Fires once all nodes will know.  Fails with a
            L{CometError<comet.errors.CometError>}, and then nothing is revoked; but with
            L{Unknown<comet.errors.Unknown>} it may be.
        """
        if not IStateBus.providedBy(self._bus):
            return fail(self._cannotRevoke())
        change = Publication((CONTROL,), encodeOrder(order, id), REVOKE, publisher="server")
        put: Deferred[Any] = self._bus.putState(change, id, order.seconds, MAX_REVOCATIONS)
        return put.addCallback(lambda entry: revocationOf(id, order, entry.time))

    def drop(self, id: str) -> Deferred[bool]:
        """
        Put a revocation out of force, or drop what cannot be read, and tell all nodes.

        @return: Fires with whether it was there.  Fails with a
            L{CometError<comet.errors.CometError>}.
        """
        if not IStateBus.providedBy(self._bus):
            return fail(self._cannotRevoke())
        try:
            checkKey(id)
        except ValueError:
            return succeed(False)
        change = Publication((CONTROL,), encode({"id": id}), RESTORE, publisher="server")
        dropped: Deferred[bool] = self._bus.dropState(change, id)
        return dropped

    def _cannotRevoke(self) -> Unavailable:
        if not self._isWarned:
            self._isWarned = True
            self._log.warn(
                "nothing can be revoked: the bus {bus} keeps no state (it has no IStateBus)",
                bus=type(self._bus).__name__,
            )
        return Unavailable("nothing can be revoked: the bus of this server keeps no state")


def revocationOf(id: str, order: Order, time: float) -> Revocation:
    """
    Make the revocation that an order asks for.

    @param time: When the order was stored.
    """
    return Revocation(
        id,
        order.client,
        order.token,
        order.channels,
        time if order.issuedBefore is None else order.issuedBefore,
        None if order.seconds is None else time + order.seconds,
    )


def _readPage(page: StatePage) -> RevocationPage:
    found = []
    unreadable = dict.fromkeys(page.unreadable, "cannot be read")
    for entry in page.entries:
        try:
            found.append(_readEntry(entry))
        except BadRequest as error:
            unreadable[entry.key] = f"is not valid ({error.detail})"
    return RevocationPage(tuple(found), page.rest, unreadable)


def _readEntry(entry: StateEntry) -> Revocation:
    id, order = readOrderPayload(entry.payload, True)
    if id != entry.key:
        # It would stand in place of another one, and could not be deleted by this id.
        raise BadRequest(f"its id is {id!r}")
    return revocationOf(id, order, entry.time)
