"""
Clients that vanish: their system is gone, or cannot be reached, and nothing says
so.  The server's system finds out, with the options that are set here.

By its own defaults Linux sends data again and again for 15 minutes, and asks a
client that is silent only after two hours.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from struct import unpack_from
from typing import Any, Final

from twisted.protocols.policies import ProtocolWrapper

from comet.http.pace import LEAST_RATE
from comet.interfaces.sockets import ClientSocket

# For how many seconds a client's system may leave data unacknowledged, before the
# connection is cut.
UNACKNOWLEDGED: Final = 60.0

# After how many seconds of silence the client's system is asked whether it is
# there, and for how many it may leave that unanswered.  Where there is no limit for
# unacknowledged data, it is asked a second time, for as long again.
ASKED_AFTER: Final = 180.0
ANSWERED_WITHIN: Final = 60.0
_TIMES: Final = 2

# For how many seconds a client's system may leave data unacknowledged whose program
# does not read: longer than comet itself waits for the program.
_NOT_READING: Final = 360.0

# The options by their names in C{socket}: a system may lack some.  macOS calls
# TCP_KEEPIDLE so.
_OPTIONS: Final = (
    ("TCP_KEEPIDLE", int(ASKED_AFTER)),
    ("TCP_KEEPALIVE", int(ASKED_AFTER)),
    ("TCP_KEEPINTVL", int(ANSWERED_WITHIN)),
    ("TCP_KEEPCNT", _TIMES),
    ("TCP_USER_TIMEOUT", int(UNACKNOWLEDGED * 1000)),
)

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)

# Places in Linux's struct tcp_info: zero-window probes without an answer, and
# segments without an acknowledgement.
_INFO_SIZE: Final = 28
_PROBES: Final = 3
_UNACKNOWLEDGED: Final = 24


def watchForVanishing(connection: socket.socket) -> None:
    """
    Have the system cut a connection whose client vanishes: a minute after there was
    something to send, and four or five minutes after the last sign of it in any
    case.

    @param connection: A connected socket, or one that listens, whose connections
        inherit the options.  A socket that is not TCP is left alone.
    """
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            # The client may have left.
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, option, value)


def waitForProgram(connection: ClientSocket, isStalled: bool) -> None:
    """
    Give a client more time whose system is there and whose program does not read.
    Linux counts the time of a full receive buffer like that of unacknowledged data.

    @param isStalled: Whether the program does not read; False once it has.
    """
    if _USER_TIMEOUT is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        seconds = _NOT_READING if isStalled and _isThere(connection) else UNACKNOWLEDGED
        connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(seconds * 1000))


def waitForReader(connection: ClientSocket, size: int) -> None:
    """
    Give a client more time that has to read a large response.  Linux may count all
    the time since the receive buffer was full first, though the client reads.

    @param size: How many bytes the client has to read; 0 once it has.
    """
    if _USER_TIMEOUT is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        seconds = UNACKNOWLEDGED + size / LEAST_RATE
        connection.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, int(seconds * 1000))


def _isThere(connection: ClientSocket) -> bool:
    """
    Tell whether a client's system has acknowledged all that it was sent.
    """
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
    (unacknowledged,) = unpack_from("I", info, _UNACKNOWLEDGED)
    # One probe may be on its way.
    return unacknowledged == 0 and info[_PROBES] <= 1


def socketOf(transport: Any) -> socket.socket | None:
    """
    Return the socket below a transport, or L{None} if there is none.
    """
    while isinstance(transport, ProtocolWrapper):
        # Any: a wrapper's transport is any transport.
        transport = transport.transport
    handle = getattr(transport, "socket", None)
    return handle if isinstance(handle, socket.socket) else None
