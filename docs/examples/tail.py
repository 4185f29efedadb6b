"""
Read over raw TCP from a program, and resume after each lost connection:
C{python tail.py HOST PORT NAME...}.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

# Longer than the server's heartbeat: after so long a silence the connection is
# dead.
SILENCE = 60.0


def envelopes(host: str, port: int, names: Sequence[str], since: str) -> Iterator[dict[str, Any]]:
    """
    Yield what one connection brings, the answer to the command first.
    """
    with socket.create_connection((host, port), SILENCE) as connection:
        command = {"id": 1, "subscribe": list(names), "since": since}
        connection.sendall(json.dumps(command).encode() + b"\n")
        for line in connection.makefile("rb"):
            envelope = json.loads(line)
            if "error" in envelope:
                raise SystemExit(envelope["error"]["message"])
            yield envelope.get("ok", envelope)


def follow(host: str, port: int, names: Sequence[str], since: str) -> Iterator[dict[str, Any]]:
    """
    Yield messages and gaps, for ever.
    """
    while True:
        pause = 2.0
        try:
            for envelope in envelopes(host, port, names, since):
                if "close" in envelope:
                    retry = envelope["close"]["retry"]
                    if retry is None:
                        raise SystemExit(envelope["close"]["message"])
                    pause = retry
                if "gap" in envelope or "data" in envelope:
                    yield envelope
                # The caller has used the message only now.  A server that closes
                # at once does not know since.
                if not ("close" in envelope or envelope.get("replay")):
                    since = envelope["cursor"]
        except OSError as error:
            print(f"{error}; again in {pause:g} s", file=sys.stderr)
        time.sleep(pause)


if __name__ == "__main__":
    for each in follow(sys.argv[1], int(sys.argv[2]), sys.argv[3:], "earliest"):
        print(json.dumps(each), flush=True)
