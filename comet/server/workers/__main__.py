"""
A worker: C{python -m comet.server.workers REACTOR NUMBER}, started by its parent.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """
    Be a worker.
    """
    if "LISTEN_FDS" in os.environ:
        # Meant for the parent; but what systemd has passed is named in what is
        # to be served.  Twisted looks once, when it is imported.
        os.environ["LISTEN_PID"] = str(os.getpid())
    from comet.server.workers.child import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
