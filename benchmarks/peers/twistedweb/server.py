"""
A server with C{twisted.web}, as one writes it: an event is written to each
request, a poll is finished::

    python server.py PORT
"""

from __future__ import annotations

import sys
from collections import deque

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from benchmarks.peers.posting import Channels
from benchmarks.peers.twistedposting import Publisher

streams = Channels()
polls = Channels()


class Log:
    """
    What a poll may have missed: the last messages of a channel.
    """

    def __init__(self) -> None:
        self.head = 0
        self.messages: deque[str] = deque(maxlen=1000)

    def after(self, position: int) -> str:
        """
        All messages behind a position, a line each.
        """
        count = min(self.head - position, len(self.messages))
        return "\n".join(list(self.messages)[len(self.messages) - count :]) if count > 0 else ""


logs: dict[str, Log] = {}


def nameOf(request: Request) -> str:
    """
    The channel that a request asks for.
    """
    return request.path.decode("utf-8").split("/", 2)[2]


class Events(Resource):
    """
    C{GET /sse/NAME}.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        """
        Begin a stream.
        """
        names = nameOf(request).split(",")
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.write(b": hello\n\n")
        streams.join(names, request)
        request.notifyFinish().addBoth(lambda _: streams.leave(names, request))
        return NOT_DONE_YET


class Poll(Resource):
    """
    C{GET /longpoll/NAME}.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes | int:
        """
        Answer with what is there, or wait.
        """
        name = nameOf(request)
        log = logs.setdefault(name, Log())
        tag = (request.getHeader("if-none-match") or "").strip('"')
        text = log.after(int(tag) if tag else log.head)
        if text:
            request.setHeader("ETag", f'"{log.head}"')
            return text.encode("utf-8")
        polls.join([name], request)
        request.notifyFinish().addBoth(lambda _: polls.leave([name], request))
        return NOT_DONE_YET


def publish(name: str, data: str) -> None:
    """
    Send to all who read a channel.
    """
    log = logs.setdefault(name, Log())
    log.messages.append(data)
    log.head += 1
    event = f"data: {data}\n\n".encode()
    for request in tuple(streams.get(name, ())):
        request.write(event)
    text = data.encode("utf-8")
    for request in tuple(polls.get(name, ())):
        request.setHeader("ETag", f'"{log.head}"')
        request.setHeader("Content-Length", str(len(text)))
        request.write(text)
        request.finish()


def main() -> None:
    """
    Serve until the process ends.
    """
    from twisted.internet import reactor

    root = Resource()
    root.putChild(b"pub", Publisher(publish))
    root.putChild(b"sse", Events())
    root.putChild(b"longpoll", Poll())
    TCP4ServerEndpoint(reactor, int(sys.argv[1]), 4096, "127.0.0.1").listen(Site(root))
    reactor.run()


main()
