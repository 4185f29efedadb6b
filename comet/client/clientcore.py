"""
A client without I/O: what the shells have in common.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from comet.client.batches import BATCH, CONTENT_TYPE, batches, readCursors
from comet.client.clientreading import Reading
from comet.client.clientsteps import Steps
from comet.client.credential import Credential, Token
from comet.client.cursorfile import CursorFile
from comet.client.failures import MAX_DEPTH
from comet.client.links import ALL_TRANSPORTS, TRANSPORTS
from comet.client.received import (
    Closing,
    History,
    Presence,
    readHistory,
    readObject,
    readPresence,
)
from comet.client.requester import Requester, Timing
from comet.client.serverurl import namesPath, parseServerURL
from comet.client.standing import Since, Standing
from comet.framing.strictjson import encode
from comet.model.channels import parseChannel
from comet.model.cursors import parseCursor

# Less than the five minutes for which a server remembers a key.
_MOST_PATIENCE = 270.0

# A day: more than any proxy keeps a connection that is silent.
_MOST_SECONDS = 86400.0


class Core:
    """
    One client.
    """

    def __init__(
        self,
        url: str,
        now: Callable[[], float],
        token: Token | None = None,
        key: str | None = None,
        transport: str | Sequence[str] | None = None,
        parameters: Mapping[str, str] | None = None,
        timing: Timing | None = None,
        random: Random | None = None,
        today: Callable[[], float] = time.time,
    ) -> None:
        """
        @param url: The root of the server's site, or the path at which comet is mounted.  At
            C{tcp://HOST:PORT}, or with TLS C{tls://HOST:PORT}, a client only subscribes.

        @param now: A clock that goes on steadily, in seconds.

        @param token: A token, or a function that returns one, or an awaitable of one.

        @param key: A publish key or admin key.

        @param transport: The transport or transports of L{ALL_TRANSPORTS} to try, in this order; by
            default L{TRANSPORTS}.

        @param parameters: Added to the query of every request, which raw TCP has not.

        @param today: The time of day, in seconds since 1970.

        @raise ValueError: If one of these is not allowed.
        """
        timing = timing or Timing()
        for seconds in (timing.heartbeat, timing.timeout, timing.patience):
            # Neither "nan", which no comparison finds, nor what no clock of a system takes.
            if not 0 < seconds <= _MOST_SECONDS:
                raise ValueError(
                    f"{seconds} seconds are not allowed; more than 0, up to {_MOST_SECONDS:g}, are"
                )
        if timing.patience > _MOST_PATIENCE:
            raise ValueError(f"patience is more than {_MOST_PATIENCE:g} seconds")
        server = parseServerURL(url)
        if server.isRaw and parameters:
            raise ValueError("raw TCP has no query, and so no parameters")
        self._transports = _chooseTransports(transport, server.isRaw)
        self._requester = Requester(
            server,
            Credential(token, key, now, today),
            parameters or {},
            timing,
            now,
            random or Random(),
        )

    def publish(
        self,
        channel: str,
        data: Any,
        event: str | None = None,
        key: str | None = None,
        exclude: str | None = None,
    ) -> Steps[str]:
        """
        Publish a message.

        @return: Its cursor.
        """
        fields = {"channel": channel, "data": data, "event": event, "key": key, "exclude": exclude}
        cursors = yield from self.publishMany([fields])
        return cursors[0]

    def publishMany(
        self, publications: Iterable[Mapping[str, Any]], batch: int = BATCH
    ) -> Steps[list[str]]:
        """
        Publish messages, in requests of many.

        @return: The cursor of each.
        """
        headers = {"Content-Type": CONTENT_TYPE, "Accept": "application/json"}
        url = self._requester.resource("publish")
        cursors: list[str] = []
        for lines in batches(publications, batch):
            body = yield from self._requester.persist("POST", url, headers, b"".join(lines))
            cursors += readCursors(body, len(lines))
        return cursors

    def presence(self, channel: str) -> Steps[Presence]:
        """
        Ask who is in a channel.
        """
        parseChannel(channel)
        url = self._requester.resource(f"presence/{namesPath([channel])}")
        body = yield from self._requester.persist("GET", url, {"Accept": "application/json"})
        return readPresence(body)

    def history(self, channel: str, before: str, limit: int = 50) -> Steps[History]:
        """
        Read the messages before a cursor.
        """
        parseChannel(channel)
        parseCursor(before)
        asked = {"transport": "poll", "time": "1", "before": before, "limit": str(limit)}
        url = self._requester.resource(f"channels/{namesPath([channel])}", asked)
        headers = {"Accept": "application/json", "Cache-Control": "no-store"}
        body = yield from self._requester.persist("GET", url, headers)
        return readHistory(body)

    def call(self, method: str, data: Any = None) -> Steps[Any]:
        """
        Call a method of the backend.

        @return: What it answers.
        """
        parseChannel(method)
        url = self._requester.resource(f"call/{namesPath([method])}")
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        body = yield from self._requester.once("POST", url, headers, encode(data, MAX_DEPTH))
        return readObject(body).get("data")

    def subscribe(
        self,
        names: str | Sequence[str],
        since: Since = None,
        cursorFile: str | os.PathLike[str] | None = None,
        onClose: Callable[[Closing], object] | None = None,
    ) -> Reading:
        """
        Begin a subscription.  It connects when a shell drives it.

        @param cursorFile: Where its place is kept.  Once the file exists it overrules C{since}.

        @raise ValueError: If the file does not hold a place, or C{since} has other names.

        @raise OSError: If the file cannot be read.
        """
        asked = [names] if isinstance(names, str) else list(names)
        file = None if cursorFile is None else CursorFile(cursorFile)
        if file is not None:
            kept = file.read(asked)
            since = since if kept is None else kept
        standing = Standing(asked, since)
        return Reading(self._requester, standing, self._transports, file, onClose)


def _chooseTransports(transport: str | Sequence[str] | None, isRaw: bool) -> tuple[str, ...]:
    """
    Check what the application asks for.

    @raise ValueError: If it is no transport, or none for the URL.
    """
    asked = (transport,) if isinstance(transport, str) else tuple(transport or ())
    for each in asked:
        if each not in ALL_TRANSPORTS:
            raise ValueError(f"{each!r} is not one of {', '.join(ALL_TRANSPORTS)}")
        if isRaw and each != "tcp":
            raise ValueError(f"{each!r} needs a URL that begins with http:// or https://")
        if each == "tcp" and not isRaw:
            raise ValueError(
                "'tcp' needs a URL such as tcp://HOST:PORT, or with TLS tls://HOST:PORT"
            )
    return asked or (("tcp",) if isRaw else TRANSPORTS)
