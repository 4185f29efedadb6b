"""
Where the backend is, and what it is asked.
"""

from __future__ import annotations

from attrs import field, frozen


@frozen
class HookSettings:
    """
    Where the backend is, and what it is asked.

    @ivar url: Where requests are sent.

    @ivar secrets: What signs them; never shown.

    @ivar headers: The names, in lower case, of the headers of clients that the backend
        is shown.

    @ivar timeout: For how many seconds an answer is waited for, the time in which a
        request finds no place included.

    @ivar concurrency: How many requests are under way at once.
    """

    url: str
    secrets: tuple[bytes, ...] = field(repr=False)
    headers: tuple[str, ...] = ()
    timeout: float = 5.0
    concurrency: int = 64
