"""
What a configuration adds to a hub: hooks, presence, and events.
"""

from __future__ import annotations

from comet.hooks.sender import HookSender
from comet.hub.hub import Hub
from comet.interfaces.hooks import IHooks
from comet.interfaces.memberbus import IPresence
from comet.server.backend import makeWebhooks
from comet.settings.configuration import Configuration, ConfigurationError
from comet.settings.options import CHAT


class HubExtras:
    """
    Adds to the hub of a server what the configuration says, and leaves alone what the
    application has added.

    @ivar configuration: The value of every option.

    @ivar sender: Sends the backend what it is asked; L{None} if there is no backend.

    @ivar ownHooks: The hooks of the application, in the place of the backend; L{None} if it
        has none.
    """

    def __init__(self, configuration: Configuration, sender: HookSender | None) -> None:
        self.configuration = configuration
        self.sender = sender
        self.ownHooks: IHooks | None = None
        # The hooks that the hub was given.
        self._givenHooks: IHooks | None = None
        # Whether the configuration names channels of which presence is kept, and those of
        # which events are told.
        self._keepsPresence = False
        self._tellsEvents = False

    def addTo(self, hub: Hub) -> None:
        """
        Add all to a hub that has nothing of it yet.

        @raise ConfigurationError: If its bus cannot do that.
        """
        self._givenHooks = None
        self.update(hub)

    def update(self, hub: Hub) -> None:
        """
        Go by what the configuration says now.

        @raise ConfigurationError: As L{addTo}.
        """
        self.giveHooks(hub)
        self._keepPresence(hub)
        self._tellEvents(hub)

    def giveHooks(self, hub: Hub) -> None:
        """
        Give the hub its hooks, unless the application has done it itself; and have it
        count what the backend is asked.
        """
        if self.sender is not None:
            self.sender.counts = hub.hookCounts
        if hub.hooks is not self._givenHooks:
            return
        hooks = self.ownHooks or makeWebhooks(self.configuration, self.sender)
        hub.useHooks(hooks, self.configuration.hookTables)
        self._givenHooks = hooks

    def _keepPresence(self, hub: Hub) -> None:
        """
        Let the hub keep presence of the channels that the configuration names.

        @raise ConfigurationError: If its bus does not know who is in a channel.
        """
        configuration = self.configuration
        rules, grace = configuration.presenceRules, configuration["presence-grace"]
        # An application may say itself of what presence is kept.
        isDemo = configuration["demo"] and configuration["app"] is None
        if isDemo and IPresence.providedBy(hub.bus):
            rules = [*rules, (CHAT, True)]
        if not (rules or self._keepsPresence):
            return
        self._keepsPresence = bool(rules)
        try:
            hub.keepPresence(rules, grace)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    def _tellEvents(self, hub: Hub) -> None:
        """
        Let the hub tell of the channels that the configuration names, and send it to the
        backend.

        @raise ConfigurationError: If its bus cannot do that.
        """
        rules, grace = self.configuration.eventRules, self.configuration["presence-grace"]
        if rules or self._tellsEvents:
            # Otherwise the application may do it itself.
            self._tellsEvents = bool(rules)
            try:
                hub.tellEvents(rules, grace)
            except ValueError as error:
                raise ConfigurationError(str(error)) from None
        self.sendEvents(hub)

    def sendEvents(self, hub: Hub) -> None:
        """
        Send to the backend what is told, if it is to be sent.
        """
        if hub.events is not None:
            sends = self.configuration.sendsEvents
            hub.events.send((lambda: self.sender) if sends else None)
