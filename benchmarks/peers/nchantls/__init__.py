"""
Nchan with TLS: its nginx speaks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from benchmarks.peers.certificate import certificateIn
from benchmarks.peers.nchan import PEER as NCHAN
from benchmarks.peers.nchan import command
from benchmarks.servers import Peer, Place


def _command(place: Place) -> Sequence[str]:
    made = certificateIn(place.folder)
    return command(
        place,
        "ssl",
        f"ssl_certificate {made['certificate']}; ssl_certificate_key {made['key']};",
    )


PEER: Final[Peer] = evolve(NCHAN, name="nchantls", command=_command, isOfSet=True, isEncrypted=True)
