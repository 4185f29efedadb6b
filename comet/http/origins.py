"""
The origins of web pages, what CORS lets them do, and the hosts of this server.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from attrs import frozen

from comet.errors import BadRequest, WrongHost
from comet.http.responses import Headers

MAX_PORT: Final = 65535

# RFC 3986 3.2.2, 3.2.3: an IPv6 address is in brackets; a port may be empty.  A
# name may have other letters than those of ASCII.
_AUTHORITY = r"([A-Za-z0-9._\u0080-\U0010ffff-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{0,5}))?"
_HOST = re.compile(_AUTHORITY)
_ORIGIN = re.compile(rf"([A-Za-z][A-Za-z0-9+.-]*)://(?:{_AUTHORITY})?")
# The authority of a URL ends at the first of these (RFC 3986 3.2).  With user
# information or a backslash in it, what is found is not a valid origin.
_URL_ORIGIN = re.compile(r"[^/?#]+://[^/?#]*")
_PUBLIC_URL = re.compile(rf"([Hh][Tt][Tt][Pp][Ss]?)://{_AUTHORITY}(?:/[!\"$->@-~]*)?")
_ASCII_NAME = re.compile(r"[a-z0-9._-]+")

# RFC 1035 2.3.4
_MAX_HOST: Final = 255

# Schemes whose origins always have a host.
_WEB_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@frozen
class CORS:
    """
    What a page of an origin may do.

    @ivar allowOrigin: The value of C{Access-Control-Allow-Origin}, or L{None}
        to leave the header out.

    @ivar credentials: Whether the page may send credentials.

    @ivar isAllowed: Whether the page may do all that a page of this server
        may.
    """

    allowOrigin: str | None
    credentials: bool
    isAllowed: bool


class Origins:
    """
    Which web pages may use this server, and which hosts are its own.

    A page belongs to this server if its origin has the host that the request
    names.  So the caller must first refuse hosts that are not this server's,
    with L{checkHost}.
    """

    def __init__(
        self, allowed: str | Sequence[str] = (), publicURLs: str | Sequence[str] = ()
    ) -> None:
        """
        @param allowed: The origins that are allowed besides the server's own:
            C{scheme://host}, perhaps with a port; C{file://} and the like;
            C{null}; or C{*} for all but C{null}.  A single one may stand for itself.

        @param publicURLs: The URLs of C{http} or C{https} at which clients
            reach this server; or one of them.

        @raise ValueError: If an origin or a URL is not valid.
        """
        allowed = (allowed,) if isinstance(allowed, str) else allowed
        publicURLs = (publicURLs,) if isinstance(publicURLs, str) else publicURLs
        public = [_parsePublic(url) for url in publicURLs]
        self._public = {origin for origin, _ in public}
        self._listed = {*map(_parseAllowed, allowed), *self._public}
        self._hosts = {"localhost", *(host for _, host in public)}

    @property
    def allowsAll(self) -> bool:
        """
        Whether the pages of all origins but C{null} are allowed.
        """
        return "*" in self._listed

    @property
    def hosts(self) -> frozenset[str]:
        """
        The hosts of all pages that are allowed, with this server's own; or
        C{*} alone.
        """
        if self.allowsAll:
            return frozenset({"*"})
        origins = map(_ORIGIN.fullmatch, self._listed)
        return frozenset(
            {*self._hosts, *(found[2] for found in origins if found is not None and found[2])}
        )

    def own(self, host: str | None, isSecure: bool) -> str | None:
        """
        Find the origin of this server's own pages.

        @param host: The value of the header C{Host}, which L{checkHost} let
            pass.

        @param isSecure: Whether the request came through TLS that ends here.
            Otherwise TLS may have ended at a proxy: if only the other scheme
            is that of a public URL, the origin has the other scheme.

        @return: The origin, or L{None} if there is no host.
        """
        own, other = _ownOrigin(host, isSecure), _ownOrigin(host, not isSecure)
        return other if other in self._public and own not in self._public else own

    def checkHost(self, host: str | None, version: tuple[int, int]) -> None:
        """
        Refuse a request for another host.  An attacker can let the host name
        of a page point to this server, so that a browser takes both for one
        origin (DNS rebinding); but then the browser sends that host name.

        @param host: The value of the header C{Host}, or of C{:authority} in
            HTTP/2.

        @param version: The HTTP version.

        @raise WrongHost: If the host is not one of this server's.

        @raise BadRequest: If there is no host, though the version demands it.
        """
        if host is None:
            # RFC 9112 3.2
            if version >= (1, 1):
                raise BadRequest("the header Host is missing; HTTP/1.1 demands it")
            return
        found = _HOST.fullmatch(host)
        name = None if found is None else _normalHost(found[1])
        if name is not None and (name in self._hosts or name.startswith("[") or _isIPv4(name)):
            return
        raise WrongHost(
            f"{host[:64]!r} is not a host of this server; an IP address, 'localhost', and "
            "the hosts of --public-url are"
        )

    def isHost(self, host: str | None) -> bool:
        """
        Tell whether the value of a header C{Host} is the name of any host at all.
        """
        found = None if host is None else _HOST.fullmatch(host)
        return found is not None and _normalHost(found[1]) is not None

    def verdict(self, origin: str | None, host: str | None, isSecure: bool) -> CORS:
        """
        Decide what the page that sent a request may do.

        @param origin: The value of the header C{Origin}.  Without it the
            request is not from a page of another origin, and may do all.

        @param host: The value of the header C{Host}, which L{checkHost} let
            pass.

        @param isSecure: Whether the request came through TLS that ends here.
        """
        if origin is None:
            return CORS(None, False, True)
        if origin == "null":
            # Every page in a sandbox has this origin, so it gets no
            # credentials, even if it is listed.
            isListed = origin in self._listed
            return CORS(origin if isListed else None, False, isListed)
        normal = readOrigin(origin)
        if normal is not None and (normal == _ownOrigin(host, isSecure) or normal in self._listed):
            return CORS(origin if origin.isascii() else normal, True, True)
        if self.allowsAll:
            return CORS("*", False, True)
        return CORS(None, False, False)

    def allowsScript(
        self, site: str | None, referer: str | None, host: str | None, isSecure: bool
    ) -> bool:
        """
        Decide whether a page may load a script with what it may not read
        otherwise.  Without any proof of where the page is from, it may not:
        browsers send C{Sec-Fetch-Site} only to HTTPS and to the machine itself,
        and call a page of another port C{same-site}.

        @param site: The value of the header C{Sec-Fetch-Site}, or L{None}.

        @param referer: The value of the header C{Referer}, or L{None}.

        @param host: The value of the header C{Host}, which L{checkHost} let
            pass.

        @param isSecure: Whether the request came through TLS that ends here.
        """
        if self.allowsAll or site in ("same-origin", "none"):
            return True
        found = None if referer is None else _URL_ORIGIN.match(referer)
        return found is not None and self.verdict(found[0], host, isSecure).isAllowed

    def headers(self, cors: CORS, *exposed: str) -> Headers:
        """
        Make the headers of CORS for a response.

        @param exposed: Names of headers that the page may read, besides those of
            every response.
        """
        allow = _allow(cors)
        if not allow:
            return ()
        names = ", ".join(("ETag", "Retry-After", *exposed)).encode("ascii")
        return (*allow, (b"Access-Control-Expose-Headers", names))

    def preflight(self, cors: CORS) -> Headers:
        """
        Make the headers of CORS for the response to a preflight request.
        """
        allow = _allow(cors)
        if not allow:
            return ()
        return (
            *allow,
            (b"Access-Control-Allow-Methods", b"GET, HEAD, POST, PUT, DELETE, OPTIONS"),
            (
                b"Access-Control-Allow-Headers",
                # Cache-Control and X-Requested-With are sent by replacements for
                # EventSource and by libraries.
                b"Authorization, Cache-Control, Comet-Event, Comet-Exclude, Content-Encoding, "
                b"Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Prefer, "
                b"X-Requested-With",
            ),
            # Seconds: one day, which is the most that any browser accepts.
            (b"Access-Control-Max-Age", b"86400"),
        )


def _normalHost(host: str) -> str | None:
    """
    Bring a host into the form in which hosts are compared: in lower case, in
    ASCII, and without the dot that ends an absolute name.

    @return: The host, or L{None} if it is not valid.
    """
    if not host.startswith("["):
        name = host.lower() if host.isascii() else _asciiName(host)
        return (name or "").removesuffix(".") or None
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except AddressValueError:
        return None


@lru_cache(256)
def _asciiName(host: str) -> str | None:
    """
    Encode an internationalized name as browsers do: C{xn--} and so on.

    @return: The name in ASCII, or L{None} if it is not valid.
    """
    # Loading it takes longer than all else here, and few servers need it.
    import idna

    if len(host) > _MAX_HOST:
        return None
    try:
        # WHATWG URL 3.3: UTS 46, not transitional.
        name = idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:
        return None
    # A name of ASCII alone in disguise, such as "localho\u017ft", is refused.
    return name if "xn--" in name and _ASCII_NAME.fullmatch(name) else None


def _isIPv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def _normalOrigin(scheme: str, host: str | None, port: str | None) -> tuple[str, str] | None:
    """
    Bring an origin into the form in which origins are compared.

    @return: The origin and its host, or L{None} if it is not valid.
    """
    scheme = scheme.lower()
    if host is None:
        # Such as file://, which apps that show their own files send.
        return None if scheme in _WEB_SCHEMES else (f"{scheme}://", "")
    name = _normalHost(host)
    if name is None or int(port or 0) > MAX_PORT:
        return None
    if not port or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{name}", name
    return f"{scheme}://{name}:{int(port)}", name


def readOrigin(text: str) -> str | None:
    """
    Read an origin.

    @return: The form in which origins are compared, C{scheme://host} and
        perhaps a port, in lower case and ASCII, or C{file://} and the like;
        L{None} if it is not valid.
    """
    found = _ORIGIN.fullmatch(text)
    normal = None if found is None else _normalOrigin(*found.groups())
    return None if normal is None else normal[0]


def _ownOrigin(host: str | None, isSecure: bool) -> str | None:
    scheme = "https" if isSecure else "http"
    return None if host is None else readOrigin(f"{scheme}://{host}")


def _parseAllowed(text: str) -> str:
    origin = text if text in ("*", "null") else readOrigin(text)
    if origin is None:
        raise ValueError(
            f"{text[:64]!r} is not an origin: '*', 'null', 'file://', or scheme://host, perhaps "
            "with :port, and nothing after it, not even a slash"
        )
    return origin


def _parsePublic(url: str) -> tuple[str, str]:
    """
    The origin and the host of a public URL.
    """
    found = _PUBLIC_URL.fullmatch(url)
    normal = None if found is None else _normalOrigin(*found.groups())
    if normal is None:
        raise ValueError(
            f"{url[:64]!r} is not a public URL: http://host or https://host, perhaps with :port, "
            "and perhaps a path"
        )
    return normal


def _allow(cors: CORS) -> Headers:
    if cors.allowOrigin is None:
        return ()
    origin = (b"Access-Control-Allow-Origin", cors.allowOrigin.encode("ascii"))
    return (
        (origin, (b"Access-Control-Allow-Credentials", b"true")) if cors.credentials else (origin,)
    )
