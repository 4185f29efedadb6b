"""
Requests as C{httpx} sends them: what the shells for asyncio and for threads have in common.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Final

import httpx

from comet.client.clientsteps import Request

#: How a client of C{httpx} is made: without what the environment, C{.netrc} and cookies would add
#: to a request, and without redirects, which the core follows.  The time limits are the shells'.
OPTIONS: Final[dict[str, Any]] = {
    "trust_env": False,
    "follow_redirects": False,
    "timeout": None,
}

# Where C{httpcore} begins to send.
_SENDING: Final = "http11.send_request_headers.started"


def noCookies() -> CookieJar:
    """
    Make a jar that takes no cookie.
    """
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


class Progress:
    """
    How far a request has come.

    @ivar wasSent: Whether it, or a part of it, was sent.
    """

    def __init__(self) -> None:
        self.wasSent = False

    def trace(self, name: str, info: object) -> None:
        """
        Take an event of C{httpcore}.
        """
        if name == _SENDING:
            self.wasSent = True

    async def awaitTrace(self, name: str, info: object) -> None:
        """
        As L{trace}, for asyncio.
        """
        self.trace(name, info)


def makeRequest(
    client: httpx.Client | httpx.AsyncClient, step: Request, trace: Callable[..., Any]
) -> httpx.Request:
    """
    Make a request.

    @param trace: A method of L{Progress}.
    """
    url = step.url
    target = url.target.encode("ascii")
    return client.build_request(
        step.method,
        httpx.URL(scheme=url.scheme, host=url.host, port=url.port, raw_path=target),
        headers=dict(step.headers),
        content=step.body if step.body or step.method != "GET" else None,
        # The target as the core has written it: httpx would write some of it anew.
        extensions={"target": target, "trace": trace},
    )
