"""
What must not be, and was found.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

# How many bytes of an input are shown.
_SHOWN: Final = 2000


@frozen
class Finding:
    """
    Something that must not be.

    @ivar what: The parser, or what was watched.

    @ivar data: The input.

    @ivar why: What happened.
    """

    what: str
    data: bytes
    why: str

    def __str__(self) -> str:
        cut = self.data[:_SHOWN]
        more = f" and {len(self.data) - len(cut)} bytes more" if len(cut) < len(self.data) else ""
        return f"-- {self.what}: {cut!r}{more}\n{self.why}"
