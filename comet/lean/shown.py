"""
What a request on the lean edge shows of its client, for access objects that look at
more than the credential, and what is found out by that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from comet.access.lookups import Lookup
from comet.errors import CometError
from comet.http.credentials import Credentials, cookiesCount
from comet.http.request import RequestHead
from comet.hub.hub import Hub
from comet.lean.parser import readFields, readLine
from comet.lean.plans import ParsedRequest
from comet.model.clients import Client


def makeCredentials(
    hub: Hub, request: ParsedRequest, head: bytes, getAddress: Callable[[], str]
) -> Credentials:
    """
    Read all headers of a request: its plan knows only those that mean something for
    the response.

    @param request: The request.

    @param head: The head of the request, with the empty line at its end.

    @param getAddress: Returns the client's IP address.
    """
    plan, isSecure = request.plan, request.headers.profile.isSecure
    line, _, block = head.partition(b"\r\n")
    # The cache has parsed both.
    parts, fields = readLine(line), readFields(block[:-2])
    assert parts is not None and fields is not None, "the cache has parsed them"
    method, path, query = parts

    def valuesOf(name: bytes) -> Sequence[bytes]:
        value = fields.get(name.lower())
        return () if value is None else (value,)

    whole = RequestHead(method, tuple(path.split(b"/")[2:]), query, (1, 1), valuesOf, isSecure)
    cors = hub.origins.verdict(whole.header("Origin"), whole.header("Host"), isSecure)
    takesCookies = cookiesCount(whole, cors, plan.transport)
    return Credentials(
        plan.transport, whole, getAddress, takesCookies, isSecure, getNames=lambda: plan.names
    )


class Identified:
    """
    What the access object has told of the client that sends a request, or is going to
    tell.  It is asked once for a request.
    """

    __slots__ = ("_head", "_known")

    def __init__(self, head: bytes, known: Client | Lookup | CometError) -> None:
        """
        @param head: The head of the request.
        """
        self._head = head
        self._known = known

    def isOf(self, head: bytes) -> bool:
        """
        Tell whether it is of the request with this head.
        """
        return self._head == head

    def of(self, data: bytes) -> Client | Lookup | CometError | None:
        """
        Return what is known, or L{None} if it is not of the first request in some data.
        """
        return self._known if data.startswith(self._head) else None

    @property
    def isPending(self) -> bool:
        """
        Whether it is not known yet.
        """
        known = self._known
        return isinstance(known, Lookup) and known.client is None and known.error is None

    def then(self, call: Callable[[object], object]) -> None:
        """
        Call a function once it is known.
        """
        if isinstance(self._known, Lookup):
            self._known.then(call, call)

    def client(self) -> Client | None:
        """
        Return the client, or L{None} while it is not known.

        @raise CometError: If the request is refused.
        """
        known = self._known
        if isinstance(known, CometError):
            raise known
        return known.result() if isinstance(known, Lookup) else known

    def hurry(self, seconds: float) -> None:
        """
        Wait no longer than this from now on.
        """
        if isinstance(self._known, Lookup):
            self._known.hurry(seconds)

    def abandon(self) -> None:
        """
        The client has left.
        """
        if isinstance(self._known, Lookup):
            self._known.abandon()


def identify(
    hub: Hub, request: ParsedRequest, head: bytes, getAddress: Callable[[], str]
) -> Identified:
    """
    Have the access object find out which client sends a request.

    @param head: As for L{makeCredentials}.

    @param getAddress: As for L{makeCredentials}.
    """
    try:
        return Identified(head, hub.identify(makeCredentials(hub, request, head, getAddress)))
    except CometError as error:
        return Identified(head, error)
