"""
Endpoints made of descriptions: L{makeEndpoint} is the one place where a description
becomes an endpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from comet.server.bindingreactors import InheritingReactor, QueueingReactor
from comet.server.certificates import RenewingReactor
from comet.server.proxied import ProxiedEndpoint
from comet.server.systemd import systemdEndpoint
from comet.settings.configuration import ConfigurationError

# The highest number of a port of TCP.
MAX_PORT: Final = 65535


@implementer(IStreamServerEndpoint)
@frozen
class DescribedEndpoint:
    """
    An endpoint that knows its description, for logs and error messages.

    @ivar description: The description, as the user gave it.

    @ivar endpoint: The endpoint that was made of it.
    """

    description: str
    endpoint: IStreamServerEndpoint

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See L{IStreamServerEndpoint}.
        """
        return self.endpoint.listen(protocolFactory)


def descriptionOf(endpoint: IStreamServerEndpoint) -> str:
    """
    Return what a message calls an endpoint: its description if it has one, or
    else the name of its class.
    """
    if isinstance(endpoint, DescribedEndpoint):
        return endpoint.description
    return type(endpoint).__name__


def makeEndpoint(
    reactor: Any,
    description: str,
    inherited: int | None = None,
    room: Callable[[], int] | None = None,
) -> DescribedEndpoint:
    """
    Make an endpoint of its description.

    @param description: An endpoint, as C{--listen} takes it.

    @param inherited: The descriptor of a socket that another process has bound
        to this address and that listens already.  Nothing is bound then.  The
        descriptor is closed when the endpoint listens: the port has its own.

    @param room: As for L{AcceptShare}, where other processes accept from that socket.

    @raise ConfigurationError: If the text says all that the user needs to make it
        work.

    @raise ValueError: If it is not the description of an endpoint.  Some kinds
        of endpoint raise other exceptions, too.
    """
    used = (
        QueueingReactor(reactor)
        if inherited is None
        else InheritingReactor(reactor, inherited, room)
    )
    return DescribedEndpoint(description, _parse(used, description))


def _parse(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    Make an endpoint of its description, as Twisted does, but for the kinds that
    comet has a better one of.
    """
    kind, _, rest = description.partition(":")
    if kind == "haproxy":
        return ProxiedEndpoint(_parse(reactor, rest))
    if kind == "ssl":
        _needTLS()
        reactor = RenewingReactor(reactor, description)
    if kind != "systemd":
        made: IStreamServerEndpoint = serverFromString(reactor, description)
        # Twisted asks the system only when it listens, and the answer is a traceback.
        port = getattr(made, "_port", None)
        if isinstance(port, int) and not 0 <= port <= MAX_PORT:
            raise ConfigurationError(f"{str(port)[:64]} is no port; 0 to {MAX_PORT} are")
        return made
    options = dict(_option(each) for each in rest.split(":"))
    unknown = options.keys() - {"domain", "index", "name"}
    if unknown or "domain" not in options:
        raise ConfigurationError(
            "'systemd:domain=INET:index=0' and 'systemd:domain=UNIX:name=http' are"
        )
    if isinstance(reactor, InheritingReactor):
        return _InheritedEndpoint(reactor)
    return systemdEndpoint(reactor, **options)


def _needTLS() -> None:
    """
    Refuse to serve TLS without the packages for it.

    @raise ConfigurationError: If they are not installed.
    """
    try:
        # They are not installed with comet, but with an extra.
        import twisted.internet.ssl  # noqa: F401
    except ImportError:
        raise ConfigurationError(
            "it needs packages that are not installed: pip install 'comet-push[tls]'"
        ) from None


def _option(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


@implementer(IStreamServerEndpoint)
@frozen
class _InheritedEndpoint:
    """
    The endpoint of a socket of systemd's that the parent has bound.
    """

    reactor: InheritingReactor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See L{IStreamServerEndpoint}.
        """
        return maybeDeferred(self.reactor.adopt, protocolFactory)
