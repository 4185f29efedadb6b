"""
The cases that are measured, by name: those of all peers, and those of the sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.case import Case
from benchmarks.scripts import Layout
from benchmarks.sets import SETS


def _burst(name: str, what: str, **options: Any) -> Case:
    title = f"bursts of 200 {what}; 1,000 readers"
    return Case(name, title, "cpu", batch=200, hasBystander=True, **options)


_ALL: Final = (
    Case("closed10", "1 channel, 10 readers, closed loop", "cpu", readers=10, isBrief=False),
    Case("closed100", "1 channel, 100 readers, closed loop", "cpu", readers=100, isBrief=False),
    Case("closed1k", "1 channel, 1,000 readers, closed loop", "cpu"),
    Case(
        "closed10k",
        "1 channel, 10,000 readers, closed loop",
        "cpu",
        readers=10000,
        isBrief=False,
    ),
    Case("paced", "1 channel, 1,000 readers, 50 messages a second", "p50", mode="paced"),
    _burst("burst", "messages, in one request where the server has that"),
    _burst("burst-pipelined", "POSTs on one connection", isSingly=True),
    _burst("burst-connections", "POSTs on 200 connections", publishers=200),
    _burst("burst-websocket", "commands on one WebSocket", publishing="websocket"),
    Case(
        "channels",
        "1,000 channels, 10 readers each",
        "cpu",
        readers=10000,
        layout=Layout(1000),
    ),
    Case(
        "several",
        "1,000 readers, each of 10 of 100 channels",
        "cpu",
        layout=Layout(100, 10),
        isBrief=False,
    ),
    Case(
        "patterns",
        "1,000 readers, each of a pattern that matches 10 of 100 channels",
        "cpu",
        layout=Layout(100, 10, isPattern=True),
        isBrief=False,
    ),
    Case("publish", "publishing by HTTP, one after the other", "publishes", readers=0),
    Case(
        "publish-100",
        "publishing by HTTP, 100 connections at once",
        "publishes",
        mode="each",
        readers=0,
        publishers=100,
        hasBystander=True,
    ),
    Case(
        "publish-batch",
        "publishing by HTTP, 200 messages a request",
        "publishes",
        readers=0,
        batch=200,
    ),
    Case(
        "publish-ws",
        "publishing by WebSocket, one after the other",
        "publishes",
        readers=0,
        publishing="websocket",
    ),
    Case(
        "storm",
        "10,000 connect at once, while 1,000 read 50 messages a second",
        "connects",
        mode="storm",
        layout=Layout(2),
        late=10000,
        seconds=4.0,
    ),
    Case("idle", "10,000 idle readers", "memory", readers=10000, seconds=0.1, isBrief=False),
)
# The cases that are measured if none is named.
ORDINARY: Final = tuple(case.name for case in _ALL)

CASES: Final[Mapping[str, Case]] = {
    case.name: case for case in (*_ALL, *(case for each in SETS.values() for case in each.cases))
}
