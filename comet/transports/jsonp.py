"""
JSONP: long-polling through a C{script} element, for pages that have nothing
better.
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

# Nothing but a script, whatever somebody takes it for: a navigation to it, or
# a plugin, would get a file to save.
SCRIPT: Final[Headers] = (
    (b"Content-Type", b"application/javascript; charset=utf-8"),
    (b"Content-Disposition", b"attachment; filename=f.txt"),
    *COMMON,
)


class JSONPResource(LongPollResource):
    """
    Answers as a long poll does, with a script that calls the function that the
    parameter C{callback} names.

    The answer is always 200, since a script that was not modified would not
    run again.  Errors are those of any other transport, with their status: the
    page cannot see that, but its C{script} element fires C{error} instead of
    C{load}, and a function that is to be called with poll bodies is called
    with nothing else.
    """

    transport = "jsonp"

    def waiter(self, exchange: Exchange, readRequest: ReadRequest) -> HeldPoll:
        """
        See L{OnceResource.waiter<comet.transports.polling.PollingResource.waiter>}.
        """
        self.checkSite(exchange)
        callback = checkCallback(exchange.head.parameters.get("callback", ""))
        return HeldCall(exchange, readRequest, callback)

    def checkSite(self, exchange: Exchange) -> None:
        """
        Refuse the pages of other sites, unless all may read.  A request for a
        script tells no origin that could be looked up.

        @raise Forbidden: If it is from one.
        """
        site = exchange.head.header("Sec-Fetch-Site") or ""
        if "cross-site" in site and not self.hub.origins.allowsAll:
            raise Forbidden(
                "JSONP is not for the pages of other sites, unless --allow-origin is '*': the "
                "other transports are, for those that it lists"
            )


class HeldCall(HeldPoll):
    """
    A request whose answer is a call.  The answer is that of all who wait for
    the same; only the function is its own.
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
        Send the answer as an argument.
        """
        tags = tuple(header for header in response.headers if header[0] == b"ETag")
        body = encodeCall(self._callback, response.body)
        super().send(Response(response.status, (*tags, *SCRIPT), body))
