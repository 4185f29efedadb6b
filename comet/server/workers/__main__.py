"""
A worker: its parent starts it by C{python -m comet.server.workers REACTOR NUMBER}.
"""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """
    Run a worker to its end.
    """
    # The signal would end the worker until the worker handles it.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from comet.server.workers.child import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
