"""
One subscription: it connects, delivers, and comes back.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, cast

from comet.client.clientsteps import Opening, Response, Sleep, Step, Steps
from comet.client.cursorfile import CursorFile
from comet.client.failures import (
    BadAnswer,
    ClientError,
    Closed,
    Ended,
    Lost,
    NoToken,
    Untrusted,
    isFromServer,
    isTemporary,
)
from comet.client.links import Link, makeLink
from comet.client.received import Closing, Envelope, Gap, Message
from comet.client.requester import Requester, delayAfter
from comet.client.standing import Standing
from comet.errors import CometError

_log: Final = logging.getLogger("comet.client")

# How much of the names is logged.
_MOST_SHOWN: Final = 200

# Seconds: a connection that lasted so long was a good one.
_LASTING: Final = 10.0

# Seconds after which a better transport is tried again, when the connection is lost.
_UPGRADE: Final = 300.0

# After so many short connections in a row the next transport is tried.
_MOST_SHORT: Final = 3


# A step that no shell sees: wait until the application has taken all that has arrived.
_TAKE: Final = Sleep(0.0)


class Reading:
    """
    The state of one subscription, which a shell drives: while L{take} returns nothing, it does
    L{step}, and calls L{done} or L{failed}.

    Nothing is asked of the server while there is something to take.  So a slow reader costs no
    memory: the server keeps what it has not read.
    """

    def __init__(
        self,
        requester: Requester,
        standing: Standing,
        transports: Sequence[str],
        file: CursorFile | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> None:
        self._requester = requester
        self._standing = standing
        self._transports = transports
        self._file = file
        self._onClose = onClose
        # Each with whether it is the first of its connection.
        self._arrived: deque[tuple[Envelope, bool]] = deque()
        self._items: Iterator[Message | Gap] = iter(())
        self._wasOpen = False
        self._failures = 0
        self._index = 0
        self._fellAt = 0.0
        # When the first envelope of the present connection came.
        self._openedAt: float | None = None
        self._steps = self._run()
        self._step: Step | None = None
        self._error: BaseException | None = None

    @property
    def cursor(self) -> str | None:
        """
        The cursor up to which everything was taken, or L{None} before the server has said where the
        subscription begins.
        """
        cursor = self._standing.cursor
        return None if cursor is None else str(cursor)

    @property
    def transport(self) -> str:
        """
        The transport that is used, or tried.
        """
        return self._transports[self._index]

    def handled(self) -> None:
        """
        Write the cursor file: what was taken is done with.  L{take} does it, too.

        @raise OSError: If the file cannot be written.
        """
        if self._file is not None:
            self._file.write(self._standing.encode())

    # -- What a shell drives

    def take(self) -> Message | Gap | None:
        """
        Return the next item, if one has arrived.
        """
        self.handled()
        while True:
            item = next(self._items, None)
            if item is not None:
                return item
            if not self._arrived:
                # What arrived last may have been a cursor alone.
                self.handled()
                return None
            self._items = self._deliver(*self._arrived.popleft())

    def step(self) -> Step | None:
        """
        Return what to do next: the same again, until it is done or has failed; L{None} if it is to
        take again.

        @raise CometError: If the subscription has ended.  It is raised again by each call.
        """
        if self._error is not None:
            raise self._error
        if self._step is None:
            self.done(None)
        if self._step is _TAKE:
            # It was: a shell calls this only when there is nothing to take.
            self.done(None)
        if self._error is not None:
            raise self._error
        return None if self._step is _TAKE else self._step

    def done(self, result: object) -> None:
        """
        Take the result of the step.
        """
        if self._error is not None and isinstance(self._step, Opening):
            # It was closed meanwhile, and has no use for the connection.
            cast("Response", result).close()
        self._advance(lambda: self._steps.send(result))

    def failed(self, error: BaseException) -> None:
        """
        Take the failure of the step.
        """
        self._advance(lambda: self._steps.throw(error))

    def _advance(self, advance: Callable[[], Step]) -> None:
        if self._error is not None:
            # It was closed while a shell did the step.
            return
        try:
            self._step = advance()
        except BaseException as error:
            # What has arrived before is taken before it is raised.
            self._error = error

    def close(self) -> None:
        """
        Close the connection at once.  The subscription has ended, also for a shell that is doing a
        step of it.
        """
        self._steps.close()
        self._arrived.clear()
        self._items = iter(())
        self._error = Closed("the subscription is closed")

    # -- What has arrived

    def _deliver(self, envelope: Envelope, isFirst: bool) -> Iterator[Message | Gap]:
        """
        Take an envelope, and yield what it brings that is new.
        """
        standing, isBody = self._standing, envelope.isBody
        says = envelope.messages or envelope.ended or envelope.close
        if envelope.gap:
            before = standing.cursor if isBody else None
            if not isBody:
                standing.opened(envelope)
            yield Gap(str(before or envelope.cursor), envelope.gap)
        elif isFirst and not (says or isBody):
            standing.opened(envelope)
            return
        for cursor, message in envelope.messages:
            if standing.isNew(cursor, message):
                yield message
        if isBody or not (says or envelope.gap):
            standing.reached(envelope.cursor)

    # -- The connection

    def _run(self) -> Steps[None]:
        while True:
            if self._index and self._requester.now() - self._fellAt > _UPGRADE:
                self._index = 0
            link = makeLink(self.transport, self._requester, self._standing)
            self._openedAt = None
            try:
                yield from self._follow(link)
            except _Due:
                # Come back at once, from where it stands: nothing is lost.
                continue
            except CometError as error:
                delay = self._lost(error, link)
                self._tell(error, delay)
            finally:
                link.close()
            yield Sleep(self._requester.now() + delay)

    def _follow(self, link: Link) -> Steps[None]:
        """
        Read until the connection ends, which raises an error.
        """
        timing, now = self._requester.timing, self._requester.now
        deadline = now() + timing.timeout
        yield from link.open(deadline)
        credential = self._requester.credential
        dueAt = credential.dueAt
        while True:
            envelopes = yield from link.receive(deadline)
            end = self._arrive(envelopes)
            if envelopes:
                # From here on the standing is right: what to ask for next depends on it.
                yield _TAKE
            if end is not None:
                raise end
            if self._openedAt is not None:
                # A proxy that holds back what it gets lets the first envelope through late.
                deadline = now() + 2 * timing.heartbeat
                if now() >= dueAt:
                    # Heartbeats bring this about also where there are no messages.
                    if (yield from credential.hasNext(link.shown)):
                        raise _Due("there is another token to show")
                    dueAt = credential.dueAt

    def _arrive(self, envelopes: Sequence[Envelope]) -> CometError | None:
        """
        Keep envelopes until they are taken.

        @return: The error to raise then, if one says that the reader or some of its names have
            ended.
        """
        for envelope in envelopes:
            self._arrived.append((envelope, self._openedAt is None))
            if envelope.close is not None:
                return _ServerClosed(envelope.close)
            if envelope.ended:
                return Ended(envelope.endedCode, "the server has ended names", envelope.ended)
            if self._openedAt is None:
                self._openedAt = self._requester.now()
                self._wasOpen = True
            if envelope.messages:
                self._failures = 0
        return None

    def _lost(self, error: CometError, link: Link) -> float:
        """
        Choose when to come back, and by which transport.

        @return: After how many seconds.

        @raise CometError: If coming back does not help.
        """
        if isinstance(error, _ServerClosed) and error.closing.retry is None:
            error = Ended(error.closing.code, error.closing.message, self._standing.names)
        if self._requester.credential.isOver(error, link.shown):
            return self._delay(0.0)
        if isinstance(error, NoToken):
            if not self._wasOpen:
                # A mistake in the function, perhaps, which the application should see.
                raise error.error
            return self._delay(None)
        if isinstance(error, (Ended, Untrusted)):
            raise error
        if isinstance(error, _ServerClosed):
            return self._delay(error.closing.retry or 0.0)
        if isFromServer(error):
            if not isTemporary(error):
                raise error
            return self._delay(error.retryAfter)
        if self._openedAt is not None:
            return self._broken()
        if isinstance(error, Lost) and not error.wasConnected:
            # No other transport would find the server.
            return self._delay(None)
        if self._hasFallenBack():
            return 0.0
        # None of the transports gets through.  It may be no server of comet.
        if not self._wasOpen and (isinstance(error, BadAnswer) or not isTemporary(error)):
            raise error
        return self._delay(error.retryAfter)

    def _broken(self) -> float:
        """
        The connection was open.  If several in a row did not last, a proxy may cut them.
        """
        assert self._openedAt is not None
        if self._requester.now() - self._openedAt >= _LASTING:
            self._failures = 0
        delay = self._delay(None)
        if self._failures >= _MOST_SHORT:
            self._hasFallenBack()
        return delay

    def _hasFallenBack(self) -> bool:
        """
        Go on to the next transport, or to the first behind the last.

        @return: Whether there was a next one.
        """
        isLast = self._index + 1 == len(self._transports)
        self._index = 0 if isLast else self._index + 1
        self._fellAt = self._requester.now()
        return not isLast

    def _delay(self, asked: float | None) -> float:
        """
        Choose a delay.

        @param asked: What the server asks for.  After several failures in a row it is a lower
            bound.
        """
        wait = delayAfter(self._failures, self._requester.random)
        if asked is not None:
            wait = max(asked, wait) if self._failures else asked
        self._failures += 1
        return wait

    def _tell(self, error: CometError, delay: float) -> None:
        names = ", ".join(self._standing.names)[:_MOST_SHOWN]
        _log.info("the subscription to %s is lost: %s; again in %.1f s", names, error.detail, delay)
        if self._onClose is not None:
            self._onClose(Closing(error.code, error.detail, delay))


class _Due(ClientError):
    """
    There is another token to show, before the present one expires.
    """


class _ServerClosed(ClientError):
    """
    The server has closed the reader, and said when it may come back.
    """

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.message)
        self.code = closing.code
        self.closing = closing
