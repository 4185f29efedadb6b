"""
C{comet bench}: how fast a server is, with how many readers and messages.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from comet.command.codes import DONE, FAILED
from comet.command.console import Failed, progress, show, showJSON, strong
from comet.command.latencies import Latencies
from comet.command.marks import Marks
from comet.command.numberranges import NumberRange
from comet.command.serveroptions import (
    certificates,
    checkHTTP,
    credentialOf,
    failures,
    serverOptions,
)
from comet.model.channels import parseChannel

if TYPE_CHECKING:
    from comet.command.benchrun import Asked, Run

_QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


@click.command("bench", short_help="Measure a server.")
@serverOptions
@click.option(
    "--readers", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many."
)
@click.option(
    *("--messages",),
    type=click.IntRange(1, 1_000_000),
    default=500,
    show_default=True,
    help="How many are published.",
)
@click.option(
    "--rate",
    type=NumberRange(0, 100_000),
    default=50.0,
    show_default=True,
    help="How many a second; 0 publishes the next when all readers have the last.",
)
@click.option(
    *("--size",),
    type=click.IntRange(1, 65_000),
    default=100,
    show_default=True,
    help="How many characters a message has.",
)
@click.option(
    "--transport",
    type=click.Choice(("websocket", "sse", "stream")),
    default="stream",
    show_default=True,
    help="How messages are read.",
)
@click.option("--channel", help="The channel. Default: one that no other run uses.")
@click.option("--json", "isJSON", is_flag=True, help="Print one line of JSON, for programs.")
def benchCommand(
    url: str,
    keyFile: str | None,
    tokenFile: str | None,
    caFile: str | None,
    patience: float,
    readers: int,
    messages: int,
    rate: float,
    size: int,
    transport: str,
    channel: str | None,
    isJSON: bool,
) -> int:
    """
    Let readers read a channel, publish messages to it, and print how long it took until each
    reader had each, and whether any was lost. Exits with 1 if so.

    All readers are in this one process: where it has no processor to itself, or more than some
    hundred readers, it measures itself, too.
    """
    try:
        from comet.client.serverurl import parseServerURL
        from comet.command.benchrun import Asked, Run
        from comet.command.benchsockets import Target
    except ImportError:
        raise Failed(
            "this needs packages that are not installed: pip install 'comet-push[cli]'"
        ) from None
    checkHTTP(url)
    key, token = credentialOf(keyFile, tokenFile)
    given = key or token
    headers = {} if given is None else {"Authorization": f"Bearer {given}"}
    try:
        target = Target(parseServerURL(url), headers, certificates(caFile), patience)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    word = secrets.token_hex(8)
    with failures():
        name = parseChannel(f"bench/{word}" if channel is None else channel)
    asked = Asked(name, transport, readers, messages, rate, size)
    run = Run(target, asked, Marks(word, size))
    try:
        with failures():
            with progress(readers, "opening readers") as advance:
                run.open(advance)
            with progress(messages, "publishing") as advance:
                run.work(advance)
    finally:
        run.close()
    if isJSON:
        showJSON(_asJSON(asked, run))
    else:
        for line in _lines(asked, run):
            show(line)
    return FAILED if run.lost or run.repeated else DONE


def _asJSON(asked: Asked, run: Run) -> dict[str, Any]:
    return {
        "readers": asked.readers,
        "messages": asked.messages,
        "transport": asked.transport,
        "seconds": round(run.seconds, 3),
        "delivered": run.deliveries.count,
        "lost": run.lost,
        "repeated": run.repeated,
        "broken": run.broken,
        "delivery": _quantiles(run.deliveries),
        "answer": _quantiles(run.answers),
    }


def _quantiles(latencies: Latencies) -> dict[str, float]:
    found = {name: latencies.quantile(share) for name, share in _QUANTILES}
    # In seconds, as everywhere.
    return {
        name: round(value / 1e9, 6) for name, value in {**found, "max": latencies.longest}.items()
    }


def _lines(asked: Asked, run: Run) -> Iterator[str]:
    """
    Yield the lines of the table.
    """
    pace = f"{asked.rate:g} a second" if asked.rate else "each after the last"
    yield (
        f"{asked.messages:,} messages of {asked.size} characters, {pace}, "
        f"to {asked.readers:,} readers by {asked.transport}"
    )
    yield strong(f"{'milliseconds':<12} {'p50':>9} {'p90':>9} {'p99':>9} {'max':>9}")
    for name, latencies in (("delivery", run.deliveries), ("answer", run.answers)):
        cells = [f"{1000 * value:>9.2f}" for value in _quantiles(latencies).values()]
        yield " ".join([f"{name:<12}", *cells])
    rate = run.deliveries.count / run.seconds if run.seconds else 0.0
    yield (
        f"delivered {run.deliveries.count:,} in {run.seconds:.2f} s, {rate:,.0f} a second; "
        f"lost {run.lost:,}, repeated {run.repeated:,}, connections broken {run.broken:,}"
    )
