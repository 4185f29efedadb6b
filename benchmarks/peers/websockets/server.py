"""
A server with C{websockets}, which broadcasts as its documentation advises::

    python server.py PORT PUBLISHING_PORT
"""

from __future__ import annotations

import asyncio
import sys

from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.posting import Channels, Posting

channels = Channels()


def publish(name: str, data: str) -> None:
    """
    Send a message to all readers of a channel.
    """
    broadcast(channels.get(name, ()), data)


async def handle(reader: ServerConnection) -> None:
    """
    Serve one reader.
    """
    assert reader.request is not None
    names = reader.request.path[1:].split(",")
    channels.join(names, reader)
    try:
        await reader.wait_closed()
    finally:
        channels.leave(names, reader)


async def main() -> None:
    """
    Serve until the process ends.
    """
    loop = asyncio.get_running_loop()
    port, publishing = map(int, sys.argv[1:])
    await loop.create_server(lambda: Posting(publish), "127.0.0.1", publishing)
    async with serve(handle, "127.0.0.1", port, backlog=4096) as server:
        await server.serve_forever()


asyncio.run(main())
