"""
Do jobs, each once, over restarts: C{python worker.py URL}.
"""

from __future__ import annotations

import sys
from typing import Any

from comet.client.blocking import Client, Gap


def work(client: Client, names: str, cursorFile: str) -> None:
    """
    Do the jobs behind the place in the file; at the first start, those that are held.
    """
    for item in client.subscribe(names, since="earliest", cursorFile=cursorFile):
        if isinstance(item, Gap):
            print(f"jobs are lost after {item.cursor}", file=sys.stderr)
        else:
            do(item.data)
        # The loop asks for the next item, and so writes the file, when this one is done.


def do(job: Any) -> None:
    """
    Do one job.
    """
    print(f"done: {job}", flush=True)


if __name__ == "__main__":
    work(Client(sys.argv[1]), "jobs/*", "jobs.cursor")
