"""
C{comet publish}: publish a message, or each line of the standard input.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from comet.command.console import Failed, progress, say, show, standardInput
from comet.command.inputlines import MAX_LINE, LongLine, readLines
from comet.command.serveroptions import connect, failures, serverOptions
from comet.errors import BadMessage
from comet.framing.strictjson import decode

if TYPE_CHECKING:
    from comet.client.blocking import Client

# How deep the JSON of a message may be: as deep as a server can be told to take.
_MAX_DEPTH: Final = 256

# How many lines are published at a time.
BATCH: Final = 1000


@click.command("publish", short_help="Publish a message, or one for each line.")
@serverOptions
@click.argument("name")
@click.argument("data", required=False)
@click.option("--file", "path", type=click.Path(), metavar="FILE", help="A file is the message.")
@click.option("--json", "isJSON", is_flag=True, help="Read the message as JSON.")
@click.option("--event", metavar="NAME", help="The name of the message's event.")
@click.option(
    *("--idempotency-key", "key"),
    metavar="KEY",
    help="With the same key the same message is published once within five minutes.",
)
def publishCommand(
    name: str,
    data: str | None,
    path: str | None,
    isJSON: bool,
    event: str | None,
    key: str | None,
    **server: Any,
) -> None:
    """
    Publish DATA, a string, to a channel, and print the cursor of the message once it is stored.

    Without DATA and --file each line of the standard input is a message, and is published as
    soon as it comes; the cursor of the last is printed at the end. A file that is no text
    is published as bytes.
    """
    if data is not None and path is not None:
        raise click.UsageError("There may be one of DATA and --file.")
    client = connect(**server)
    fields = {"channel": name, "event": event}
    with failures(), client:
        if data is None and path is None:
            if key is not None:
                raise click.UsageError("--idempotency-key is for one message, and lines are many.")
            _publishLines(client, fields, isJSON)
            return
        if path is not None:
            value = _parseFile(path, isJSON)
        else:
            value = _parse(os.fsencode(data or ""), isJSON, "the message")
        show(client.publish(name, value, event=event, key=key))


def _parseFile(path: str, isJSON: bool) -> Any:
    """
    Read the file of a message.

    @raise Failed: If it cannot be read, or is not as it should be.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_LINE + 1)
    except OSError as error:
        raise Failed(f"the file {path!r} cannot be read: {error.strerror}") from None
    if len(content) > MAX_LINE:
        raise Failed(f"the file {path!r} has more than {MAX_LINE} bytes")
    if isJSON:
        return _parse(content, True, f"the file {path!r}")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def _parse(content: bytes, isJSON: bool, what: str) -> Any:
    """
    Read a message.

    @param what: What it is, for the text of an error.

    @raise Failed: If it is not as it should be.
    """
    try:
        return decode(content, _MAX_DEPTH) if isJSON else content.decode("utf-8")
    except BadMessage as error:
        raise Failed(f"{what} is no JSON: {error.detail}") from None
    except UnicodeDecodeError:
        raise Failed(f"{what} is not in UTF-8") from None


def _publishLines(client: Client, fields: Mapping[str, Any], isJSON: bool) -> None:
    """
    Publish each line of the standard input, and print the last cursor.

    @raise Failed: If a line is not as it should be.  Those before it are published.
    """
    descriptor = standardInput().fileno()
    count, cursor = 0, None
    if os.isatty(descriptor):
        # A user who has forgotten the message would think that the command hangs.
        say("each line that you type is a message; Ctrl-D ends")
    try:
        with progress(_sizeOf(descriptor), "publishing") as advance:
            for lines in _pieces(readLines(descriptor)):
                messages, fault = _parseLines(lines, isJSON, count)
                if messages:
                    cursor = client.publishMany({**fields, "data": each} for each in messages)[-1]
                    count += len(messages)
                if fault is not None:
                    raise fault
                advance(sum(map(len, lines)) + len(lines))
    except LongLine as error:
        raise Failed(str(error)) from None
    finally:
        say(f"{count:,} {'message' if count == 1 else 'messages'} published")
        if cursor is not None:
            show(cursor)


def _pieces(read: Iterator[list[bytes]]) -> Iterator[list[bytes]]:
    """
    Cut what was read into pieces, so that the progress is that of what is stored.
    """
    for lines in read:
        for start in range(0, len(lines), BATCH):
            yield lines[start : start + BATCH]


def _parseLines(
    lines: Sequence[bytes], isJSON: bool, before: int
) -> tuple[list[Any], Failed | None]:
    """
    Read lines up to the first that is not as it should be.

    @param before: How many lines came before.

    @return: The messages, and what is wrong with the line after them, if there is one.
    """
    messages: list[Any] = []
    for number, line in enumerate(lines, before + 1):
        try:
            messages.append(_parse(line, isJSON, f"line {number}"))
        except Failed as fault:
            return messages, fault
    return messages, None


def _sizeOf(descriptor: int) -> int:
    """
    Return how many bytes there will be to read; 0 where that is not known.
    """
    found = os.fstat(descriptor)
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
