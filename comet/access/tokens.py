"""
Clients by their tokens: JSON Web Tokens (RFC 7519), verified as RFC 8725 says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from comet.access.accesssettings import ITokenVerifier
from comet.access.claims import MAX_DEPTH, ClaimRules, checkHeader, readClaims
from comet.access.jwks import KeySet
from comet.access.jwtform import MAX_TOKEN
from comet.access.rememberedtokens import RememberedTokens
from comet.access.tokenkeys import TokenKey
from comet.errors import BadCredential, BadMessage
from comet.framing.strictjson import decode
from comet.http.credentials import Credential
from comet.model.clients import Client

# With how many keys a token is tried that does not name its own.
MAX_TRIED: Final = 8

# With which of them a key that is not known may have signed: one that is served is
# public.
_SERVED: Final = frozenset({"RS256", "PS256", "ES256", "ES384", "EdDSA"})


@implementer(ITokenVerifier)
class TokenVerifier:
    """
    Knows clients by their tokens.  A token is verified once; what it means is
    remembered until it ends.
    """

    def __init__(
        self,
        keys: Iterable[TokenKey],
        rules: ClaimRules,
        now: Callable[[], float],
        keySet: KeySet | None = None,
    ) -> None:
        """
        @param keys: Those of files.

        @param keySet: Keys that an issuer serves.

        @param now: Returns the time in seconds since 1970.

        @raise ImportError: If PyJWT or cryptography is not installed.
        """
        from jwt.api_jws import PyJWS

        self._jws = PyJWS()
        self._keys = tuple(keys)
        self._rules = rules
        self._now = now
        self.remembered = RememberedTokens(now)
        self.keySet = keySet
        # See L{ITokenVerifier.recall}.  Each poll calls it.
        self.recall: Callable[[str], Client | None] = self.remembered.find
        if keySet is not None:
            self.recall = partial(self._recall, keySet)
            keySet.changed = self.remembered.clear

    def _recall(self, keySet: KeySet, text: str) -> Client | None:
        # Here, too: its key may have been taken out of the set.
        keySet.freshen()
        return self.remembered.find(text)

    def clientOf(self, credential: Credential) -> Client | None:
        """
        See L{ITokenVerifier.clientOf}.
        """
        text = credential.text
        client = self.recall(text)
        if client is not None:
            return client
        if len(text) > MAX_TOKEN:
            raise BadCredential(f"the token has more than {MAX_TOKEN} characters")
        payload, isUnknown = self._verify(text)
        if payload is None:
            if isUnknown and self.keySet is not None:
                return None
            raise BadCredential("no key that the server knows has signed the token")
        try:
            claims = decode(payload, MAX_DEPTH)
        except BadMessage:
            raise BadCredential("the claims of the token are no strict JSON") from None
        client = readClaims(claims, self._rules, self._now())
        self.remembered.add(text, client)
        return client

    def identify(self, credential: Credential) -> Deferred[Client]:
        """
        See L{ITokenVerifier.identify}: wait for the issuer's keys.
        """
        if self.keySet is None:
            try:
                return succeed(self._known(credential))
            except BadCredential as error:
                return fail(error)
        return self.keySet.refresh().addCallback(lambda _: self._known(credential))

    def _known(self, credential: Credential) -> Client:
        client = self.clientOf(credential)
        if client is None:
            raise BadCredential("no key that the server knows has signed the token")
        return client

    def _verify(self, text: str) -> tuple[bytes | None, bool]:
        """
        Find the key that has signed a token.

        @return: The claims of the token, or L{None} if no key that is known has signed
            it; and whether another key may have.

        @raise BadCredential: If the token cannot be read, or is for another purpose.
        """
        from jwt.exceptions import PyJWTError

        try:
            header: dict[str, Any] = self._jws.get_unverified_header(text)
        except (PyJWTError, ValueError, RecursionError):
            raise BadCredential("the token cannot be read") from None
        checkHeader(header)
        ident, algorithm = header.get("kid"), header.get("alg")
        served = () if self.keySet is None else self.keySet.keys
        known = [*self._keys, *served]
        candidates = _candidates(known, algorithm, ident)
        for key in candidates[:MAX_TRIED]:
            try:
                decoded = self._jws.decode_complete(text, key.value, list(key.algorithms))
            except (PyJWTError, ValueError, TypeError):
                continue
            payload: bytes = decoded["payload"]
            return payload, False
        isKnown = bool(served) if ident is None else any(key.ident == ident for key in known)
        mayBeServed = isinstance(algorithm, str) and algorithm in _SERVED
        return None, mayBeServed and not isKnown

    def freshen(self) -> None:
        """
        Ask for the keys that an issuer serves, if there are none or they are old.
        """
        if self.keySet is not None:
            self.keySet.freshen()

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget the tokens of some clients: they are verified again.
        """
        self.remembered.forget(matches)


def _candidates(keys: Sequence[TokenKey], alg: object, ident: object) -> list[TokenKey]:
    """
    Choose the keys that may have signed a token: those that verify its algorithm, and
    that have the name it gives or none.
    """
    fitting = [key for key in keys if alg in key.algorithms]
    if ident is None:
        return fitting
    named = [key for key in fitting if key.ident == ident]
    return [*named, *(key for key in fitting if key.ident is None)]
