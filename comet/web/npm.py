"""
The client as a package of npm: an archive that C{npm install} takes from a URL.

It is made of the files in C{static/client} when the first tree of resources is,
always of the same bytes: npm notes its hash, and refuses other bytes later.
"""

from __future__ import annotations

import io
import json
import tarfile
from functools import cache
from pathlib import Path
from struct import pack
from typing import Final
from zlib import crc32

CLIENT: Final = Path(__file__).resolve().parents[1] / "static" / "client"

# npm packs these without being told.
_ALWAYS: Final = ("package.json", "README.md")

# RFC 1952 2.3: deflate, no flags, no time, of no known system.
_GZIP_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"

# RFC 1951 3.2.4
_MOST_STORED: Final = 65535


@cache
def makePackage(folder: Path = CLIENT) -> bytes:
    """
    Make the package.

    @return: A gzipped archive of tar, without compression: what compresses differs
        between versions of zlib.
    """
    names = json.loads((folder / "package.json").read_bytes())["files"]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted((*_ALWAYS, *names)):
            content = (folder / name).read_bytes()
            # All but the name, the size and these is zero or empty.
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            member.mode = 0o644
            tar.addfile(member, io.BytesIO(content))
    return storeGzip(archive.getvalue())


def storeGzip(content: bytes) -> bytes:
    """
    Put bytes into the format of gzip, as they are.
    """
    starts = range(0, max(1, len(content)), _MOST_STORED)
    blocks = []
    for start in starts:
        block = content[start : start + _MOST_STORED]
        isLast = start == starts[-1]
        blocks.append(pack("<BHH", isLast, len(block), len(block) ^ 0xFFFF) + block)
    return _GZIP_HEAD + b"".join(blocks) + pack("<II", crc32(content), len(content) & 0xFFFFFFFF)
