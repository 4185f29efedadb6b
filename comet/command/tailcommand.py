"""
C{comet tail}: print the messages of channels as they come.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from comet.command.console import Failed, dim, printable, say, show, showJSON
from comet.command.serveroptions import connect, failures, sayLost, serverOptions, transportOption
from comet.command.stopping import Stopping
from comet.model.channels import isPattern

if TYPE_CHECKING:
    from comet.client.blocking import Gap, Message


@click.command("tail", short_help="Print messages as they come.")
@serverOptions
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--since",
    metavar="START",
    help="Where to begin: now, earliest, -N for the last N messages of each channel, or a cursor. "
    "Default: now.",
)
@click.option(
    *("--cursor-file", "cursorFile"),
    type=click.Path(),
    metavar="FILE",
    help="Where the place in the log is kept. Once the file exists it overrules --since.",
)
@transportOption
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many messages.")
@click.option("--json", "isJSON", is_flag=True, help="Print a message as one line of JSON.")
def tailCommand(
    names: tuple[str, ...],
    since: str | None,
    cursorFile: str | None,
    count: int | None,
    isJSON: bool,
    **server: Any,
) -> None:
    """
    Print the messages of channels and patterns, one a line, until Ctrl-C. Where the connection
    is lost it comes back by itself, and loses and repeats nothing.

    With --cursor-file it does so over restarts, too: the file is written after a message was
    printed. Ctrl-C and SIGTERM wait for that. A process that was killed prints at most the
    message again that it was printing.

    A place where messages were lost is told on the standard error; with --json as
    {"cursor": ..., "gap": [...]} among the messages.
    """
    printing = _Printing(isJSON, len(names) > 1 or isPattern(names[0]))
    client = connect(isReader=True, **server)
    with failures(), client, Stopping() as stopping:
        with _kept(cursorFile):
            subscription = client.subscribe(names, since, cursorFile, sayLost)
        while printing.count != count:
            with _kept(cursorFile):
                item = subscription.next()
            # Without a limit of time there is one.
            assert item is not None
            with stopping.whole():
                printing.take(item)
                # Only now: a place that was kept is one up to which all is printed.
                with _kept(cursorFile):
                    subscription.handled()


@contextmanager
def _kept(path: str | None) -> Iterator[None]:
    """
    Tell of a cursor file that cannot be used.
    """
    try:
        yield
    except OSError as error:
        raise Failed(f"the cursor file {path!r} cannot be used: {error.strerror}") from None
    except ValueError as error:
        raise Failed(str(error)) from None


class _Printing:
    """
    Prints messages and gaps.

    @ivar count: How many messages it has printed.
    """

    def __init__(self, isJSON: bool, isNaming: bool) -> None:
        """
        @param isNaming: Whether each line says its channel.
        """
        self.count = 0
        self._isJSON = isJSON
        self._isNaming = isNaming

    def take(self, item: Message | Gap) -> None:
        """
        Print an item.
        """
        from comet.client.blocking import Gap

        if isinstance(item, Gap):
            if self._isJSON:
                showJSON({"cursor": item.cursor, "gap": list(item.names)})
            else:
                say(f"gap: messages of {', '.join(item.names)} are lost here", isMistake=True)
            return
        if self._isJSON:
            showJSON(_envelope(item))
        else:
            show(self._line(item))
        self.count += 1

    def _line(self, message: Message) -> str:
        words = [printable(message.channel)] if self._isNaming else []
        if message.event is not None:
            words.append(f"[{printable(message.event)}]")
        if isinstance(message.data, bytes):
            words.append("base64:")
        text = message.data
        if isinstance(text, bytes):
            text = b64encode(text).decode("ascii")
        elif not isinstance(text, str):
            text = json.dumps(text, ensure_ascii=False, separators=(",", ":"))
        return " ".join([*map(dim, words), printable(text)])


def _envelope(message: Message) -> dict[str, Any]:
    """
    Return a message as the server's envelopes have it.
    """
    envelope = {"channel": message.channel, "cursor": message.cursor, "data": message.data}
    if isinstance(message.data, bytes):
        envelope.update(data=b64encode(message.data).decode("ascii"), encoding="base64")
    for name in ("event", "time"):
        value = getattr(message, name)
        if value is not None:
            envelope[name] = value
    return envelope
