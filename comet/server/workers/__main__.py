"""
A worker: its parent starts it by C{python -m comet.server.workers REACTOR NUMBER}.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """
    Run a worker to its end.
    """
    if "LISTEN_FDS" in os.environ:
        # systemd meant its descriptors for the parent, but the endpoints of the
        # configuration name them.  Twisted looks for them when it is imported.
        os.environ["LISTEN_PID"] = str(os.getpid())
    from comet.server.workers.child import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
