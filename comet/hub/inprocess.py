"""
What an application publishes and reads in the process of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python import threadable
from twisted.python.failure import Failure

from comet.errors import BadRequest
from comet.fanout.application import ApplicationReader, Subscription, Where, readStartPositions
from comet.fanout.iterator import Messages
from comet.fanout.reader import Reader
from comet.fanout.receivers import makeReceiver
from comet.fanout.unsent import POLL_BYTES
from comet.framing.publications import fromValue
from comet.http.reads import DEFAULT_PAGE, MAX_LIMIT
from comet.hub.publishers import Publishers
from comet.interfaces.receiver import IReceiver
from comet.model.channels import parseChannel
from comet.model.cursors import Cursor, parseCursor
from comet.model.messages import Message, Published
from comet.model.positions import HistoryPage
from comet.reactor.threads import checkThread


class InProcess(Publishers):
    """
    Lets the application publish and read, in the server's own name.
    """

    def publish(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Deferred[Cursor]:
        """
        Publish to one or more channels, in the server's own name.

        @param data: A value that JSON can express, or L{bytes}.

        @param event: The name of the message's event.

        @param key: An idempotency key, which makes it safe to publish again
            after L{Unknown<comet.errors.Unknown>}.

        @return: Fires with the cursor of the message, or of the last one of
            several, once it is stored and was written to the readers.  Fails
            with a L{CometError} if nothing was stored, or with
            L{Unknown<comet.errors.Unknown>} if that cannot be known.

        @raise RuntimeError: If this is not the thread of the reactor; in another
            one, call L{publishFromThread}.
        """
        checkThread("hub.publish")

        def publish() -> Deferred[Sequence[Published]]:
            limits = self.settings.limits
            publication = fromValue(channels, data, limits, event, key, "server")
            answered: Deferred[Sequence[Published]] = Deferred()
            # Now: the application may look into the bus next.
            self.bursts.publish([publication], answered.callback, answered.errback)
            return answered

        return maybeDeferred(publish).addCallback(lambda answers: answers[0].cursor)

    def publishFromThread(
        self,
        channels: str | Sequence[str],
        data: Any,
        event: str | None = None,
        key: str | None = None,
    ) -> Cursor:
        """
        Publish as L{publish} does, from another thread than that of the reactor,
        and wait until the message is stored.

        @return: The cursor of the message, or of the last one of several.

        @raise CometError: If nothing was stored.

        @raise Unknown: If that cannot be known.

        @raise RuntimeError: If this is the thread of the reactor, which would wait
            for itself.
        """
        if threadable.isInIOThread():
            raise RuntimeError(
                "hub.publishFromThread was called in the thread of the reactor: call hub.publish"
            )
        # A program without threads need not load it.
        from twisted.internet.threads import blockingCallFromThread

        publish: Callable[..., Any] = self.publish
        reactor: Any = self.reactor
        cursor: Cursor = blockingCallFromThread(reactor, publish, channels, data, event, key)
        return cursor

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Where,
        receiver: IReceiver | Callable[[Message], object],
    ) -> Deferred[Subscription]:
        """
        Read channels and patterns, in the server's own name.

        @param since: The start position: C{"now"} or L{None}, C{"earliest"},
            C{"-3"}, a cursor; or a mapping of names to these.

        @param receiver: An L{IReceiver}, or a function that is called with each
            message; what a function is not told is logged.  May be called before this
            returns, if the reader starts at held messages.

        @return: Fires with the subscription once every message that is stored
            will be received.  Fails with a L{CometError}.

        @raise RuntimeError: If this is not the thread of the reactor.

        @raise TypeError: If the receiver is neither an L{IReceiver} nor a function, or
            a coroutine function; see L{messages}.
        """
        checkThread("hub.subscribe")
        receives = makeReceiver(receiver)

        def subscribe() -> Deferred[Subscription]:
            self.bursts.store()
            startPositions = readStartPositions(names, since)
            self._checkDraining()
            reader = ApplicationReader(self.fanout, receives)
            reader.subscription = subscription = Subscription(reader)
            opened = reader.open(startPositions)
            opened.addCallbacks(lambda _: subscription, self._notOpened, errbackArgs=(reader,))
            return opened

        return maybeDeferred(subscribe)

    def _notOpened(self, failure: Failure, reader: Reader) -> Failure:
        reader.ended()
        return failure

    def messages(self, names: str | Sequence[str], since: Where = None) -> Messages:
        """
        Read channels and patterns in a coroutine, in the server's own name::

            async for message in hub.messages("news"):
                print(message.data)

        @param since: As for L{subscribe}.
        """
        subscribe = partial(self.subscribe, names, since)
        reactor: Any = self.reactor
        later = getattr(reactor, "callFromThread", lambda call: call())
        return Messages(subscribe, later)

    def history(
        self, channel: str, before: str | Cursor | None = None, limit: int = DEFAULT_PAGE
    ) -> Deferred[HistoryPage]:
        """
        Read the newest messages of a channel before a cursor, in the server's own
        name.  To read on into the past, give the cursor of the oldest message of
        one page as C{before} of the next.

        @param before: The cursor; the message that it is of is not read.  L{None}
            for the newest messages.

        @param limit: How many messages to read at most: 1 to L{MAX_LIMIT}.  A page
            has at most a megabyte of data, or one message.

        @return: Fires with the page.  Its messages are in the order of positions;
            C{more} tells whether older ones are held, and C{isGap} whether older
            ones are gone.  Fails with a L{CometError}.

        @raise RuntimeError: If this is not the thread of the reactor.
        """
        checkThread("hub.history")

        def recall() -> Deferred[HistoryPage]:
            if not 1 <= limit <= MAX_LIMIT:
                raise BadRequest(f"limit is {limit}; 1 to {MAX_LIMIT} is allowed")
            cursor = None if before is None else parseCursor(str(before))
            self.bursts.store()
            return self.fanout.questions.history(
                parseChannel(channel), self, cursor, limit, POLL_BYTES
            )

        return maybeDeferred(recall)
