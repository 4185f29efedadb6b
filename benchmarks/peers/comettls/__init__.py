"""
comet with an C{ssl:} endpoint and nothing in front of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from benchmarks.peers.certificate import certificateIn
from benchmarks.peers.comet import PEER as COMET
from benchmarks.peers.comet import command
from benchmarks.servers import Peer, Place


def _command(place: Place) -> Sequence[str]:
    made = certificateIn(place.folder)
    files = f"privateKey={made['key']}:certKey={made['certificate']}"
    return command(place, f"ssl:{place.port}:interface=127.0.0.1:{files}")


PEER: Final[Peer] = evolve(COMET, name="comettls", command=_command, isOfSet=True, isEncrypted=True)
