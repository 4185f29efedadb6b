"""
The fields of forms, for the resources of an application that shares a site with
comet's.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http import Request


class FormError(Exception):
    """
    A body is not the form that its C{Content-Type} says.
    """


class _FormRequest(Request):
    """
    A request of Twisted's own kind, which parses a form as Twisted does, and is
    answered by nothing.
    """

    def process(self) -> None:
        """
        Do nothing: only the fields were wanted.
        """


class _Channel:
    """
    The channel of a request that is only parsed.
    """

    transport = None
    site = None

    def getPeer(self) -> None:
        """
        Return no address.
        """

    def getHost(self) -> None:
        """
        Return no address.
        """

    def _respondToBadRequestAndDisconnect(self) -> None:
        """
        Twisted calls this when the form cannot be parsed.
        """
        raise FormError


def parseForm(request: Request) -> dict[bytes, list[bytes]]:
    """
    Parse the body of a request as Twisted would have done, if that is a form.

    @return: The fields; none if the body is no form.

    @raise FormError: If the body is not the form that its type says.
    """
    # Any: Twisted's own code asks no more of a channel.
    channel: Any = _Channel()
    parsed = _FormRequest(channel)
    parsed.requestHeaders = request.requestHeaders
    parsed.content = content = request.content
    assert content is not None, "Twisted sets it before a request is rendered"
    place = content.tell()
    # Twisted takes the place in the body for its size.
    content.seek(0, 2)
    try:
        parsed.requestReceived(b"POST", b"/", b"HTTP/1.1")
    finally:
        content.seek(place)
    return parsed.args or {}
