"""
Publish from a Twisted program: C{python publish_treq.py URL KEYFILE}.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import treq
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.http_headers import Headers


async def publish(url: str, key: str, data: Any) -> str:
    """
    Publish a message to the channel at a URL.

    @return: The cursor of the message.
    """
    headers = Headers({"Authorization": [f"Bearer {key}"]})
    response = await treq.post(url, json=data, headers=headers, timeout=10)
    answer = await response.json()
    if response.code != 201:
        raise RuntimeError(f"{answer['code']}: {answer['detail']}")
    return str(answer["cursor"])


async def _publish(url: str, keyFile: str) -> None:
    key = Path(keyFile).read_text().strip()
    print(await publish(url, key, {"from": "treq"}))


def main(reactor: Any, url: str, keyFile: str) -> Deferred[None]:
    """
    Publish one message, and stop.
    """
    return Deferred.fromCoroutine(_publish(url, keyFile))


if __name__ == "__main__":
    react(main, sys.argv[1:])
