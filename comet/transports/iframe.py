"""
The forever frame: a page that never ends, for an C{iframe}.  Each message is a
script in it that hands the message to the parent page.
"""

from __future__ import annotations

from comet.errors import BadRequest
from comet.framing import Shape
from comet.framing.iframe import IFrameShape
from comet.framing.jsonp import checkCallback
from comet.http.origins import Origins, readOrigin
from comet.http.reads import ReadRequest
from comet.http.request import RequestHead
from comet.http.responses import Headers
from comet.transports.clientrequest import originForbidden
from comet.transports.exchange import Exchange
from comet.transports.streaming import StreamingResource


class IFrameResource(StreamingResource):
    """
    Answers with C{text/html} that never ends.

    The parameter C{callback} names a function of the parent page, which a
    browser lets the frame call only if both pages are of one origin.  Without
    it, messages are posted to the parent page, if that is of the origin that
    the parameter C{origin} names, or by default of this server's own.
    """

    transport = "iframe"
    isCompressed = True
    contentType = b"text/html; charset=utf-8"

    def shape(self, exchange: Exchange, readRequest: ReadRequest, chunked: bool) -> Shape:
        """
        See L{StreamingResource.shape}.
        """
        callback, origin = self.target(exchange)
        return IFrameShape(time=readRequest.time, chunked=chunked, callback=callback, origin=origin)

    def headers(self, exchange: Exchange) -> Headers:
        """
        See L{StreamingResource.headers}.
        """
        _, origin = self.target(exchange)
        return (*super().headers(exchange), *policies(origin))

    def target(self, exchange: Exchange) -> tuple[str | None, str | None]:
        """
        Find out how messages are handed to the parent page, as L{findTarget} does.

        @raise BadRequest: If the callback or the origin is malformed.

        @raise Forbidden: If the pages of that origin are not allowed.
        """
        return findTarget(self.hub.origins, exchange.head, exchange.host)


def policies(origin: str | None) -> Headers:
    """
    Make the headers that say which pages may hold the frame, and what it may do.

    @param origin: The origin to which messages are posted, or L{None}.
    """
    policy = "default-src 'none'; script-src 'unsafe-inline'; frame-ancestors 'self'"
    if origin is not None:
        # CSP3 2.3.1 has no form for an IPv6 address, but it has one for a
        # scheme.
        policy += f" {origin.partition('//')[0] if '[' in origin else origin}"
    return (
        (b"Content-Security-Policy", policy.encode("ascii")),
        # In a window, unlike in a frame, the parent of the page is the page
        # itself, and a callback could reach the page that opened the
        # window.
        (b"Cross-Origin-Opener-Policy", b"same-origin"),
        # A frame can show its token in the URL only.  What a function of the parent page
        # opens, called from here, would be told of it.
        (b"Referrer-Policy", b"no-referrer"),
    )


def findTarget(
    origins: Origins, head: RequestHead, host: str | None
) -> tuple[str | None, str | None]:
    """
    Find out how messages are handed to the parent page.

    @param host: The value of the header C{Host}, which L{Origins.checkHost} let pass,
        or L{None}.

    @return: The name of a function of the parent page and L{None}, or L{None} and the
        origin that the parent page must have, C{*} for any.

    @raise BadRequest: If the callback or the origin is malformed.

    @raise Forbidden: If the pages of that origin are not allowed.
    """
    callback = head.parameters.get("callback")
    if callback is not None:
        return checkCallback(callback), None
    asked = head.parameters.get("origin")
    if not asked:
        own = origins.own(host, head.isSecure)
        if own is None:
            raise BadRequest(
                "the request has neither a Host of this server nor the parameter origin"
            )
        return None, own
    # Pages of the opaque origin 'null' cannot be named as a target of
    # postMessage.
    origin = asked if asked == "*" else readOrigin(asked)
    if origin is None:
        raise BadRequest(
            f"origin is {asked[:64]!r}; allowed are scheme://host, with or without :port, and '*'"
        )
    isAllowed = origins.verdict(origin, host, head.isSecure).isAllowed
    if not (origins.allowsAll if origin == "*" else isAllowed):
        raise originForbidden(asked)
    return None, origin
