"""
HTTP for the client for threads: C{httpx} over the connections of L{comet.client.blockingnetwork}.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import httpcore
import httpx

from comet.client.blockingnetwork import Network
from comet.client.requester import KEPT, MOST_KEPT


class Transport(httpx.BaseTransport):
    """
    A pool of connections of C{httpcore}, which C{httpx} makes without a place for our connections.
    """

    def __init__(self, network: Network, tls: ssl.SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=MOST_KEPT,
            keepalive_expiry=KEPT,
            network_backend=network,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """
        See C{httpx.BaseTransport}.  The errors are those of C{httpcore}.
        """
        url = request.url
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )


class _Body(httpx.SyncByteStream):
    """
    The body of a response.
    """

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        return self._response.iter_stream()

    def close(self) -> None:
        """
        Give the connection back, or close it if it has more to read.
        """
        self._response.close()
