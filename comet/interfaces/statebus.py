"""
What a bus promises that keeps values by their keys.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from comet.interfaces.messagebus import IMessageBus
from comet.model.messages import Publication
from comet.model.state import StateEntry, StatePage


class IStateBus(IMessageBus):
    """
    Keeps state beside the log: values by their keys, in tables.  Each table is of one
    reserved channel, on which every change is told.  What is revoked is kept so.

    The state is no part of the log: retention, eviction, C{forget} and a new epoch leave
    it as it is.  It lasts as long as the log can at best: with a file, over restarts.

    A change and the message that tells of it are stored in one step, both or neither.  So
    one reads the state, then the channel from the cursor of what was read, and knows
    every change.
    """

    def putState(
        change: Publication, key: str, seconds: float | None, most: int
    ) -> Deferred[StateEntry]:
        """
        Keep the payload of a publication under a key, in place of what was there, and
        store the publication.

        @param change: Has one channel, whose table is meant.  Its idempotency key is
            ignored: to put the same again changes nothing.

        @param key: 1 to 128 printable ASCII characters, none a space.

        @param seconds: For how long to keep it, or L{None} for until it is dropped.  Then
            it goes without a message.

        @param most: How many entries the table may have with this one.

        @return: Fires once it is stored and the listeners of this bus have heard of it.
            Fails with L{TooMany<comet.errors.TooMany>} if the table is full, and with
            L{Unavailable<comet.errors.Unavailable>}: nothing is changed then.  Fails
            with L{Unknown<comet.errors.Unknown>} as C{publish} does.
        """

    def dropState(change: Publication, key: str) -> Deferred[bool]:
        """
        Take out what is kept under a key, and store a publication that tells of it.

        @return: Fires with whether there was something; if not, nothing is stored.
            Fails as L{putState} does.
        """

    def readState(channel: str, after: str, limit: int) -> Deferred[StatePage]:
        """
        Read what is kept in a table, in the order of the keys.

        @param channel: The channel of the table.

        @param after: The key after which to begin; empty for the first.

        @param limit: How many entries to read at most; at least 1.

        @return: Fires with the page.  An entry that cannot be read is not left out without
            a word: its key is in L{StatePage.unreadable
            <comet.model.state.StatePage>}.  Fails with
            L{Unavailable<comet.errors.Unavailable>}.
        """
