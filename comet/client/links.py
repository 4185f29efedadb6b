"""
How each transport asks for messages and receives them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from comet.client.clientsteps import Read, Response, Sleep, Steps
from comet.client.failures import BadAnswer, Lost, readProblem
from comet.client.received import Envelope, EnvelopeReader, readPollBody
from comet.client.requester import MAX_PROBLEM, Requester, readBody
from comet.client.serverurl import namesPath
from comet.client.splitting import EventSplitter, LineSplitter, Splitter
from comet.client.standing import Standing
from comet.client.websocketlink import WebSocketLink

# Seconds between polls that are answered with nothing.
_SHORTEST_POLL: Final = 1.0


class Link(Protocol):
    """
    One connection of a subscription.
    """

    def open(self, deadline: float) -> Steps[None]:
        """
        Begin to read where the subscription stands.

        @raise CometError: If the server refuses it, or there is no connection.
        """

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        Wait for envelopes.  There may be none yet.

        @raise Lost: If the connection breaks or ends.
        """

    def close(self) -> None:
        """
        Close the connection at once.
        """


class StreamLink:
    """
    An endless response.
    """

    def __init__(
        self,
        requester: Requester,
        standing: Standing,
        transport: str,
        contentType: str,
        splitter: Splitter,
    ) -> None:
        self._requester = requester
        self._standing = standing
        self._transport = transport
        self._contentType = contentType
        self._splitter = splitter
        self._reader = EnvelopeReader()
        self._response: Response | None = None

    def open(self, deadline: float) -> Steps[None]:
        """
        See L{Link.open}.
        """
        parameters = {"transport": self._transport, "envelope": "1", "time": "1"}
        url = self._requester.resource(
            f"channels/{namesPath(self._standing.names)}",
            {**parameters, **self._standing.parameters()},
        )
        headers = {"Accept": self._contentType, "Cache-Control": "no-store"}
        response = yield from self._requester.open("GET", url, headers, b"", deadline)
        self._response = response
        if response.status != 200:
            body = yield from readBody(response, MAX_PROBLEM, deadline)
            raise readProblem(response.status, body, response.header("retry-after"))
        if not (response.header("content-type") or "").startswith(self._contentType):
            raise BadAnswer(f"the answer is not {self._contentType}")

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        See L{Link.receive}.
        """
        assert self._response is not None, "the link is not open"
        self._reader.check()
        data: bytes = yield Read(self._response, deadline)
        if not data:
            raise Lost("the response has ended")
        return self._reader.read(self._splitter.received(data))

    def close(self) -> None:
        """
        See L{Link.close}.
        """
        if self._response is not None:
            self._response.close()


class PollLink:
    """
    Long polls, one after the other.
    """

    def __init__(self, requester: Requester, standing: Standing) -> None:
        self._requester = requester
        self._standing = standing
        self._isFirst = True
        self._isBehind = False

    def open(self, deadline: float) -> Steps[None]:
        """
        See L{Link.open}.  The first poll opens it.
        """
        yield from ()

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        See L{Link.receive}.

        The first poll, and one after a body that was cut short, is answered at once.  So a
        subscription has its cursor before it waits, and misses nothing if the wait breaks off.
        """
        timing, began = self._requester.timing, self._requester.now()
        isHeld = not (self._isFirst or self._isBehind)
        if isHeld:
            deadline = began + timing.heartbeat + timing.timeout
        parameters = self._standing.parameters()
        isSearching = self._standing.cursor is None and self._standing.isSplit
        if isSearching:
            # Names with a place of their own wait until it is known where the others begin.
            parameters = {"since": parameters["since"]}
        body = yield from self._poll(parameters, timing.heartbeat if isHeld else 0, deadline)
        envelope = readPollBody(body)
        if isSearching and envelope.close is None:
            return [Envelope(envelope.cursor)]
        soonest = began + min(_SHORTEST_POLL, timing.heartbeat)
        if (
            (isHeld or envelope.more)
            and self._isEmpty(envelope)
            and self._requester.now() < soonest
        ):
            # A cache that answers for the server, say: the next answer would come as soon.
            yield Sleep(soonest)
        self._isFirst, self._isBehind = False, envelope.more
        return [envelope]

    def _isEmpty(self, envelope: Envelope) -> bool:
        """
        Whether a body brings nothing, not even another cursor.
        """
        nothing = Envelope(envelope.cursor, isBody=True, more=envelope.more)
        return envelope == nothing and envelope.cursor == self._standing.cursor

    def _poll(self, parameters: Mapping[str, str], wait: float, deadline: float) -> Steps[bytes]:
        url = self._requester.resource(
            f"channels/{namesPath(self._standing.names)}",
            {"transport": "longpoll", "time": "1", "wait": f"{wait:g}", **parameters},
        )
        headers = {"Accept": "application/json", "Cache-Control": "no-store"}
        answer = yield from self._requester.request("GET", url, headers, b"", deadline)
        if answer.status != 200:
            raise readProblem(answer.status, answer.body, answer.retryAfter)
        return answer.body

    def close(self) -> None:
        """
        See L{Link.close}.  The shell gives up a poll that is under way.
        """


def makeLink(transport: str, requester: Requester, standing: Standing) -> Link:
    """
    Make a link of one of L{TRANSPORTS}.
    """
    if transport == "websocket":
        return WebSocketLink(requester, standing)
    if transport == "sse":
        splitter: Splitter = EventSplitter()
        return StreamLink(requester, standing, "sse", "text/event-stream", splitter)
    if transport == "stream":
        splitter = LineSplitter()
        return StreamLink(requester, standing, "stream", "application/x-ndjson", splitter)
    return PollLink(requester, standing)


#: The best first: the order in which they are tried.
TRANSPORTS: Final = ("websocket", "sse", "stream", "longpoll")
