"""
Tests for L{comet.bus.listeners}.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from comet.bus.listeners import Listeners
from comet.interfaces.messagebus import IBusListener
from comet.model.messages import Message
from comet.testing.case import Listener


def message(position: int) -> Message:
    """
    Make a message at a position.
    """
    return Message("a", "e", position, 0.0, b"1")


@implementer(IBusListener)
class Doing(Listener):
    """
    Calls a function whenever it hears a message.
    """

    def __init__(self, do: Callable[[int], object]) -> None:
        super().__init__()
        self.do = do

    def messagesStored(self, messages: Sequence[Message]) -> None:
        """
        Note the messages, and call the function with the position of the first.
        """
        super().messagesStored(messages)
        self.do(messages[0].position)


class ListenersTests(SynchronousTestCase):
    """
    L{Listeners}.
    """

    def setUp(self) -> None:
        """
        Make listeners, of which C{self.last} is added after all others.
        """
        self.listeners = Listeners()
        self.last = Listener()

    def doing(self, do: Callable[[int], object]) -> Doing:
        """
        Add a listener that calls a function with what it hears, before
        C{self.last} hears it.
        """
        doing = Doing(do)
        self.listeners.add(doing, ["a"])
        self.listeners.add(self.last, ["a"])
        return doing

    def test_listenerHearsEverythingOnce(self) -> None:
        """
        A listener to some names hears everything, once.
        """
        self.listeners.add(self.last, ["a", "*"])
        self.listeners.add(self.last, ["b"])
        heard = self.listeners.messagesStored([message(1), message(2)])
        self.assertIsNone(self.successResultOf(heard))
        self.assertEqual(self.last.heard, [1, 2])

    def test_listenerWithoutNamesHearsNothing(self) -> None:
        """
        These hear nothing: a listener to which no name was added, one that gave
        up all names, and any listener after C{clear}.
        """
        self.listeners.add(self.last, [])
        self.assertEqual(len(self.listeners), 0)
        self.listeners.add(self.last, ["a", "b"])
        self.listeners.remove(self.last, ["a", "c"])
        self.assertEqual(len(self.listeners), 1)
        self.listeners.remove(self.last, ["b"])
        self.listeners.remove(self.last, ["b"])
        self.assertEqual(len(self.listeners), 0)
        self.listeners.add(self.last, ["a"])
        self.listeners.clear()
        self.listeners.messagesStored([message(1)])
        self.assertEqual(self.last.heard, [])

    def test_queuesNewsFromWithinCall(self) -> None:
        """
        News that a listener causes while it hears waits until all have heard
        what came before.
        """
        told: list[Deferred[None]] = []

        def tell(position: int) -> None:
            if position < 3:
                told.append(self.listeners.messagesStored([message(position + 1)]))
                self.assertNoResult(told[-1])
                told[-1].addCallback(lambda _: self.assertEqual(self.last.heard[-1], position + 1))

        doing = self.doing(tell)
        self.successResultOf(self.listeners.messagesStored([message(1)]))
        self.assertEqual((doing.heard, self.last.heard), ([1, 2, 3], [1, 2, 3]))
        for each in told:
            self.successResultOf(each)

    def test_queuesInterruptionFromWithinCall(self) -> None:
        """
        An interruption that a listener causes while it hears comes in its
        place.
        """
        doing = self.doing(lambda position: self.listeners.interrupted())
        self.listeners.messagesStored([message(1)])
        self.listeners.messagesStored([message(2)])
        for listener in (doing, self.last):
            self.assertEqual((listener.heard, listener.interruptions), ([1, 2], [1, 2]))

    def test_changesListenersFromWithinCall(self) -> None:
        """
        A listener that is removed while others hear hears nothing from then on.
        A listener that is added hears nothing that was told before.
        """
        late = Listener()

        def change(position: int) -> None:
            self.listeners.remove(self.last, ["a"])
            self.listeners.add(late, ["a"])

        self.doing(change)
        self.listeners.messagesStored([message(1)])
        self.assertEqual((self.last.heard, late.heard), ([], []))
        self.listeners.messagesStored([message(2)])
        self.assertEqual((self.last.heard, late.heard), ([], [2]))

    def test_logsFailureOfListener(self) -> None:
        """
        A listener that raises an exception is logged.  The others hear, and it
        hears what follows.
        """

        def fail(position: int) -> None:
            raise ZeroDivisionError

        doing = self.doing(fail)
        for position in (1, 2):
            self.successResultOf(self.listeners.messagesStored([message(position)]))
        self.assertEqual((doing.heard, self.last.heard), ([1, 2], [1, 2]))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
