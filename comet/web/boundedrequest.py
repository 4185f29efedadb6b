"""
A request of HTTP whose body takes a bounded amount of memory, and is refused at its
head where that tells enough.
"""

from __future__ import annotations

import re
from functools import cached_property
from io import BytesIO
from typing import Any, Final

from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, parse_qs
from twisted.web.server import Request

from comet.access.lookups import Lookup
from comet.errors import BadRequest, CometError, URLTooLong
from comet.http.responses import Headers, problem
from comet.limits.capacity import BodyCount, Uploads
from comet.logging.clientlog import ClientLogger
from comet.model.clients import ANONYMOUS, Client
from comet.model.percent import isMalformed, unquoted
from comet.transports.channel import ChannelResource
from comet.transports.clientaddress import addressOf
from comet.transports.clientrequest import bodyTooLarge
from comet.transports.exchange import Exchange
from comet.transports.resource import BodyReader, HubResource, corsHeaders
from comet.transports.twistedrequest import setHeaders
from comet.web.forms import FormError, parseForm
from comet.web.heads import HeadChannel
from comet.web.lookup import findAtHead
from comet.web.sitechannel import CometChannel

# A body may be this many times as large as the server takes before its
# connection is cut.  Up to there it is discarded as it arrives, so that the
# client gets to read the error.
DISCARD_FACTOR: Final = 16

# RFC 9112 3.2.2: the absolute form, which clients send to a proxy.
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)

# How many bytes of a path the server looks up whatever they are.
MUCH: Final = 4096

_log = ClientLogger()


class BoundedRequest(Request):
    """
    A request whose body takes a bounded amount of memory, and no files.

    @ivar headBytes: How many bytes the head has, or L{None} if that is unknown.

    @ivar most: How many bytes the body may have.

    @ivar isTooLarge: Whether the body was larger than that; then it is empty.

    @ivar bodyReader: What reads the body as it arrives, or L{None} if it is kept.
    """

    # Any: Twisted's annotations do not know all of these.
    channel: Any
    content: Any
    postpath: Any
    sitepath: list[bytes]
    _body: Any

    # For what an application's resource raises.
    _log = ClientLogger()

    headBytes: int | None = None
    most = 0
    isTooLarge = False
    bodyReader: BodyReader | None = None
    # What was found out of the client when the head had come.
    identified: Client | Lookup | CometError | None = None
    _target = b""
    _isRefused = False
    _isKept = True
    _received = 0
    # What counts the body.
    _count: BodyCount | None = None

    def _parseForm(self) -> dict[bytes, list[bytes]]:
        """
        Parse the parameters of the query and the fields of a form, as Twisted does for
        every request.
        """
        args: dict[bytes, list[bytes]] = parse_qs(self.uri.partition(b"?")[2], True)
        isForm = self._received and self.method == b"POST" and self._parsePOSTFormSubmission
        # Of a request that is over, the body is gone.
        if isForm and self.content is not None and not self.content.closed:
            args.update(parseForm(self))
        return args

    # The parameters of the query and, for the application's resources, the fields of a form.
    # They are parsed when the attribute is read for the first time: comet's resources do not
    # read it, and a client can make that take a tenth of a second.
    args = cached_property(_parseForm)

    def gotLength(self, length: int | None) -> None:
        """
        The head has arrived.  Refuse a request whose head is too large, or whose
        body is declared much too large.

        @param length: The declared length in bytes, or L{None}.
        """
        # Twisted has counted the lines of the head without their ends.
        lines = getattr(self.channel, "_receivedHeaderCount", None)
        if lines is not None:
            self.headBytes = self.channel._receivedHeaderSize + 2 * (lines + 2)
        self.content = BytesIO()
        channel = self.channel
        if isinstance(channel, CometChannel):
            self.identified, channel.identified = channel.identified, None
        refusal = getattr(self.channel, "refusal", None)
        if refusal is None:
            refusal = self._checkPath()
        if refusal is not None:
            self._refuse(refusal)
            return
        if length == 0:
            return
        try:
            self.most = most = self._expectBody(length)
        except CometError as error:
            self._refuse(error)
            return
        if length is not None and length > most:
            self.isTooLarge = True
            # RFC 9110 10.1.1: a client that expects 100 is refused before it
            # sends the body.
            if length > most * DISCARD_FACTOR or self.requestHeaders.hasHeader(b"Expect"):
                self._refuse(bodyTooLarge(most))

    def _checkPath(self) -> CometError | None:
        """
        Return why a request is refused whose path would take long to look up, or None if it
        is not.  Half of the longest line is room for all names.
        """
        path = self._originForm(self._line[1]).partition(b"?")[0]
        most: int = getattr(self.channel.site, "maxLine", HeadChannel.maxLine) // 2
        if len(path) > most:
            return URLTooLong(f"the path has more than {most} bytes, the most that is allowed")
        if len(path) > MUCH and isMalformed(path):
            return BadRequest("the path has a percent sign without two hexadecimal digits")
        return None

    def _expectBody(self, length: int | None) -> int:
        """
        Prepare for a body.

        @return: How many bytes it may have.

        @raise CometError: If the request is refused before its body has come.
        """
        site = self.channel.site
        path = self._originForm(self._line[1]).partition(b"?")[0]
        resource, depth = findAtHead(site.resource, path)
        uploads: Uploads | None = getattr(site, "uploads", None)
        if isinstance(resource, HubResource):
            self._isKept = self._line[0].decode("latin-1") in resource.bodyMethods
            uploads = resource.hub.uploads
        # Any: what has come behind the head is private to Twisted.
        channel: Any = self.channel
        isHere = length is not None and length <= len(getattr(channel, "_buffer", b""))
        most = self._findMost(resource)
        if not isHere and self._isKept:
            client = ANONYMOUS
            if isinstance(resource, HubResource):
                client = self._admit(resource, depth)
            if uploads is not None:
                self._count = uploads.begin(client)
                self._count.check(min(length or 0, most))
        return most

    def _refuse(self, error: CometError) -> None:
        """
        Send an error before all of the request has arrived, and take no more of
        it.
        """
        self._isRefused = True
        self._release()
        self.bodyReader = None
        self.content = BytesIO()
        self.requestHeaders.removeHeader(b"Expect")
        channel = self.channel
        cors = self._corsHeaders()
        if isinstance(channel, HeadChannel):
            channel.refuse(error, cors, self._address)
            return
        # RFC 9113 8.1: a response may be complete before its request is.
        self._respond(error, cors)

    @property
    def _address(self) -> str:
        """
        The IP address of the client, as the connection or a trusted proxy tells it.
        """
        # A site of an application's own has none.
        hub = getattr(self.channel.site, "hub", None)
        return addressOf(None if hub is None else hub.proxies, self)

    def _corsHeaders(self) -> Headers:
        """
        Make the headers of CORS for a request that no resource gets to see.
        """
        self._prepare()
        try:
            resource = self.channel.site.getResourceFor(self)
        except Exception:
            _log.failure("looking up {path} failed", path=self.path)
            return ()
        return corsHeaders(resource, self)

    def _prepare(self) -> None:
        """
        Set what Twisted sets when all of the request has arrived.
        """
        command, path = self._line
        self.method, self.site = command, self.channel.site
        # Twisted sends a response of HTTP/1.1 in chunks.
        self.clientproto = b"HTTP/1.1" if isinstance(self.channel, HTTPChannel) else b"HTTP/2"
        self.uri = self._originForm(path)
        self.path = self.uri.partition(b"?")[0]
        self.args = {}
        self.prepath, self.sitepath = [], []
        # Of a path that is refused, only what finds the resource is needed.
        path = self.path if self._checkPath() is None else self.path[:MUCH]
        self.postpath = [unquoted(each) for each in path[1:].split(b"/")]

    @property
    def _line(self) -> tuple[bytes, bytes]:
        """
        The method and the path of a request whose head has arrived.
        """
        channel = self.channel
        if isinstance(channel, HTTPChannel):
            # Any: these are private.
            parsed: Any = channel
            return parsed._command, parsed._path
        return channel._method, channel._path

    def _admit(self, resource: HubResource, depth: int) -> Client:
        """
        Have the resource refuse the request at its head, if it can tell by that.

        @param depth: How many segments of the path lead to the resource.

        @return: The client, as far as the head tells.

        @raise CometError: If the request is refused.
        """
        self._prepare()
        path = self.postpath
        self.prepath, self.postpath = path[:depth], path[depth:]
        exchange = Exchange(resource.hub, self)
        try:
            self.bodyReader = resource.admit(exchange)
            known = self.identified
            if isinstance(known, Lookup):
                known.then(lambda _: self._admitLate(resource, exchange), self._refuse)
            return resource.sender(exchange)
        except CometError:
            raise
        except Exception:
            # An application's resource may fail without the body.
            _log.debug("{path} was not checked before its body", path=self.path)
            return ANONYMOUS
        finally:
            if isinstance(self.channel, CometChannel):
                # The exchange is not under way.
                self.channel.exchange = None

    def _admitLate(self, resource: HubResource, exchange: Exchange) -> None:
        """
        It is known which client sends the body that comes: have the resource refuse
        it, if it can tell by that.
        """
        try:
            # The body is kept already: what would read it as it comes is too late.
            resource.admit(exchange)
        except CometError as error:
            self._refuse(error)

    def _findMost(self, resource: Any) -> int:
        """
        Return how many bytes the body may have.  Where it can only be one
        message, that is less.
        """
        site = self.channel.site
        most: int = getattr(site, "maxBody", 0)
        message: int | None = getattr(site, "maxMessage", None)
        if message is not None and isinstance(resource, ChannelResource):
            return min(message, most)
        return most

    def _originForm(self, path: bytes) -> bytes:
        """
        Return the path and query of a request target, and take the host of an
        absolute one as the header C{Host}.
        """
        found = _ABSOLUTE.fullmatch(path)
        if found is None:
            return path
        # RFC 9112 3.2.2: the absolute form overrides the header Host.
        self.requestHeaders.setRawHeaders(b"Host", [found[1]])
        return b"/" + found[2].removeprefix(b"/")

    def handleContentChunk(self, data: bytes) -> None:
        """
        Read or keep a part of the body, or discard it if the body is too large.
        """
        self._received += len(data)
        most = self.most
        if self._isRefused:
            return
        if self._received <= most and not self.isTooLarge:
            if self._isKept:
                self._keep(data)
            return
        self.isTooLarge = True
        self.content = BytesIO()
        self._release()
        if self._received > most * DISCARD_FACTOR:
            self._refuse(bodyTooLarge(most))

    def _keep(self, data: bytes) -> None:
        try:
            if self._count is not None:
                self._count.take(len(data))
            if self.bodyReader is None:
                self.content.write(data)
            else:
                self.bodyReader.received(data)
        except CometError as error:
            self._refuse(error)

    def _release(self) -> None:
        """
        The body is not on its way any longer.
        """
        if self._count is not None:
            self._count.end()
            self._count = None

    def connectionLost(self, reason: Failure) -> None:
        """
        The client has left.
        """
        self._release()
        if isinstance(self.identified, Lookup):
            self.identified.abandon()
        super().connectionLost(reason)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        All of the request has arrived: have it answered.
        """
        if self._isRefused:
            return
        self._release()
        # Hide the body from Twisted: it would parse a form, and close the
        # connection if it cannot.  comet's resources read the body themselves.
        self._body, self.content = self.content, BytesIO()
        # Twisted would parse the query.
        self._target = target = self._originForm(path)
        super().requestReceived(command, target.partition(b"?")[0], version)

    def _giveBack(self) -> None:
        """
        Give the request the body and the query that were hidden from Twisted.
        """
        self.content = self._body
        self.content.seek(0)
        self.uri = self._target
        del self.__dict__["args"]

    def process(self) -> None:
        """
        Have the resource answer.
        """
        self._giveBack()
        if self.isTooLarge:
            # Only for this request, since every one is rendered.
            self.__dict__["render"] = self._renderTooLarge
        super().process()

    def _renderTooLarge(self, resource: Any) -> None:
        """
        Let a resource answer a request whose body was discarded, if it is
        comet's.  To another one the body would look empty.
        """
        if isinstance(resource, HubResource):
            super().render(resource)
        else:
            self._respond(bodyTooLarge(self.most))

    def _respond(self, error: CometError, cors: Headers = ()) -> None:
        refused = getattr(self.site, "refused", None)
        if refused is not None:
            refused.add(error.code)
        response = problem(error)
        log = getattr(self.site, "logRefused", None)
        if log is not None:
            log(self._address, (self.method, self.uri), response.status, len(response.body))
        self.setResponseCode(response.status)
        setHeaders(self, (*response.headers, *cors))
        self.write(response.body)
        self.finish()

    def processingFailed(self, reason: Failure) -> Any:
        """
        The resource has failed.  If it asked for the fields of a form that is
        none, its client is told.
        """
        if reason.check(FormError) is None:
            return super().processingFailed(reason)
        self._respond(BadRequest("the body is not the form that its Content-Type says"))
        return reason
