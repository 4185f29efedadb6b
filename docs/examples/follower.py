"""
Handle each message of some channels once, over restarts:
C{twistd -n comet --bus sqlite:jobs.db --app follower:extend}.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from comet import Gap, Hub, Message, Server

_log = Logger()


async def follow(hub: Hub, names: str, saved: Path) -> None:
    """
    Handle the messages behind the saved cursor; at the first start, those that are
    held.  Ends when the hub stops.
    """
    since = saved.read_text() if saved.exists() else "earliest"
    messages = hub.messages(names, since)
    async for message in messages:
        if isinstance(message, Gap):
            _log.warn("jobs are lost after {cursor}", cursor=message.cursor)
        else:
            await handle(message)
        # Now, and not before: a crash in between repeats a message, and loses none.
        write(saved, str(messages.cursor))


async def handle(message: Message) -> None:
    """
    Do what the message is for.
    """
    with open("done.txt", "a") as file:
        file.write(f"{message.channel}: {message.data}\n")


def write(path: Path, text: str) -> None:
    """
    Write a file as a whole, or not at all.
    """
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


def extend(server: Server) -> None:
    """
    Begin to follow when the server serves.
    """

    def begin() -> None:
        following = Deferred.fromCoroutine(follow(server.hub, "jobs/*", Path("jobs.cursor")))
        following.addErrback(lambda failure: _log.failure("the follower failed", failure))

    server.whenServing(begin)
