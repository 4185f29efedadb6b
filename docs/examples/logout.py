"""
A resource of an application that logs a user out.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from comet import Hub


def loggedOut(hub: Hub, user: str) -> Deferred[int]:
    """
    End what a user reads, who has no session any more.
    """
    return hub.disconnect(user)
