"""
The capacity of a server for readers: taking one of its places, and asking
whether one is free.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.edge.clients import Client, Refused
from tests.edge.connections import PATIENCE, Ended, Silence
from tests.edge.envelopes import Close
from tests.edge.server import CometProcess
from tests.edge.speakers import CLIENTS


def begin(client: Client) -> None:
    """
    Take a place: read until the server has shown that the client has one.

    A long poll takes its place when the server reads the request.  No response
    shows that, so a long poll is only sent.
    """
    if not client.endless:
        client.open(["held"], "now", wait="60")
        return
    client.open(["held"], "now")
    event = client.next()
    if isinstance(event, Close):
        raise Refused(429, event.code, {})


def take(client: Client) -> None:
    """
    Take a place as soon as one is free: the server may not yet have noticed that
    the last reader has left.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            begin(client)
            if not client.endless:
                raise AssertionError(f"a long poll that ends at once: {client.next(0.05)}")
            return
        except Silence:
            return
        except (Refused, Ended) as error:
            client.close()
            if time.monotonic() > deadline:
                raise AssertionError(f"never a place for {client.name}: {error}") from error
            time.sleep(0.02)


def isFull(server: CometProcess) -> bool:
    """
    Whether the server refuses one more reader.
    """
    client = CLIENTS["stream"](server.site)
    try:
        begin(client)
    except Refused as error:
        if error.code != "tooMany":
            raise
        return True
    finally:
        client.close()
    return False


def until(condition: Callable[[], bool], what: str) -> None:
    """
    Wait until a condition holds.
    """
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never {what}")
        time.sleep(0.02)
