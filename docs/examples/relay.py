"""
Copy what is published on one server to another, with Twisted:
C{python relay.py URL URL KEYFILE NAME...}.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from comet.client.twisted import Client, Gap


async def relay(source: Client, target: Client, names: Sequence[str], cursorFile: str) -> None:
    """
    Copy messages, in their order, over restarts of each of the three programs.
    """
    async for item in source.subscribe(names, cursorFile=cursorFile):
        if isinstance(item, Gap):
            print(f"messages are lost after {item.cursor}", file=sys.stderr)
        else:
            # With this key a message that is copied again after a crash is stored once.
            key = f"relay {item.cursor}"
            await target.publish(item.channel, item.data, item.event, key)


def main(reactor: Any, source: str, target: str, keyFile: str, *names: str) -> Deferred[None]:
    """
    Copy until the process is told to stop.
    """
    key = Path(keyFile).read_text().strip()
    clients = Client(source), Client(target, key=key)
    return Deferred.fromCoroutine(relay(*clients, names, "relay.cursor"))


if __name__ == "__main__":
    react(main, sys.argv[1:])
