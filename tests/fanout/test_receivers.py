"""
Tests of L{comet.fanout.receivers}: what an application may read with.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from comet.fanout.receivers import makeReceiver
from comet.interfaces.receiver import IReceiver
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from tests.fanout.case import HubTestCase
from tests.fanout.doubles import MemoryReceiver


class MakeTests(SynchronousTestCase):
    """
    L{makeReceiver}.
    """

    def test_takesReceiversAndFunctions(self) -> None:
        """
        A receiver is taken as it is, and all that can be called with a message.
        """

        class Called:
            """
            An object that can be called.
            """

            def __call__(self, message: Message) -> None:
                """
                Do nothing.
                """

        receiver = MemoryReceiver()
        self.assertIs(makeReceiver(receiver), receiver)
        functions: tuple[object, ...] = (print, lambda _: None, Called(), partial(print, 1))
        for function in functions:
            verifyObject(IReceiver, makeReceiver(function))

    def test_refusesWhatCannotReceive(self) -> None:
        """
        Anything else is refused at once, not when a message comes.
        """

        async def coroutine(message: Message) -> None:
            """
            A coroutine function.
            """

        class Called:
            """
            An object that can be called.
            """

            async def __call__(self, message: Message) -> None:
                """
                Do nothing.
                """

        @implementer(IReceiver)
        class Receiver(MemoryReceiver):
            """
            A receiver whose method is a coroutine function.
            """

            async def messageReceived(self, message: Message, replay: bool) -> None:  # type: ignore[override]
                """
                Do nothing.
                """

        for given in (None, "news", 3, MemoryReceiver, object()):
            error = self.assertRaises(TypeError, makeReceiver, given)
            self.assertIn("comet.IReceiver", str(error))
        for given in (coroutine, Called(), Receiver(), partial(coroutine)):
            error = self.assertRaises(TypeError, makeReceiver, given)
            self.assertIn("hub.messages", str(error))


class SubscribeTests(HubTestCase):
    """
    L{Hub.subscribe<comet.hub.inprocess.InProcess.subscribe>} with each of them.
    """

    def say(self, channel: str, data: Any) -> None:
        """
        Publish a value, and let it be heard.
        """
        published = self.hub.publish(channel, data)
        self.rest()
        self.successResultOf(published)

    def test_functionGetsMessages(self) -> None:
        """
        A function is called with each message, and its data are the values that were
        published.
        """
        values: list[Any] = [{"a": [1, None, "ä</script>"]}, b"\x00\xff", "text", 2**63, 1.5]
        self.say("a", values[0])
        got: list[Message] = []
        self.successResultOf(self.hub.subscribe("a", "earliest", got.append))
        for value in values[1:]:
            self.say("a", value)
        self.rest()
        self.assertEqual([each.data for each in got], values)
        # A value belongs to the caller that asked for it.
        got[0].data["a"].clear()
        self.assertEqual(got[0].data, values[0])

    def test_functionIsNotTold(self) -> None:
        """
        What a function cannot be told is logged: a gap, and the end.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        got: list[Message] = []
        subscribed = self.hub.subscribe("a", Cursor("elsewhere", 5), got.append)
        self.successResultOf(subscribed)
        self.successResultOf(self.hub.drain(0))
        said = [(each["log_level"], each["log_format"]) for each in events]
        self.assertIn(LogLevel.warn, [level for level, text in said if "are lost" in text])
        self.assertIn(LogLevel.info, [level for level, text in said if "reads no more" in text])

    def test_coroutineOfFunctionIsLogged(self) -> None:
        """
        A function that returns a coroutine, which nothing waits for, has that logged.
        """

        async def later() -> None:
            """
            A coroutine.
            """

        self.successResultOf(self.hub.subscribe("a", "now", lambda message: later()))
        self.say("a", 1)
        self.rest()
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_refusesAtOnce(self) -> None:
        """
        What is no receiver is refused by C{subscribe} itself, and nothing is left.
        """
        refused: Any = "news"
        self.assertRaises(TypeError, self.hub.subscribe, "a", "now", refused)
        self.assertEqual(len(self.fanout.readers), 0)

    def test_tellsSubscriptionFirst(self) -> None:
        """
        A receiver is told its subscription before the first message or gap, and may
        end it there.
        """
        self.say("a", 1)
        heard: list[Any] = []

        class Receiver(MemoryReceiver):
            """
            Notes what is first.
            """

            def subscriptionOpened(self, subscription: Any) -> None:
                """
                Note it.
                """
                heard.append((subscription, subscription.names, list(self.heard)))
                if len(heard) == 2:
                    subscription.unsubscribe()

        receiver = Receiver()
        subscription = self.successResultOf(self.hub.subscribe("a", Cursor("x", 1), receiver))
        self.assertEqual(heard, [(subscription, ("a",), [])])
        self.assertEqual([each[0] for each in receiver.heard], ["gap", "message"])
        ended = Receiver()
        self.successResultOf(self.hub.subscribe("a", "earliest", ended))
        self.assertEqual(ended.heard, [])
        self.assertEqual(len(self.fanout.readers), 1)

    def test_consumerPausesSubscription(self) -> None:
        """
        A subscription is the producer of a transport, which pauses it.
        """
        transport = StringTransport()

        class Receiver(MemoryReceiver):
            """
            Writes what it gets.
            """

            def subscriptionOpened(self, subscription: Any) -> None:
                """
                Let the transport pause it.
                """
                transport.registerProducer(subscription, True)

            def messageReceived(self, message: Message, replay: bool) -> None:
                """
                Write it.
                """
                transport.write(message.payload)

            def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
                """
                Never called.
                """

            def subscriptionClosed(self, close: Close) -> None:
                """
                Never called.
                """

        subscription = self.successResultOf(self.hub.subscribe("a", "now", Receiver()))
        verifyObject(IPushProducer, subscription)
        self.assertIs(transport.producer, subscription)
        subscription.pauseProducing()
        self.say("a", 1)
        self.rest()
        self.assertEqual(transport.value(), b"")
        subscription.resumeProducing()
        self.rest()
        self.assertEqual(transport.value(), b"1")
