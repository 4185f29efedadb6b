"""
What the test cases of access share.
"""

from __future__ import annotations

from collections.abc import Sequence

from comet.access.lookups import Lookup
from comet.http.credentials import Credential, Credentials, CredentialSource
from comet.http.request import RequestHead
from comet.hub.hub import Hub
from comet.model.clients import Client


def bearer(key: str) -> Credential:
    """
    Make the credential that stands in C{Authorization} after C{Bearer}.
    """
    return Credential(key, CredentialSource.AUTHORIZATION)


def headOf(
    *headers: tuple[str, str],
    query: str = "",
    method: str = "GET",
) -> RequestHead:
    """
    Make the head of a request.
    """

    def valuesOf(name: bytes) -> Sequence[bytes]:
        asked = name.decode("ascii").lower()
        return [v.encode("utf-8", "surrogatepass") for n, v in headers if n.lower() == asked]

    return RequestHead(
        method.encode("ascii"), (), query.encode("utf-8", "surrogatepass"), (1, 1), valuesOf, False
    )


def showing(authorization: str | None) -> Credentials:
    """
    Make what a request shows with a value of C{Authorization}, or without.
    """
    headers = () if authorization is None else (("Authorization", authorization),)
    return Credentials("poll", headOf(*headers))


def identify(hub: Hub, authorization: str | None) -> Client:
    """
    Let a hub identify the client of a request, which it knows at once.
    """
    client = hub.identify(showing(authorization))
    assert not isinstance(client, Lookup)
    return client
