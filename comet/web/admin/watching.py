"""
What an admin sees of the nodes, of what is read, and of who reads.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from comet.errors import BadRequest, NotFound
from comet.framing.envelope import encodeEnvelope
from comet.framing.members import encodePage
from comet.framing.strictjson import encode
from comet.http.reads import readLimit
from comet.http.responses import JSON, Response, endLine
from comet.model.channels import parseName
from comet.model.positions import HistoryPage
from comet.model.presence import MemberPage
from comet.nodes.asking import Found
from comet.nodes.nodemessages import MOST_ROWS, Question, What
from comet.transports.channel import checkNoPatterns
from comet.transports.exchange import Exchange
from comet.web.admin.guard import AdminResource

# How many rows are told unless the request says how many.
LISTED: Final = 100


class WatchingResource(AdminResource):
    """
    Tells an admin what nodes answer.
    """

    def limit(self, exchange: Exchange) -> int:
        """
        Read how many rows there may be.
        """
        return min(readLimit(exchange.head, LISTED), MOST_ROWS)

    def tell(self, exchange: Exchange, name: str, question: Question) -> None:
        """
        Ask the nodes, and respond with what they answer.

        @param name: What the rows are called in the body.
        """
        asked = self.hub.nodes.ask(question)
        exchange.respondWhen(asked, lambda found: _json(encode(_value(name, found))))


class NodesResource(WatchingResource):
    """
    The resource at C{/admin/nodes}: the figures of each node.
    """

    hasPath = False

    def answer_GET(self, exchange: Exchange) -> None:
        """
        Tell them.
        """
        self.checkAdmin(exchange)
        self.tell(exchange, "nodes", Question(What.FIGURES))


class ClientsResource(WatchingResource):
    """
    The resource at C{/admin/clients}: the readers of a client, or of all.
    """

    hasPath = False

    def answer_GET(self, exchange: Exchange) -> None:
        """
        List them.
        """
        self.checkAdmin(exchange)
        client = exchange.head.parameters.get("client", "")
        limit = self.limit(exchange)
        self.tell(exchange, "readers", Question(What.READERS, client=client, limit=limit))


class ChannelsResource(WatchingResource):
    """
    The resource at C{/admin/channels}: what is read most; and below it, one channel.
    """

    def answer_GET(self, exchange: Exchange) -> None:
        """
        List the names that are read, or tell of the channel in the path.
        """
        self.checkAdmin(exchange)
        limit = self.limit(exchange)
        if exchange.head.segments:
            names = self.names(exchange)
            if len(names) != 1:
                raise BadRequest(f"{len(names)} channels are named; one is allowed")
            checkNoPatterns(names)
            # Some are the nodes' alone.
            self.hub.check(exchange.client, names)
            told = Deferred.fromCoroutine(self._channel(names[0], limit))
            exchange.respondWhen(told, _json)
            return
        match = exchange.head.parameters.get("match", "")
        if match:
            parseName(match)
        self.tell(exchange, "channels", Question(What.NAMES, match, limit=limit))

    async def _channel(self, name: str, limit: int) -> bytes:
        """
        Tell of one channel: its readers, its members, its newest messages.
        """
        hub = self.hub
        found = await hub.nodes.ask(Question(What.READERS, name, limit=limit))
        page: HistoryPage = await hub.history(name, None, limit)
        members: MemberPage | None = None
        try:
            members = await hub.members(name, None, limit)
        except NotFound:
            # Presence of it is not kept.
            pass
        head = encode({"channel": name, **_value("readers", found)})
        messages = b",".join(encodeEnvelope(each, time=True) for each in page.messages)
        shown = b"" if members is None else b',"members":' + encodePage(members)
        return b'%b%b,"messages":[%b]}' % (head[:-1], shown, messages)


def _value(name: str, found: Found) -> dict[str, Any]:
    value: dict[str, Any] = {"count": found.count, name: found.rows}
    if found.count > len(found.rows):
        value["more"] = True
    return {**value, "complete": found.isComplete}


def _json(body: bytes) -> Response:
    return Response(200, JSON, endLine(body))
