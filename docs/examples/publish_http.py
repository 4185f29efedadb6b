"""
Publish with Python's standard library alone:
C{python publish_http.py HOST PORT KEYFILE}.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

# The status of responses after which it is right to try again: the message was
# not stored, or the server does not know.
RETRY = (429, 503, 504)


def publish(host: str, port: int, key: str, channel: str, data: Any) -> str:
    """
    Publish a message.  It is safe to try again, because all tries have the same
    idempotency key.

    @return: The cursor of the message.
    """
    body = json.dumps(data)
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": secrets.token_hex(16),
    }
    status, answer = 0, {}
    for pause in (0.5, 1, 2, 4, 0):
        connection = HTTPConnection(host, port, timeout=10)
        try:
            connection.request("POST", f"/channels/{quote(channel)}", body, headers)
            response = connection.getresponse()
            status, answer = response.status, json.loads(response.read())
        except (OSError, HTTPException) as error:
            status, answer = 0, {"code": "unreachable", "detail": str(error)}
        finally:
            connection.close()
        if status and status not in RETRY:
            break
        time.sleep(pause)
    if status != 201:
        raise RuntimeError(f"{answer['code']}: {answer['detail']}")
    return str(answer["cursor"])


if __name__ == "__main__":
    key = Path(sys.argv[3]).read_text().strip()
    print(publish(sys.argv[1], int(sys.argv[2]), key, "news", {"from": "http.client"}))
