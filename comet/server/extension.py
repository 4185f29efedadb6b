"""
What an application adds to the server of C{twistd comet}: by the function that
C{--app} names, by the WSGI application that C{--wsgi} names, and by plugins.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import reduce
from importlib import import_module
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.plugin import getPlugins

from comet.hub.hub import Hub
from comet.server.startfailure import CannotStart
from comet.transports.channel import Transport
from comet.transports.maker import ITransportMaker


def findFunction(name: str, option: str = "app") -> Callable[..., Any]:
    """
    Find the function of an application.  The working directory is on Python's path.

    @param option: The name of the option, for what is wrong.

    @param name: The module and the function, with a colon between them.

    @raise CannotStart: If there is none.
    """
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    moduleName, _, path = name.partition(":")
    try:
        module = import_module(moduleName)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if moduleName != missing and not moduleName.startswith(f"{missing}."):
            raise
        raise CannotStart(
            f"{option} {name!r}: there is no module {missing!r} in {folder!r}, nor elsewhere on "
            "Python's path"
        ) from None
    try:
        function: object = reduce(getattr, path.split("."), module)
    except AttributeError:
        raise CannotStart(f"{option} {name!r}: {moduleName!r} has no {path!r}") from None
    if not callable(function):
        raise CannotStart(f"{option} {name!r}: {path!r} cannot be called; a function is needed")
    return function


@contextmanager
def _failing(option: str, name: str) -> Iterator[None]:
    """
    Print what goes wrong in an application with its traceback: it is the application's.

    @raise CannotStart: If anything goes wrong.
    """
    try:
        yield
    except CannotStart:
        raise
    except Exception as error:
        traceback.print_exc()
        raise CannotStart(f"{option} {name!r} failed: {type(error).__name__}: {error}") from None


def findApplication(name: str) -> Callable[..., Any]:
    """
    Find a WSGI application.  What goes wrong in its module is printed with its traceback.

    @param name: As for L{findFunction}.

    @raise CannotStart: If there is none, or its module fails.
    """
    with _failing("wsgi", name):
        return findFunction(name, "wsgi")


def extend(server: Any, name: str) -> None:
    """
    Call the function of an application with the server.  What goes wrong in it is
    printed with its traceback: it is the application's.

    @raise CannotStart: If there is no such function, or it fails.
    """
    with _failing("app", name):
        result = findFunction(name)(server)
    if iscoroutine(result) or isinstance(result, Deferred):
        if iscoroutine(result):
            result.close()
        raise CannotStart(
            f"app {name!r}: the server does not wait for what the function begins; give that to "
            "server.whenServing"
        )


def addTransports(transports: MutableMapping[str, Transport], hub: Hub) -> None:
    """
    Add the transports of plugins.

    @param transports: Those of comet, by their names.

    @raise CannotStart: If two have the same name.
    """
    for maker in getPlugins(ITransportMaker):
        if maker.name in transports:
            raise CannotStart(f"a plugin makes a transport {maker.name!r}; there is one already")
        transports[maker.name] = maker.makeTransport(hub)
