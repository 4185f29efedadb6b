"""
What an application may read messages with: an L{IReceiver}, or a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any

from twisted.logger import Logger
from zope.interface import implementer

from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message

_WORDS = "read with 'async for message in hub.messages(...)', which waits for each message"


@implementer(IReceiver)
class FunctionReceiver:
    """
    Gives the messages to a function, and logs what no function can be told.
    """

    _log = Logger()

    def __init__(self, function: Callable[[Message], object]) -> None:
        self._function = function

    def subscriptionOpened(self, subscription: Any) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> Any:
        """
        See L{IReceiver.messageReceived}.
        """
        return self._function(message)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        See L{IReceiver.gapFound}.
        """
        self._log.warn(
            "{function} reads on behind messages of {names} that are lost after {cursor}; an "
            "IReceiver would be told",
            function=self._function,
            names=names,
            cursor=str(cursor),
        )

    def subscriptionClosed(self, close: Close) -> None:
        """
        See L{IReceiver.subscriptionClosed}.
        """
        self._log.info(
            "{function} reads no more: {code}: {message}",
            function=self._function,
            code=close.code,
            message=close.message,
        )


def makeReceiver(given: object) -> IReceiver:
    """
    Make a receiver of what an application reads with.

    @param given: An L{IReceiver}, or a function of one argument.

    @raise TypeError: If it is neither, or its C{messageReceived}, or the function,
        is a coroutine function: nothing would wait for the coroutine.
    """
    if IReceiver.providedBy(given):
        if iscoroutinefunction(given.messageReceived):
            raise TypeError(f"messageReceived of {given!r} is 'async def': {_WORDS}")
        return given
    if not callable(given) or isinstance(given, type):
        raise TypeError(
            f"{given!r} is neither a function nor provides comet.IReceiver, so it cannot receive "
            "messages"
        )
    if iscoroutinefunction(given) or iscoroutinefunction(type(given).__call__):
        raise TypeError(f"{given!r} is 'async def': {_WORDS}")
    return FunctionReceiver(given)
