"""
Results such as the load generator prints.
"""

from __future__ import annotations

from benchmarks.figures import FAULTS


def counted(**values: float) -> dict[str, float]:
    """
    Make the result of two seconds in which 1,000 readers got 1,000 deliveries.

    @param values: Values that differ from that.
    """
    usual = {
        "readers": 1000,
        "late": 0,
        "seconds": 2.0,
        "messages": 1,
        "deliveries": 1000,
        "cpuNs": 4e6,
        "latencyP50Ns": 1e6,
        "latencyP99Ns": 2e6,
        "answerP50Ns": 1e5,
        "bytesDown": 102000,
        "bytesUp": 0,
        "memoryEach": 1024.0,
        "stormSeconds": 0.0,
    }
    return {**usual, **dict.fromkeys(FAULTS, 0), **values}
