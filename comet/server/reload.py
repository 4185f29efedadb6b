"""
Reading the configuration again while the server runs.

Everything is read and checked before anything changes: a mistake changes nothing.
Then the options that a running server can take (L{RELOADED}) count, and the keys; the
others keep the values that they had, and the log names those that differ.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import frozen
from twisted.logger import Logger

from comet.access.keys import DEFAULT_FILE
from comet.server.secretfiles import Secrets, loadSecrets
from comet.settings.configuration import Configuration, ConfigurationError, readFile
from comet.settings.options import OPTIONS, RELOADED


@frozen
class Sources:
    """
    Where the configuration comes from.

    @ivar given: The values on the command line and in the environment, which are the
        same for as long as the process lives.

    @ivar path: The path of the file, or L{None} if there is none.

    @ivar directory: The directory to which relative paths refer.  A daemon may be in
        another one by now.
    """

    given: Mapping[str, Any]
    path: str | None
    directory: str


@frozen
class Loaded:
    """
    What the server goes by.

    @ivar file: What counts of the file.

    @ivar configuration: The value of every option, by that.

    @ivar secrets: What the secret files hold.
    """

    file: Mapping[str, Any] | None
    configuration: Configuration
    secrets: Secrets


class Reloader:
    """
    Reads the configuration again, and has it put in place.

    @ivar present: What the server goes by.
    """

    _log = Logger()

    def __init__(
        self,
        sources: Sources,
        present: Loaded,
        check: Callable[[Configuration], object],
        apply: Callable[[Loaded], object],
    ) -> None:
        """
        @param check: Checks the values that only the parts can judge which use them.
            Raises L{ValueError}.

        @param apply: Puts everything in place, or raises L{ValueError} and changes
            nothing.
        """
        self.present = present
        self._sources = sources
        self._check = check
        self._apply = apply

    def reload(self) -> None:
        """
        Read everything again.  It never fails: one line of the log says what has
        changed, or why nothing has; and one which changes need a restart.
        """
        try:
            with _within(self._sources.directory):
                read = self._read()
            loaded = self._counting(read)
            self._apply(loaded)
        except (ValueError, OSError) as error:
            self._log.error(
                "nothing has changed, since there is a mistake in the configuration: {reason}",
                reason=" ".join(str(error).split()),
            )
            return
        changed = _differing(self.present, loaded)
        self._log.info(
            "the configuration was read again: {changed}",
            changed=f"{', '.join(changed)} changed" if changed else "nothing has changed",
        )
        waiting = [name for name in _differing(loaded, read) if name not in changed]
        if waiting:
            self._log.warn(
                "to change {options}, restart the server: a running one keeps what it began with",
                options=", ".join(waiting),
            )
        self.present = loaded

    def _read(self) -> Loaded:
        """
        Read what the server would begin with now.

        @raise ValueError: If there is a mistake anywhere.
        """
        sources = self._sources
        file = None if sources.path is None else readFile(sources.path)
        configuration = Configuration(sources.given, file)
        self._check(configuration)
        if configuration["publish-key"] is None and not os.path.exists(DEFAULT_FILE):
            # At a start it is made; here it would lock out all who have the old key.
            raise ConfigurationError(
                f"the publish key {os.path.abspath(DEFAULT_FILE)!r} is not there any more"
            )
        secrets, _ = loadSecrets(configuration)
        return Loaded(file, configuration, secrets)

    def _counting(self, read: Loaded) -> Loaded:
        """
        Return what counts of what was read: options that cannot change keep their
        values.
        """
        if read.file is None:
            return read
        fixed = {option.name for option in OPTIONS if option.name not in RELOADED}
        before = self.present.file or {}
        file = {name: value for name, value in read.file.items() if name not in fixed}
        file.update((name, value) for name, value in before.items() if name in fixed)
        return Loaded(file, Configuration(self._sources.given, file), read.secrets)


def _differing(one: Loaded, other: Loaded) -> list[str]:
    """
    Return the names of what differs.  Values are not told: they may be secret.
    """
    names = [
        option.name
        for option in OPTIONS
        if one.configuration[option.name] != other.configuration[option.name]
    ]
    if one.configuration.tables != other.configuration.tables:
        names.append("channels")
    if one.secrets != other.secrets:
        names.append("keys")
    return names


@contextmanager
def _within(directory: str) -> Iterator[None]:
    """
    Be in a directory for a while.
    """
    before = os.getcwd()
    if before == directory:
        yield
        return
    try:
        os.chdir(directory)
    except OSError:
        # The user of the process may not enter it.  What is there cannot be read, which
        # is told with its path.
        yield
        return
    try:
        yield
    finally:
        os.chdir(before)
