"""
The sockets that systemd has passed to this process: C{sd_listen_fds(3)}.

Twisted wants a name for each, in C{LISTEN_FDNAMES}, and drops all of them where
that is missing.  By sd_listen_fds(3) it may be missing: other programs than
systemd set only C{LISTEN_PID} and C{LISTEN_FDS}.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from attrs import frozen
from twisted.internet.endpoints import AdoptedStreamServerEndpoint

from comet.settings.configuration import ConfigurationError

# The first descriptor that systemd passes.
FIRST: Final = 3

# The most that are believed to be passed.
_MOST: Final = 1024

# sd_listen_fds_with_names(3): the name of a descriptor without one.
_UNNAMED: Final = "unknown"


@frozen
class PassedSockets:
    """
    What systemd has passed.

    @ivar names: The name of each descriptor, in the order of their numbers.
    """

    names: tuple[str, ...] = ()

    def find(self, index: str | None, name: str | None) -> int:
        """
        Return the descriptor with an index, counted from 0, or with a name.

        @raise ConfigurationError: If there is none, or not exactly one of the two
            is given.
        """
        if (index is None) == (name is None):
            raise ConfigurationError("either an index or a name is needed")
        if not self.names:
            raise ConfigurationError(
                "systemd has passed no socket to this process; it does so to a service that it "
                "starts for a unit of the same name, such as comet.socket"
            )
        if name is not None:
            if name not in self.names:
                raise ConfigurationError(
                    f"systemd has passed no socket with the name {name[:64]!r}, but "
                    f"{', '.join(map(repr, self.names))}"
                )
            return FIRST + self.names.index(name)
        assert index is not None, "one of the two is given"
        if not index.isdecimal() or int(index) >= len(self.names):
            raise ConfigurationError(
                f"systemd has passed {len(self.names)} sockets, counted from 0"
            )
        return FIRST + int(index)


def readPassed(environment: Mapping[str, str], pid: int) -> PassedSockets:
    """
    Read what systemd has passed to a process.

    @param pid: The id of the process.
    """
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not count.isdecimal():
        return PassedSockets()
    given = environment.get("LISTEN_FDNAMES")
    names = given.split(":") if given else []
    most = min(int(count), _MOST)
    return PassedSockets(tuple((names + [_UNNAMED] * most)[:most]))


@cache
def passedSockets() -> PassedSockets:
    """
    Return what systemd has passed to this process.
    """
    found = readPassed(os.environ, os.getpid())
    if found.names:
        return found
    # Twisted removes the variables when it is imported.  The system still has the
    # environment that the process began with.
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = [each.partition(b"=") for each in file.read().split(b"\0")]
    except OSError:
        return found
    first = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    return readPassed(first, os.getpid())


def systemdEndpoint(
    reactor: Any, domain: str, index: str | None = None, name: str | None = None
) -> AdoptedStreamServerEndpoint:
    """
    Make the endpoint of a socket that systemd has passed.

    @raise ConfigurationError: If there is no such socket.
    """
    family = getattr(socket, f"AF_{domain}", None)
    if domain not in ("INET", "INET6", "UNIX") or family is None:
        raise ConfigurationError(
            f"{domain[:64]!r} is not allowed for domain: INET, INET6 and UNIX are"
        )
    return AdoptedStreamServerEndpoint(reactor, passedSockets().find(index, name), family)
