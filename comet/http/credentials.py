"""
What a request shows of the client that sends it: its credential, cookies,
headers, address.  An L{access object<comet.interfaces.access.IAccess>} reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from comet.errors import BadCredential, BadRequest, CometError
from comet.http.origins import CORS
from comet.http.request import MAX_AMPERSANDS, RequestHead
from comet.model.percent import MAX_MALFORMED, unquoted

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

# RFC 9110 11.4: the scheme's name is case-insensitive.
_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)

# A browser can set no header for a WebSocket, but it can offer a subprotocol.
SUBPROTOCOL_PREFIX: Final = "comet.token."

# The names of the parameter and of the cookie that hold a credential.
PARAMETER: Final = "token"
COOKIE: Final = "comet_token"


class CredentialSource(Enum):
    """
    The part of a request in which a credential stands.

    @cvar AUTHORIZATION: The header C{Authorization}, after C{Bearer}.

    @cvar SUBPROTOCOL: A subprotocol of a WebSocket, C{comet.token.} and the
        credential.

    @cvar PARAMETER: The parameter C{token}.

    @cvar COOKIE: The cookie C{comet_token}.

    @cvar COMMAND: The command C{token} on a WebSocket or on raw TCP.
    """

    AUTHORIZATION = "the header Authorization"
    SUBPROTOCOL = "the subprotocol comet.token"
    PARAMETER = "the parameter token"
    COOKIE = "the cookie comet_token"
    COMMAND = "the command token"


class Credential(NamedTuple):
    """
    A key or a token.

    @ivar text: The key or token.

    @ivar source: Where it stood.
    """

    text: str
    source: CredentialSource


class Credentials:
    """
    What a request shows of the client that sends it.

    What takes time is worked out when it is asked for: many access objects need
    little of it.

    @ivar transport: The name under which the request is counted: that of the
        transport for a request to read, C{publish}, C{tcp}; C{other} for a
        request that asks for the log end, deletes messages, or is for a resource
        of the application's.  It is C{command} for the command C{token}, which shows
        the credential and the address alone.

    @ivar isSecure: Whether the request came through TLS that ends here.
    """

    def __init__(
        self,
        transport: str,
        head: RequestHead | None = None,
        getAddress: Callable[[], str] = str,
        takesCookies: bool = False,
        isSecure: bool = False,
        given: Credential | None = None,
        getCertificate: Callable[[], Certificate | None] = lambda: None,
        getNames: Callable[[], Sequence[str]] | None = tuple,
    ) -> None:
        """
        @param head: The head of the HTTP request; L{None} on raw TCP.

        @param getAddress: Returns the client's IP address; empty if it has none.

        @param takesCookies: Whether cookies count: see L{cookiesCount}.

        @param given: The credential of a command, which has no head.

        @param getCertificate: Returns the client's certificate, if it has shown one.

        @param getNames: Returns the names that the request is for; L{None} if its URL does
            not tell.
        """
        self.transport = transport
        self.isSecure = isSecure
        self._head = head
        self._getAddress = getAddress
        self._getCertificate = getCertificate
        self._takesCookies = takesCookies
        self._given = given
        self._getNames = getNames

    @cached_property
    def names(self) -> Sequence[str]:
        """
        The channels and patterns that the request is for, as far as its URL tells.  Empty
        where it does not, or cannot be read.
        """
        if self._getNames is None:
            return ()
        try:
            return tuple(self._getNames())
        except CometError:
            # It is told when the request is answered.
            return ()

    @property
    def isBare(self) -> bool:
        """
        Whether the request is for no name: on a WebSocket and raw TCP, the client names
        its channels afterwards.
        """
        return self._getNames is not None and not self.names

    @cached_property
    def address(self) -> str:
        """
        The client's IP address; empty if it has none, as on a UNIX socket.
        """
        return self._getAddress()

    @cached_property
    def certificate(self) -> Certificate | None:
        """
        The certificate that the client has shown in the TLS handshake, as the package
        C{cryptography} has it; L{None} if it has shown none.  A server asks for one
        only where its TLS context says so, and lets in only those that the context
        trusts.
        """
        return self._getCertificate()

    @cached_property
    def credential(self) -> Credential | None:
        """
        The key or token that the client shows; L{None} if it shows none.

        @raise BadCredential: If the first one found is not well-formed.

        @raise BadRequest: If the header C{Authorization} came twice.
        """
        head = self._head
        if head is None:
            return self._given
        found = headCredential(head)
        if found is None and self._takesCookies and COOKIE in self.cookies:
            found = _checked(self.cookies[COOKIE], CredentialSource.COOKIE)
        return found

    def header(self, name: str) -> str | None:
        """
        Return the value of a header without white space around it, or L{None} if
        it is absent, as all are on raw TCP.  C{Cookie} is absent where cookies
        do not count.

        @raise BadRequest: If a header came twice that no request may have twice.
        """
        if self._head is None or (name.lower() == "cookie" and not self._takesCookies):
            return None
        if name.lower() == "cookie":
            # RFC 9113 8.2.3: HTTP/2 may have cut it in pieces.
            lines = self._head.headers(b"Cookie")
            return "; ".join(line.decode("latin-1").strip(" \t") for line in lines) or None
        return self._head.header(name)

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """
        The cookies, by name; of several of one name the first, which a browser
        sends for the longest path.  Empty where cookies do not count.
        """
        if self._head is None or not self._takesCookies:
            return {}
        return readCookies(self._head)

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """
        The parameters in the query, by name, without C{token}.

        @raise BadRequest: If the query cannot be read.
        """
        given = {} if self._head is None else self._head.parameters
        return {name: value for name, value in given.items() if name != PARAMETER}


def headCredential(head: RequestHead) -> Credential | None:
    """
    Find the credential of a request, but for one in a cookie.  What stands after
    the first one found is not looked at.

    @raise BadCredential: If it is not well-formed.

    @raise BadRequest: If the header C{Authorization} came twice, or the query has so many
        parameters that it would take long to look for one.
    """
    authorization = head.header("Authorization")
    if authorization is not None:
        bearer = _BEARER.fullmatch(authorization)
        if bearer is None:
            raise BadCredential(
                "the header Authorization is not of the form 'Bearer' and a key or token"
            )
        return Credential(bearer[1], CredentialSource.AUTHORIZATION)
    for offered in (head.header("Sec-WebSocket-Protocol") or "").split(","):
        if offered.strip().startswith(SUBPROTOCOL_PREFIX):
            text = offered.strip().removeprefix(SUBPROTOCOL_PREFIX)
            return _checked(text, CredentialSource.SUBPROTOCOL)
    given = _parameter(head.query)
    return None if given is None else _checked(given, CredentialSource.PARAMETER)


def _parameter(query: bytes) -> str | None:
    """
    Find the first parameter C{token}.  The rest of the query may be anything: a
    request that publishes does not read it.
    """
    # The fast path of nearly all requests.  A letter may be percent-encoded.
    if b"token" not in query and b"%" not in query:
        return None
    ampersands = query.count(b"&")
    if ampersands > MAX_AMPERSANDS:
        raise BadRequest(f"the query has {ampersands} ampersands; {MAX_AMPERSANDS} are allowed")
    for piece in query.split(b"&"):
        key, _, value = piece.partition(b"=")
        # A name that is longer has another letter.
        if len(key) <= 3 * len(PARAMETER) and unquoted(key) == PARAMETER.encode("ascii"):
            try:
                return unquoted(value.replace(b"+", b" "), MAX_MALFORMED).decode("utf-8", "replace")
            except ValueError:
                raise BadCredential("the token in the query is not percent-encoded") from None
    return None


def _checked(text: str, source: CredentialSource) -> Credential:
    if not text:
        raise BadCredential(f"{source.value} has no credential")
    return Credential(text, source)


def readCookies(head: RequestHead) -> dict[str, str]:
    """
    Read the cookies of a request.  What has no name and value is ignored.
    """
    cookies: dict[str, str] = {}
    # RFC 9113 8.2.3: HTTP/2 may have them in several headers.
    for line in head.headers(b"Cookie"):
        # RFC 6265 5.4; bytes beyond ASCII are kept one by one.
        for pair in line.decode("latin-1").split(";"):
            name, found, value = pair.strip(" \t").partition("=")
            if found and name:
                cookies.setdefault(name, value)
    return cookies


def cookiesCount(head: RequestHead, cors: CORS, transport: str) -> bool:
    """
    Tell whether the cookies of a request show who its client is.  A browser sends
    them also where the page of another site makes the request.  So they count
    only for pages of the server's own origin, and of origins listed by name; and
    never for a script (JSONP), which any page may load.

    @param cors: What the page that sent the request may do.
    """
    if transport == "jsonp":
        return False
    if head.headers(b"Origin"):
        return cors.credentials
    # Absent, it is a program, or an older browser that goes to a page.
    return head.header("Sec-Fetch-Site") in (None, "same-origin", "none")
