"""
An application of Twisted's that serves comet: with a reactor that is its own, and
that comet leaves as it is.

It takes the options of C{twistd comet}, behind the word C{comet}.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.python import log

from comet.server.commandline import Options
from comet.tap import makeService


def main(arguments: list[str]) -> None:
    """
    Serve until SIGTERM.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    log.startLogging(sys.stdout)
    options = Options()
    options.parseOptions(arguments[arguments.index("comet") + 1 :])
    service: Any = makeService(options, reactor)
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv)
