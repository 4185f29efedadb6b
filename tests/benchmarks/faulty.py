"""
A server that makes faults on purpose, to test that the load generator notices.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from benchmarks.scripts import Publishing, Reading, get, post, upgrade

# Returns what the first reader gets instead of a message.  Its arguments are the
# number of the message, the message, and the one before it.
Fault = Callable[[int, bytes, bytes], Sequence[bytes]]

READINGS = {
    "websocket": Reading("ws", [("send", upgrade("/websocket/%N")), ("await", "\r\n\r\n")]),
    "sse": Reading("http", [("send", get("/sse/%N")), ("await", "\r\n\r\n")]),
}
PUBLISHING = Publishing(post("/pub/%C", "%M"))

_UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"


def faultless(number: int, message: bytes, last: bytes) -> Sequence[bytes]:
    """
    Deliver as published.
    """
    return [message]


def frame(message: bytes) -> bytes:
    """
    Encode a message as a WebSocket frame.
    """
    assert len(message) < 126
    return bytes([0x81, len(message)]) + message


def chunk(message: bytes) -> bytes:
    """
    Encode a message as an event in two chunks with the border in its middle.
    """
    event = b"data: " + message + b"\n\n"
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (event[:40], event[40:]))


class FaultyServer:
    """
    A server in a thread of its own, which runs until L{stop}.

    @ivar port: The port on which it listens.

    @ivar addresses: The addresses from which its readers come, in order.

    @ivar published: How many messages came by each connection.
    """

    def __init__(self, fault: Fault = faultless, pause: float = 0.0) -> None:
        """
        @param pause: After how many seconds a publication to the bystander's
            channel is answered; it is refused if that is negative.
        """
        self._fault = fault
        self._pause = pause
        self._readers: list[tuple[asyncio.StreamWriter, Callable[[bytes], bytes]]] = []
        self.addresses: list[str] = []
        self.published: dict[int, int] = {}
        self._count = 0
        self._last = b""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"GET /"):
                    self.addresses.append(writer.get_extra_info("peername")[0])
                if head.startswith(b"GET /websocket"):
                    writer.write(_UPGRADED)
                    self._readers.append((writer, frame))
                elif head.startswith(b"GET /sse"):
                    writer.write(_STREAM)
                    self._readers.append((writer, chunk))
                else:
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    message = await reader.readexactly(length)
                    self.published[id(writer)] = self.published.get(id(writer), 0) + 1
                    writer.write(await self._answer(head, message))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    async def _answer(self, head: bytes, message: bytes) -> bytes:
        if not head.startswith(b"POST /pub/bench/bystander "):
            self._publish(message)
        elif self._pause < 0:
            return _FORBIDDEN
        else:
            await asyncio.sleep(self._pause)
        return _CREATED

    def _publish(self, message: bytes) -> None:
        for index, (writer, encode) in enumerate(self._readers):
            fault = self._fault if index == 0 else faultless
            for each in fault(self._count, message, self._last):
                writer.write(encode(each))
        self._count += 1
        self._last = message

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """
        Close the connections, and end the thread.
        """
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
