"""
Where lines of a log go.
"""

from __future__ import annotations

import os
import sys


class LogOutput:
    """
    Where lines go: a file, which is opened again when it was moved away; or the standard
    output.
    """

    def __init__(self, path: str) -> None:
        """
        @param path: The path of the file; empty for the standard output.

        @raise OSError: If the file cannot be opened.
        """
        # Later the process may be in another directory.
        self._path = os.path.abspath(path) if path else ""
        # C{sys.stdout} itself is logged, once Twisted logs.
        self._file = self._open() if path else sys.stdout.fileno()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def write(self, line: str) -> None:
        """
        Write a line.  It is lost if that fails: there is nowhere to tell of it.
        """
        try:
            os.write(self._file, f"{line}\n".encode())
        except OSError:
            pass

    def reopen(self) -> None:
        """
        Write to the file that has the path now: the system may have moved the other one
        away.  Goes on with that one if there can be no new one.
        """
        if self._path:
            try:
                opened = self._open()
            except OSError:
                return
            before, self._file = self._file, opened
            os.close(before)

    def close(self) -> None:
        """
        Close the file.
        """
        if self._path:
            os.close(self._file)
            self._path = ""
