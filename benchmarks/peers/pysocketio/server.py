"""
A server with python-socketio on uvicorn; a channel is a room::

    python server.py PORT
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import socketio
import uvicorn

server = socketio.AsyncServer(async_mode="asgi")


@server.event
async def join(sid: str, names: list[str]) -> None:
    """
    Add a reader to channels.
    """
    for name in names:
        await server.enter_room(sid, name)


async def publish(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """
    Serve C{POST /pub/NAME}.
    """
    if scope["type"] != "http":
        return
    body, isComplete = b"", False
    while not isComplete:
        event = await receive()
        body += event.get("body", b"")
        isComplete = not event.get("more_body", False)
    name = scope["path"].removeprefix("/pub/")
    await server.emit("message", body.decode("utf-8"), to=name)
    head = {"type": "http.response.start", "status": 201, "headers": [(b"content-length", b"0")]}
    await send(head)
    await send({"type": "http.response.body"})


uvicorn.run(
    socketio.ASGIApp(server, publish),
    host="127.0.0.1",
    port=int(sys.argv[1]),
    backlog=4096,
    log_level="warning",
    timeout_keep_alive=3600,
)
