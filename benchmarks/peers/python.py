"""
The common part of the peers that run on Python.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from benchmarks.scripts import Publishing, Reading, post
from benchmarks.servers import BENCHMARKS, Missing, Peer, Place

_FOLDER: Final = BENCHMARKS / "peers"


def _prepare(packages: Sequence[str]) -> Callable[[], str]:
    def prepare() -> str:
        try:
            first, *others = [(package, version(package)) for package in packages]
        except PackageNotFoundError as error:
            raise Missing(f"pip install {error.name}, or 'comet-push[bench]'") from None
        python = f"Python {sys.version.split()[0]}"
        beside = ", ".join([*(" ".join(other) for other in others), python])
        return f"{first[1]} ({beside})"

    return prepare


def _command(name: str) -> Callable[[Place], Sequence[str]]:
    def command(place: Place) -> Sequence[str]:
        script = os.fspath(_FOLDER / name / "server.py")
        return [sys.executable, script, str(place.port), str(place.second)]

    return command


def pythonPeer(
    name: str,
    packages: Sequence[str],
    readings: Mapping[str, Reading],
    second: bool = False,
    hasSeveral: bool = True,
) -> Peer:
    """
    Make a peer whose C{server.py} is in a folder of its name, and which takes
    messages by C{POST /pub/NAME}.

    @param packages: The packages of PyPI that it needs, itself first.

    @param second: Whether it takes messages on the second port.

    @param hasSeveral: Whether a reader may ask for several channels.
    """
    return Peer(
        name,
        readings,
        {"http": Publishing(post("/pub/%C", "%M"), second=second)},
        _prepare(packages),
        _command(name),
        hasSeveral=hasSeveral,
    )
