"""
Runs the scripts that look at the pages, with C{node} and what is installed in
C{client}.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]

BROWSERS: Final = ("chromium", "firefox")

# Seconds for all that a script does, on a machine that does much else.
PATIENCE: Final = 300


def runScript(script: str, *arguments: str, folder: str | Path) -> subprocess.CompletedProcess[str]:
    """
    Run a script to its end, which takes the servers and browsers that it has
    started with it.

    @param folder: Where servers leave their files.

    @raise subprocess.TimeoutExpired: If it takes too long.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        ["node", str(HERE / script), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
