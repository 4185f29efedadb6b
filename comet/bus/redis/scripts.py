"""
The scripts that Redis runs for us: each is one step, before and after which
nothing else happens.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Final

from attrs import frozen


@frozen
class Script:
    """
    A script.

    @ivar name: What it is called here.

    @ivar source: Its text.

    @ivar digest: What Redis calls it.
    """

    name: str
    source: str
    digest: str


def _load(name: str, flags: str) -> Script:
    folder = files("comet.bus.redis") / "lua"
    parts = [(folder / f"{each}.lua").read_text("utf-8") for each in ("common", name)]
    source = "\n".join([f"#!lua{flags}", *parts])
    # What Redis looks for is the digest of the text.
    return Script(name, source, sha1(source.encode()).hexdigest())


# Redis refuses what may store when it is full; what lets go is allowed always,
# and what only reads is allowed also while Redis cannot write.
_FREES: Final = " flags=allow-oom"
_READS: Final = " flags=no-writes"

PUBLISH: Final = _load("publish", "")
ATTACH: Final = _load("attach", _FREES)
SWEEP: Final = _load("sweep", _FREES)
FORGET: Final = _load("forget", _FREES)
FIND: Final = _load("find", _READS)
TAILS: Final = _load("tails", _READS)
READ: Final = _load("read", _READS)

ALL: Final = (PUBLISH, ATTACH, SWEEP, FORGET, FIND, TAILS, READ)
