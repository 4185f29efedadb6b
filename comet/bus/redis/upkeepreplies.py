"""
Reads what Redis answers to a node's upkeep of the log, and checks every part of it.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from comet.bus.redis.replies import epochOf, fieldsOf, lenientOf, numberOf, rowsOf, wordOf
from comet.bus.redis.settings import OtherSettings
from comet.model.cursors import Cursor


@frozen
class Attached:
    """
    The answer of the script C{attach}.

    @ivar end: The end of the log.

    @ivar why: Why a new epoch begins: C{new}, C{restart} or C{behind}; empty if
        none begins.

    @ivar others: What other nodes are configured with.
    """

    end: Cursor
    why: str
    others: list[OtherSettings]


def readAttached(reply: Any) -> Attached:
    """
    Read the answer of C{attach}.
    """
    _, epoch, position, why, *rest = fieldsOf(reply, 4)
    others = [OtherSettings(*map(lenientOf, row)) for row in rowsOf(rest, 3)]
    return Attached(Cursor(epochOf(epoch), numberOf(position)), wordOf(why), others)


def readMore(reply: Any) -> bool:
    """
    Read the answer of C{sweep}: whether there is more to drop.
    """
    return bool(fieldsOf(reply, 2)[1] == 1)
