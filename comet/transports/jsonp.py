"""
JSONP: long polling through a C{script} element, for pages that can use no other
transport.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import evolve

from comet.errors import Forbidden
from comet.framing.jsonp import checkCallback, encodeCall
from comet.http.origins import Origins
from comet.http.polls import PollResponseShape
from comet.http.reads import ReadRequest
from comet.http.request import RequestHead
from comet.http.responses import SCRIPT, Response
from comet.transports.exchange import Exchange
from comet.transports.longpoll import LongPollResource
from comet.transports.polling import HeldPoll

# A browser adds the credentials of Basic and the like by itself, also for a
# script; Bearer it never adds.
_OTHER_THAN_SCRIPT: Final = re.compile(r"bearer ", re.IGNORECASE)


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
        callback = checkCallback(exchange.head.parameters.get("callback", ""))
        self.checkPage(exchange)
        return HeldCall(exchange, readRequest, callback)

    def checkPage(self, exchange: Exchange) -> None:
        """
        Refuse a request as L{checkPage} does.

        @raise Forbidden: If there is no proof.
        """
        checkPage(self.hub.origins, exchange.head, exchange.host)


def checkPage(origins: Origins, head: RequestHead, host: str | None) -> None:
    """
    Refuse a request for JSONP unless it proves that no page of a foreign origin made
    it.  A script runs in the page that loads it, which so reads the response, and a
    browser sends no C{Origin} with it.

    @param host: The value of the header C{Host}, which L{Origins.checkHost} let pass,
        or L{None}.

    @raise Forbidden: If there is no proof.
    """
    if _OTHER_THAN_SCRIPT.match(head.header("Authorization") or ""):
        return
    site, referer = head.header("Sec-Fetch-Site"), head.header("Referer")
    if not origins.allowsScript(site, referer, host, head.isSecure):
        raise Forbidden(
            "JSONP needs a header 'Sec-Fetch-Site: same-origin', or a Referer of the "
            "server's own origin or one of --public-url and --allow-origin, or an "
            "Authorization with Bearer; --allow-origin '*' lets all pages use it"
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
        body = encodeCall(self._callback, response.body.rstrip(b"\n"))
        super().send(Response(response.status, (*tags, *SCRIPT), body))
