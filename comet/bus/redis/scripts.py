"""
The Lua scripts.  Redis runs each as one step: no other command runs meanwhile.
"""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files
from typing import Final

from attrs import frozen


@frozen
class Script:
    """
    A script, as it is sent to Redis.

    @ivar name: Its name in comet.

    @ivar source: Its source text.

    @ivar digest: The digest by which Redis knows it.
    """

    name: str
    source: str
    digest: str


def _load(name: str, flags: str, *shared: str) -> Script:
    folder = files("comet.bus.redis") / "lua"
    names = ("common", *shared, name)
    parts = [(folder / f"{each}.lua").read_text("utf-8") for each in names]
    source = "\n".join([f"#!lua{flags}", *parts])
    # Redis looks a script up by the SHA-1 digest of its source.
    return Script(name, source, sha1(source.encode()).hexdigest())


# A full Redis refuses scripts that may store.  Scripts that free memory are
# always allowed.  Scripts that only read are also allowed while Redis cannot
# write.
_FREES: Final = " flags=allow-oom"
_READS: Final = " flags=no-writes"

PUBLISH: Final = _load("publish", "", "keys", "blocks", "storing")
ATTACH: Final = _load("attach", _FREES, "upgrade")
SWEEP: Final = _load("sweep", _FREES, "keys", "blocks")
FORGET: Final = _load("forget", _FREES)
FIND: Final = _load("find", _READS)
ORDERED: Final = _load("ordered", _READS)
POSITIONS: Final = _load("positions", _READS)
TAILS: Final = _load("tails", _READS, "reading")
READ: Final = _load("read", _READS, "reading")
OPEN: Final = _load("open", _READS, "reading")
HISTORY: Final = _load("history", _READS)
KEEP: Final = _load("keep", "", "blocks", "storing")
KEPT: Final = _load("kept", _READS)
SETMEMBERS: Final = _load("setmembers", "", "blocks", "storing", "members")
TENDMEMBERS: Final = _load("tendmembers", _FREES, "blocks", "storing", "members")
LISTMEMBERS: Final = _load("listmembers", _READS, "blocks", "storing", "members")

_LOG: Final = (PUBLISH, ATTACH, SWEEP, FORGET, FIND, ORDERED, POSITIONS, TAILS, READ, OPEN, HISTORY)
ALL: Final = (*_LOG, KEEP, KEPT, SETMEMBERS, TENDMEMBERS, LISTMEMBERS)
