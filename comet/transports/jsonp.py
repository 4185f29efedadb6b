"""
JSONP: long polling through a C{script} element, for pages that can use no other
transport.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve

from comet.errors import Forbidden
from comet.framing.jsonp import checkCallback, encodeCall
from comet.http.polls import PollResponseShape
from comet.http.reads import ReadRequest
from comet.http.responses import COMMON, Headers, Response
from comet.transports.exchange import Exchange
from comet.transports.longpoll import LongPollResource
from comet.transports.polling import HeldPoll

# Headers that make the response useless as anything but a script: a browser
# that navigates to it, or a plugin, gets a file to save.
SCRIPT: Final[Headers] = (
    (b"Content-Type", b"application/javascript; charset=utf-8"),
    (b"Content-Disposition", b"attachment; filename=f.txt"),
    *COMMON,
)


class JSONPResource(LongPollResource):
    """
    Answers as a long poll does, with a script that calls the function that the
    parameter C{callback} names.

    The status of a poll body is always 200, since a browser does not run a
    script again that was not modified.  Errors have the status that they have
    on any other transport.  The page cannot see the status, but its C{script}
    element fires C{error} instead of C{load}; the function is called with poll
    bodies only.
    """

    transport = "jsonp"

    def waiter(self, exchange: Exchange, readRequest: ReadRequest) -> HeldPoll:
        """
        See
        L{PollingResource.waiter<comet.transports.polling.PollingResource.waiter>}.
        """
        self.checkSite(exchange)
        callback = checkCallback(exchange.head.parameters.get("callback", ""))
        return HeldCall(exchange, readRequest, callback)

    def checkSite(self, exchange: Exchange) -> None:
        """
        Refuse the pages of other sites, unless all origins are allowed.  A
        browser sends no C{Origin} with a request for a script, so single
        origins cannot be allowed.

        @raise Forbidden: If the page is of another site.
        """
        site = exchange.head.header("Sec-Fetch-Site") or ""
        if "cross-site" in site and not self.hub.origins.allowsAll:
            raise Forbidden(
                "pages of other sites may use JSONP only if --allow-origin is '*'; single origins "
                "in --allow-origin may use the other transports"
            )


class HeldCall(HeldPoll):
    """
    A held poll whose response is a call.  Its poll body is shared with all
    polls for the same names; only the name of the function is its own.
    """

    def __init__(self, exchange: Exchange, readRequest: ReadRequest, callback: str) -> None:
        """
        @param callback: The name of the function.
        """
        shape = PollResponseShape(readRequest.limit, readRequest.time)
        super().__init__(exchange, evolve(readRequest, tags=frozenset()), shape)
        self._callback = callback

    def send(self, response: Response) -> None:
        """
        Send the poll body as the argument of a call.
        """
        tags = tuple(header for header in response.headers if header[0] == b"ETag")
        body = encodeCall(self._callback, response.body)
        super().send(Response(response.status, (*tags, *SCRIPT), body))
