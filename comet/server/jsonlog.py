"""
The log as JSON, an object a line, for programs that collect logs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Final

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.logging.clientlog import MAX_VALUE, printable, printableFailure
from comet.server.logoutput import LogOutput

# How many characters a message may have, and how many fields a line has beside its own.
MAX_MESSAGE: Final = 4096
MAX_FIELDS: Final = 32

# What Twisted's older log functions put into an event, beside what each was given.
_LEGACY: Final = frozenset(
    {"message", "time", "system", "format", "isError", "failure", "why", "logLevel", "printed"}
)

# The words of a line that fields do not replace.
_OWN: Final = frozenset({"time", "level", "namespace", "message", "traceback"})


@implementer(ILogObserver)
class JSONObserver:
    """
    Writes each event as a line.
    """

    def __init__(self, output: LogOutput) -> None:
        self.output = output

    def __call__(self, event: LogEvent) -> None:
        """
        Write an event.
        """
        self.output.write(encodeEvent(event))


def encodeEvent(event: LogEvent) -> str:
    """
    Make the line for an event: C{time} as RFC 3339 has it, C{level}, C{namespace},
    C{message}, C{traceback} if there is one, and the fields of the event.  All but
    ASCII is escaped, so it is always one line.
    """
    failure = event.get("log_failure")
    level = event.get("log_level", LogLevel.critical if event.get("isError") else LogLevel.info)
    fields: dict[str, Any] = {
        "time": _timeOf(event),
        "level": getattr(level, "name", "info"),
        "namespace": str(event.get("log_namespace") or event.get("system") or "-")[:MAX_VALUE],
        "message": printable(formatEvent(event), MAX_MESSAGE),
    }
    if isinstance(failure, Failure):
        fields["traceback"] = printableFailure(failure).getTraceback()
    count = 0
    for name, value in event.items():
        if count < MAX_FIELDS and _isField(name):
            shown = _shown(value)
            # Some lines are one field and nothing else.
            if shown != fields["message"]:
                fields[name] = shown
                count += 1
    return json.dumps(fields, separators=(",", ":"))


def _isField(name: object) -> bool:
    isText = isinstance(name, str) and name.isidentifier() and len(name) <= MAX_VALUE
    return isText and not (name in _OWN or name in _LEGACY or str(name).startswith(("log_", "_")))


def _timeOf(event: Mapping[str, Any]) -> str:
    seconds = event.get("log_time", event.get("time"))
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        seconds = 0.0
    told = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return told.replace("+00:00", "Z")


def _shown(value: object) -> object:
    """
    Return a value as JSON can have it.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    try:
        return printable(str(value), MAX_VALUE)
    except Exception:
        return f"<{type(value).__name__}>"


def outputOf(twistd: Mapping[str, Any]) -> LogOutput:
    """
    Open what C{twistd} would log to.

    @param twistd: Its options.

    @raise ValueError: If its log can have no lines of JSON.

    @raise OSError: If the file cannot be opened.
    """
    path, isForeground = twistd.get("logfile") or "", bool(twistd.get("nodaemon"))
    if twistd.get("syslog"):
        raise ValueError("'json' is not allowed for log-format with twistd's --syslog")
    if path == "-" or (isForeground and not path):
        if not isForeground:
            raise ValueError("a daemon cannot log to its standard output")
        return LogOutput("")
    return LogOutput(path or "twistd.log")
