"""
The promises of L{comet.interfaces.IMessageBus}, as tests that every bus passes.

For another bus, mix L{BusContract} into trial's C{TestCase}, and write the
maker and the hooks of L{tests.bus.case.BusCase}.
"""

from __future__ import annotations

from tests.bus.gaps import GapContract
from tests.bus.history import HistoryContract
from tests.bus.keyed import KeyContract
from tests.bus.listening import ListeningContract
from tests.bus.publishing import PublishingContract
from tests.bus.reading import ReadingContract
from tests.bus.resolving import ResolvingContract


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
