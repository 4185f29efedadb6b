"""
The promises of L{comet.interfaces.messagebus.IMessageBus}, as tests that every bus passes.

For another bus, mix L{BusContract} into trial's C{TestCase}, and write the
maker and the hooks of L{comet.testing.case.BusCase}.
"""

from __future__ import annotations

from comet.testing.gaps import GapContract
from comet.testing.hearing import ListeningContract
from comet.testing.keyed import KeyContract
from comet.testing.reading import ReadingContract
from comet.testing.resolving import ResolvingContract
from comet.testing.scrolling import HistoryContract
from comet.testing.storing import PublishingContract


class BusContract(
    PublishingContract,
    KeyContract,
    ReadingContract,
    GapContract,
    HistoryContract,
    ResolvingContract,
    ListeningContract,
):
    """
    All promises of a bus.
    """
