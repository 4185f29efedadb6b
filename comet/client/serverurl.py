"""
The URL of a server, and the URLs of its resources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

import attrs

_PORTS: Final = {"http": 80, "https": 443}
_SCHEMES: Final = {"ws": "http", "wss": "https"}

# Raw TCP, and whether it has TLS.
_RAW: Final = {"tcp": False, "tls": True}

# RFC 3986 3.2.2, without what no name or address of a host has: above all no white space.
_HOST: Final = re.compile(r"[A-Za-z0-9._~%:-]+")


@attrs.frozen
class ServerURL:
    """
    The URL of a server or of one of its resources, taken apart.

    @ivar target: The path, and the query if there is one, in ASCII.

    @ivar isRaw: Whether it is a port of raw TCP, which has no resources.
    """

    host: str
    port: int
    isSecure: bool
    target: str
    isRaw: bool = False

    @property
    def origin(self) -> tuple[str, int, bool]:
        """
        What a connection, and a credential, is good for.
        """
        return self.host, self.port, self.isSecure

    @property
    def authority(self) -> str:
        """
        The value of the header C{Host}.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def scheme(self) -> str:
        """
        C{http} or C{https}.
        """
        return "https" if self.isSecure else "http"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def resource(self, path: str, parameters: Mapping[str, str] | None = None) -> ServerURL:
        """
        Return the URL of a resource below the path of this one.

        @param path: Without a slash in front.
        """
        query = f"?{urlencode(parameters)}" if parameters else ""
        return attrs.evolve(self, target=f"{self.target.rstrip('/')}/{path}{query}")

    def redirected(self, location: str) -> ServerURL:
        """
        Return the URL to which a response redirects.

        @raise ValueError: If it is none for a client, or leads from TLS to no TLS.
        """
        other = _parse(urljoin(str(self), location))
        if self.isSecure and not other.isSecure:
            raise ValueError("the server redirects to a URL without TLS")
        return other


def parseServerURL(url: str) -> ServerURL:
    """
    Read the URL of a server: the root of its site, or the path at which comet is mounted.

    C{tcp://HOST:PORT} and C{tls://HOST:PORT} are ports of raw TCP.

    @raise ValueError: If it is none, or that of a channel.
    """
    parsed = _parse(url, mayBeRaw=True)
    if parsed.isRaw and parsed.target != "/":
        raise ValueError(f"{url[:200]!r} has a path, which raw TCP has not")
    if "?" in parsed.target:
        raise ValueError(f"{url!r} has a query, which is not allowed")
    segments = parsed.target.split("/")
    if "channels" in segments:
        # Below the URL of a channel every path names another channel: a client that was let
        # pass would publish to it, or wait for its messages, and never be told.
        base = "/".join(segments[: segments.index("channels")])
        server = attrs.evolve(parsed, target=base)
        raise ValueError(f"{url[:200]!r} is the URL of channels; that of the server is {server}")
    return parsed


def _parse(url: str, mayBeRaw: bool = False) -> ServerURL:
    split = urlsplit(url)
    scheme = _SCHEMES.get(split.scheme, split.scheme)
    isRaw = mayBeRaw and scheme in _RAW
    if scheme not in _PORTS and not isRaw:
        raise ValueError(f"{url[:200]!r} is not a URL that begins with http:// or https://")
    if split.username is not None or split.password is not None:
        raise ValueError("the URL has a password; give a key or token instead")
    host = split.hostname or ""
    if ":" not in host:
        # Also for ASCII: the resolver refuses labels that are empty or too long, but with an error
        # that is not one of the network.
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError as error:
            raise ValueError(f"{url[:200]!r} names no host: {error}") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"{url[:200]!r} names no host")
    # What is not ASCII, or could end the line of a request, is escaped.
    path = quote(split.path or "/", safe="/%:@!$&'()*+,;=~")
    query = f"?{quote(split.query, safe='/%:@!$&()*+,;=~?')}" if split.query else ""
    if split.port == 0:
        # It would count as none.
        raise ValueError(f"{url[:200]!r} names port 0, which no server has")
    if isRaw:
        if not split.port:
            raise ValueError(f"{url[:200]!r} names no port, which raw TCP needs")
        return ServerURL(host, split.port, _RAW[scheme], path + query, isRaw=True)
    return ServerURL(host, split.port or _PORTS[scheme], scheme == "https", path + query)


def namesPath(names: Sequence[str]) -> str:
    """
    Return names as they are written in a path.
    """
    # A server splits at slashes and commas before it decodes, and no segment has one.
    return ",".join(quote(name, safe="/*$") for name in names)
