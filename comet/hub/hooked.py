"""
What the backend, or the application, is asked about what clients do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime

from comet.errors import NotFound
from comet.fanout.application import Subscription
from comet.hooks.callhook import CallHook
from comet.hooks.hookcounts import HookCounts
from comet.hooks.hookgate import HookGate
from comet.hooks.hooktable import HookTable
from comet.hooks.publishhook import PublishHook
from comet.hub.hubsettings import Settings
from comet.hub.membership import Membership
from comet.interfaces.access import IAccess
from comet.interfaces.hooks import IHooks
from comet.interfaces.messagebus import IMessageBus
from comet.limits.clientlimits import NOWHERE, Peer
from comet.model.clients import Client


class Hooked(Membership):
    """
    Asks the hooks that have a say in what clients do.

    @ivar hooks: What has a say in what clients do; L{None} if nothing has: see
        L{useHooks}.

    @ivar publishHook: Asks about messages; L{None} where none is asked about.

    @ivar callHook: Has calls answered; L{None} if nothing answers any.

    @ivar hookCounts: Counts what the backend and the application are asked.
    """

    def __init__(
        self,
        bus: IMessageBus,
        clock: IReactorTime,
        settings: Settings,
        access: IAccess | None,
        subscribe: Callable[..., Deferred[Subscription]],
    ) -> None:
        """
        @param subscribe: As for L{Readership}.
        """
        super().__init__(bus, clock, settings, access, subscribe)
        self.control.forgetting.append(self._forgetAllowed)
        self.hooks: IHooks | None = None
        self.publishHook: PublishHook | None = None
        self.callHook: CallHook | None = None
        self._hookGate: HookGate | None = None
        self.hookCounts = HookCounts()

    def useHooks(
        self, hooks: IHooks | None, tables: Sequence[tuple[str, Collection[str]]] = ()
    ) -> None:
        """
        Let an application have a say in what clients do::

            hub.useHooks(Moderator(), [("chat/**", ["publish"]), ("game/*", ["subscribe"])])

        It may be called again at any time.  What was asked about before is not asked about
        again.

        @param hooks: Is asked from now on; L{None} to ask no more.

        @param tables: Channels or patterns, and what is asked about each: C{"publish"},
            C{"subscribe"}.  For a channel the first one counts that matches it.

        @raise ValueError: If a channel or pattern is not valid, or a kind is none of
            these.
        """
        self.hooks = hooks
        if hooks is None:
            self.publishHook = self.subscribeHook = self.callHook = None
            return
        table, wait = HookTable(tables), self.settings.identifySeconds
        gate = self._hookGate
        if gate is None:
            fanout = self.fanout
            gate = self._hookGate = HookGate(
                hooks,
                table,
                fanout.wheel,
                fanout.seconds,
                lambda: self.settings.limits,
                wait,
                self.checkPublish,
                self.bursts,
                self.hookCounts,
            )
        else:
            gate.configure(hooks, table, wait)
        self.publishHook, self.subscribeHook = gate.publish, gate.subscribe
        self.callHook = gate.call

    def _forgetAllowed(self, concerns: Callable[[Client], bool]) -> None:
        """
        Ask again what some clients may do.
        """
        if self._hookGate is not None:
            self._hookGate.forget(concerns)

    def checkCall(self) -> CallHook:
        """
        Return what answers calls.

        @raise NotFound: If nothing does.
        """
        if self.callHook is None:
            raise NotFound("calls are not answered here: there is no hook for them")
        return self.callHook

    def call(
        self, client: Client, method: str, data: Any, peer: Peer = NOWHERE
    ) -> Deferred[dict[str, Any]]:
        """
        Have a client's call answered by the L{hooks}, once all is stored that was published
        before.

        @param data: A value of JSON that was decoded, or L{bytes}.

        @param peer: Where the client is.

        @return: As that of L{CallHook.call<comet.hooks.callhook.CallHook.call>}.
        """

        def call() -> Deferred[dict[str, Any]]:
            hook = self.checkCall()
            self.checkStanding(client)
            self.bursts.store()
            return hook.call(client, method, data, peer)

        return maybeDeferred(call)
