"""
What the hub asks about what clients do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from comet.framing.publications import Limits
from comet.hooks.callhook import CallHook
from comet.hooks.hookcounts import HookCounts
from comet.hooks.hooktable import HookTable
from comet.hooks.publishhook import Pending, PublishHook
from comet.hooks.questions import Questions
from comet.hooks.subscribehook import SubscribeHook
from comet.http.outgoing import PUBLISH, SUBSCRIBE
from comet.interfaces.hooks import IHooks
from comet.model.clients import Client
from comet.reactor.timers import TimerWheel


class HookGate:
    """
    Asks an L{IHooks} about what clients do.

    @ivar publish: Asks about messages; L{None} where none is asked about.

    @ivar subscribe: Asks about reading; L{None} where no name is asked about.

    @ivar call: Has calls answered.
    """

    publish: PublishHook | None
    subscribe: SubscribeHook | None

    def __init__(
        self,
        hooks: IHooks,
        table: HookTable,
        wheel: TimerWheel,
        seconds: Callable[[], float],
        limits: Callable[[], Limits],
        waitSeconds: float,
        check: Callable[[Client, Sequence[str]], None],
        pending: Pending,
        counts: HookCounts,
    ) -> None:
        """
        @param table: Which channels are asked about.

        @param wheel: Ends questions that take too long.

        @param seconds: Returns the time of a clock that goes on.

        @param limits: Returns the limits of what clients publish.

        @param waitSeconds: For how long an answer is waited for.

        @param check: Checks that a client may publish to some channels; raises a
            L{CometError<comet.errors.CometError>}.

        @param pending: Counts what is not stored yet.

        @param counts: Counts the questions.
        """
        self._questions = Questions(wheel, waitSeconds, counts, seconds)
        self._publish = PublishHook(hooks, table, self._questions, limits, check, seconds, pending)
        self._subscribe = SubscribeHook(hooks, table, self._questions, wheel, seconds)
        self.call = CallHook(hooks, self._questions, limits)
        self.configure(hooks, table, waitSeconds)

    def configure(self, hooks: IHooks, table: HookTable, waitSeconds: float) -> None:
        """
        Go by other settings from now on.  What waits for an answer goes on; what readers
        were allowed is forgotten.
        """
        self._publish.hooks = self._subscribe.hooks = self.call.hooks = hooks
        self._publish.table = self._subscribe.table = table
        self._subscribe.clear()
        self._questions.seconds = waitSeconds
        self._questions.isBackend = getattr(hooks, "isBackend", False)
        self.publish = self._publish if table.asksAbout(PUBLISH) else None
        self.subscribe = self._subscribe if table.asksAbout(SUBSCRIBE) else None

    def forget(self, matches: Callable[[Client], bool]) -> None:
        """
        Forget what some clients were allowed: they are asked about again.
        """
        self._subscribe.forget(matches)
