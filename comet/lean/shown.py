"""
What a request on the lean edge shows of its client, for access objects that look at
more than the credential.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.address import IPv4Address, IPv6Address

from comet.http.credentials import Credentials, cookiesCount
from comet.http.request import RequestHead
from comet.hub import Hub
from comet.lean.parser import readFields, readLine
from comet.lean.plans import Plan


def makeCredentials(
    hub: Hub, plan: Plan, head: bytes, getPeer: Callable[[], IPv4Address | IPv6Address]
) -> Credentials:
    """
    Read all headers of a request: its plan knows only those that mean something for
    the response.

    @param plan: The plan of the request.

    @param head: The head of the request, with the empty line at its end.

    @param getPeer: Returns the client's address.
    """
    line, _, block = head.partition(b"\r\n")
    # The cache has parsed both.
    parts, fields = readLine(line), readFields(block[:-2])
    assert parts is not None and fields is not None, head
    method, path, query = parts

    def valuesOf(name: bytes) -> Sequence[bytes]:
        value = fields.get(name.lower())
        return () if value is None else (value,)

    whole = RequestHead(method, tuple(path.split(b"/")[2:]), query, (1, 1), valuesOf, False)
    cors = hub.origins.verdict(whole.header("Origin"), whole.header("Host"), False)
    takesCookies = cookiesCount(whole, cors, plan.transport)
    return Credentials(plan.transport, whole, lambda: getPeer().host, takesCookies)
