"""
The exit codes of the command.
"""

from __future__ import annotations

from typing import Final

DONE: Final = 0

# It was tried, and did not succeed.
FAILED: Final = 1

# The words of the command line are wrong: click's own code.
MISUSED: Final = 2

# The server, or what judges in its place, has refused.
REFUSED: Final = 3

# Ctrl-C, as a shell has it: 128 and the number of the signal.
INTERRUPTED: Final = 130

# SIGTERM, likewise.
TERMINATED: Final = 143
