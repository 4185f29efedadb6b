"""
How each transport asks for messages and receives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeAlias

from comet.client.clientsteps import Read, Response, Sleep, Steps
from comet.client.failures import BadAnswer, Lost, readProblem
from comet.client.partsplitting import PartSplitter
from comet.client.received import Envelope, EnvelopeReader, readPollBody
from comet.client.requester import MAX_PROBLEM, Requester, readBody
from comet.client.scriptcalls import CALLBACK, ScriptSplitter, readCall
from comet.client.serverurl import namesPath
from comet.client.splitting import EventSplitter, LineSplitter, Splitter
from comet.client.standing import Standing
from comet.client.tcplink import TCPLink
from comet.client.websocketlink import WebSocketLink

# Seconds between polls that are answered with nothing, and between those that are never held.
_SHORTEST_POLL: Final = 1.0

# Makes a splitter for a response, of which it is given the header Content-Type.
_MakeSplitter: TypeAlias = Callable[[str], Splitter]

# What an endless response has to be, and how it is cut.
_STREAMS: Final[Mapping[str, tuple[str, _MakeSplitter]]] = {
    "sse": ("text/event-stream", lambda _: EventSplitter()),
    "stream": ("application/x-ndjson", lambda _: LineSplitter()),
    "multipart": ("multipart/x-mixed-replace", PartSplitter),
    "iframe": ("text/html", lambda _: ScriptSplitter()),
}

# The server answers JSONP to no page of another origin, and a program is none (Fetch Metadata 2.3).
_SCRIPT_HEADERS: Final = {"Accept": "*/*", "Sec-Fetch-Site": "none"}


class Link(Protocol):
    """
    One connection of a subscription.

    @ivar shown: What it has shown last of the credential.
    """

    shown: str | None

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
    ) -> None:
        self._requester = requester
        self._standing = standing
        self._transport = transport
        self._contentType, self._makeSplitter = _STREAMS[transport]
        self._splitter: Splitter | None = None
        self._reader = EnvelopeReader()
        self._response: Response | None = None
        self.shown: str | None = None

    def open(self, deadline: float) -> Steps[None]:
        """
        See L{Link.open}.
        """
        parameters = {"transport": self._transport, "envelope": "1", "time": "1"}
        if self._transport == "iframe":
            parameters["callback"] = CALLBACK
        url = self._requester.resource(
            f"channels/{namesPath(self._standing.names)}",
            {**parameters, **self._standing.parameters()},
        )
        headers = {"Accept": self._contentType, "Cache-Control": "no-store"}
        word = self.shown = yield from self._requester.credential.show()
        response = yield from self._requester.open("GET", url, headers, b"", deadline, word)
        self._response = response
        if response.status != 200:
            body = yield from readBody(response, MAX_PROBLEM, deadline)
            raise readProblem(response.status, body, response.header("retry-after"))
        contentType = response.header("content-type") or ""
        if not contentType.startswith(self._contentType):
            raise BadAnswer(f"the answer is not {self._contentType}")
        self._splitter = self._makeSplitter(contentType)

    def receive(self, deadline: float) -> Steps[list[Envelope]]:
        """
        See L{Link.receive}.
        """
        assert self._response is not None and self._splitter is not None, "the link is not open"
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
    Polls, one after the other.  By C{longpoll} and C{jsonp} the server holds them.
    """

    def __init__(self, requester: Requester, standing: Standing, transport: str) -> None:
        self._requester = requester
        self._standing = standing
        self._transport = transport
        self._isFirst = True
        self._isBehind = False
        # When the last poll began.
        self._began = requester.now()
        self.shown: str | None = None

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
        timing = self._requester.timing
        isWaiting = not (self._isFirst or self._isBehind)
        isHeld = isWaiting and self._transport != "poll"
        if isWaiting and not isHeld:
            yield Sleep(self._began + min(_SHORTEST_POLL, timing.heartbeat))
        began = self._began = self._requester.now()
        if isWaiting:
            deadline = began + timing.timeout + (timing.heartbeat if isHeld else 0.0)
        parameters = self._standing.parameters()
        isSearching = self._standing.cursor is None and self._standing.isSplit
        if isSearching:
            # Names with a place of their own wait until it is known where the others begin.
            parameters = {"since": parameters["since"]}
        body = yield from self._poll(parameters, timing.heartbeat if isHeld else 0, deadline)
        envelope = readPollBody(readCall(body) if self._transport == "jsonp" else body)
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
        isScript = self._transport == "jsonp"
        asked = {"transport": self._transport, "time": "1", "wait": f"{wait:g}"}
        if isScript:
            asked["callback"] = CALLBACK
        url = self._requester.resource(
            f"channels/{namesPath(self._standing.names)}", {**asked, **parameters}
        )
        accepted = _SCRIPT_HEADERS if isScript else {"Accept": "application/json"}
        headers = {**accepted, "Cache-Control": "no-store"}
        word = self.shown = yield from self._requester.credential.show()
        answer = yield from self._requester.request("GET", url, headers, b"", deadline, word)
        if answer.status != 200:
            raise answer.problem
        return answer.body

    def close(self) -> None:
        """
        See L{Link.close}.  The shell gives up a poll that is under way.
        """


def makeLink(transport: str, requester: Requester, standing: Standing) -> Link:
    """
    Make a link of one of L{ALL_TRANSPORTS}.
    """
    if transport == "websocket":
        return WebSocketLink(requester, standing)
    if transport == "tcp":
        return TCPLink(requester, standing)
    if transport in _STREAMS:
        return StreamLink(requester, standing, transport)
    return PollLink(requester, standing, transport)


#: The best first: the order in which they are tried by default.
TRANSPORTS: Final = ("websocket", "sse", "stream", "longpoll")

#: All of HTTP.  Those that are not tried by default do nothing that the others do not.
HTTP_TRANSPORTS: Final = (*TRANSPORTS, "poll", "multipart", "iframe", "jsonp")

#: All.  That of raw TCP has a URL of its own.
ALL_TRANSPORTS: Final = (*HTTP_TRANSPORTS, "tcp")
