"""
What the errors of SQLite mean: for the operator, with advice, and for clients.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from comet.errors import CometError, Unavailable

# A part of what SQLite says, what it means, and what the operator can do.  The
# texts have been stable for longer than Python has offered the error codes.
_MEANINGS: Final = (
    ("is full", "the disk is full", "make room"),
    ("is locked", "another program has locked the database", "end that program"),
    ("readonly", "the database cannot be written to", "let the server's user write the file"),
    (
        "malformed",
        "the database is damaged",
        "put back a copy, or move the file away, and the log begins anew",
    ),
    (
        "not a database",
        "the file is not an SQLite database",
        "name another file, or move it away, and the log begins anew",
    ),
    (
        "unable to open",
        "the file cannot be opened",
        "let the server's user read and write it, and make files beside it",
    ),
    ("I/O error", "the disk cannot be read or written", "look into the system's log"),
    (
        "moved or replaced",
        "the file was moved or replaced while the server ran",
        "restart the server",
    ),
    (
        "cut short",
        "the file was cut short while the server ran",
        "restart the server, with a copy put back if it is damaged",
    ),
)


def explain(error: BaseException) -> tuple[str, str]:
    """
    Return what an error means, and what the operator can do about it.
    """
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        said = error.strerror
    return _find(said) or (said, "look into the server's log")


def _find(said: str) -> tuple[str, str] | None:
    for part, meaning, advice in _MEANINGS:
        if part in said:
            return meaning, advice
    return None


def reasonOf(error: BaseException) -> str:
    """
    Return what an error means, for a client, without details of the server.
    """
    meaning, _ = _find(str(error)) or ("the database failed", "")
    return meaning


def isFull(error: Exception) -> bool:
    """
    Whether the error means that there was no room to write.
    """
    return "is full" in str(error)


def isFault(error: BaseException | None) -> bool:
    """
    Whether the database or its disk is at fault, rather than the values to be
    stored.
    """
    isOfValue = isinstance(
        error, (sqlite3.DataError, sqlite3.InterfaceError, sqlite3.ProgrammingError)
    )
    return isinstance(error, (sqlite3.Error, OSError)) and not isOfValue


def cannotStart(path: str, what: str, advice: str) -> CometError:
    """
    Make the error that keeps the server from starting.
    """
    return CometError(f"the messages cannot be kept in {path}: {what}; {advice}")


def notStored(error: BaseException) -> Unavailable:
    """
    Make the error for a publisher of whose messages certainly none was stored.
    """
    return Unavailable(f"nothing was stored: {reasonOf(error)}; try again later")


def notRead(error: BaseException) -> Unavailable:
    """
    Make the error for a caller whose read failed.
    """
    return Unavailable(f"the log cannot be read: {reasonOf(error)}; try again later")
