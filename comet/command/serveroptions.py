"""
The options of the commands that talk to a server, and what these can fail with.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from comet.command.console import Failed, Refused, say
from comet.command.givencredentials import (
    KEY_VARIABLE,
    TOKEN_VARIABLE,
    checkToken,
    readKey,
    readToken,
)
from comet.command.numberranges import NumberRange
from comet.errors import CometError, Unauthorized

if TYPE_CHECKING:
    from comet.client.blocking import Client, Closing

F = TypeVar("F", bound=Callable[..., Any])

#: Those that are tried by default, and then the others.
TRANSPORTS: Final = (
    "websocket",
    "sse",
    "stream",
    "longpoll",
    "poll",
    "multipart",
    "iframe",
    "jsonp",
    "tcp",
)

# Added to a refusal of a command that was given neither.
_CURE: Final = "; --key-file FILE sends a key, and --token-file FILE a token"

_OPTIONS: Final = (
    click.argument("url"),
    click.option(
        *("--key-file", "keyFile"),
        type=click.Path(),
        metavar="FILE",
        help=f"The file of the publish or admin key. The variable {KEY_VARIABLE} may have the key.",
    ),
    click.option(
        *("--token-file", "tokenFile"),
        type=click.Path(),
        metavar="FILE",
        help=f"The file of a token. The variable {TOKEN_VARIABLE} may have the token.",
    ),
    click.option(
        *("--ca-file", "caFile"),
        type=click.Path(),
        metavar="FILE",
        help="The certificates that vouch for the server's, in PEM, instead of the system's.",
    ),
    click.option(
        "--patience",
        type=NumberRange(0.1, 270.0),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="For how long a request is repeated that has no answer.",
    ),
)


def serverOptions(command: F) -> F:
    """
    Give a command the URL of a server, and the options of L{connect}.
    """
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


def transportOption(command: F) -> F:
    """
    Give a command the choice of a transport.
    """
    return click.option(
        "--transport",
        type=click.Choice(TRANSPORTS),
        help="How messages are read. Default: the first of websocket, sse, stream and longpoll "
        "that gets through; tcp where the URL is tcp://HOST:PORT or, with TLS, tls://HOST:PORT.",
    )(command)


def credentialOf(keyFile: str | None, tokenFile: str | None) -> tuple[str | None, str | None]:
    """
    Find the key or the token: an option, else a variable of the environment.

    @return: The key and the token, of which at most one is there.

    @raise Failed: If a file cannot be read, or does not hold one.
    """
    if keyFile is not None and tokenFile is not None:
        raise click.UsageError("There may be one of --key-file and --token-file.")
    if keyFile is not None:
        return readKey(keyFile), None
    if tokenFile is not None:
        return None, readToken(tokenFile)
    key = os.environ.get(KEY_VARIABLE, "").strip()
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if key:
        return checkToken(key), None
    return None, checkToken(token) if token else None


def connect(
    url: str,
    keyFile: str | None,
    tokenFile: str | None,
    caFile: str | None,
    patience: float,
    transport: str | None = None,
    isReader: bool = False,
) -> Client:
    """
    Make a client of a server.  It connects when it is used.

    @param isReader: Whether it only subscribes, so that the URL may be that of raw TCP.

    @raise Failed: If a file cannot be read, or a package is not installed.
    """
    try:
        from comet.client.blocking import Client, Timing
    except ImportError:
        raise Failed(
            "this needs packages that are not installed: pip install 'comet-push[cli]'"
        ) from None
    if not isReader:
        checkHTTP(url)
    key, token = credentialOf(keyFile, tokenFile)
    timing, tls = Timing(patience=patience), certificates(caFile)
    try:
        return Client(url, key=key, token=token, transport=transport, timing=timing, tls=tls)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def checkHTTP(url: str) -> None:
    """
    Check that a URL is not that of raw TCP.

    @raise click.UsageError: If it is.
    """
    if url.startswith(("tcp://", "tls://")):
        raise click.UsageError("The URL of raw TCP is for tail only; this needs one of HTTP.")


def certificates(path: str | None) -> ssl.SSLContext | None:
    """
    Read the certificates that vouch for a server's.

    @return: L{None} for those of the system.

    @raise Failed: If the file has none.
    """
    if path is None:
        return None
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ValueError) as error:
        raise Failed(f"the certificates {path!r} cannot be read: {error}") from None


def sayLost(closing: Closing) -> None:
    """
    Say that a connection is lost, or that there is none, and when the command tries again.
    """
    again = "" if closing.retry is None else f"; again in {closing.retry:.1f} s"
    say(f"{closing.code}: {closing.message}{again}")


@contextmanager
def failures() -> Iterator[None]:
    """
    Make of what a client fails with how the command ends.

    @raise Refused: If the server has refused, and would again.

    @raise Failed: If it could not be reached, or cannot do it at present.
    """
    from comet.client.failures import Ended, isFromServer, isTemporary

    try:
        yield
    except CometError as error:
        isRefused = isinstance(error, Ended) or (isFromServer(error) and not isTemporary(error))
        kind = Refused if isRefused else Failed
        # What the server says is for all kinds of clients: this one sets no headers.
        cure = _CURE if isinstance(error, Unauthorized) and not _hasCredential() else ""
        raise kind(f"{error.code}: {error.detail}{cure}") from None


def _hasCredential() -> bool:
    """
    Tell whether this command was given a key or a token.
    """
    given = click.get_current_context().params
    return bool(
        given.get("keyFile")
        or given.get("tokenFile")
        or os.environ.get(KEY_VARIABLE, "").strip()
        or os.environ.get(TOKEN_VARIABLE, "").strip()
    )
