"""
A WSGI application at the root of the site, with comet's own URLs below C{/comet}.

Each request of the application runs in a thread of a pool of its own.  A response
is written as its client takes it: an application that yields a large one waits, and
nothing of it piles up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.threadpool import ThreadPool
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource
from twisted.web.wsgi import WSGIResource
from zope.interface import implementer

from comet.http.pace import UNSENT_TIMEOUT, extended
from comet.hub.hub import Hub
from comet.reactor.clocks import steadyClock
from comet.transports.exchange import addressOf
from comet.transports.unread import unreadBelow

# What is below comet's own path.
PREFIX: Final = b"comet"

# What the access log calls the requests of the application.
WSGI: Final = "wsgi"

# The key of the environment under which a request finds how to publish.
PUBLISH: Final = "comet.publish"

# Where a client is that a proxy hands over by a UNIX socket, and where that is.
_NOWHERE: Final = IPv4Address("TCP", "127.0.0.1", 0)

# A client that has less time left than this, in seconds, has none.
_EARLY: Final = 0.01


class Gone(Exception):
    """
    The client is gone, or the server stops: the application need not go on.
    """


@implementer(IPushProducer)
class Pace:
    """
    Holds the thread of a response back while its client does not take what was
    written.  The connection of a client that takes too little is cut: a few of them
    would hold all threads.
    """

    def __init__(self, reactor: Any, request: Any) -> None:
        self._reactor = reactor
        self._clock = steadyClock(reactor)
        self._request = request
        # Runs while the client is behind.
        self._timer: IDelayedCall | None = None
        # When the client has to have taken more, and what it had not taken when that
        # was last looked at.
        self._due = 0.0
        self._unread = 0
        self._changed = threading.Condition()
        self._isPaused = self._isOver = False
        request.registerProducer(self, True)
        request.notifyFinish().addBoth(lambda _: self.stopProducing())

    # -- In the reactor's thread

    def pauseProducing(self) -> None:
        """
        The client is behind.  The thread is not at work: Twisted has it wait for what
        it writes.
        """
        self._isPaused = True
        # A stream of HTTP/2 has none: its connection cuts clients that are too slow.
        transport = self._request.channel.transport
        if transport is not None and self._timer is None:
            self._unread = unreadBelow(transport)
            self._due = self._clock.seconds() + UNSENT_TIMEOUT
            self._timer = self._clock.callLater(UNSENT_TIMEOUT, self._timedOut, transport)

    def _timedOut(self, transport: Any) -> None:
        """
        Give a client more time for what it has taken, or cut its connection.
        """
        before, self._unread = self._unread, unreadBelow(transport)
        now = self._clock.seconds()
        self._due = extended(self._due, now, before - self._unread, UNSENT_TIMEOUT)
        if self._due > now + _EARLY:
            self._timer = self._clock.callLater(self._due - now, self._timedOut, transport)
        else:
            self._timer = None
            transport.abortConnection()

    def _stopTimer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def resumeProducing(self) -> None:
        """
        The client has caught up.
        """
        self._stopTimer()
        with self._changed:
            self._isPaused = False
            self._changed.notify()

    def stopProducing(self) -> None:
        """
        The response is over, or the client is gone.
        """
        self._stopTimer()
        with self._changed:
            self._isOver = True
            self._changed.notify()

    def _end(self) -> None:
        if not self._isOver:
            self._request.unregisterProducer()

    # -- In the thread of the response

    def wait(self) -> None:
        """
        Something was written: wait until more may follow.

        @raise Gone: If the client is gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._isOver or not self._isPaused)
            if self._isOver:
                raise Gone

    def end(self) -> None:
        """
        Nothing more follows.
        """
        self._reactor.callFromThread(self._end)


class Application:
    """
    Runs a WSGI application (PEP 3333) for one request, at the pace of its client.

    @ivar inner: The application.
    """

    def __init__(self, inner: Any, publish: Callable[..., object], pace: Pace) -> None:
        self.inner = inner
        self._publish = publish
        self._pace = pace

    def __call__(self, environ: dict[str, Any], startResponse: Any) -> Iterator[bytes]:
        """
        Call the application, and give on what it yields.
        """
        environ[PUBLISH] = self._publish
        # The body is there as a whole, also where its length was not told.
        environ["wsgi.input_terminated"] = True
        result: Iterable[bytes] = ()
        try:
            result = self.inner(environ, partial(self._start, startResponse))
            for chunk in result:
                yield chunk
                self._pace.wait()
        except Gone:
            # Twisted knows, and writes nothing.
            pass
        finally:
            try:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
            finally:
                self._pace.end()

    def _start(self, startResponse: Any, *args: Any) -> Callable[[bytes], None]:
        """
        Begin the response.

        @return: The function for applications that write.
        """
        write: Callable[[bytes], None] = startResponse(*args)

        def paced(data: bytes) -> None:
            write(data)
            self._pace.wait()

        return paced


class Visits:
    """
    Tells the access log of the requests that an application has answered.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def begun(self, request: Any) -> None:
        """
        A request has come: it is told of when its response is over, also if the client
        has left before its end.
        """
        if self._hub.accessLog is not None:
            # Afterwards the request has no connection.
            address = addressOf(self._hub.proxies, request)
            request.notifyFinish().addBoth(lambda _: self._over(request, address))

    def _over(self, request: Any, address: str) -> None:
        log = self._hub.accessLog
        if log is not None and request.startedWriting:
            method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
            log.answered(address, "", WSGI, method, path, request.code, request.sentLength)


class WSGILeaf(Resource):
    """
    Answers each request by an application.

    @ivar application: The application.

    @ivar pool: The threads.
    """

    # The application has the rest of the path.
    isLeaf = True

    def __init__(
        self,
        application: Any,
        publish: Callable[..., object],
        reactor: Any,
        threads: int,
        begun: Callable[[Any], object],
    ) -> None:
        """
        @param publish: What a request publishes with, from its thread.

        @param threads: How many requests are answered at once.  Others wait.

        @param begun: Is told of each request.
        """
        Resource.__init__(self)
        self.application = application
        self._publish = publish
        self._reactor = reactor
        self._begun = begun
        # A thread that never returns does not keep the process.
        self.pool = ThreadPool(0, threads, "wsgi")
        self.pool.threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]

    def render(self, request: Any) -> Any:
        """
        Have a thread answer a request.
        """
        self._begun(request)
        # A UNIX socket has neither, and Twisted asks for both.
        if not hasattr(request.client, "host"):
            request.client = _NOWHERE
        if not hasattr(request.host, "port"):
            request.host = _NOWHERE
        _dropAmbiguous(request.requestHeaders)
        pace = Pace(self._reactor, request)
        application = Application(self.application, self._publish, pace)
        return WSGIResource(self._reactor, self.pool, application).render(request)

    def stop(self) -> Deferred[None]:
        """
        Stop the threads.  Those that still run end when their request is answered.

        @return: Fires when none is left.  Cancel it to wait no longer.
        """
        stopped: Deferred[None] = Deferred()

        def end() -> None:
            if not stopped.called:
                stopped.callback(None)

        def run() -> None:
            # It waits for them, and they may be waiting for the reactor.
            self.pool.stop()
            self._reactor.callFromThread(end)

        # One of the reactor's threads would keep the process as long as it waits.
        threading.Thread(target=run, daemon=True).start()
        return stopped


def _dropAmbiguous(headers: Headers) -> None:
    """
    Take out the headers with an underscore in their names, as nginx does.  In the
    environment they would have the key of another header: C{X_Forwarded_For}, which
    no proxy replaces, that of C{X-Forwarded-For}.
    """
    for name, _ in list(headers.getAllRawHeaders()):
        if b"_" in name:
            headers.removeHeader(name)


class WSGIRoot(Resource):
    """
    The root of the site: an application at every path, but for the resources that
    were put here.

    @ivar leaf: The resource of the application.
    """

    def __init__(self, leaf: WSGILeaf, comet: IResource) -> None:
        """
        @param comet: What is served below C{/comet}.
        """
        Resource.__init__(self)
        self.leaf = leaf
        self.putChild(PREFIX, comet)

    def getChild(self, path: bytes, request: Any) -> WSGILeaf:
        """
        Give the application the whole path.
        """
        request.postpath.insert(0, request.prepath.pop())
        return self.leaf

    def render(self, request: Any) -> Any:
        """
        Have the application answer C{OPTIONS *}, which has no path.
        """
        return self.leaf.render(request)
