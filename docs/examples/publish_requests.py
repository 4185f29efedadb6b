"""
Publish a batch with C{requests}: C{python publish_requests.py URL KEYFILE}.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests


def publishAll(url: str, key: str, messages: Iterable[dict[str, Any]]) -> list[str]:
    """
    Publish many messages with one request.  The server stores all or none.

    @param url: The URL of the server, with the path at which comet is mounted.

    @return: The cursors of the messages.
    """
    response = requests.post(
        f"{url}/publish",
        data="\n".join(json.dumps(message) for message in messages),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"},
        timeout=10,
    )
    response.raise_for_status()
    cursors: list[str] = response.json()["cursors"]
    return cursors


if __name__ == "__main__":
    key = Path(sys.argv[2]).read_text().strip()
    batch: list[dict[str, Any]] = [
        {"channel": "news", "data": {"from": "requests"}},
        {"channel": "chat/a", "data": "hello", "event": "greeting"},
    ]
    print(*publishAll(sys.argv[1], key, batch), sep="\n")
