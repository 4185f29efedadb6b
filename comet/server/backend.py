"""
What asks the backend, as the configuration describes it.
"""

from __future__ import annotations

import time
from typing import Any, Final

from comet.hooks.connect import Connect
from comet.hooks.hooksettings import HookSettings
from comet.hooks.sender import HookSender, makeAgent
from comet.hooks.signing import readSecret
from comet.hooks.webhooks import Webhooks
from comet.http.outgoing import CALL, CONNECT, PUBLISH, SUBSCRIBE
from comet.reactor.clocks import steadyClock
from comet.reactor.timers import TimerWheel
from comet.server.secretfiles import Secrets
from comet.settings.configuration import Configuration, ConfigurationError

# What the backend is asked about what clients do.
BY_REQUEST: Final = (SUBSCRIBE, PUBLISH, CALL)


def makeSender(configuration: Configuration, secrets: Secrets, reactor: Any) -> HookSender | None:
    """
    Make what sends the backend all that it is asked.

    @return: L{None} if there is no backend to ask.

    @raise ConfigurationError: If TLS is needed and not installed.
    """
    if configuration["hook"] is None:
        return None
    settings = HookSettings(
        configuration["hook"],
        tuple(map(readSecret, secrets.hookSecrets)),
        configuration.hookHeaders,
        configuration["hook-timeout"],
        configuration["hook-concurrency"],
    )
    try:
        agent, pool = makeAgent(reactor, settings)
    except ImportError:
        raise ConfigurationError(
            "a hook at https needs packages that are not installed: pip install 'comet-push[hooks]'"
        ) from None
    clock = steadyClock(reactor)
    wheel = TimerWheel(clock)
    # The time of day: a receiver compares it with its own.
    return HookSender(settings, agent, wheel, time.time, clock.seconds, pool=pool)


def makeConnect(
    configuration: Configuration, sender: HookSender | None, reactor: Any
) -> Connect | None:
    """
    Make what asks the backend which client sends a request.

    @return: L{None} if it is not asked.
    """
    if sender is None or CONNECT not in configuration.hookEvents:
        return None
    clock = steadyClock(reactor)
    return Connect(sender, TimerWheel(clock), time.time, clock.seconds)


def makeWebhooks(configuration: Configuration, sender: HookSender | None) -> Webhooks | None:
    """
    Make what asks the backend about what clients do.

    @return: L{None} if it is not asked.
    """
    events = [event for event in configuration.hookEvents if event in BY_REQUEST]
    if sender is None or not events:
        return None
    return Webhooks(sender, events, configuration["hook-failure"] == "allow")
