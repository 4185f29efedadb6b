"""
Who sends a request, and what it may do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from comet.access.leases import Leases
from comet.access.lookups import Lookup, byCredential, findClient, identifyClient
from comet.access.revocations import Revocations
from comet.access.rights import Access
from comet.errors import BadCredential, BadRequest, Forbidden, Unauthorized, Unavailable
from comet.hooks.hookclients import AskedAnew, UnaskedClient
from comet.http.credentials import Credential, Credentials
from comet.hub.hubsettings import Settings
from comet.interfaces.access import IAccess, IPublisherAccess
from comet.interfaces.overrides import speaksFor
from comet.model.clients import ANONYMOUS, Client, Known
from comet.reactor.timers import TimerWheel


class Gate:
    """
    Asks the access object, and what is revoked, before anything is done for a client.

    @ivar access: Tells which client has which rights.  Another one may be put in its place
        at any time.

    @ivar settings: The limits.

    @ivar leases: Closes readers whose clients are known no longer.
    """

    def __init__(
        self,
        access: IAccess | None,
        settings: Settings,
        leases: Leases,
        revoked: Revocations,
        askedAnew: AskedAnew,
        wheel: TimerWheel,
    ) -> None:
        """
        @param revoked: What is revoked.

        @param askedAnew: The clients about which the backend has to be asked anew.

        @param wheel: Ends lookups that take too long.
        """
        self.access: IAccess = Access() if access is None else access
        self.settings = settings
        self.leases = leases
        self._revoked = revoked
        self._askedAnew = askedAnew
        # The clients of keys that count no longer.
        self._goneKeys: tuple[Client, ...] = ()
        self._wheel = wheel
        # The access object that was last looked at, and what was found.
        self._seenAccess: IAccess | None = None
        self._clientOf: Callable[[Credential | None], Client | None] | None = None

    def identify(self, credentials: Credentials) -> Client | Lookup:
        """
        Find out which client sends a request.

        @return: The client; or a lookup that is not over, if the access object
            answers later.

        @raise CometError: If the request is refused.
        """
        seconds = self.settings.identifySeconds
        wheel, admit = self._wheel, self._revoked.admit
        return identifyClient(self.access, credentials, wheel, seconds, admit)

    def checkStanding(self, client: Client) -> None:
        """
        Check that what is known of a client still counts.

        @raise CometError: If not.
        """
        self._revoked.admit(client)
        self._checkCounts(client)

    def mustAskAnew(self, client: Client) -> bool:
        """
        Tell whether the backend has to be asked about a client anew, since it was
        disconnected, or something of it was revoked.
        """
        return client.known is Known.HOOK and client in self._askedAnew

    def dropKeys(self, holders: Sequence[Client]) -> None:
        """
        Let keys count no longer, also for requests that are under way.

        @param holders: Their clients themselves: those of other keys are equal to them.
        """
        self._goneKeys += tuple(holders)

    def _checkCounts(self, client: Client) -> None:
        if client.known is Known.KEY and any(client is each for each in self._goneKeys):
            raise BadCredential("the key counts no longer")
        if self.mustAskAnew(client):
            # It may be allowed what it asks for.
            raise Unavailable("what the client may do has to be found out again", 1.0)

    def askAnew(self, client: Client) -> Client | Lookup:
        """
        Find out which client takes the place of one about which the backend has to be asked
        anew.

        @return: As L{identify}; L{ANONYMOUS} if the backend refuses it.

        @raise CometError: If it cannot be found out.
        """
        access: Any = self.access
        renew = getattr(access, "renew", lambda client: None)
        seconds = self.settings.identifySeconds
        return findClient(lambda: renew(client) or ANONYMOUS, self._wheel, seconds)

    def ask(
        self, client: UnaskedClient, names: Sequence[str], isPublishing: bool
    ) -> Client | Lookup:
        """
        Find out which client it is that names channels for the first time.

        @return: As L{identify}; the client itself, if its names are open to all.

        @raise CometError: If it is refused.
        """
        seconds = self.settings.identifySeconds
        wheel = self._wheel
        return findClient(lambda: client.ask(names, isPublishing) or client, wheel, seconds)

    @property
    def clientOf(self) -> Callable[[Credential | None], Client | None] | None:
        """
        Tells which client has a credential, if the access object needs nothing else
        of a request; L{None} if it needs more: then call L{identify}, as where this
        returns L{None}.
        """
        if self.access is not self._seenAccess:
            self._seenAccess, self._clientOf = self.access, byCredential(self.access)
        return self._clientOf

    def checkKnown(self, client: Client) -> None:
        """
        Check that a client is still known whose request took its time to come.  One that
        the backend knows may finish it: the next request asks.

        @raise BadCredential: If not.
        """
        self.secondsLeft(client)

    def secondsLeft(self, client: Client) -> float:
        """
        Return for how many seconds a client is still known.

        @raise BadCredential: As L{checkKnown}.
        """
        if client.until is None or client.known is Known.HOOK:
            return math.inf
        left = client.until - self.leases.now()
        if left <= 0:
            raise BadCredential("the credential has expired while the request was on its way")
        return left

    def checkPublish(self, client: Client, channels: Sequence[str]) -> None:
        """
        Check that a client may publish to these channels.

        @raise CometError: If it may not.
        """
        if self._goneKeys or client.known is Known.HOOK:
            self._checkCounts(client)
        if not self._revoked.isQuiet:
            self._revoked.admit(client)
            for channel in channels:
                self._checkKept(self.access.checkPublish, client, channel)
            return
        for channel in channels:
            self.access.checkPublish(client, channel)

    def checkPublisher(self, client: Client) -> None:
        """
        Check that there may be a channel to which this client may publish, before
        anything that it publishes is read.  An access that does not know lets
        every client pass.

        @raise CometError: If there is none.
        """
        self.checkStanding(client)
        access = self.access
        if IPublisherAccess.providedBy(access) and speaksFor(
            type(access), "checkPublisher", "checkPublish"
        ):
            access.checkPublisher(client)

    def check(self, client: Client, names: Sequence[str], held: int = 0) -> None:
        """
        Check that a client may read these names, and that they are not too many
        for one reader.

        @param held: How many names the reader has already.

        @raise CometError: If one of that is not so.
        """
        limits = self.settings.limits
        if held + len(names) > limits.maxChannels:
            raise BadRequest(
                f"{held + len(names)} names are too many for one reader: "
                f"{limits.maxChannels} are allowed"
            )
        if self._goneKeys or client.known is Known.HOOK:
            self._checkCounts(client)
        if not self._revoked.isQuiet:
            self._revoked.admit(client)
            for name in names:
                self.checkRead(client, name)
            return
        for name in names:
            self.access.checkSubscribe(client, name)

    def checkRead(self, client: Client, name: str) -> None:
        """
        Check that a client may read a name, and that this was not revoked.
        """
        self._checkKept(self.access.checkSubscribe, client, name)

    def _checkKept(self, check: Callable[[Client, str], None], client: Client, name: str) -> None:
        """
        Check a right, which may have been revoked: then what is open to all is left.
        """
        check(client, name)
        if self._revoked.isQuiet or not self._revoked.hasLost(client, name):
            return
        try:
            check(ANONYMOUS, name)
        except Unauthorized:
            raise Forbidden(f"the right to {name[:64]!r} is revoked") from None
