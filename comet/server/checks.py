"""
The values of the configuration that only the parts which use them can judge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.python.runtime import platformType

from comet.bus.registry import findMaker
from comet.http.origins import Origins
from comet.server.describedendpoints import makeEndpoint
from comet.server.secretfiles import SECRET_FILES, checkSecret
from comet.server.verifier import checkTokens
from comet.settings.configuration import Configuration, ConfigurationError
from comet.web.metrics.exposition import isInstalled


def checkConfiguration(configuration: Configuration) -> None:
    """
    Check the values that only the parts can judge which use them, and the secret files.
    Nothing is connected to, and no file is made.

    @raise ConfigurationError: If a value is not allowed; with the name of its option.
    """
    for option, check in _CHECKS:
        try:
            check(configuration)
        except ValueError as error:
            raise ConfigurationError(str(error), (option,), _OTHERS.get(check, ())) from None


def _checkOrigins(configuration: Configuration) -> None:
    Origins(configuration["allow-origin"])


def _checkURLs(configuration: Configuration) -> None:
    Origins((), configuration["public-url"])


def _checkBus(configuration: Configuration) -> None:
    url = configuration["bus"]
    # To make a bus connects to nothing.  The reactor is not chosen yet, so the bus
    # gets a clock.
    findMaker(url).makeBus(url, Clock(), configuration)


def _checkWorkers(configuration: Configuration) -> None:
    if configuration["workers"] == 1:
        return
    reason = ""
    if not getattr(findMaker(configuration["bus"]), "isShared", False):
        url = configuration["bus"][:64]
        reason = f"need a bus that several processes share, such as redis:; {url!r} is of one"
    elif platformType != "posix":
        reason = "need a POSIX system"
    if reason:
        workers = str(configuration["workers"])
        raise ConfigurationError(f"{workers!r} is not allowed for workers: more than 1 {reason}")


def _checkEndpoints(name: str) -> Callable[[Configuration], None]:
    """
    Make a function that checks the endpoints of an option.
    """

    def check(configuration: Configuration) -> None:
        for description in _several(configuration[name]):
            try:
                makeEndpoint(object(), description)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"{description[:64]!r} is not allowed for {name}: {error}"
                ) from None
            # Each kind of endpoint raises its own exceptions.
            except Exception as error:
                raise ConfigurationError(
                    f"{description[:64]!r} is not allowed for {name}: {error}; an endpoint such "
                    "as tcp:8080:interface=127.0.0.1 is"
                ) from None

    return check


def _several(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def _checkFlash(configuration: Configuration) -> None:
    if configuration["flash-policy"] is not None and configuration["tcp"] is None:
        raise ConfigurationError("flash-policy lets Flash connect to tcp, which is not given")


def _checkMetrics(configuration: Configuration) -> None:
    if configuration["metrics"] is not None and not isInstalled():
        raise ConfigurationError(
            "metrics need prometheus-client: pip install 'comet-push[metrics]'"
        )


def _checkSecretOf(name: str) -> Callable[[Configuration], None]:
    """
    Make a function that checks the secret files of an option.
    """
    return lambda configuration: checkSecret(configuration, name)


# What is checked, in this order, and the option that is at fault.
_CHECKS: Final[tuple[tuple[str, Callable[[Configuration], None]], ...]] = (
    ("allow-origin", _checkOrigins),
    ("public-url", _checkURLs),
    ("token-jwks", checkTokens),
    ("bus", _checkBus),
    ("workers", _checkWorkers),
    *((name, _checkEndpoints(name)) for name in ("listen", "tcp", "flash-policy", "metrics")),
    ("flash-policy", _checkFlash),
    ("metrics", _checkMetrics),
    *((name, _checkSecretOf(name)) for name in SECRET_FILES),
)

# The other options on which these depend.
_OTHERS: Final[dict[Callable[[Configuration], None], tuple[str, ...]]] = {
    _checkWorkers: ("bus",),
    _checkFlash: ("tcp",),
}
