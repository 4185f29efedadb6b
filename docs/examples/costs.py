"""
Measure what a message costs on each transport, in requests and in bytes, with
the headers that a browser sends: C{python costs.py PORT TCPPORT}.  The server
runs on this machine, with C{--demo} and C{--tcp}.

The bytes are those that pass through the socket; TCP and IP add theirs.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from http.client import HTTPConnection
from typing import NamedTuple

CHANNEL = "chat/costs"
COUNT = 20

# The headers that a current browser sends with each request of a page.  A site
# adds its cookies.
BROWSER = (
    "Host: push.example.com\r\n"
    "Connection: keep-alive\r\n"
    'sec-ch-ua: "Chromium";v="131", "Not_A Brand";v="24"\r\n'
    "sec-ch-ua-mobile: ?0\r\n"
    'sec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n"
    "Accept: */*\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\n"
    "Referer: https://push.example.com/page\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
).replace("push.example.com", "localhost")

UPGRADE = (
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Protocol: comet.v1\r\n"
)


class Cost(NamedTuple):
    """
    What the messages of one transport cost.

    @ivar opening: The bytes both ways before the first message.

    @ivar requests: The number of requests for all messages.

    @ivar up: The bytes to the server for all messages.

    @ivar down: The bytes from the server for all messages.
    """

    opening: int
    requests: int
    up: int
    down: int


class Counted:
    """
    A connection that counts its bytes.
    """

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.up = 0
        self.down = 0

    def send(self, text: str) -> None:
        """
        Send some text.
        """
        self.up += len(text)
        self.socket.sendall(text.encode("ascii"))

    def get(self, query: str, headers: str = BROWSER) -> None:
        """
        Send a GET request.
        """
        self.send(f"GET /channels/{CHANNEL}?{query} HTTP/1.1\r\n{headers}\r\n")

    def until(self, pattern: str) -> bytes:
        """
        Read until the received bytes end with a pattern.
        """
        received = b""
        while not re.search(pattern.encode() + rb"\Z", received, re.DOTALL):
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(repr(received))
            received += data
            self.down += len(data)
        return received


class Publisher:
    """
    Publishes messages over one connection.
    """

    def __init__(self, port: int) -> None:
        self._http = HTTPConnection("127.0.0.1", port)
        self.cursor = ""

    def publish(self, number: int) -> None:
        """
        Publish 20 bytes of text, and keep the cursor.
        """
        body = f"message number {number:05}".encode()
        self._http.request("POST", f"/channels/{CHANNEL}", body, {"Content-Type": "text/plain"})
        self.cursor = json.loads(self._http.getresponse().read())["cursor"]


def streaming(
    port: int, publisher: Publisher, query: str, end: str, headers: str = BROWSER
) -> Cost:
    """
    Measure a transport that opens once and then sends messages.

    @param end: What ends each piece that the server sends.
    """
    connection = Counted(port)
    connection.get(query, headers)
    connection.until(rf'{publisher.cursor}["\n].*{end}')
    opening, connection.up, connection.down = connection.up + connection.down, 0, 0
    for number in range(COUNT):
        publisher.publish(number)
        connection.until(f"number {number:05}.*{end}")
    return Cost(opening, 0, connection.up, connection.down)


def raw(port: int, publisher: Publisher) -> Cost:
    """
    Measure raw TCP.
    """
    connection = Counted(port)
    connection.send(f'{{"id":1,"subscribe":["{CHANNEL}"]}}\n')
    connection.until("\n")
    opening, connection.up, connection.down = connection.up + connection.down, 0, 0
    for number in range(COUNT):
        publisher.publish(number)
        connection.until(f"number {number:05}.*\n")
    return Cost(opening, 0, connection.up, connection.down)


def polling(port: int, publisher: Publisher, query: str, isHeld: bool, end: str) -> Cost:
    """
    Measure a transport that makes a request for each message, on one connection.
    """
    connection = Counted(port)
    for number in range(COUNT):
        since = publisher.cursor
        if not isHeld:
            publisher.publish(number)
        connection.get(f"{query}&since={since}")
        if isHeld:
            publisher.publish(number)
        connection.until(f"number {number:05}.*{end}")
    return Cost(0, COUNT, connection.up, connection.down)


def pollingInVain(port: int, publisher: Publisher) -> Cost:
    """
    Measure polls that find no message.
    """
    connection = Counted(port)
    tag = f'If-None-Match: "{publisher.cursor}"\r\n'
    for _ in range(COUNT):
        connection.get("transport=poll", BROWSER + tag)
        connection.until("304 Not Modified.*\r\n\r\n")
    return Cost(0, COUNT, connection.up, connection.down)


def main(port: int, tcpPort: int) -> None:
    """
    Measure every transport, and print a table.
    """
    publisher = Publisher(port)
    publisher.publish(0)
    upgrade = BROWSER.replace("Connection: keep-alive\r\n", "") + UPGRADE
    rows = {
        "poll, with a message": polling(port, publisher, "transport=poll", False, r"\]}\n"),
        "poll, in vain": pollingInVain(port, publisher),
        "longpoll": polling(port, publisher, "transport=longpoll", True, r"\]}\n"),
        "jsonp": polling(port, publisher, "callback=cb", True, r"\);"),
        "stream": streaming(port, publisher, "transport=stream", "\r\n"),
        "multipart": streaming(port, publisher, "transport=multipart", "\r\n"),
        "sse": streaming(port, publisher, "transport=sse", "\r\n"),
        "iframe": streaming(port, publisher, "transport=iframe&callback=cb", "\r\n"),
        "websocket": streaming(port, publisher, "", "}", upgrade),
        "raw TCP": raw(tcpPort, publisher),
    }
    print(f"{'':22}{'opening':>9}{'requests':>10}{'bytes up':>10}{'bytes down':>12}")
    print(f"{'':22}{'once':>9}{'a message':>10}{'a message':>10}{'a message':>12}")
    for name, cost in rows.items():
        each = (cost.requests / COUNT, cost.up / COUNT, cost.down / COUNT)
        print(f"{name:22}{cost.opening:9}{each[0]:10.0f}{each[1]:10.0f}{each[2]:12.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
