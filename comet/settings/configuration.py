"""
The configuration of the server: the options of the command line, variables of the
environment, and a TOML file with the same names.

L{OPTIONS<comet.settings.options.OPTIONS>} is the one list of options.  Except for L{readFile}, this
module opens no files and no sockets.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from reprlib import Repr
from typing import Any, Final

from comet.framing.compression import Compression
from comet.http.outgoing import (
    ASKED,
    CONNECT,
    EVENTS,
)
from comet.http.spelling import closest
from comet.model.channels import NAME_CACHE_SIZE
from comet.model.log import Retention
from comet.model.patterns import matches
from comet.settings.options import (
    BY_NAME,
    COMPRESS,
    DEMO,
    HOOKS,
    OF_CHANNELS,
    OPEN,
    OPEN_READ,
    OPTIONS,
    OWN,
    PRESENCE,
    RETENTION,
    SHARED,
    Option,
)
from comet.settings.optionvalues import (
    name,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_brief: Final = Repr()

# The key of the file below which are the tables of channels.
CHANNELS: Final = "channels"


class ConfigurationError(ValueError):
    """
    A value that is not allowed.  The text says which value, and what is allowed.

    @ivar key: The keys of the file that lead to the value, such as C{("heartbeat",)} or
        C{("channels", "chat/**", "hooks")}; empty where it is not of one option.  The
        value itself may be from elsewhere.

    @ivar others: The other options on which it depends that this is a mistake.
    """

    def __init__(self, text: str, key: tuple[str, ...] = (), others: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.key = key
        self.others = others


class Configuration:
    """
    The value of every option: from the command line, else from the environment, else
    from the file, else the default.
    """

    def __init__(self, given: Mapping[str, Any], file: Mapping[str, Any] | None = None) -> None:
        """
        @param given: The values on the command line and in the environment, by the
            names of the options, without those that are not given.

        @param file: The content of the file, as TOML is read.

        @raise ConfigurationError: If a value is not allowed.
        """
        file = dict(file or {})
        channels = file.pop(CHANNELS, {})
        unknown = [key for key in file if key not in BY_NAME]
        if unknown:
            meant = closest(unknown[0], (*BY_NAME, CHANNELS))
            allowed = f'{", ".join(BY_NAME)} can, and tables such as [channels."chat/**"]'
            raise ConfigurationError(
                f"{_shown(unknown[0])} cannot be set in the file; "
                + (f"did you mean {meant}?" if meant else allowed),
                (unknown[0],),
            )
        for key in file.keys() & given.keys():
            # The operator hears of a mistake now, and not when the option is left out one day.
            _read(BY_NAME[key], file[key])
        self._values = {
            option.name: _read(option, given.get(option.name, file.get(option.name)))
            for option in OPTIONS
        }
        if not self["listen"] and self["tcp"] is None:
            raise ConfigurationError(
                "neither listen nor tcp has an endpoint; one of them is needed",
                ("listen",),
                ("tcp",),
            )
        self._retention = Retention(*(self[key] for key in RETENTION))
        self._tables = _readChannels(channels)
        if self.hookTables and self["hook"] is None and self["app"] is None:
            first = self.hookTables[0][0]
            raise ConfigurationError(
                f"the table of {_shown(first)} has hooks, and there is nothing to "
                "ask: neither --hook nor --app is given",
                (CHANNELS, first, HOOKS),
                ("hook", "app"),
            )
        if self.sendsEvents and self["app"] is None and not any(on for _, on in self.eventRules):
            raise ConfigurationError(
                "hook-events has events, and there are none to send: no table of channels has "
                "events = true",
                ("hook-events",),
                (CHANNELS, "app"),
            )
        self._kept = lru_cache(NAME_CACHE_SIZE)(self._findRetention)

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
        patterns: tuple[str, ...] = (*self[OPEN], *self._tablesWith(OPEN))
        return (*patterns, *DEMO) if self["demo"] else patterns

    @property
    def openReadPatterns(self) -> tuple[str, ...]:
        """
        The channels and patterns that every client may read, where others may be
        read with a right only.
        """
        patterns: tuple[str, ...] = (*self[OPEN_READ], *self._tablesWith(OPEN_READ))
        return (*patterns, *DEMO) if self["demo"] else patterns

    def _tablesWith(self, key: str) -> list[str]:
        return [pattern for pattern, table in self._tables if key in table]

    @property
    def isReadingRestricted(self) -> bool:
        """
        Whether clients need a right to read what is not open: with tokens, or a backend
        that decides.
        """
        isAsked = self["hook"] and CONNECT in self.hookEvents
        return bool(self["token-key"] or self["token-jwks"] or isAsked)

    @property
    def hookHeaders(self) -> tuple[str, ...]:
        """
        The headers that the backend is shown, in lower case, none twice.
        """
        given: tuple[str, ...] = self["hook-headers"]
        return tuple(dict.fromkeys(name for each in given for name in each.split(",")))

    @property
    def hookEvents(self) -> tuple[str, ...]:
        """
        What the backend is asked and sent, none twice.
        """
        given: tuple[str, ...] = self["hook-events"]
        return tuple(dict.fromkeys(name for each in given for name in each.split(","))) or ASKED

    @property
    def tables(self) -> list[tuple[str, dict[str, Any]]]:
        """
        The channels and patterns that have tables, in the order of the file, and what each
        table says.
        """
        return [(pattern, dict(table)) for pattern, table in self._tables]

    @property
    def hookTables(self) -> list[tuple[str, tuple[str, ...]]]:
        """
        The channels and patterns whose tables say what to ask about, and what.
        """
        return [(pattern, table[HOOKS]) for pattern, table in self._tables if HOOKS in table]

    @property
    def presenceRules(self) -> list[tuple[str, bool]]:
        """
        The channels and patterns of which presence is kept, or is not: for a channel the
        first counts that matches it.
        """
        told = [(pattern, table.get(PRESENCE)) for pattern, table in self._tables]
        rules = [(pattern, isKept) for pattern, isKept in told if isKept is not None]
        return [*rules, *((pattern, True) for pattern in self[PRESENCE])]

    @property
    def eventRules(self) -> list[tuple[str, bool]]:
        """
        The channels and patterns of which events are told, or are not: for a channel the
        first counts that matches it.
        """
        return [(pattern, table[EVENTS]) for pattern, table in self._tables if EVENTS in table]

    @property
    def compression(self) -> Compression | None:
        """
        Which messages are compressed, or L{None} if none are.
        """
        told = [(pattern, table.get(COMPRESS)) for pattern, table in self._tables]
        tables = tuple((pattern, above) for pattern, above in told if above is not None)
        compression = Compression(self[COMPRESS], tables)
        return compression if compression.isOn else None

    @property
    def sendsEvents(self) -> bool:
        """
        Whether events are sent to the backend.
        """
        return self["hook"] is not None and EVENTS in self.hookEvents

    @property
    def hasPages(self) -> bool:
        """
        Whether the pages are served.
        """
        return bool(self["demo"] or self["pages"])

    @property
    def bounds(self) -> object:
        """
        What the bus is told of how much to hold.  Equal where nothing of it differs.
        """
        return self._retention, self._keptTables(), self["history-total-bytes"]

    def _keptTables(self) -> list[tuple[str, dict[str, Any]]]:
        """
        The tables of channels that say how much to hold, without what else they say.
        """
        tables = [
            (pattern, {key: table[key] for key in RETENTION if key in table})
            for pattern, table in self._tables
        ]
        return [each for each in tables if each[1]]

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
        values["channels"] = self._keptTables()
        values["presence"] = self.presenceRules
        values["events"] = self.eventRules
        return {key: json.dumps(value) for key, value in values.items()}

    def retention(self, channel: str) -> Retention:
        """
        Get the retention of a channel.  Each value is that of the first pattern in the
        file that matches it and has one, else the default; what tells of members
        and events has its own.
        """
        return self._kept(channel)

    def _findRetention(self, channel: str) -> Retention:
        found: dict[str, Any] = {}
        for pattern, table in self._tables:
            if matches(pattern, channel):
                found = {**table, **found}
        own = [kept for start, kept in OWN.items() if channel.startswith(start)]
        otherwise = own[0] if own else tuple(self[key] for key in RETENTION)
        values = zip(RETENTION, otherwise, strict=True)
        return Retention(*(found.get(key, value) for key, value in values))


# The beginning of the names of variables, and words for a flag.
VARIABLE: Final = "COMET_"
_FLAGS: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}

# The variable that names the file.
CONFIG: Final = "config"


def readEnvironment(environment: Mapping[str, str]) -> dict[str, Any]:
    """
    Read the options from the environment: C{COMET_HISTORY_SECONDS} is
    C{history-seconds}.  An option that may be given several times has its values
    there with white space between them.  A variable that is empty counts as absent.

    @param environment: The variables.  Those that are like no option are ignored:
        other programs set some that begin so, too.

    @return: The values by the names of the options; and that of C{config}.

    @raise ConfigurationError: If a value is not allowed, or the name of a variable is
        nearly that of an option.
    """
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(VARIABLE) or not text:
            continue
        name = variable.removeprefix(VARIABLE).lower().replace("_", "-")
        if name == CONFIG:
            found[name] = text
        elif name in BY_NAME:
            found[name] = _readVariable(BY_NAME[name], text, variable)
        else:
            meant = closest(name, (*BY_NAME, CONFIG))
            if meant is not None:
                raise ConfigurationError(
                    f"the variable {variable[:64]} is no option; did you mean {variableOf(meant)}?"
                )
    return found


def variableOf(name: str) -> str:
    """
    Return the variable of an option.
    """
    return VARIABLE + name.upper().replace("-", "_")


def _readVariable(option: Option, text: str, variable: str) -> Any:
    value: Any = text
    if option.isFlag:
        value = _FLAGS.get(text.lower(), text)
    elif option.isRepeatable:
        value = text.split()
    return _read(option, value, f" (the variable {variable})")


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
    except RecursionError:
        raise ConfigurationError(f"the file {path!r} is nested too deeply") from None


def _read(option: Option, value: Any, where: str = "", above: tuple[str, ...] = ()) -> Any:
    """
    Read the value of an option.

    @param where: The place of the value, for the text of an error.

    @param above: The keys of the table that has it, if it is not the file itself.
    """
    if value is None:
        return option.default
    if not option.isRepeatable:
        return _readOne(option, value, where, above)
    # In the file a single value may be without a list.
    several = value if isinstance(value, (list, tuple)) else [value]
    return tuple(_readOne(option, each, where, above) for each in several)


def _readOne(option: Option, value: Any, where: str, above: tuple[str, ...]) -> Any:
    try:
        return option.read(value)
    except ValueError as error:
        raise ConfigurationError(
            f"{_shown(value)} is not allowed for {option.name}{where}: {error}",
            (*above, option.name),
        ) from None


def _shown(value: Any) -> str:
    return (repr(value[:64]) if isinstance(value, str) else _brief.repr(value))[:66]


def _readChannels(channels: Any) -> list[tuple[str, dict[str, Any]]]:
    """
    Read the tables of channels.

    @return: The channels and patterns in the order of the file, and what each table says.
    """
    if not isinstance(channels, dict):
        raise ConfigurationError(
            f"{_shown(channels)} is not allowed for channels: tables such as "
            '[channels."chat/**"] are',
            (CHANNELS,),
        )
    tables = []
    for pattern, table in channels.items():
        if not isinstance(table, dict):
            raise ConfigurationError(
                f"{_shown(table)} is not allowed for {_shown(pattern)} of channels: a table with "
                f"{', '.join(OF_CHANNELS)} is",
                (CHANNELS, pattern),
            )
        try:
            parsed = name(pattern)
        except ValueError as error:
            raise ConfigurationError(
                f"{_shown(pattern)} is not allowed for channels: {error}", (CHANNELS, pattern)
            ) from None
        tables.append((parsed, _readTable(parsed, table)))
    return tables


def _readTable(pattern: str, table: dict[str, Any]) -> dict[str, Any]:
    unknown = [key for key in table if key not in OF_CHANNELS]
    if unknown:
        meant = closest(unknown[0], OF_CHANNELS)
        raise ConfigurationError(
            f"{_shown(unknown[0])} cannot be set for {_shown(pattern)}: "
            + (f"did you mean {meant}?" if meant else f"{', '.join(OF_CHANNELS)} can"),
            (CHANNELS, pattern, unknown[0]),
        )
    where, above = f" of {_shown(pattern)}", (CHANNELS, pattern)
    return {key: _read(OF_CHANNELS[key], value, where, above) for key, value in table.items()}
