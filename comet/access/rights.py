"""
Which client may read, publish and delete: by a key, by a token, by what the
backend says, or because a channel is open.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Final

from attrs import evolve
from twisted.internet.defer import Deferred
from zope.interface import implementer

from comet.access.accesssettings import AccessSettings
from comet.access.jwtform import isJWTForm
from comet.errors import BadCredential, CometError, Forbidden, Unauthorized
from comet.http.credentials import Credential, Credentials, CredentialSource
from comet.interfaces.access import ICredentialAccess, IPublisherAccess
from comet.model.channels import NAME_CACHE_SIZE, NODES_OWN, isPattern, isReserved
from comet.model.clients import ADMIN, ANONYMOUS, KEY_HOLDER, Client
from comet.model.grants import permits
from comet.model.patterns import matchesAny

# Where a key counts: what is elsewhere comes into logs and histories, or is sent
# without being asked for.
# A tuple, since to look into a set takes a call to hash what is looked for.
_PLACES: Final = (CredentialSource.AUTHORIZATION, CredentialSource.COMMAND)

# What lets a client do what needs the publish key: raw TCP has no headers, and a page can
# set none on a WebSocket.
_KEY_IN_HEADER: Final = "send the publish key as 'Authorization: Bearer' and the key"
_KEY_IN_COMMAND: Final = "send the publish key by the command token"

_PRESENCE: Final = "$presence/"
# A client that knows such a channel's last segment may read it: the name of an account,
# and that of a page's visit of the demo.
_NAMED: Final = ("$stats/", "$lab/tcp/")

# Of how many patterns it is remembered what they permit.
_FEW: Final = 16

_permitsFew: Final = lru_cache(NAME_CACHE_SIZE)(permits)


def _permits(patterns: tuple[str, ...], name: str) -> bool:
    """
    As L{permits}, which each poll asks for.
    """
    return (_permitsFew if len(patterns) <= _FEW else permits)(patterns, name)


@implementer(ICredentialAccess, IPublisherAccess)
class Access:
    """
    Without tokens and without a backend to ask, every client may read every channel.
    A client with a publish key may read, publish to and delete every channel, and
    any client may publish to the channels that are open.  Only the server itself
    publishes to reserved channels.

    Subclass it, and override C{identify} to know clients by an application's own
    sessions, and C{checkSubscribe}, C{checkPublish} and C{checkDelete} to decide
    what they may do.

    @ivar settings: Keys, and what is open.

    @ivar gone: The clients of keys that the last settings have taken away, or that are the
        admin's no more.
    """

    # For a subclass that goes by other settings in a way of its own.
    gone: Sequence[Client] = ()

    def __init__(
        self,
        publishKey: str | None = None,
        openPatterns: str | Sequence[str] = (),
        settings: AccessSettings | None = None,
    ) -> None:
        """
        @param publishKey: The key, of printable ASCII characters without
            spaces.  Without one no client may publish to channels that are not
            open.

        @param openPatterns: The channels and patterns to which every client
            may publish; or one of them.

        @param settings: Everything, in the place of the other two.

        @raise ValueError: If the key or a pattern is not valid.
        """
        keys = () if publishKey is None else (publishKey,)
        if settings is None:
            # The letters of a pattern are patterns, too: they would be open, and it would not.
            given = (openPatterns,) if isinstance(openPatterns, str) else tuple(openPatterns)
            settings = AccessSettings(keys, openPatterns=given)
        self.configure(settings)

    def configure(self, settings: AccessSettings) -> None:
        """
        Go by other settings from now on.  Connections that are open keep the
        client that they have, until who has called this ends those that are L{gone}.
        """
        before: Any = getattr(self, "settings", settings)
        self.settings = settings
        if before.hook is not None and before.hook is not settings.hook:
            before.hook.replacedBy(settings.hook)
        self._isRestricted = settings.isRestricted
        tokens: Any = settings.tokens
        self._recall: Callable[[str], Client | None] | None = tokens and tokens.recall
        self._keys, self.gone = self._holders(settings, getattr(self, "_keys", []))
        # Remembered by channel, since every message asks for it.
        self._isOpen = lru_cache(NAME_CACHE_SIZE)(partial(matchesAny, settings.openPatterns))
        self._isOpenToRead = lru_cache(NAME_CACHE_SIZE)(partial(permits, settings.openReadPatterns))

    def _holders(
        self, settings: AccessSettings, before: list[tuple[bytes, Client]]
    ) -> tuple[list[tuple[bytes, Client]], list[Client]]:
        """
        Give each key a client of its own, or that which it had before.

        @return: The keys with their clients; and the clients that no key has any more.
        """
        # Of a key that stands there twice, the first one counts.
        kept = {(key, client.mayAdmin): client for key, client in reversed(before)}
        holders = []
        for keys, kind in (
            (settings.adminKeys or settings.publishKeys, ADMIN),
            (settings.publishKeys, KEY_HOLDER),
        ):
            for key in (each.encode("ascii") for each in keys):
                found = kept.pop((key, kind.mayAdmin), None)
                holders.append((key, evolve(kind) if found is None else found))
        return holders, list(kept.values())

    # -- Who it is

    def identify(self, credentials: Credentials) -> Client | Awaitable[Client]:
        """
        Identify the client by its credential, or ask the backend.  Override it to
        identify clients by something else, such as the cookie of a session.

        @return: The client, or a Deferred or coroutine of it.

        @raise BadCredential: If the credential is not valid.
        """
        credential = credentials.credential
        client = self.clientOf(credential)
        if client is not None:
            return client
        asked: Any
        if credential is not None and self._isToken(credential):
            asked = self.settings.tokens
            found: Awaitable[Client] = asked.identify(credential)
            return found
        asked = self.settings.hook
        told: Client | Awaitable[Client] = asked.identify(credentials, self._isOpenTo)
        return told

    def _isOpenTo(self, name: str, isPublishing: bool) -> bool:
        """
        Tell whether every client may read a name, or publish to it.
        """
        try:
            check = self.checkPublish if isPublishing else self.checkSubscribe
            check(ANONYMOUS, name)
        except CometError:
            return False
        return True

    def renew(self, client: Client) -> Deferred[Client] | None:
        """
        Find out whether a client whose time is over still is what it was.

        @return: L{None} if it is not known any more.  Else fires with the client that
            takes its place, which may be L{ANONYMOUS}; it may take long, as long as the
            client lasts meanwhile, and does not fail.  Cancel it when it is of no use.
        """
        hook: Any = self.settings.hook
        renewed: Deferred[Client] | None = None if hook is None else hook.renew(client)
        return renewed

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget what the backend has told of some clients, and what their tokens mean: it is
        found out again when they come next.
        """
        asked: Any
        for asked in (self.settings.hook, self.settings.tokens):
            if asked is not None:
                asked.forget(matches)

    def clientOf(self, credential: Credential | None) -> Client | None:
        """
        Return the client that has a key or a token; or L{ANONYMOUS} where there is no
        credential.

        @return: L{None} if the credential alone does not tell it at once.

        @raise BadCredential: If the credential is not valid, or is a key and does not
            stand in the header C{Authorization} or in a command.  A client with a bad
            credential is refused rather than taken as anonymous.
        """
        if credential is None:
            return ANONYMOUS if self.settings.hook is None else None
        if self._recall is not None:
            # Each poll asks for it.  What was verified as a token is no key.
            known = self._recall(credential.text)
            if known is not None:
                return known
        holder = self._holderOf(credential)
        if holder is not None:
            return holder
        if self._isToken(credential):
            verifier: Any = self.settings.tokens
            client: Client | None = verifier.clientOf(credential)
            return client
        if self.settings.hook is not None:
            return None
        raise BadCredential(
            "the credential is neither a key nor a token"
            if self.settings.tokens is not None
            else "the key is not the publish key"
        )

    def _holderOf(self, credential: Credential) -> Client | None:
        """
        Return who holds a key, or L{None} if the credential is none.

        @raise BadCredential: If it is a key that stands elsewhere than keys count.
        """
        given = credential.text.encode("utf-8", "surrogatepass")
        holder: Client | None = None
        # All are compared, so that the time does not tell which is like it.
        for key, client in self._keys:
            if hmac.compare_digest(given, key) and holder is None:
                holder = client
        settings = self.settings
        isAlone = settings.tokens is None and settings.hook is None
        if credential.source not in _PLACES and (holder is not None or isAlone):
            raise BadCredential(
                f"{credential.source.value} does not count for a key: send the publish key in the "
                "header Authorization, as 'Bearer' and the key; or, on a WebSocket, by the command "
                "token"
            )
        return holder

    def _isToken(self, credential: Credential) -> bool:
        return self.settings.tokens is not None and isJWTForm(credential.text)

    # -- What it may do

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Check that a client may read a channel or a pattern, all of it.

        @raise Forbidden: If the client was identified and does not have the right, or
            no client has it.

        @raise Unauthorized: If an anonymous client needs the right.
        """
        if isReserved(name):
            self._checkReserved(client, name)
        elif not (
            client.mayPublishAll
            or not self._isRestricted
            # Each poll asks for it, and the right to a channel is often written out.
            or name in client.rights.subscribe
            or self._isOpenToRead(name)
            or _permits(client.rights.subscribe, name)
        ):
            raise _rightNeeded(
                client, f"to read {name[:64]!r}", "a token or a key with the right to it is needed"
            )

    def _checkReserved(self, client: Client, name: str) -> None:
        if name.partition("/")[0] in NODES_OWN:
            raise _reserved(name)
        rest = name.removeprefix(_PRESENCE)
        if rest != name:
            isAllowed = (
                client.mayPublishAll
                or (not self._isRestricted and not isReserved(rest))
                or permits(client.rights.presence, rest)
            )
        else:
            named = [name.removeprefix(each) for each in _NAMED if name.startswith(each)]
            isNamed = bool(named) and not (isPattern(name) or isReserved(named[0]))
            isAllowed = client.mayAdmin or isNamed
        if not isAllowed:
            raise _rightNeeded(
                client, f"to read {name[:64]!r}, which is the server's own", "a right is needed"
            )

    def checkPublisher(self, client: Client) -> None:
        """
        Check that a client may publish to some channel.

        @raise Forbidden: If no channel is open, and the client was identified
            and does not have the right.

        @raise Unauthorized: If no channel is open, and an anonymous client needs
            the right.
        """
        if not (client.mayPublishAll or self.settings.openPatterns or client.rights.publish):
            raise _rightNeeded(client, "to publish", *self._curesFor("channels"))

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Check that a client may publish to a channel.

        @raise Forbidden: If the channel is reserved, or the client was
            identified and does not have the right.

        @raise Unauthorized: If an anonymous client needs the right.
        """
        if isReserved(channel):
            raise _reserved(channel)
        if client.mayPublishAll or self._isOpen(channel):
            return
        if not permits(client.rights.publish, channel):
            cures = self._curesFor("the channel")
            raise _rightNeeded(client, f"to publish to {channel[:64]!r}", *cures)

    def _curesFor(self, what: str) -> tuple[str, ...]:
        """
        Say what lets a client publish, by a request and by a command.

        @param what: What has to be opened.
        """
        if self._keys:
            opened = f"or start the server with --open, which opens {what} to every client"
            return f"{_KEY_IN_HEADER}; {opened}", f"{_KEY_IN_COMMAND}; {opened}"
        # In an application there is neither, unless it has made them.
        return (
            "a client needs a right from the application; or let the application open "
            f"{what} to every client, with openPatterns of its Access",
        )

    def checkDelete(self, client: Client, channel: str) -> None:
        """
        Check that a client may delete the messages that a channel holds.

        @raise Forbidden: If the channel is reserved, or the client was
            identified and does not have the right.

        @raise Unauthorized: If an anonymous client needs the publish key.
        """
        if isReserved(channel):
            raise _reserved(channel)
        if not client.mayPublishAll:
            raise _rightNeeded(
                client, f"to delete the messages of {channel[:64]!r}", _KEY_IN_HEADER
            )


def _reserved(channel: str) -> Forbidden:
    return Forbidden(
        f"{channel[:64]!r} is reserved for the server, as is every channel with a segment that "
        "begins with '$'"
    )


def _rightNeeded(
    client: Client, what: str, cure: str, commandCure: str | None = None
) -> Unauthorized | Forbidden:
    """
    Make the error for a client without a right.

    @param what: What it wanted.

    @param cure: What lets it do so.

    @param commandCure: The same for a client that sends commands, if that is something else.
    """
    # RFC 9110 15.5.4: a client with a good credential is not asked for it again.
    error = (Unauthorized if client.isAnonymous else Forbidden)(f"{what}, {cure}")
    if commandCure is not None:
        error.commandDetail = f"{what}, {commandCure}"
    return error
