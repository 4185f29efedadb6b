"""
The resource at C{/presence/}: who is in a channel.
"""

from __future__ import annotations

from functools import partial

from comet.errors import BadRequest
from comet.framing.members import encodePage
from comet.http.polls import entityTag
from comet.http.reads import entityTags
from comet.http.responses import COMMON, JSON, Response, endLine
from comet.model.cursors import Cursor
from comet.model.presence import MOST_LISTED, MemberPage
from comet.transports.channel import checkNoPatterns
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource


class PresenceResource(HubResource):
    """
    Tells who is in the channel that follows in the path.
    """

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell the members, or those after one of them.
        """
        names, parameters = self.names(exchange), exchange.head.parameters
        if len(names) != 1:
            raise BadRequest(f"{len(names)} channels are named; one is allowed")
        checkNoPatterns(names)
        limit = _readLimit(parameters.get("limit"))
        asked = self.hub.membersFor(exchange.client, names[0], parameters.get("after"), limit)
        exchange.respondWhen(asked, partial(membersResponse, entityTags(exchange.head)))


def _readLimit(text: str | None) -> int:
    if text is None:
        return MOST_LISTED
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise BadRequest(f"limit is {text[:64]!r}; a whole number of at most 9 digits is allowed")
    return min(int(text), MOST_LISTED)


def membersResponse(tags: frozenset[str], page: MemberPage) -> Response:
    """
    Make the response with members: 304 if none has joined, left or been shown anew since
    the client asked.

    @param tags: What the client has in C{If-None-Match}.
    """
    tag = Cursor(page.cursor.epoch, page.changed)
    if str(tag) in tags:
        return Response(304, (entityTag(tag), *COMMON), b"")
    return Response(200, (entityTag(tag), *JSON), endLine(encodePage(page)))
