"""
The resource at C{/call/}: a method of the backend's, or the application's, follows in the
path.
"""

from __future__ import annotations

import sys
from typing import Any

from comet.errors import BadRequest
from comet.framing.publications import readBody
from comet.framing.strictjson import encode
from comet.http.responses import JSON, Response, endLine
from comet.transports.exchange import Exchange
from comet.transports.resource import HubResource


class CallResource(HubResource):
    """
    Answers a call with what the hooks of the hub answer.
    """

    methods = ("POST",)

    def answer_POST(self, exchange: Exchange) -> None:
        """
        Have the call answered.
        """
        # The body may have taken minutes.
        self.hub.checkKnown(exchange.client)
        method, limits = self._method(exchange), self.hub.settings.limits
        body = exchange.body(limits.maxMessage)
        # Without a body the data are null, whatever its type is said to be.
        data = None
        if body:
            data = readBody((method,), exchange.head.header("Content-Type"), body, limits).data
        answered = self.hub.call(exchange.client, method, data, exchange)
        exchange.whenGone = answered.cancel
        exchange.respondWhen(answered, _response)

    def admit_POST(self, exchange: Exchange) -> None:
        """
        Refuse a call that nothing answers.
        """
        self._method(exchange)
        self.hub.checkCall()

    def _method(self, exchange: Exchange) -> str:
        names = self.names(exchange)
        if len(names) != 1:
            raise BadRequest(f"a call is of one method; this names {len(names)}")
        return names[0]


def _response(fields: dict[str, Any]) -> Response:
    # Its depth is checked.
    return Response(200, JSON, endLine(encode(fields, sys.maxsize)))
