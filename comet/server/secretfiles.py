"""
The files of the server's secrets: what is in them, read once for all processes of
the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from attrs import field, frozen

from comet.access.keys import loadPublishKeys, readKeys
from comet.access.tokenkeys import MAX_KEY_FILE, readTokenKeys
from comet.hooks.secretfile import DEFAULT as DEFAULT_HOOK_SECRET
from comet.hooks.secretfile import loadSecrets as loadHookSecrets
from comet.hooks.signing import writeSecret
from comet.settings.configuration import Configuration, ConfigurationError


def _several(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(keys)


@frozen
class Secrets:
    """
    What the server's secret files hold.

    @ivar publishKeys: The keys that let a backend publish everywhere.

    @ivar adminKeys: Those of the admin; empty without a file of their own.

    @ivar tokenKeys: What the files of the keys of tokens hold, a character a byte.

    @ivar hookSecrets: What signs requests to the backend, as in their file.
    """

    publishKeys: tuple[str, ...] = field(default=(), converter=_several)
    adminKeys: tuple[str, ...] = field(default=(), converter=_several)
    tokenKeys: tuple[str, ...] = field(default=(), converter=_several)
    hookSecrets: tuple[str, ...] = field(default=(), converter=_several)


def loadSecrets(configuration: Configuration) -> tuple[Secrets, str]:
    """
    Read all secret files, and make that of the publish key if none is named and the
    default one does not exist.

    @return: The secrets, and the path of the file of the publish key.

    @raise OSError: If the file of the publish key cannot be read or made.

    @raise ValueError: If a file does not hold what it should.
    """
    publishKeys, path = loadPublishKeys(configuration["publish-key"])
    secrets = Secrets(
        publishKeys,
        _adminKeys(configuration),
        _tokenKeys(configuration),
        _hookSecrets(configuration),
    )
    return secrets, path


def _hookSecrets(configuration: Configuration) -> tuple[str, ...]:
    if configuration["hook"] is None:
        return ()
    try:
        secrets, _ = loadHookSecrets(configuration["hook-secret"])
    except OSError as error:
        path = configuration["hook-secret"] or DEFAULT_HOOK_SECRET
        raise _unreadable(path, "secret of the hook", error) from None
    return tuple(map(writeSecret, secrets))


def _adminKeys(configuration: Configuration) -> tuple[str, ...]:
    path = configuration["admin-key"]
    return () if path is None else _read(path, "admin key")


def _tokenKeys(configuration: Configuration) -> tuple[str, ...]:
    return tuple(map(_readTokenKey, configuration["token-key"]))


def _readTokenKey(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise _unreadable(path, "token key", error) from None
    try:
        # A secret can be read without it, but no token can be verified.
        import jwt  # noqa: F401

        readTokenKeys(content)
    except ValueError as error:
        raise ConfigurationError(f"the token key: the file {path!r} has none: {error}") from None
    except ImportError:
        raise ConfigurationError(
            "token-key needs packages that are not installed: pip install 'comet-push[tokens]'"
        ) from None
    return content.decode("latin-1")


def _read(path: str, what: str) -> tuple[str, ...]:
    try:
        return readKeys(path, what)
    except OSError as error:
        raise _unreadable(path, what, error) from None


def _unreadable(path: str, what: str, error: OSError) -> ConfigurationError:
    # The path that was tried, which depends on the working directory.
    return ConfigurationError(
        f"the {what} {os.path.abspath(path)!r} cannot be read: {error.strerror}"
    )


def _givenPublishKeys(configuration: Configuration) -> tuple[str, ...]:
    path = configuration["publish-key"]
    return () if path is None else _read(path, "publish key")


def _givenHookSecrets(configuration: Configuration) -> tuple[str, ...]:
    return () if configuration["hook-secret"] is None else _hookSecrets(configuration)


# The options that name secret files, and what reads their files, and makes none.
SECRET_FILES: Final[Mapping[str, Callable[[Configuration], tuple[str, ...]]]] = {
    "publish-key": _givenPublishKeys,
    "admin-key": _adminKeys,
    "token-key": _tokenKeys,
    "hook-secret": _givenHookSecrets,
}


def checkSecret(configuration: Configuration, name: str) -> None:
    """
    Read the secret files that an option names, and make none.

    @param name: One of L{SECRET_FILES}.

    @raise ValueError: If one cannot be read, or does not hold what it should.
    """
    SECRET_FILES[name](configuration)
