"""
A subscription over raw TCP.
"""

from __future__ import annotations

from typing import Any, Final

from comet.client.clientsteps import Connect, Read, Response, Steps
from comet.client.failures import BadAnswer, Lost, readCommandError
from comet.client.received import Envelope, EnvelopeReader, readEnvelope, readObject, readOK
from comet.client.requester import Requester
from comet.client.splitting import LineSplitter
from comet.client.standing import Standing
from comet.framing.strictjson import encode

# The ids of the commands.
_TOKEN: Final = 1
_SUBSCRIBE: Final = 2

# The levels of a command: names below an object.
_LEVELS: Final = 3


class TCPLink:
    """
    One connection.

    The client shows its credential and subscribes at once.  The server carries out commands in
    their order, so that the second has the rights that the first brings.
    """

    def __init__(self, requester: Requester, standing: Standing) -> None:
        self._requester = requester
        self._standing = standing
        self._splitter = LineSplitter()
        self._reader = EnvelopeReader()
        self._response: Response | None = None
        self._isSubscribed = False
        self.shown: str | None = None

    def open(self, deadline: float) -> Steps[None]:
        """
        See L{Link.open<comet.client.links.Link.open>}.
        """
        word = self.shown = yield from self._requester.credential.show()
        commands: list[dict[str, Any]] = []
        if word is not None:
            commands.append({"id": _TOKEN, "token": word})
        names, starts = list(self._standing.names), self._standing.starts()
        commands.append({"id": _SUBSCRIBE, "subscribe": names, "since": starts})
        lines = b"".join(encode(each, _LEVELS) + b"\n" for each in commands)
        self._response = yield Connect(self._requester.url, lines, deadline)

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        See L{Link.receive<comet.client.links.Link.receive>}.
        """
        assert self._response is not None, "the link is not open"
        self._reader.check()
        data: bytes = yield Read(self._response, deadline)
        if not data:
            raise Lost("the connection has ended", wasSent=True)
        texts, first = self._splitter.received(data), []
        while texts and not self._isSubscribed:
            first += self._answered(texts.pop(0))
        return [*first, *self._reader.read(texts)]

    def _answered(self, line: bytes) -> list[Envelope]:
        """
        Read a line before the answer to the subscription, or that answer: where the reader stands,
        and perhaps a gap.

        @raise CometError: If the server refuses something.
        """
        value = readObject(line)
        if "error" in value:
            raise readCommandError(value["error"])
        if "ok" not in value:
            envelope = readEnvelope(line)
            # A heartbeat says nothing of names that the reader does not have yet.
            return [envelope] if envelope.close is not None else []
        if value.get("id") == _TOKEN:
            self._requester.credential.taken(self.shown)
            return []
        if value.get("id") != _SUBSCRIBE:
            raise BadAnswer(f"{line[:64]!r} answers no command of the client")
        self._isSubscribed = True
        return [readOK(value["ok"])]

    def close(self) -> None:
        """
        See L{Link.close<comet.client.links.Link.close>}.
        """
        if self._response is not None:
            self._response.close()
