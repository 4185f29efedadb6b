"""
A WSGI application at the root of the site, with comet's own URLs below C{/comet}.

Each request of the application runs in a thread of a pool of its own.  A response
is written as its client takes it.  What the client has not taken yet is kept, within
bounds, so that a slow client holds no thread; an application that yields more than that
waits.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource
from twisted.web.wsgi import WSGIResource

from comet.http.forwarded import NOTHING, Forwarded
from comet.hub.hub import Hub
from comet.logging.clientlog import MAX_VALUE, printable
from comet.server.wsgilength import ToldLength
from comet.server.wsgipace import Gone, Pace, Room
from comet.server.wsgirequest import SeenRequest
from comet.transports.clientaddress import addressOf

# What is below comet's own path.
PREFIX: Final = b"comet"

# What the access log calls the requests of the application.
WSGI: Final = "wsgi"

# The key of the environment under which a request finds how to publish.
PUBLISH: Final = "comet.publish"

# PEP 3333 ("The start_response() Callable") forbids these in a status.
_CONTROL: Final = re.compile(r"[\0-\x1f\x7f]")


class Application:
    """
    Runs a WSGI application (PEP 3333) for one request, at the pace of its client.

    @ivar inner: The application.
    """

    _log = Logger()

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
        length = ToldLength(environ.get("REQUEST_METHOD", ""))
        result: Iterable[bytes] = ()
        try:
            result = self.inner(environ, partial(self._start, startResponse, length))
            for chunk in result:
                # Not before it is made: a page of one large chunk would wait for nothing.
                self._pace.wait()
                yield length.within(chunk)
                if length.isExceeded:
                    break
            length.ended()
            self._pace.waitForRoom()
        except Gone:
            # Twisted knows, and writes nothing.
            pass
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
            if length.isExceeded:
                path = printable(str(environ.get("PATH_INFO", "")), MAX_VALUE)
                self._log.warn(
                    "the application's response to {path} has more bytes than the {told} of "
                    "its Content-Length: they are left out",
                    path=path,
                    told=length.told,
                )

    def _start(self, startResponse: Any, length: ToldLength, *args: Any) -> Callable[[bytes], None]:
        """
        Begin the response.

        @return: The function for applications that write.
        """
        status = args[0] if args else None
        if isinstance(status, str) and _CONTROL.search(status):
            # Twisted sends it as it is: a line of it would be a header, or the body.
            raise ValueError(f"the status {status!r:.200} has a control character")
        write: Callable[[bytes], None] = startResponse(*args)
        # Twisted has checked them.
        length.begun(*args[:2])

        def paced(data: bytes) -> None:
            self._pace.wait()
            write(length.within(data))

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
        forwarded: Callable[[Any], Forwarded] = lambda request: NOTHING,
    ) -> None:
        """
        @param publish: What a request publishes with, from its thread.

        @param threads: How many requests are answered at once.  Others wait.

        @param begun: Is told of each request.

        @param forwarded: Returns what trusted proxies tell of a request.
        """
        Resource.__init__(self)
        self.application = application
        self._publish = publish
        self._reactor = reactor
        self._begun = begun
        self._forwarded = forwarded
        self._room = Room()
        # A thread that never returns does not keep the process.
        self.pool = ThreadPool(0, threads, "wsgi")
        self.pool.threadFactory = partial(threading.Thread, daemon=True)  # type: ignore[assignment]

    def render(self, request: Any) -> Any:
        """
        Have a thread answer a request.
        """
        self._begun(request)
        forwarded = self._forwarded(request)
        _dropAmbiguous(request.requestHeaders)
        pace = Pace(self._reactor, request, self._room)
        application = Application(self.application, self._publish, pace)
        seen = SeenRequest(request, pace, forwarded)
        return WSGIResource(self._reactor, self.pool, application).render(seen)

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

    @ivar hub: The hub of what is below C{/comet}: what the site refuses is counted and
        logged there, as without an application.
    """

    def __init__(self, leaf: WSGILeaf, comet: IResource) -> None:
        """
        @param comet: What is served below C{/comet}.
        """
        Resource.__init__(self)
        self.leaf = leaf
        self.hub: Hub | None = getattr(comet, "hub", None)
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
