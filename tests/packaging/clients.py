"""
One small client for each transport, written from the standards and the book with
Python's standard library alone, so that no error of comet's can hide in both.

A client is made with the cursor at which it begins.  If its transport sends a
first cursor, the constructor reads it.  L{Client.receive} waits for one message.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

HOST = "127.0.0.1"

# How long a client waits, in seconds.
PATIENCE = 60.0

# RFC 6455 1.3: appended to the key before it is hashed.
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_CONTINUED, _TEXT = 0, 1


class Failed(Exception):
    """
    The server broke a promise.
    """


class Received(NamedTuple):
    """
    A message as a client has received it.

    @ivar cursor: The cursor that came with it.

    @ivar data: Its data, decoded.
    """

    cursor: str
    data: object


class Client(Protocol):
    """
    A reader of one channel.
    """

    def receive(self) -> Received:
        """
        Wait for the next message.

        @raise Failed: If something else came.
        """

    def close(self) -> None:
        """
        Close the connection.
        """


def expect(what: str, got: object, wanted: object) -> None:
    """
    Compare a value with the expected one.

    @raise Failed: If they differ.
    """
    if got != wanted:
        raise Failed(f"{what}: {got!r}, and not {wanted!r}")


def fromEnvelope(envelope: Any, channel: str) -> Received:
    """
    Decode the message of an envelope.
    """
    if not isinstance(envelope, dict) or "data" not in envelope:
        raise Failed(f"no message, but {envelope!r}")
    expect("channel", envelope.get("channel"), channel)
    return Received(envelope["cursor"], envelope["data"])


def request(
    port: int, method: str, channel: str, body: bytes | None = None, **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """
    Make one request of a channel.

    @param headers: The headers, with underscores for hyphens.
    """
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/channels/{channel}", body, named)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def publish(port: int, key: str, channel: str, data: object) -> str:
    """
    Publish some JSON.

    @return: The cursor of the message in the channel.
    """
    response, content = request(
        port,
        "POST",
        channel,
        json.dumps(data).encode(),
        Content_Type="application/json",
        Authorization=f"Bearer {key}",
    )
    expect(f"status of POST, with {content!r}", response.status, 201)
    answer = json.loads(content)
    cursor = answer["channels"][channel]
    expect("cursor of the answer", answer["cursor"], cursor)
    return str(cursor)


def currentCursor(port: int, channel: str) -> str:
    """
    Return the cursor of the log's end.
    """
    response, content = request(port, "HEAD", channel)
    expect(f"status of HEAD, with {content!r}", response.status, 200)
    return response.headers["ETag"].strip('"')


class HTTPClient:
    """
    A client that only reads, by one GET.

    @cvar transport: The name of the transport.

    @cvar contentType: The content type that the response has to have.
    """

    transport = "poll"
    contentType = "application/json"

    def __init__(self, port: int, channel: str, since: str) -> None:
        self.channel = channel
        self.since = since
        self.connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE)
        self.connection.request(
            "GET", f"/channels/{channel}?transport={self.transport}&since={quote(since)}"
        )
        self.begin()

    def begin(self) -> None:
        """
        Do what precedes the first message.
        """

    def answer(self) -> http.client.HTTPResponse:
        """
        Wait for the head of the response.
        """
        response = self.connection.getresponse()
        expect("status", response.status, 200)
        expect("content type", response.headers.get_content_type(), self.contentType)
        return response

    def close(self) -> None:
        """
        Close the connection.
        """
        self.connection.close()


class Poll(HTTPClient):
    """
    AJAX polling: make it after a message was published.
    """

    def receive(self) -> Received:
        """
        Read the whole response.
        """
        response = self.answer()
        body = json.loads(response.read())
        expect("ETag", response.headers["ETag"], f'"{body["cursor"]}"')
        expect("number of messages", len(body["messages"]), 1)
        received = fromEnvelope(body["messages"][0], self.channel)
        expect("cursor of the body", body["cursor"], received.cursor)
        return received


class LongPoll(Poll):
    """
    Long-polling: the response waits for the message.
    """

    transport = "longpoll"


class Stream(HTTPClient):
    """
    HTTP streaming: each line is an envelope.
    """

    transport = "stream"
    contentType = "application/x-ndjson"

    def begin(self) -> None:
        """
        Read the cursor at which the reader begins.
        """
        self.response = self.answer()
        expect("first envelope", json.loads(self.response.readline()), {"cursor": self.since})

    def receive(self) -> Received:
        """
        Read one line.
        """
        return fromEnvelope(json.loads(self.response.readline()), self.channel)


class EventSource(HTTPClient):
    """
    Server-Sent Events, read as WHATWG HTML 9.2.6 says.
    """

    transport = "sse"
    contentType = "text/event-stream"

    def begin(self) -> None:
        """
        Read the cursor at which the reader begins.
        """
        self.response = self.answer()
        self.lastEventID = ""
        for fields in self.blocks():
            if "id" in fields:
                expected = {"id": self.since, "event": "$at", "data": ""}
                expect("first event", fields, expected)
                return

    def blocks(self) -> Iterator[dict[str, str]]:
        """
        Yield the fields of each block, with the lines of C{data} joined.  The
        first block has only C{retry}, and is no event.
        """
        fields: dict[str, str] = {}
        while line := self.response.readline().decode().rstrip("\r\n") or fields:
            if not isinstance(line, str):
                yield fields
                fields = {}
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in fields:
                value = f"{fields['data']}\n{value}"
            fields[name] = value
        raise Failed("the event stream ended")

    def receive(self) -> Received:
        """
        Read one event.
        """
        for fields in self.blocks():
            if fields.get("event") != "$at":
                expect("name of the event", fields.get("event"), None)
                return Received(fields["id"], json.loads(fields["data"]))
        raise Failed("no event came")


class SocketClient:
    """
    A client of a two-way transport, over a socket.
    """

    def __init__(self, port: int, channel: str, since: str) -> None:
        self.channel = channel
        self.since = since
        self.port = port
        self.socket = socket.create_connection((HOST, port), PATIENCE)
        self.file = self.socket.makefile("rb")
        self.begin()

    def begin(self) -> None:
        """
        Do what precedes the first message.
        """

    def close(self) -> None:
        """
        Close the connection.
        """
        self.file.close()
        self.socket.close()


class TCP(SocketClient):
    """
    Raw TCP: each line is a command, a reply or an envelope.
    """

    def begin(self) -> None:
        """
        Subscribe.
        """
        command = {"id": 1, "subscribe": [self.channel], "since": self.since}
        self.socket.sendall(json.dumps(command).encode() + b"\n")
        answer = json.loads(self.file.readline())
        expect("answer to subscribe", answer, {"id": 1, "ok": {"cursor": self.since}})

    def receive(self) -> Received:
        """
        Read one line.
        """
        return fromEnvelope(json.loads(self.file.readline()), self.channel)


class WebSocket(SocketClient):
    """
    The parts of RFC 6455 that a client needs which never sends.
    """

    def begin(self) -> None:
        """
        Shake hands, and read the cursor at which the reader begins.
        """
        key = base64.b64encode(os.urandom(16))
        head = (
            f"GET /channels/{self.channel}?since={quote(self.since)} HTTP/1.1\r\n"
            f"Host: {HOST}:{self.port}\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: comet.v1\r\n\r\n"
        )
        self.socket.sendall(head.encode())
        status = self.file.readline()
        headers = http.client.parse_headers(self.file)
        expect("status", status.split()[1:2], [b"101"])
        # RFC 6455 4.2.2: the proof that the server speaks WebSocket.
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        expect("Sec-WebSocket-Accept", headers["Sec-WebSocket-Accept"], accept)
        expect("subprotocol", headers["Sec-WebSocket-Protocol"], "comet.v1")
        expect("first envelope", json.loads(self.text()), {"cursor": self.since})

    def text(self) -> bytes:
        """
        Read one text message.  Control frames between its frames are skipped.
        """
        message = b""
        while True:
            first, second = self.file.read(2)
            # RFC 6455 5.1: a server does not mask its frames.
            expect("mask bit", second & 0x80, 0)
            length = second
            if length >= 126:
                length = int.from_bytes(self.file.read(2 if length == 126 else 8), "big")
            payload = self.file.read(length)
            opcode = first & 0x0F
            if opcode == 8:
                raise Failed(f"the server closed: {payload!r}")
            if opcode > 8:
                continue
            expect("opcode", opcode, _CONTINUED if message else _TEXT)
            message += payload
            if first & 0x80:
                return message

    def receive(self) -> Received:
        """
        Read one message.
        """
        return fromEnvelope(json.loads(self.text()), self.channel)
