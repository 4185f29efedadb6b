"""
Runs the scripts that control browsers, with C{node} and the packages installed in
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

# The time for a whole script on a busy machine, in seconds.
PATIENCE: Final = 600


def runScript(script: str, *arguments: str, folder: str | Path) -> subprocess.CompletedProcess[str]:
    """
    Run a script to its end, and end the servers and browsers that it started.

    @param folder: The folder for the servers' files.

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
