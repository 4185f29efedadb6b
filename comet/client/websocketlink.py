"""
A subscription over WebSocket.
"""

from __future__ import annotations

from typing import Final

from comet.client.clientsteps import USER_AGENT, Socket, Steps, Texts, Upgrade
from comet.client.credential import headersOf
from comet.client.failures import BadAnswer, readProblem
from comet.client.received import Envelope, EnvelopeReader
from comet.client.requester import MOST_REDIRECTS, REDIRECTS, Requester, redirected
from comet.client.serverurl import namesPath
from comet.client.standing import Standing

_SWITCHED: Final = 101


class WebSocketLink:
    """
    One WebSocket connection.
    """

    def __init__(self, requester: Requester, standing: Standing) -> None:
        self._requester = requester
        self._standing = standing
        self._socket: Socket | None = None
        self._reader = EnvelopeReader()
        self.shown: str | None = None

    def open(self, deadline: float) -> Steps[None]:
        """
        See L{Link.open<comet.client.links.Link.open>}.
        """
        credential = self._requester.credential
        self.shown = yield from credential.show()
        shown = headersOf(self.shown)
        url = self._requester.resource(
            f"channels/{namesPath(self._standing.names)}",
            {"transport": "websocket", "time": "1", **self._standing.parameters()},
        )
        for _ in range(MOST_REDIRECTS + 1):
            own = shown if url.origin == self._requester.url.origin else {}
            socket: Socket = yield Upgrade(url, {"User-Agent": USER_AGENT, **own}, deadline)
            self._socket = socket
            if socket.status == _SWITCHED:
                if own:
                    credential.taken(self.shown)
                return
            location = socket.header("location")
            if socket.status not in REDIRECTS or location is None:
                raise readProblem(socket.status, socket.body, socket.header("retry-after"))
            self.close()
            url = redirected(url, location)
        raise BadAnswer(f"the server redirects more than {MOST_REDIRECTS} times")

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        See L{Link.receive<comet.client.links.Link.receive>}.
        """
        assert self._socket is not None, "the link is not open"
        self._reader.check()
        texts: list[bytes] = yield Texts(self._socket, deadline)
        return self._reader.read(texts)

    def close(self) -> None:
        """
        See L{Link.close<comet.client.links.Link.close>}.
        """
        if self._socket is not None:
            self._socket.close()
