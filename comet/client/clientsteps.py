"""
The steps in which the core talks to the network.

The core is written as generators.  Each yields one step at a time, a shell does it with the library
of its own world, and sends back its result or throws its failure.  So the core does no I/O, knows
no clock but the one that it is given, and a test plays the shell.

The steps that use the network fail with L{Lost<comet.client.failures.Lost>}, with
L{Silent<comet.client.failures.Silent>} once their deadline is over, with
L{Untrusted<comet.client.failures.Untrusted>} and with
L{BadAnswer<comet.client.failures.BadAnswer>}.  What they have used is closed then.  A deadline is
in seconds, of the shell's clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from attrs import frozen

from comet.client.serverurl import ServerURL

T = TypeVar("T")

USER_AGENT: Final = "comet-python"

#: The most bytes of the head of a response, and of the body of a refused handshake.
MAX_HEAD: Final = 65536


class Response(Protocol):
    """
    A response whose head has come.

    @ivar status: Its status; 0 for raw TCP.
    """

    @property
    def status(self) -> int:
        """
        See above.
        """

    def header(self, name: str) -> str | None:
        """
        Return the value of a header.

        @param name: In lower case.
        """

    def close(self) -> None:
        """
        If the body was not read to its end, close the connection at once.  It may be closed before,
        and does not raise.
        """


class Socket(Response, Protocol):
    """
    The end of a handshake: an open WebSocket if the status is 101, or the refusal.

    @ivar body: What came of the body of a refusal, up to L{MAX_HEAD}.
    """

    @property
    def body(self) -> bytes:
        """
        See above.
        """


@frozen
class Request:
    """
    Send a request, perhaps over a connection that was used before, and wait for the head of the
    final response.  The result is a L{Response}.  Redirects are not followed, no cookies are kept,
    and no proxy is used.

    @ivar headers: All but those that say where the request goes and how its body is framed.
    """

    method: str
    url: ServerURL
    headers: Mapping[str, str]
    body: bytes
    deadline: float


@frozen
class Read:
    """
    Wait for bytes of a body.  They are the result: at least one, and none at its end.  Then the
    connection may be used again.  Compressed bodies are not asked for, and not undone.
    """

    response: Response
    deadline: float


@frozen
class Upgrade:
    """
    Open a WebSocket, with the subprotocol C{comet.v1} and no extension.  The result is a L{Socket}.
    """

    url: ServerURL
    headers: Mapping[str, str]
    deadline: float


@frozen
class Connect:
    """
    Open a connection of raw TCP, with TLS if the URL says so, and send bytes.  The result is a
    L{Response} without status and headers, whose L{Read} brings what the server sends.
    """

    url: ServerURL
    data: bytes
    deadline: float


@frozen
class Texts:
    """
    Wait for text messages of a WebSocket.  The result is all that have come, in UTF-8; perhaps none
    yet.  The step fails with L{Lost<comet.client.failures.Lost>} at the end, and where a message is
    larger than L{MAX_BYTES<comet.client.splitting.MAX_BYTES>}; with
    L{BadAnswer<comet.client.failures.BadAnswer>} where one is no text.
    """

    socket: Socket
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


# Those whose result is a connection, which has to be closed if nothing wants it any more.
Opening: TypeAlias = Request | Upgrade | Connect

Step: TypeAlias = Request | Read | Upgrade | Connect | Texts | Sleep | Ask

# A part of the core that ends with a T.
Steps: TypeAlias = Generator[Step, Any, T]
