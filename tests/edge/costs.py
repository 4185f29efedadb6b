"""
Measures what a message costs on the wire, by transport: the number of requests,
and the bytes each way, with all headers but without those of TCP and IP.

It needs a server that was started with C{--demo} and C{--tcp}, and its ports::

    python -m tests.edge.costs 8080 8081
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable

from attrs import frozen

from tests.edge.connections import Silence, Site, TcpConnection, ask

CHANNEL = "lab/costs"

# The number of messages, published one after the other, and the bytes of each.
# The costs are their mean.
COUNT = 10
SIZE = 100

_UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@frozen
class Cost:
    """
    The costs of one transport.

    @ivar requests: The requests for a message.

    @ivar up: The bytes that the client sends for a message.

    @ivar down: The bytes that it receives for a message.

    @ivar once: The bytes that it sends and receives to begin; for polls, each
        time that there is no message.
    """

    requests: int
    up: int
    down: int
    once: tuple[int, int]


class Counting:
    """
    A connection that counts its bytes.
    """

    def __init__(self, port: int) -> None:
        self.tcp = TcpConnection(port)
        self.up = self.down = 0

    def send(self, data: str) -> None:
        """
        Send all of it.
        """
        self.up += len(data)
        self.tcp.send(data.encode("ascii"))

    def get(self, transport: str, since: str = "", more: str = "") -> None:
        """
        Send a request with only the headers that it needs.
        """
        query = f"transport={transport}" + (f"&since={since}" if since else "")
        self.send(f"GET /channels/{CHANNEL}?{query} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")

    def receive(self) -> bytes:
        """
        Receive until a moment of silence.
        """
        data = b""
        while True:
            try:
                piece = self.tcp.receive(10.0 if not data else 0.05)
            except Silence:
                break
            if not piece:
                raise AssertionError(f"closed after {data!r}")
            data += piece
        self.down += len(data)
        return data

    def answer(self) -> bytes:
        """
        Receive an answer.

        @return: Its body.
        """
        head, _, body = self.receive().partition(b"\r\n\r\n")
        length = _LENGTH.search(head + b"\r\n")
        assert length is None or len(body) == int(length[1])
        return body

    def counted(self) -> tuple[int, int]:
        """
        Return the bytes sent and received since the last call.
        """
        counts = (self.up, self.down)
        self.up = self.down = 0
        return counts


def publish(site: Site, number: int) -> None:
    """
    Publish a message.
    """
    data = f"{number:0{SIZE}}".encode("ascii")
    assert ask(site, "POST", f"/channels/{CHANNEL}", body=data).status == 201


def current(site: Site) -> str:
    """
    Return the cursor of the log's end.
    """
    return ask(site, "HEAD", f"/channels/{CHANNEL}").headers["etag"].strip('"')


def measurePolls(site: Site, transport: str) -> Cost:
    """
    Measure polling or long-polling.
    """
    since = current(site)
    connection = Counting(site.port)
    if transport == "poll":
        connection.get(transport, since, f'If-None-Match: "{since}"\r\n')
    else:
        connection.get(f"{transport}&wait=0", since)
    connection.answer()
    once = connection.counted()
    for number in range(COUNT):
        if transport == "poll":
            publish(site, number)
            connection.get(transport, since)
        else:
            connection.get(transport, since)
            publish(site, number)
        since = json.loads(connection.answer())["cursor"]
    connection.tcp.close()
    return _cost(1, connection, once)


def measureEndless(port: int, site: Site, begin: Callable[[Counting], None]) -> Cost:
    """
    Measure a transport on which one response carries all messages.
    """
    connection = Counting(port)
    begin(connection)
    connection.receive()
    once = connection.counted()
    for number in range(COUNT):
        publish(site, number)
        assert f"{number:0{SIZE}}".encode("ascii") in connection.receive()
    connection.tcp.close()
    return _cost(0, connection, once)


def _cost(requests: int, connection: Counting, once: tuple[int, int]) -> Cost:
    up, down = connection.counted()
    return Cost(requests, round(up / COUNT), round(down / COUNT), once)


def measure(site: Site) -> dict[str, Cost]:
    """
    Measure all transports.
    """

    def endless(port: int, begin: Callable[[Counting], None]) -> Cost:
        return measureEndless(port, site, begin)

    subscribe = json.dumps({"id": 1, "subscribe": [CHANNEL]}, separators=(",", ":"))
    return {
        "polling": measurePolls(site, "poll"),
        "long-polling": measurePolls(site, "longpoll"),
        "HTTP streaming": endless(site.port, lambda client: client.get("stream")),
        "Server-Sent Events": endless(site.port, lambda client: client.get("sse")),
        "WebSocket": endless(site.port, lambda client: client.get("websocket", "", _UPGRADE)),
        "raw TCP": endless(site.tcpPort, lambda client: client.send(subscribe + "\n")),
    }


if __name__ == "__main__":
    for name, cost in measure(Site(int(sys.argv[1]), int(sys.argv[2]))).items():
        print(f"{name:20} {cost.requests} {cost.up:5} {cost.down:5} {cost.once}")
