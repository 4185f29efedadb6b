"""
An issuer that serves its keys, well or badly.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

# How many bytes it serves when it serves too many.
HUGE: Final = 10_000_000

# How long a request is kept waiting at most, in seconds.
_PATIENCE: Final = 60.0


class Issuer:
    """
    A server on a thread of its own.

    @ivar keys: The key set.

    @ivar manner: How it answers: C{good}, C{failing}, C{huge}, C{moved} (to where the
        keys are), C{empty}, C{text}, C{closing}, or C{hanging}: until L{release} is
        called.

    @ivar asked: How often the set was asked for.

    @ivar left: Set once a client has closed the connection of a request that hangs.
    """

    def __init__(self, keys: bytes, manner: str = "good") -> None:
        self.keys = keys
        self.manner = manner
        self.asked = 0
        self.left = threading.Event()
        self._released = threading.Event()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            """
            Answers one connection.
            """

            def do_GET(self) -> None:
                """
                Answer.
                """
                issuer.asked += 1
                issuer.answer(self)

            def log_message(self, *told: object) -> None:
                """
                Be silent.
                """

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """
        Where the keys are.
        """
        return f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """
        Answer a request.
        """
        manner = self.manner
        if manner == "hanging":
            self._hang(handler)
        elif manner == "huge":
            self._write(handler, 200, b" " * HUGE, hasLength=False)
        elif manner == "moved":
            # A client that follows finds them.  After the answer it would be too late: by
            # then the test may have asked for another manner.
            self.manner = "good"
            handler.send_response(302)
            handler.send_header("Location", self.url)
            handler.end_headers()
        elif manner == "closing":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
        elif manner in ("empty", "text"):
            self._write(handler, 200, b'{"keys":[]}' if manner == "empty" else b"keys")
        else:
            self._write(handler, 200 if manner == "good" else 500, self.keys)

    def _write(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, hasLength: bool = True
    ) -> None:
        handler.send_response(status)
        if hasLength:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except ConnectionError:
            # The client wants no more.
            self.left.set()

    def _hang(self, handler: BaseHTTPRequestHandler) -> None:
        handler.connection.settimeout(0.02)
        for _ in range(int(_PATIENCE / 0.02)):
            if self._released.is_set():
                self._write(handler, 200, self.keys)
                return
            try:
                gone = not handler.connection.recv(1)
            except TimeoutError:
                continue
            except ConnectionError:
                gone = True
            if gone:
                self.left.set()
                return

    def release(self) -> None:
        """
        Answer those that wait, and be good from now on.
        """
        self.manner = "good"
        self._released.set()

    def stop(self) -> None:
        """
        Stop serving.
        """
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
