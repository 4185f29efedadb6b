"""
Say in one line how many tests passed and failed: summary.py LOG STATUS

LOG is the output of trial and the other checks, STATUS their exit code.  The exit
code is 0 only if all checks passed, tests were run, and none was skipped.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# The last lines that trial prints: "Ran 12 tests in 0.345s", an empty one, and
# "PASSED (successes=12)" or "FAILED (failures=1, skips=2, successes=9)".
_SUMMARY = re.compile(r"^Ran (\d+) tests? in .*\n+(?:PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)
_COUNT = re.compile(r"(\w+)=(\d+)")

_GOOD = ("successes", "expectedFailures")


def main(log: str, status: int) -> int:
    """
    Print the line.

    @return: The exit code.
    """
    found = _SUMMARY.findall(Path(log).read_text("utf-8", "replace"))
    counts = {word: int(count) for _, words in found for word, count in _COUNT.findall(words)}
    passed = sum(counts.get(word, 0) for word in _GOOD)
    skipped = counts.get("skips", 0)
    failed = sum(counts.values()) - passed - skipped
    if skipped:
        print("tests were skipped, and here none may be")
    if not passed:
        print("no test passed")
    if status and not failed:
        # What failed was not a test: the line must not read as if all were well.
        failed = 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if status or failed or skipped or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
