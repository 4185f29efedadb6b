"""
The results of all runs, with date, machine and versions, kept as JSON.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES
from benchmarks.figures import Result
from benchmarks.targets import Key


def processor() -> str:
    """
    Return the name of the processor, as its maker calls it.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


class Results:
    """
    The results of all runs.

    @ivar about: The date, the machine, the versions of the peers, and which
        of them are missing or failed.
    """

    def __init__(self) -> None:
        self.about: dict[str, Any] = {
            "date": time.strftime("%Y-%m-%d"),
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "cores": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "versions": {},
            "missing": {},
            "failed": [],
        }
        self._rounds: dict[Key, dict[int, Result]] = {}

    def add(self, key: Key, number: int, result: Result) -> None:
        """
        Add the counts of one run.

        @param number: The round.
        """
        self._rounds.setdefault(key, {})[number] = result

    @property
    def rounds(self) -> Mapping[Key, Mapping[int, Result]]:
        """
        The results by case, peer and transport, and then by round.
        """
        return self._rounds

    def save(self, path: Path) -> None:
        """
        Write the results to a file.
        """
        runs = [
            {"case": key[0], "peer": key[1], "transport": key[2], "round": number, **result}
            for key, rounds in self._rounds.items()
            for number, result in rounds.items()
        ]
        path.write_text(json.dumps({"about": self.about, "runs": runs}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """
        Read the results that L{save} wrote.

        @raise ValueError: If the file holds something else.
        """
        self = cls()
        try:
            document = json.loads(path.read_text())
            self.about = dict(document["about"])
            for run in document["runs"]:
                key = (run.pop("case"), run.pop("peer"), run.pop("transport"))
                number = int(run.pop("round"))
                if key[0] not in CASES:
                    raise ValueError(f"the case {key[0]!r} is not known")
                self.add(key, number, run)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} does not hold results of the benchmarks: {error!r}") from None
        return self
