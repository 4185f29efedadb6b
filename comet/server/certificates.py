"""
Certificates of C{ssl:} endpoints: sent with their chain, and read again when their
files change.

A certificate lives for weeks, and the server should for longer.  The files are
looked at when a client connects, so a new certificate needs no signal and no
restart; connections that are open keep the one that they began with.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

if TYPE_CHECKING:
    from ssl import SSLContext

_COLON: Final = re.compile(r"(?<!\\):")
_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n.+?\r?\n-----END CERTIFICATE-----", re.DOTALL
)

# The arguments of an endpoint, in the order that they have without their names; and
# those that name files.
_ARGUMENTS: Final = (
    "port",
    "privateKey",
    "certKey",
    "sslmethod",
    "interface",
    "backlog",
    "extraCertChain",
    "dhParameters",
)
_FILES: Final[tuple[str, ...]] = ("privateKey", "certKey", "extraCertChain", "dhParameters")

# Twisted's default for C{privateKey}.
_KEY: Final = "server.pem"


class RenewingReactor:
    """
    A reactor whose TLS ports read their certificates again when these change.
    """

    def __init__(self, reactor: Any, description: str) -> None:
        """
        @param description: The endpoint.
        """
        self._reactor = reactor
        self._description = description

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        renewed = RenewedContext(self._description)
        return self._reactor.listenSSL(port, factory, renewed, *args, **kwargs)


@implementer(IOpenSSLContextFactory)
class RenewedContext:
    """
    The TLS context of an endpoint, which is made again when its files change.
    """

    _log = Logger()

    def __init__(self, description: str) -> None:
        """
        @param description: The endpoint, as C{--listen} takes it.

        @raise Exception: If a file cannot be read, or does not hold what it should.
        """
        kind, *given = _COLON.split(description)
        arguments = {"privateKey": _KEY}
        for place, each in enumerate(given):
            name, equals, value = each.partition("=")
            arguments[name if equals else _ARGUMENTS[place]] = _unquoted(value if equals else each)
        # The working directory may be another one later.
        found = [name for name in _FILES if name in arguments]
        self._files = {name: os.path.abspath(arguments[name]) for name in found}
        arguments.update(self._files)
        quoted = [f"{name}={quoteStringArgument(value)}" for name, value in arguments.items()]
        self._description = ":".join([kind, *quoted])
        self._stamp = self._look()
        self._context = self._make()
        self._isOrdinary = "sslmethod" not in arguments
        self._server: SSLContext | None = None
        self._serverIsOf: Any = None

    def getContext(self) -> Any:
        """
        Return the context for the next connection.
        """
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._make()
            except Exception as error:
                # Half of the files may be new already.  The old context is in
                # memory, and serves until they can be read.
                self._logUnusable(error)
            else:
                self._log.info("{path} was read again", path=self._certificate)
        return self._context

    def _logUnusable(self, error: Exception) -> None:
        self._log.error(
            "the new certificate of {files} cannot be used, so the old one is: {error!r}",
            files=", ".join(self._files.values()),
            error=error,
        )

    @property
    def hasServerContext(self) -> bool:
        """
        See L{ServerContexts.hasServerContext
        <comet.transports.sharedtls.ServerContexts.hasServerContext>}: a method of Twisted's
        may be anything.
        """
        return self._isOrdinary

    def getServerContext(self, protocols: Sequence[str]) -> SSLContext:
        """
        See L{ServerContexts.getServerContext
        <comet.transports.sharedtls.ServerContexts.getServerContext>}.
        """
        context = self.getContext()
        if self._server is None or self._serverIsOf is not context:
            try:
                self._server = self._makeServer(protocols)
            except Exception as error:
                if self._server is None:
                    raise
                self._logUnusable(error)
            self._serverIsOf = context
        return self._server

    def _makeServer(self, protocols: Sequence[str]) -> SSLContext:
        """
        Make a context of the standard library's of the files as they are now.
        """
        # A server without TLS should not have to load it.
        from ssl import OP_NO_RENEGOTIATION, PROTOCOL_TLS_SERVER, SSLContext, TLSVersion

        context = SSLContext(PROTOCOL_TLS_SERVER)
        context.minimum_version = TLSVersion.TLSv1_2
        context.options |= OP_NO_RENEGOTIATION
        # For a second one, which few clients use, each connection would pay.
        context.num_tickets = 1
        files = self._files
        with TemporaryDirectory() as directory:
            certificate = self._certificate
            if "extraCertChain" in files:
                certificate = os.path.join(directory, "chain.pem")
                _joinChain(self._certificate, files["extraCertChain"], certificate)
            # Without a password it would ask at the terminal.
            context.load_cert_chain(certificate, files["privateKey"], password=str)
        if "dhParameters" in files:
            context.load_dh_params(files["dhParameters"])
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    @property
    def _certificate(self) -> str:
        return self._files.get("certKey", self._files["privateKey"])

    def _look(self) -> list[tuple[int, int] | None]:
        """
        Return what differs once a file has changed.
        """
        return [_stampOf(path) for path in self._files.values()]

    def _make(self) -> Any:
        """
        Make a context of the files as they are now.
        """
        caught = _CatchingReactor()
        serverFromString(caught, self._description).listen(Factory())
        options = caught.contextFactory
        if "extraCertChain" not in self._files:
            options.extraCertChain = _chainOf(self._certificate)
        return options.getContext()


class _CatchingReactor:
    """
    A reactor that does not listen, but keeps the context that it would serve with.
    """

    contextFactory: Any = None

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, *args: Any, **kwargs: Any
    ) -> None:
        """
        See L{IReactorSSL<twisted.internet.interfaces.IReactorSSL>}.
        """
        self.contextFactory = contextFactory


def _chainOf(path: str) -> list[Any]:
    """
    Return the certificates that follow the first one in a file.
    """
    from twisted.internet.ssl import Certificate

    with open(path, "rb") as file:
        found = _CERTIFICATE.findall(file.read())
    return [Certificate.loadPEM(each).original for each in found[1:]]


def _joinChain(certificate: str, others: str, path: str) -> None:
    """
    Write the first certificate of a file, and all of another one, to a third.
    """
    with open(certificate, "rb") as first, open(others, "rb") as rest, open(path, "wb") as chain:
        chain.write(_CERTIFICATE.findall(first.read())[0] + b"\n" + rest.read())


def _stampOf(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)
