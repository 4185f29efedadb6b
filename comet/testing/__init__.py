"""
For the tests of an application: a hub in memory, whose clients have no sockets; and
what every bus promises, as a suite that a bus of one's own passes.

L{MemoryHub} takes the place of the application's hub, and L{MemoryClient} that of a
browser.  For a program that uses L{comet.client}, L{MemoryServer} stands for the server, and
L{BlockingStandIn}, L{AsyncioStandIn} and L{TwistedStandIn} for the clients.

A bus is tested by a class that mixes L{BusContract} into trial's C{TestCase}, and has
the maker and the hooks of L{BusCase}.  Several nodes with one bus add
L{SharedBusContract}, a bus that stores bursts
L{BurstContract}, one whose bounds change while it runs L{ConfigurableContract}, one
that tells how much it holds L{MeasuredContract}, one that knows who is in a channel
L{PresenceContract}; one that keeps state beside the log adds L{StateContract}.

  - L{case}: the base of the suite: makers, hooks, and short words
  - L{storing}: what is published is stored
  - L{keyed}: idempotency keys
  - L{reading}: the log is read in order
  - L{gaps}: what is lost is told
  - L{scrolling}: what was before a cursor
  - L{resolving}: where names begin
  - L{hearing}: what listeners hear
  - L{contract}: all of these
  - L{shared}: several buses on one store
  - L{bursting}: many requests stored at once
  - L{retaining}: other bounds for the log
  - L{measuring}: how much is held
  - L{joining}: who is in a channel
  - L{keeping}: state beside the log
  - L{memoryclient}: a client without a socket
  - L{memoryhub}: a hub with a clock that stands still
  - L{memoryserver}: a server without a port
  - L{memoryreading}: a subscription of a client without a socket
  - L{standins}: clients without sockets, for each kind of program
"""

from __future__ import annotations

from comet.testing.bursting import BurstContract
from comet.testing.case import EPOCH_SECONDS, BusCase
from comet.testing.contract import BusContract
from comet.testing.joining import PresenceContract
from comet.testing.keeping import StateContract
from comet.testing.measuring import MeasuredContract
from comet.testing.memoryclient import MemoryClient
from comet.testing.memoryhub import MemoryHub
from comet.testing.memoryserver import MemoryServer
from comet.testing.retaining import ConfigurableContract
from comet.testing.shared import SharedBusContract
from comet.testing.standins import AsyncioStandIn, BlockingStandIn, TwistedStandIn

__all__ = [
    "EPOCH_SECONDS",
    "AsyncioStandIn",
    "BlockingStandIn",
    "BurstContract",
    "BusCase",
    "BusContract",
    "ConfigurableContract",
    "MeasuredContract",
    "MemoryClient",
    "MemoryHub",
    "MemoryServer",
    "PresenceContract",
    "SharedBusContract",
    "StateContract",
    "TwistedStandIn",
]
