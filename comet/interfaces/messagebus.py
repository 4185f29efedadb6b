"""
What every bus promises.

A L{bus<IMessageBus>} keeps the log.  A L{listener<IBusListener>} hears what the bus stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from comet.model.cursors import Cursor
from comet.model.messages import Message, Publication, Published
from comet.model.positions import HistoryPage, ReadResult, ResolvedStarts, StartPosition


class IBusListener(Interface):
    """
    Hears what a bus stores.

    No method may raise, and none may block.  Each may call the bus: what the
    bus tells because of such a call is heard only after the present call has
    returned.
    """

    def messagesStored(messages: Sequence[Message]) -> None:
        """
        The bus has stored these messages, in this order, after every message
        that this listener heard before.

        The messages of the names that are listened to are all heard, each once.
        Messages of other names may be among them.
        """

    def endMoved(end: Cursor) -> None:
        """
        The listener has heard everything up to this cursor in the names that it
        listens to.
        """

    def interrupted() -> None:
        """
        The listener may have missed messages, or a new epoch has begun.

        From now on it hears everything again.  What it missed has to be read
        from the log, from the position of each reader.
        """


class IMessageBus(Interface):
    """
    Keeps a bounded log of messages for each channel.  Positions are common to
    all channels.

    No method blocks the reactor.  Neither the bus nor its caller changes an
    argument or a result later.

    The bus keeps these promises also if it works elsewhere and answers later:

      - L{end} is in the epoch of an answer before that answer fires.
      - A read that begins after a message was heard reaches that message.  A
        read that begins after C{listen} has fired reaches everything that was
        stored before.
      - C{endMoved} may tell of a log end that is older than L{end}.  It never
        goes back within an epoch.

    A bus that bounds what it holds in all drops the oldest messages first.  The
    server's own channels (L{isReserved<comet.model.channels.isReserved>}) are apart
    from all others: they lose nothing to these while they take no more than a quarter
    of the total.  Above that they lose their own oldest messages first.
    """

    isAvailable: bool = Attribute(
        """Whether a message can be stored, as far as the bus knows without trying."""
    )

    end: Cursor = Attribute(
        """
        The cursor of the newest message that is known to be stored, in the
        present epoch.
        """
    )

    def start() -> Deferred[None]:
        """
        Make the bus ready.  Called once, before every other method.

        @return: Fires when the bus can be used.  Fails with
            L{CometError<comet.errors.CometError>} if it never will be; the
            error says what the operator can do about it.
        """

    def stop() -> Deferred[None]:
        """
        Release all resources.  Called once, after every other method.
        """

    def publish(publications: Sequence[Publication]) -> Deferred[Sequence[Published]]:
        """
        Store all of these publications, in order, or none of them.

        A key is known for five minutes.  If it comes again from the same
        publisher to the same channels, nothing is stored, and the answer is the
        one of the first time.  While the first publication is under way, the
        second waits for it.

        Each publisher has a budget for its keys, and all publishers have one
        together (see L{KeyBudget<comet.bus.idempotency.KeyBudget>}).  A
        publisher with too many loses its oldest keys early; the keys of a
        publisher that takes less than an equal share of all are never forgotten
        for those of others.

        @return: Fires with an answer for each publication, once all are stored
            and the listeners of this bus have heard of them.  Fails with
            L{Unavailable<comet.errors.Unavailable>} if nothing was stored; with
            L{Unknown<comet.errors.Unknown>} if the bus cannot know whether it
            was; with L{KeyReused<comet.errors.KeyReused>} if a key came before
            with another message, and then nothing was stored.
        """

    def forget(channel: str) -> Deferred[None]:
        """
        Drop all messages that are held of a channel.  Its floor rises to its
        newest message.

        @return: Fires when the messages are dropped.  Fails with
            L{Unavailable<comet.errors.Unavailable>}.
        """

    def resolve(names: Mapping[str, StartPosition]) -> Deferred[ResolvedStarts]:
        """
        Find where each of some names begins, all at the same moment.

        C{now}, C{earliest} and the last few messages begin without a gap.  A
        cursor that is of another epoch, or beyond the log end, or unreadable,
        begins before the oldest message that is held of its name, with a gap.
        The last few messages are told of at most 1,000 channels, named ones and
        then those with the newest messages; all others begin at the log end.

        A bus for which each question is a way over a network may read ahead, and answer with
        the first messages, too (L{ResolvedStarts.page
        <comet.model.positions.ResolvedStarts>}): they are asked for next.

        @param names: The start position of each channel or pattern.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """

    def read(
        names: Sequence[str], after: Cursor, limit: int, maxBytes: int, upTo: int | None
    ) -> Deferred[ReadResult]:
        """
        Read the log of some names, in the order of positions.

        A read that would take long for the bus may end earlier than asked, even
        without a message: then it tells how far it came, that there is more, and
        that this is a part.

        @param names: Channels or patterns.  A message that several of them
            match is read once.

        @param after: The cursor after which to begin.

        @param limit: How many messages to read at most; at least 1.

        @param maxBytes: After how many bytes of payload to stop.  One message
            is read even if it has more.

        @param upTo: The last position to read, or L{None} for the log end.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """

    def history(
        channel: str, before: Cursor | None, limit: int, maxBytes: int
    ) -> Deferred[HistoryPage]:
        """
        Read the newest messages of a channel before a cursor.  It costs as much as
        it reads, however many messages or channels there are.

        Nothing is known of what was before a cursor of another epoch, or one beyond
        the log end: then no message is read, and it is a gap.

        A page that would take long for the bus may end earlier than asked, with a message
        at least: then it says that this is a part.

        @param before: The cursor; the message that it is of is not read.  L{None}
            for the log end, with the newest message.

        @param limit: How many messages to read at most; at least 1.

        @param maxBytes: After how many bytes of payload to stop.  One message is
            read even if it has more.

        @return: Fails with L{Unavailable<comet.errors.Unavailable>}.
        """

    def listen(listener: IBusListener, names: Iterable[str]) -> Deferred[None]:
        """
        Let a listener hear some names (channels or patterns), in addition to
        those that it hears already.

        @return: Fires once the bus listens: the listener will hear every
            message that is stored from then on.  Fails with
            L{Unavailable<comet.errors.Unavailable>}, or with
            L{Forbidden<comet.errors.Forbidden>} if the bus may not listen to
            one of the names and asking again changes nothing; then the listener
            does not hear these names.
        """

    def unlisten(listener: IBusListener, names: Iterable[str]) -> None:
        """
        Stop telling a listener of these names.  Names that it does not listen
        to are ignored.
        """
