"""
Takes screenshots of the pages, to be looked at: in both browsers, wide and narrow,
dark, and with forced colours; while techniques catch up, and after the server's death.
From the top of the checkout::

    python -m tests.pages.screenshots OUTDIR
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.pages.running import BROWSERS, runScript


def main() -> int:
    """
    Take the screenshots.

    @return: 0 if all of them were taken.
    """
    if len(sys.argv) != 2:
        print("usage: python -m tests.pages.screenshots OUTDIR", file=sys.stderr)
        return 2
    target = Path(sys.argv[1]).resolve()
    target.mkdir(parents=True, exist_ok=True)
    worst = 0
    for browser in BROWSERS:
        with TemporaryDirectory() as folder:
            done = runScript("screenshots.mjs", browser, str(target), folder=folder)
        print(done.stdout, end="")
        worst = max(worst, done.returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
