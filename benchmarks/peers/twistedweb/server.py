"""
A server with C{twisted.web}, written in the plain way: publishing writes an
event to each stream, and finishes each poll::

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
    The last messages of a channel, from which a poll gets what it has missed.
    """

    def __init__(self) -> None:
        self.end = 0
        self.messages: deque[str] = deque(maxlen=1000)

    def after(self, position: int) -> str:
        """
        Return the messages after a position, a line each.
        """
        count = min(self.end - position, len(self.messages))
        return "\n".join(list(self.messages)[len(self.messages) - count :]) if count > 0 else ""


logs: dict[str, Log] = {}


def nameOf(request: Request) -> str:
    """
    Return the channel that a request asks for.
    """
    return request.path.decode("utf-8").split("/", 2)[2]


class Events(Resource):
    """
    C{GET /sse/NAME}.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        """
        Start a stream.
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
        Answer with the messages after the cursor, or hold the poll.
        """
        name = nameOf(request)
        log = logs.setdefault(name, Log())
        tag = (request.getHeader("if-none-match") or "").strip('"')
        text = log.after(int(tag) if tag else log.end)
        if text:
            request.setHeader("ETag", f'"{log.end}"')
            return text.encode("utf-8")
        polls.join([name], request)
        request.notifyFinish().addBoth(lambda _: polls.leave([name], request))
        return NOT_DONE_YET


def publish(name: str, data: str) -> None:
    """
    Send a message to all readers of a channel.
    """
    log = logs.setdefault(name, Log())
    log.messages.append(data)
    log.end += 1
    event = f"data: {data}\n\n".encode()
    for request in tuple(streams.get(name, ())):
        request.write(event)
    text = data.encode("utf-8")
    for request in tuple(polls.get(name, ())):
        request.setHeader("ETag", f'"{log.end}"')
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
