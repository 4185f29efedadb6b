"""
What verifies tokens, as the configuration describes it.
"""

from __future__ import annotations

import time
from typing import Any

from comet.access.claims import ClaimRules
from comet.access.jwks import KeySet, checkKeySetURL, fetcher
from comet.access.tokenkeys import readTokenKeys
from comet.access.tokens import TokenVerifier
from comet.reactor.clocks import steadyClock
from comet.reactor.timers import TimerWheel
from comet.server.secretfiles import Secrets
from comet.settings.configuration import Configuration, ConfigurationError

_NEEDED = "token-key and token-jwks need packages that are not installed: "


def checkTokens(configuration: Configuration) -> None:
    """
    Check the options of tokens, but for the files of keys.

    @raise ValueError: If a value is not allowed.
    """
    url = configuration["token-jwks"]
    if url is None:
        return
    try:
        checkKeySetURL(url)
    except ValueError as error:
        # Its query may hold a secret, and so may what is before its host.
        shown = url.partition("?")[0].rpartition("@")[2][:64]
        raise ConfigurationError(f"{shown!r} is not allowed for token-jwks: {error}") from None
    try:
        import jwt  # noqa: F401
        import treq  # noqa: F401
    except ImportError:
        raise ConfigurationError(f"{_NEEDED}pip install 'comet-push[tokens,hooks]'") from None


def makeVerifier(
    configuration: Configuration,
    secrets: Secrets,
    reactor: Any,
    before: object = None,
) -> TokenVerifier | None:
    """
    Make what verifies tokens.

    @param before: What did so before, if the configuration was read again: keys that
        are served at the same URL stay at hand.

    @return: L{None} if there is no key, and so there are no tokens.

    @raise ValueError: If a key is not allowed.
    """
    keys = [
        key for content in secrets.tokenKeys for key in readTokenKeys(content.encode("latin-1"))
    ]
    url = configuration["token-jwks"]
    if not keys and url is None:
        return None
    rules = ClaimRules(
        configuration["token-issuer"],
        configuration["token-audience"],
        configuration["token-endless"],
        configuration["token-lifetime"],
    )
    keySet = before.keySet if isinstance(before, TokenVerifier) else None
    if url is not None and (keySet is None or keySet.url != url):
        clock = steadyClock(reactor)
        keySet = KeySet(url, fetcher(reactor), TimerWheel(clock), clock.seconds)
    # The time of day: a token says when it ends.
    return TokenVerifier(keys, rules, time.time, keySet if url is not None else None)
