"""
What the fan-out needs of a client's socket.
"""

from __future__ import annotations

from typing import Any, Protocol


class DirectSocket(Protocol):
    """
    A socket that does not block: the system's own, or one that encrypts.
    """

    def send(self, data: bytes | memoryview, /) -> int:
        """
        Send data, or the first part of it.  What was not taken is offered again before
        anything else is.

        @return: How many bytes were taken; 0 if there is no room.

        @raise OSError: If nothing was taken: there is no room, or the connection is
            broken.
        """


class ClientSocket(DirectSocket, Protocol):
    """
    A client's socket that does not block: the system's own, or one that encrypts.  What
    is asked of either is asked of the system's.
    """

    @property
    def family(self) -> int:
        """
        The family of its addresses.
        """

    def fileno(self) -> int:
        """
        Return the descriptor.
        """

    def recv(self, size: int, /) -> bytes:
        """
        Receive data; empty once the client has ended.  One that encrypts may return more
        than was asked for: what it has decrypted, the system tells of no more.

        @raise OSError: If there is nothing, or the connection is broken.
        """

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        """
        Set an option.

        @raise OSError: If the client has left.
        """

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        """
        Return a structure that the system tells.

        @param size: How many bytes it may have.

        @raise OSError: If the client has left.
        """

    def getpeername(self) -> Any:
        """
        Return the client's address.

        @raise OSError: If the client has left.
        """

    def getsockname(self) -> Any:
        """
        Return the server's address.
        """

    def shutdown(self, how: int, /) -> None:
        """
        End one side of the connection, or both.

        @raise OSError: If the client has left.
        """

    def close(self) -> None:
        """
        Close the descriptor.
        """
