"""
How an application reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zope.interface import Interface

from comet.model.cursors import Cursor
from comet.model.messages import Close, Message


class IReceiver(Interface):
    """
    Reads messages for an application: see
    L{Hub.subscribe<comet.hub.inprocess.InProcess.subscribe>}.

    An exception from any method is logged, and no message is lost because of
    it.  From within any method, the receiver may publish, pause, change its
    names and unsubscribe.

    The methods are no coroutine functions: nothing would wait for them.
    """

    def subscriptionOpened(subscription: Any) -> None:
        """
        The subscription has begun.  Called once, before every other method.

        @param subscription: The L{Subscription<comet.fanout.application.Subscription>}
            that L{Hub.subscribe<comet.hub.inprocess.InProcess.subscribe>} fires with afterwards.
        """

    def messageReceived(message: Message, replay: bool) -> None:
        """
        A message of one of the names has arrived.  Each comes once, in the
        order of positions.

        @param replay: Whether the message is older than the reader's position:
            it is for a name that began behind the others.  The receiver must
            not take its cursor as its own progress.
        """

    def gapFound(cursor: Cursor, names: Sequence[str]) -> None:
        """
        These names lost messages after this cursor.  The messages that are
        still held follow.
        """

    def subscriptionClosed(close: Close) -> None:
        """
        The server has ended the subscription.  No other call follows.
        """
