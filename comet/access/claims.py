"""
The claims of a token (RFC 7519 4), and the client that they name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen

from comet.access.granted import readGranted
from comet.errors import BadCredential
from comet.model.clients import Client, Known, checkClientName

# By how many seconds the clocks of who makes tokens and who reads them may differ.
TOLERANCE: Final = 5.0

# The values of C{typ} that a token for comet may have, in lower case.
_TYPES: Final = frozenset({"jwt", "at+jwt", "comet+jwt"})

# How deeply the claims of a token may be nested.
MAX_DEPTH: Final = 64

# How many characters an identifier of a token may have.
MAX_ID: Final = 255


@frozen
class ClaimRules:
    """
    What is demanded of every token.

    @ivar issuer: What C{iss} has to be; L{None} if it does not matter.

    @ivar audience: What C{aud} has to name; L{None} for tokens without it.

    @ivar isEndless: Whether a token may be without C{exp}.

    @ivar lifetime: How far off C{exp} may be, in seconds, unless tokens may be
        endless: no token outlives its revocation.
    """

    issuer: str | None = None
    audience: str | None = None
    isEndless: bool = False
    lifetime: float = 30 * 86400.0


def checkHeader(header: Mapping[str, Any]) -> None:
    """
    Check what the header of a token says of its purpose.

    @raise BadCredential: If it is for another one, or demands what is not known here.
    """
    if "crit" in header:
        # RFC 7515 4.1.11: none of these is understood.
        raise BadCredential("the token has crit, which demands what the server does not know")
    kind = header.get("typ", "JWT")
    # RFC 7515 4.1.9: the part before the slash may be left out.
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise BadCredential("the token is of another type: typ may be JWT, at+jwt or comet+jwt")


def readClaims(claims: Any, rules: ClaimRules, now: float) -> Client:
    """
    Read the claims of a token whose signature is good.

    @param now: The time in seconds since 1970.

    @return: The client.  If the token does not end, neither does it.

    @raise BadCredential: If a claim is not allowed, or the time of the token is over
        or has not begun.
    """
    if not isinstance(claims, dict):
        raise BadCredential("the claims of the token are no JSON object")
    times = {name: _time(claims, name) for name in ("exp", "nbf", "iat")}
    expires, begins, issued = times["exp"], times["nbf"], times["iat"]
    _checkTimes(expires, begins, issued, rules, now)
    _checkIssuer(claims, rules)
    identifier = claims.get("jti", "")
    if not isinstance(identifier, str) or len(identifier) > MAX_ID:
        raise BadCredential(f"jti of the token is no text of at most {MAX_ID} characters")
    granted = claims.get("comet", {})
    if not isinstance(granted, dict):
        raise BadCredential("the claim comet of the token is no JSON object")
    try:
        name = checkClientName(claims["sub"]) if "sub" in claims else ""
        read = readGranted(granted, name)
    except ValueError as error:
        raise BadCredential(f"the token is not allowed: {error}") from None
    return Client(
        name,
        rights=read.rights,
        info=read.info,
        known=Known.TOKEN,
        expires=expires,
        until=None if expires is None else expires + TOLERANCE,
        issued=issued,
        credentialID=identifier,
    )


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """
    Read a claim that is a time, in seconds since 1970 (RFC 7519 2, NumericDate).
    """
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is int or type(value) is float:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise BadCredential(f"{name} of the token is no finite number of seconds")


def _checkTimes(
    expires: float | None,
    begins: float | None,
    issued: float | None,
    rules: ClaimRules,
    now: float,
) -> None:
    if expires is None:
        if not rules.isEndless:
            raise BadCredential("the token has no exp: every token has to end")
    elif now >= expires + TOLERANCE:
        raise BadCredential("the token has expired")
    # From iat, too: otherwise a token that lasts longer would be good once its end has come
    # near, when its revocation is in force no longer.
    elif not rules.isEndless and expires > (
        (now if issued is None else min(now, issued)) + rules.lifetime + TOLERANCE
    ):
        raise BadCredential(
            f"exp of the token is further off than the {rules.lifetime:g} seconds of "
            "--token-lifetime"
        )
    for name, time in (("nbf", begins), ("iat", issued)):
        if time is not None and now < time - TOLERANCE:
            raise BadCredential(f"the token is not valid yet: {name} is in the future")


def _checkIssuer(claims: Mapping[str, Any], rules: ClaimRules) -> None:
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise BadCredential("the token is of another issuer than --token-issuer names")
    if "aud" not in claims:
        if rules.audience is not None:
            raise BadCredential("the token has no aud, and --token-audience names one")
        return
    # RFC 7519 4.1.3: who is not in it has to refuse the token.
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if rules.audience is None or rules.audience not in audiences:
        raise BadCredential("the token is for another audience than --token-audience names")
