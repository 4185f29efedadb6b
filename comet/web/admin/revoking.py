"""
What is revoked, and who is disconnected.
"""

from __future__ import annotations

import json
from typing import Any, Final

from attrs import evolve

from comet.access.keptrevocations import RevocationPage
from comet.errors import NotFound
from comet.framing.orders import MAX_ORDER, Order, readOrderBody
from comet.http.reads import readLimit
from comet.http.responses import COMMON, JSON, Response, endLine
from comet.model.percent import unquoted
from comet.transports.clientrequest import bodyTooLarge
from comet.transports.exchange import Exchange, notFound
from comet.web.admin.guard import AdminResource

# How many revocations are listed unless the request says how many.
LISTED: Final = 1000


class OrderResource(AdminResource):
    """
    Takes orders to all nodes.

    @cvar isRevoking: Whether they revoke something.
    """

    methods = ("POST",)
    hasPath = False
    isRevoking = False

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Give the order in the body.
        """
        self.checkAdmin(exchange)
        body = exchange.body(MAX_ORDER)
        if len(body) > MAX_ORDER:
            raise bodyTooLarge(MAX_ORDER)
        order = readOrderBody(body, self.isRevoking)
        self.log(exchange, json.dumps(order.fields))
        self.give(exchange, order)

    def admit_POST(self, exchange: Exchange) -> None:
        """
        Refuse other clients before they send a body.
        """
        self.checkAdmin(exchange)

    def give(self, exchange: Exchange, order: Order) -> None:
        """
        Give an order, and respond when all nodes will know.
        """
        raise NotImplementedError


class DisconnectResource(OrderResource):
    """
    The resource at C{/admin/disconnect}: end what a client reads, on all nodes.
    """

    def give(self, exchange: Exchange, order: Order) -> None:
        """
        Disconnect a client, and tell how many of its readers there were.
        """
        done = self.hub.control.disconnect(order)
        exchange.respondWhen(done, lambda count: _json(200, {"disconnected": count}))


class RevokeResource(OrderResource):
    """
    The resource at C{/admin/revoke}: refuse the tokens of a client, or one token, on all
    nodes.
    """

    isRevoking = True

    def give(self, exchange: Exchange, order: Order) -> None:
        """
        Revoke, and tell the id of the revocation.
        """
        if order.seconds is None:
            order = evolve(order, seconds=self.hub.settings.revokedSeconds)
        done = self.hub.control.revoke(order)
        exchange.respondWhen(done, lambda revocation: _json(201, {"id": revocation.id}))


class RevocationsResource(AdminResource):
    """
    The resource at C{/admin/revocations}: what is in force, and its end.
    """

    methods = ("GET", "DELETE")

    def answer_GET(self, exchange: Exchange) -> None:
        """
        List what is in force on all nodes, in the order of the ids.
        """
        self.checkAdmin(exchange)
        head = exchange.head
        if head.segments:
            raise notFound(exchange)
        after = head.parameters.get("after", "")
        read = self.hub.control.kept.page(after, readLimit(head, LISTED))
        exchange.respondWhen(read, _page)

    def answer_DELETE(self, exchange: Exchange) -> None:
        """
        Put the revocation out of force whose id is in the path.
        """
        self.checkAdmin(exchange)
        segments = exchange.head.segments
        if len(segments) != 1:
            raise notFound(exchange)
        # An entry that another program has made may have any id.
        id = unquoted(segments[0]).decode("latin-1")
        self.log(exchange, id)

        def restored(wasInForce: bool) -> Response:
            if not wasInForce:
                raise NotFound(f"no revocation {id[:64]!r} is in force")
            return Response(204, COMMON, b"")

        exchange.respondWhen(self.hub.control.restore(id), restored)


def _json(status: int, value: dict[str, Any]) -> Response:
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return Response(status, JSON, endLine(body))


def _page(page: RevocationPage) -> Response:
    value: dict[str, Any] = {"revocations": [each.fields for each in page.found]}
    if page.unreadable:
        value["unreadable"] = sorted(page.unreadable)
    if page.rest is not None:
        value.update(more=True, after=page.rest)
    return _json(200, value)
