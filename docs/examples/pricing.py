"""
Worker processes that publish in batches, as tasks of Celery do:
C{COMET_KEY=... python pricing.py WEEK prices.json}.

With Celery C{begin} is connected to the signal C{worker_process_init}, and C{publishBatch} a
task with C{acks_late}: one that is run again stores nothing twice.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from comet.client.blocking import Client

BATCH = 500

# The client of this worker process.
client: Client | None = None


def begin() -> None:
    """
    Begin the work of a process: it makes its client once, and keeps its connections.
    """
    global client
    url = os.environ.get("COMET_URL", "http://127.0.0.1:8080")
    client = Client(url, key=os.environ["COMET_KEY"])


def publishBatch(week: str, prices: Mapping[str, float]) -> str:
    """
    Publish some prices.  Each has a key that is the same when the task is run again.

    @return: The cursor of the last one.
    """
    assert client is not None
    lines: list[dict[str, Any]] = [
        {"channel": f"prices/{item}", "data": price, "event": "price", "key": f"{week}/{item}"}
        for item, price in prices.items()
    ]
    return client.publishMany(lines)[-1]


def batches(prices: Mapping[str, float]) -> Iterator[dict[str, float]]:
    """
    Cut the prices into batches.
    """
    left = iter(prices.items())
    while batch := dict(islice(left, BATCH)):
        yield batch


def main(week: str, path: str) -> None:
    """
    Publish all prices by four processes.
    """
    prices = json.loads(Path(path).read_text("utf-8"))
    with ProcessPoolExecutor(4, get_context("spawn"), begin) as workers:
        cursors = list(workers.map(partial(publishBatch, week), batches(prices)))
    print(f"{len(prices)} prices are stored, in {len(cursors)} batches")


if __name__ == "__main__":
    main(*sys.argv[1:])
