"""
How the messages of a tick reach the readers of a group.

A delivery belongs to a kind of reader in one shape: streams of SSE events, say,
or polls with a limit of 100.  It prepares the messages once for all its readers,
and gives the result to those that can be written to all at once.  Each other
reader takes the result by itself.

The parts below state here what they need of readers and deliveries, and import
neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from comet.interfaces.sockets import DirectSocket
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.model.progress import Progress

P = TypeVar("P")


class DirectReaders(Protocol):
    """
    What a delivery needs of a group.
    """

    @property
    def wroteAt(self) -> float:
        """
        When this flush began, in seconds of the reactor's clock.
        """

    @property
    def direct(self) -> dict[Any, DirectSocket]:
        """
        The live readers that can be written to all at once, each with its
        socket.
        """

    @property
    def isPart(self) -> bool:
        """
        Whether these are only some of the readers, few enough to be written to at once.
        """


class GroupReaders(DirectReaders, Protocol):
    """
    What a delivery needs of a group whose readers it closes.
    """

    def takeDirect(self) -> dict[Any, DirectSocket]:
        """
        Remove the direct readers from the group.  The caller closes them.
        """


class DirectParts(Protocol):
    """
    Writes what was prepared to direct readers, some at a time.
    """

    @property
    def atOnce(self) -> int:
        """
        How many readers are to be written to between two looks at the clock.
        """

    def write(self, direct: dict[Any, DirectSocket], wroteAt: float) -> None:
        """
        Write to some of the readers.  A failure closes all of these.

        @param wroteAt: The time of now, in seconds of the reactor's clock.
        """


class Delivery(Protocol[P]):
    """
    Prepares and delivers the messages of a tick, for one kind of reader in one
    shape.
    """

    def prepare(self, messages: Sequence[Message], end: Cursor) -> P:
        """
        Make of these messages what any live reader of the kind, in the shape,
        can take.  Called at most once a tick for the same list of messages.

        @param messages: At least one, in the order of positions.

        @param end: The readers have no other message up to here.
        """

    def deliver(self, group: GroupReaders, prepared: P) -> bool | DirectParts:
        """
        Give what was prepared to all L{direct<DirectReaders.direct>} readers of
        a group.  A failure closes all of them.

        @return: C{True} if they have it; C{False} if each reader is to take it by itself; or
            what writes to some at a time, if to write to all would take long.
        """


class Member(Protocol):
    """
    What a group, the registry and the fan-out need of a reader.
    """

    @property
    def progress(self) -> Progress:
        """
        Where the reader stands.
        """

    @property
    def position(self) -> Cursor:
        """
        Everything up to here has reached the client.
        """

    @property
    def readerID(self) -> str | None:
        """
        The id of the readers of its client, or L{None}.
        """

    @property
    def shape(self) -> object:
        """
        All that makes what is prepared for this reader differ from what is
        prepared for others of its kind; hashable.
        """

    @property
    def direct(self) -> DirectSocket | None:
        """
        A socket that takes what is prepared as it is, or L{None}.
        """

    def makeDelivery(self) -> Delivery[Any]:
        """
        Make the delivery for the reader's kind and shape.
        """

    def take(self, prepared: Any) -> None:
        """
        Take what was prepared for the whole group.  The reader is live.
        """

    def pump(self) -> None:
        """
        Read on in the log, if the reader is reading.
        """

    def unsettle(self) -> None:
        """
        Read the log again from here: messages may have been missed.
        """

    def close(self, close: Close) -> None:
        """
        Send the reader away with a reason.
        """

    def cut(self) -> None:
        """
        Close the connection at once.  The reader is closed.
        """

    def failed(self) -> None:
        """
        Send the reader away: the server made a mistake, which was logged.
        """
