"""
The hub of a serving process as its configuration describes it, and what decides on the
rights of clients.
"""

from __future__ import annotations

from typing import Any

from comet.access.accesssettings import AccessSettings
from comet.access.claims import TOLERANCE
from comet.bus.registry import findMaker
from comet.framing.publications import Limits
from comet.hooks.sender import HookSender
from comet.http.forwarded import Proxies
from comet.http.origins import Origins
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.interfaces.access import IAccess
from comet.limits.capacity import openFiles, readersWithin
from comet.limits.clientlimits import ClientSettings
from comet.server.backend import makeConnect
from comet.server.secretfiles import Secrets
from comet.server.verifier import makeVerifier
from comet.settings.configuration import Configuration


def makeHub(configuration: Configuration, reactor: Any, access: IAccess) -> Hub:
    """
    Make the hub that a configuration describes.

    @param access: Decides what clients may do.
    """
    url = configuration["bus"]
    return Hub(
        findMaker(url).makeBus(url, reactor, configuration),
        reactor,
        hubSettings(configuration),
        access,
        makeOrigins(configuration),
        makeProxies(configuration),
    )


def hubSettings(configuration: Configuration) -> Settings:
    """
    Make what the hub allows.
    """
    limits = Limits(
        maxMessage=configuration["max-message"],
        maxDepth=configuration["max-depth"],
        maxBatch=configuration["max-batch"],
        maxChannels=configuration["max-channels"],
    )
    return Settings(
        limits,
        configuration["heartbeat"],
        configuration["max-connections"],
        readersWithin(openFiles()),
        configuration["upload-total-bytes"],
        # A backend that is late says so itself.
        identifySeconds=max(10.0, configuration["hook-timeout"] + 1.0),
        revokedSeconds=_revokedSeconds(configuration),
        compression=configuration.compression,
        clients=ClientSettings(
            configuration["publish-rate"],
            configuration["command-rate"],
            configuration["connections-per-client"],
            configuration["connections-per-address"],
        ),
    )


def _revokedSeconds(configuration: Configuration) -> float | None:
    """
    For how many seconds something is revoked where that is not said: so that no token
    outlives it, with the tolerance for its times at both ends.
    """
    if configuration["token-endless"]:
        return None
    lifetime: float = configuration["token-lifetime"]
    return lifetime + 2 * TOLERANCE


def makeOrigins(configuration: Configuration) -> Origins:
    """
    Make the origins and hosts that are trusted.
    """
    return Origins(configuration["allow-origin"], configuration["public-url"])


def makeProxies(configuration: Configuration) -> Proxies | None:
    """
    Make the proxies that are believed, or L{None} if there is none.
    """
    trusted = configuration["trust-proxy"]
    return Proxies(trusted, configuration["proxy-header"]) if trusted else None


def accessSettings(
    configuration: Configuration,
    secrets: Secrets,
    reactor: Any,
    before: AccessSettings | None = None,
    sender: HookSender | None = None,
) -> AccessSettings:
    """
    Make what the access object is told.

    @param before: What it was told before, if the configuration was read again.

    @param sender: Asks the backend; L{None} if there is none.

    @raise ValueError: If a value is not allowed.
    """
    hook = makeConnect(configuration, sender, reactor)
    # Last: it takes over the keys that an issuer serves, and nothing may fail after it.
    tokens = makeVerifier(configuration, secrets, reactor, before and before.tokens)
    return AccessSettings(
        secrets.publishKeys,
        secrets.adminKeys,
        configuration.openPatterns,
        configuration.openReadPatterns,
        tokens,
        hook,
    )
