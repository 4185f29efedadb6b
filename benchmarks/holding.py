"""
Channels that hold a message before the measuring begins.
"""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Final

from benchmarks.scripts import Layout
from benchmarks.servers import Broken, Server

# As many lines as comet takes in one request.
_LINES: Final = 1000

# The channels that a server makes before its memory is looked at: the first ones make it
# load, and keep, what it needs for all of them.
_FIRST: Final = 1000

_PATIENCE: Final = 60.0


def memoryOf(pids: list[int]) -> int:
    """
    Return the memory of some processes, in bytes; of what they share, each has a part.
    """
    found = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        found += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return found


def _publish(link: http.client.HTTPConnection, first: int, last: int) -> None:
    names = map(Layout().name, range(first, last))
    lines = (f'{{"channel":"{name}","data":"{"h" * 100}"}}' for name in names)
    link.request("POST", "/publish", "\n".join(lines), {"Content-Type": "application/x-ndjson"})
    answer = link.getresponse()
    told = answer.read()
    if answer.status != http.client.CREATED:
        raise Broken(f"the channels cannot be filled: {answer.status} {told[:200]!r}")


def hold(server: Server, count: int) -> float:
    """
    Publish a message of 100 bytes to each of so many channels, by the batches of comet.

    @return: By how many bytes the memory of the server grew for each channel, or 0 where
        there are too few to tell.

    @raise Broken: If the server refuses them.
    """
    link = http.client.HTTPConnection("127.0.0.1", server.place.port, timeout=_PATIENCE)
    before = 0
    try:
        for begin in range(0, count, _LINES):
            if begin == _FIRST:
                before = memoryOf(server.pids)
            _publish(link, begin, min(begin + _LINES, count))
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"the channels cannot be filled: {error!r}; {server.lastWords()}") from None
    finally:
        link.close()
    grown = memoryOf(server.pids) - before
    return grown / (count - _FIRST) if count > _FIRST else 0.0
