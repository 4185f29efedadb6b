"""
What an application or a backend answers when it is asked about a client: see
L{IHooks<comet.interfaces.hooks.IHooks>}.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from attrs import frozen

# For how many seconds an answer to a question about reading holds that does not say.
ALLOWED_SECONDS: Final = 60.0


class Unchanged(Enum):
    """
    Stands for what a rewriting leaves as it was.
    """

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@frozen
class Rewritten:
    """
    A message is to be stored with other data, or as another event.

    @ivar data: A value that JSON can express, or L{bytes}.

    @ivar event: The name of the event; L{None} takes it off.
    """

    data: Any = UNCHANGED
    event: str | Unchanged | None = UNCHANGED


@frozen
class Allowed:
    """
    Names may be read.

    @ivar since: Where they begin, if the client has not said it: C{"now"},
        C{"earliest"}, C{"-3"} or a cursor as text; or a mapping of names to these.

    @ivar expires: For how many seconds the client is not asked about again, for these
        names: from 1 to 3,600.
    """

    since: str | Mapping[str, str] | None = None
    expires: float = ALLOWED_SECONDS
