"""
comet behind nginx, which speaks TLS.
"""

from __future__ import annotations

import getpass
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import evolve

from benchmarks.peers.certificate import certificateIn
from benchmarks.peers.comet import PEER as COMET
from benchmarks.peers.comet import command
from benchmarks.servers import Missing, Peer, Place

_CONFIGURATION: Final = Path(__file__).with_name("nginx.conf")


def _prepare() -> str:
    if shutil.which("nginx") is None:
        raise Missing("apt install nginx-light")
    return COMET.prepare()


def _command(place: Place) -> Sequence[str]:
    filled = {
        "user": getpass.getuser(),
        "port": str(place.port),
        "behind": str(place.second),
        **certificateIn(place.folder),
    }
    text = _CONFIGURATION.read_text()
    for name, value in filled.items():
        text = text.replace("{{" + name + "}}", value)
    (place.folder / "nginx.conf").write_text(text)
    behind = shlex.join(command(place, f"tcp:{place.second}:interface=127.0.0.1", isWithTCP=False))
    front = shlex.join(["nginx", "-p", str(place.folder), "-c", "nginx.conf", "-e", "error.log"])
    return ["sh", "-c", f"{behind} & exec {front}"]


PEER: Final[Peer] = evolve(
    COMET,
    name="cometnginx",
    prepare=_prepare,
    command=_command,
    readings={name: each for name, each in COMET.readings.items() if not each.second},
    isOfSet=True,
    isEncrypted=True,
    isBehind=True,
)
