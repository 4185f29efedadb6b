"""
What was measured, and where: kept as JSON.
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
    The processor, by its maker's name.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


class Results:
    """
    What was measured.

    @ivar about: Where and when it was, and the versions of all.
    """

    def __init__(self) -> None:
        self.about: dict[str, Any] = {
            "date": time.strftime("%Y-%m-%d"),
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "cores": os.cpu_count(),
            "versions": {},
            "missing": {},
            "failed": [],
        }
        self._rounds: dict[Key, dict[int, Result]] = {}

    def add(self, key: Key, number: int, result: Result) -> None:
        """
        Remember what was counted.

        @param number: The round.
        """
        self._rounds.setdefault(key, {})[number] = result

    @property
    def rounds(self) -> Mapping[Key, Mapping[int, Result]]:
        """
        By case, peer and transport, and then by round.
        """
        return self._rounds

    def save(self, path: Path) -> None:
        """
        Write all to a file.
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
        Read what was written.

        @raise ValueError: If it is something else.
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
            raise ValueError(f"{path} does not hold what was measured: {error!r}") from None
        return self
