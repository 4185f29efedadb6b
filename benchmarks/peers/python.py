"""
What the peers that run on Python have in common.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from benchmarks.servers import BENCHMARKS, Missing, Peer, Place
from benchmarks.wires import Publishing, Wire, post

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
    wires: Mapping[str, Wire],
    second: bool = False,
    hasSeveral: bool = True,
) -> Peer:
    """
    A peer whose C{server.py} is in a folder of its name, and that is published
    to by C{POST /pub/NAME}.

    @param packages: What it needs of PyPI, itself first.

    @param second: Whether it is published to on the second port.

    @param hasSeveral: Whether a reader may ask for several channels.
    """
    return Peer(
        name,
        wires,
        {"http": Publishing(post("/pub/%C", "%M"), second=second)},
        _prepare(packages),
        _command(name),
        hasSeveral=hasSeveral,
    )
