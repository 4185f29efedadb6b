"""
A server with picows on uvloop::

    python server.py PORT PUBLISHING_PORT
"""

from __future__ import annotations

import asyncio
import sys

import uvloop
from picows import WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from benchmarks.peers.posting import Channels, Posting

channels = Channels()


def publish(name: str, data: str) -> None:
    """
    Send a message to all readers of a channel.
    """
    payload = data.encode("utf-8")
    for transport in tuple(channels.get(name, ())):
        transport.send(WSMsgType.TEXT, payload)


class Reader(WSListener):
    """
    One reader.
    """

    def __init__(self, request: WSUpgradeRequest) -> None:
        super().__init__()
        self.names = request.path.decode("utf-8")[1:].split(",")

    def on_ws_connected(self, transport: WSTransport) -> None:
        """
        Join the channels.
        """
        channels.join(self.names, transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """
        Leave the channels.
        """
        channels.leave(self.names, transport)


async def main() -> None:
    """
    Serve until the process ends.
    """
    loop = asyncio.get_running_loop()
    port, publishing = map(int, sys.argv[1:])
    await loop.create_server(lambda: Posting(publish), "127.0.0.1", publishing)
    server = await ws_create_server(Reader, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


uvloop.run(main())
