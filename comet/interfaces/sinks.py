"""
What takes the bytes for one client, and what it tells its owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from comet.interfaces.sockets import DirectSocket


class ISink(Interface):
    """
    Takes the bytes for one client, in order.

    A sink is I{ready}, or I{behind} while written bytes wait in memory because
    the client does not take them.
    """

    def attach(owner: ISinkOwner) -> None:
        """
        Set the owner, which the sink tells of its changes.  Called once, before
        the first write.
        """

    def write(data: bytes) -> bool:
        """
        Take all of the data.

        @return: Whether the sink is ready.  If it is not, it tells its owner
            when it is ready again.  It never calls the owner before this method
            has returned.
        """

    def stalled(isStalled: bool) -> None:
        """
        The client has taken nothing for a while, or takes what is written again.
        The sink cuts the connection of a client that has vanished; one whose
        program only does not read is left to the owner.

        @param isStalled: Whether it takes nothing.  This is told again and again
            for as long as it is so, and once when it is over.
        """

    def finish() -> None:
        """
        Close the connection once all written bytes are sent.
        """

    def abort() -> None:
        """
        Close the connection now, and discard unsent bytes.
        """


class IDirectSink(ISink):
    """
    A sink over a socket that holds no bytes back: while it is ready, other code
    may send to the socket directly.
    """

    direct: DirectSocket | None = Attribute(
        """
        The non-blocking socket, or L{None} if the bytes that are sent have to
        be counted for this client alone.
        """
    )

    def sent(count: int) -> None:
        """
        Count bytes that other code has sent to the socket, or has given to
        L{keep}.

        @param count: The bytes sent to this client and to others that are
            counted in the same place.
        """

    def keep(rest: bytes | memoryview) -> None:
        """
        Keep bytes that the socket did not take.  The sink is behind from now
        on.
        """


class ISinkOwner(Interface):
    """
    Writes to a sink, and is told of its changes.
    """

    def sinkReady() -> None:
        """
        The sink was behind, and is ready again.
        """

    def sinkLost() -> None:
        """
        The client is gone.  Called once; the sink calls nothing after it.
        """

    def inputEnded() -> None:
        """
        The client has closed its writing side.  What it sent before was received.
        It may read on, or may have left: only writing to it tells.
        """
