"""
The steps in which the core talks to the network.

The core is written as generators.  Each yields one step at a time, a shell does it, and sends
back its result or throws its failure.  So the core does no I/O, knows no clock but the one that it
is given, and a test plays the shell.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol, TypeAlias, TypeVar

from attrs import frozen

T = TypeVar("T")


class Connection(Protocol):
    """
    A connection that a shell has opened.
    """

    def close(self) -> None:
        """
        Close it at once, without waiting for what is not yet sent.  It may be closed before, and
        does not raise.
        """


@frozen
class Connect:
    """
    Open a connection.  The result is a L{Connection}.

    The step fails with L{OSError}, with L{TimeoutError} after the deadline, and with
    L{Untrusted<comet.client.failures.Untrusted>}.

    @ivar deadline: In seconds, of the shell's clock.
    """

    host: str
    port: int
    isSecure: bool
    deadline: float


@frozen
class Send:
    """
    Send bytes, or take them into a buffer to be sent.  The result is L{None}.  The step fails as
    L{Connect} does.
    """

    connection: Connection
    data: bytes
    deadline: float


@frozen
class Receive:
    """
    Wait for bytes.  They are the result: at least one, and none once the server sends no more.  The
    step fails as L{Connect} does.
    """

    connection: Connection
    deadline: float


@frozen
class Sleep:
    """
    Wait until a time of the shell's clock.  The result is L{None}.
    """

    until: float


@frozen
class Ask:
    """
    Call the application's function for a token.  The result is what it returns, or what its
    awaitable is resolved with.  The step fails as the function does.
    """

    function: Callable[[], str | Awaitable[str]]


Step: TypeAlias = Connect | Send | Receive | Sleep | Ask

# A part of the core that ends with a T.
Steps: TypeAlias = Generator[Step, Any, T]
