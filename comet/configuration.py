"""
The configuration of the server: the options of the command line, and a TOML file
with the same names.

L{OPTIONS} is the one list of options.  Except for L{readFile}, this module opens
no files and no sockets.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from reprlib import Repr
from typing import Any, Final

from attrs import frozen

from comet.errors import BadChannel
from comet.model.channels import parseName
from comet.model.log import Retention
from comet.model.patterns import matches
from comet.spelling import closest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_brief: Final = Repr()

_DIGITS: Final = re.compile("[0-9]{1,20}")
_FUNCTION: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?([eE][0-9]{1,3})?")


class ConfigurationError(ValueError):
    """
    A value that is not allowed.  The text says which value, and what is allowed.
    """


@frozen
class Option:
    """
    An option of the server.

    @ivar name: The name on the command line and in the file.

    @ivar default: The value if the option is not set.

    @ivar read: Reads a value, which is a text from the command line or any
        value of TOML.  Raises L{ValueError} with what is allowed.

    @ivar help: The help of C{twistd comet --help}; empty if it is the docstring
        of a method of the command line's options.

    @ivar isRepeatable: Whether the option may be given several times.

    @ivar isFlag: Whether the option has no value on the command line.
    """

    name: str
    default: Any
    read: Callable[[Any], Any]
    help: str = ""
    isRepeatable: bool = False
    isFlag: bool = False


def whole(least: int, most: int) -> Callable[[Any], int]:
    """
    Make a function that reads whole numbers within bounds.
    """

    def read(value: Any) -> int:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise ValueError(f"a whole number from {least} to {most} is")
        return value

    return read


def seconds(least: float, most: float) -> Callable[[Any], float]:
    """
    Make a function that reads numbers of seconds within bounds.
    """

    def read(value: Any) -> float:
        number: float | None = None
        if type(value) in (int, float):
            number = value
        elif isinstance(value, str) and _NUMBER.fullmatch(value):
            number = float(value)
        # TOML has nan, which is not within any bounds.
        if number is None or not least <= number <= most:
            raise ValueError(f"a number of seconds from {least:g} to {most:g} is")
        return float(number)

    return read


def text(value: Any) -> str:
    """
    Read a non-empty text.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a text that is not empty is")
    return value


def flag(value: Any) -> bool:
    """
    Read a flag, which is true or false.
    """
    if not isinstance(value, bool):
        raise ValueError("true and false are")
    return value


def name(value: Any) -> str:
    """
    Read the name of a channel, or a pattern.
    """
    try:
        return parseName(text(value))
    except BadChannel as error:
        raise ValueError(f"a channel or a pattern such as 'chat/*' is: {error.detail}") from None


def oneOf(*words: str) -> Callable[[Any], str]:
    """
    Make a function that reads one of these words.
    """

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"{' and '.join(map(repr, words))} are")
        return str(value)

    return read


def function(value: Any) -> str:
    """
    Read the name of a function: of its module, a colon, and its own.
    """
    if _FUNCTION.fullmatch(text(value)) is None:
        raise ValueError("a module and a function such as 'myapp.push:extend' are")
    return str(value)


def optional(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """
    Make a function that reads values that may also be L{None}.
    """
    return lambda value: None if value is None else read(value)


_GIB: Final = 1 << 30

OPTIONS: Final = (
    Option(
        "listen",
        ("tcp:8080:interface=127.0.0.1",),
        text,
        isRepeatable=True,
    ),
    Option(
        "public-url",
        (),
        text,
        isRepeatable=True,
    ),
    Option("tcp", None, optional(text), "Serve raw TCP on a Twisted endpoint. Default: off"),
    Option(
        "flash-policy",
        None,
        optional(text),
        "Serve the policy file that lets Flash connect to raw TCP, on a Twisted endpoint. "
        "Default: off",
    ),
    Option(
        "bus",
        "memory:",
        text,
        "Where messages are kept: memory:, sqlite:PATH for a file, or redis://HOST, which several "
        "servers can share. Default: memory:",
    ),
    Option(
        "history-messages", 1000, whole(0, _GIB), "Messages held for each channel. Default: 1000"
    ),
    Option(
        "history-seconds",
        3600.0,
        seconds(0.001, 1e9),
        "Seconds a message is held. Default: 3600",
    ),
    Option(
        "history-bytes",
        1048576,
        whole(0, 1 << 50),
        "Bytes of data held for each channel. Default: 1048576",
    ),
    Option(
        "history-total-bytes",
        268435456,
        whole(65536, 1 << 50),
        "Bytes held in all; then the oldest messages go first. Default: 268435456",
    ),
    Option("max-message", 65536, whole(1, 1 << 26), "Bytes a message has at most. Default: 65536"),
    Option(
        "upload-total-bytes",
        67108864,
        whole(65536, 1 << 50),
        "Bytes of request bodies that are on their way, in all; beyond them requests are answered "
        "503. As many for commands that have half come. Default: 67108864",
    ),
    Option("max-depth", 64, whole(1, 256), "Levels of JSON a message has at most. Default: 64"),
    Option(
        "max-connections",
        0,
        whole(0, 1 << 24),
        "Readers and sockets in all; 0 is the limit of open files less 64. Default: 0",
    ),
    Option("max-channels", 100, whole(1, 10000), "Names of one reader at most. Default: 100"),
    Option("max-batch", 1000, whole(1, 1000000), "Lines of one batch at most. Default: 1000"),
    Option(
        "heartbeat",
        25.0,
        seconds(0.1, 86400.0),
        "Seconds of silence before a heartbeat. Default: 25",
    ),
    Option(
        "publish-key",
        None,
        optional(text),
        "A file with the key that lets a backend publish anywhere. Default: one is made, in "
        "comet.key",
    ),
    Option(
        "open",
        (),
        name,
        isRepeatable=True,
    ),
    Option(
        "allow-origin",
        (),
        text,
        isRepeatable=True,
    ),
    Option(
        "drain",
        10.0,
        seconds(0.0, 3600.0),
        "Seconds at SIGTERM within which clients are sent away, and requests under way are "
        "finished. Default: 10",
    ),
    Option(
        "drain-notice",
        0.0,
        seconds(0.0, 3600.0),
        "Seconds at SIGTERM for which /health/ready answers 503 before anything else happens, for "
        "load balancers. Default: 0",
    ),
    Option(
        "idle-timeout",
        75.0,
        seconds(1.0, 86400.0),
        "Seconds without a request after which an HTTP connection is closed. Default: 75",
    ),
    Option(
        "workers",
        1,
        whole(1, 1024),
        "Processes that serve the same ports; more than one need a bus that they share. Default: 1",
    ),
    Option(
        "app",
        None,
        optional(function),
        "MODULE:FUNCTION of an application, called with the server before it serves: to set its "
        "access, and to add resources and transports. Default: none",
    ),
    Option(
        "edge",
        "lean",
        oneOf("lean", "twisted"),
        "How plain TCP is served: lean, in an epoll of its own, on Linux; or by Twisted, as "
        "everything else is. Default: lean",
    ),
    Option(
        "demo",
        False,
        flag,
        "Serve the pages / and /chat, and open their channels, lab/** and chat/**, to anyone",
        isFlag=True,
    ),
    Option(
        "pages",
        False,
        flag,
        "Serve the pages / and /chat, and open no channels for them",
        isFlag=True,
    ),
)

_BY_NAME: Final = {option.name: option for option in OPTIONS}

# The options that all nodes with one bus should have in common, beside the tables
# of channels.
SHARED: Final = (
    "history-messages",
    "history-seconds",
    "history-bytes",
    "history-total-bytes",
    "max-message",
    "allow-origin",
    "public-url",
)

RETENTION: Final = ("history-messages", "history-seconds", "history-bytes")

DEMO: Final = ("lab/**", "chat/**")


class Configuration:
    """
    The value of every option: from the command line, else from the file, else
    the default.
    """

    def __init__(self, given: Mapping[str, Any], file: Mapping[str, Any] | None = None) -> None:
        """
        @param given: The values on the command line, by the names of the
            options, without those that are not given.

        @param file: The content of the file, as TOML is read.

        @raise ConfigurationError: If a value is not allowed.
        """
        file = dict(file or {})
        channels = file.pop("channels", {})
        unknown = [key for key in file if key not in _BY_NAME]
        if unknown:
            meant = closest(unknown[0], (*_BY_NAME, "channels"))
            allowed = f'{", ".join(_BY_NAME)} can, and tables such as [channels."chat/**"]'
            raise ConfigurationError(
                f"{_shown(unknown[0])} cannot be set in the file; "
                + (f"did you mean {meant}?" if meant else allowed)
            )
        self._values = {
            option.name: _read(option, given.get(option.name, file.get(option.name)))
            for option in OPTIONS
        }
        if not self["listen"] and self["tcp"] is None:
            raise ConfigurationError(
                "neither listen nor tcp has an endpoint; one of them is needed"
            )
        self._retention = Retention(*(self[key] for key in RETENTION))
        self._retentions = _readChannels(channels, self._retention)

    def __getitem__(self, name: str) -> Any:
        """
        Get the value of an option by its name.
        """
        return self._values[name]

    @property
    def openPatterns(self) -> tuple[str, ...]:
        """
        The channels and patterns to which every client may publish.
        """
        patterns: tuple[str, ...] = self["open"]
        return (*patterns, *DEMO) if self["demo"] else patterns

    @property
    def hasPages(self) -> bool:
        """
        Whether the pages are served.
        """
        return bool(self["demo"] or self["pages"])

    @property
    def shared(self) -> dict[str, str]:
        """
        The values, as text, of everything that all nodes with one bus should
        have in common.
        """
        values: dict[str, object] = {key: self[key] for key in SHARED}
        for key in ("allow-origin", "public-url"):
            values[key] = sorted(self[key])
        values["open"] = sorted(self.openPatterns)
        # The first table that matches a channel counts, so their order matters.
        values["channels"] = [
            [pattern, kept.messages, kept.seconds, kept.bytes]
            for pattern, kept in self._retentions.items()
        ]
        return {key: json.dumps(value) for key, value in values.items()}

    def retention(self, channel: str) -> Retention:
        """
        Get the retention of a channel: that of the first pattern in the file
        that matches it, else the default.
        """
        for pattern, retention in self._retentions.items():
            if matches(pattern, channel):
                return retention
        return self._retention


def readFile(path: str) -> dict[str, Any]:
    """
    Read a TOML file.

    @raise ConfigurationError: If the file cannot be read, or is not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        # The path that was tried, which depends on the working directory.
        tried = os.path.abspath(path) if path else path
        raise ConfigurationError(f"the file {tried!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the file {path!r} is not TOML: {error}") from None


def _read(option: Option, value: Any, where: str = "") -> Any:
    """
    Read the value of an option.

    @param where: The place of the value, for the text of an error.
    """
    if value is None:
        return option.default
    if not option.isRepeatable:
        return _readOne(option, value, where)
    # In the file a single value may be without a list.
    several = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_readOne(option, each, where) for each in several)


def _readOne(option: Option, value: Any, where: str) -> Any:
    try:
        return option.read(value)
    except ValueError as error:
        raise ConfigurationError(
            f"{_shown(value)} is not allowed for {option.name}{where}: {error}"
        ) from None


def _shown(value: Any) -> str:
    return (repr(value[:64]) if isinstance(value, str) else _brief.repr(value))[:66]


def _readChannels(channels: Any, default: Retention) -> dict[str, Retention]:
    if not isinstance(channels, dict):
        raise ConfigurationError(
            f"{_shown(channels)} is not allowed for channels: tables such as "
            '[channels."chat/**"] are'
        )
    retentions = {}
    for pattern, table in channels.items():
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"{_shown(table)} is not allowed for {_shown(pattern)} of channels: a table with "
                f"{', '.join(RETENTION)} is"
            )
        try:
            parsed = name(pattern)
        except ValueError as error:
            raise ConfigurationError(
                f"{_shown(pattern)} is not allowed for channels: {error}"
            ) from None
        retentions[parsed] = _readRetention(parsed, table, default)
    return retentions


def _readRetention(pattern: str, table: dict[str, Any], default: Retention) -> Retention:
    unknown = [key for key in table if key not in RETENTION]
    if unknown:
        meant = closest(unknown[0], RETENTION)
        raise ConfigurationError(
            f"{_shown(unknown[0])} cannot be set for {_shown(pattern)}: "
            + (f"did you mean {meant}?" if meant else f"{', '.join(RETENTION)} can")
        )
    values = zip(RETENTION, (default.messages, default.seconds, default.bytes), strict=True)
    where = f" of {_shown(pattern)}"
    return Retention(
        *(_read(_BY_NAME[key], table.get(key, otherwise), where) for key, otherwise in values)
    )
