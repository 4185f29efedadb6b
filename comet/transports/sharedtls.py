"""
TLS whose work is shared: handshakes and what clients send are decrypted within the
time of a turn.  What a tick has joined is encrypted as one record, and sent at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Server
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from comet.framing.tlsrecords import MOST_SILENT, RecordCounter
from comet.reactor.clientpace import ClientPace
from comet.reactor.plainsockets import isEmpty, isPlain, sendPlain
from comet.reactor.returning import BEGINNING, RETURNING
from comet.reactor.turns import Turns
from comet.transports.connected import connectionFailed
from comet.transports.sinks import IPromptTransport

if TYPE_CHECKING:
    from ssl import SSLContext

# How much is taken at once of what is encrypted: two records.
_RECORDS: Final = 2**15

# After how many bytes the clock is looked at, and what had no text is counted.
_COUNTED: Final = 4096

# The protocol that this version of Twisted has for it.
_TLSProtocol: Any = TLSMemoryBIOFactory.protocol


@runtime_checkable
class ServerContexts(Protocol):
    """
    A context factory that makes contexts of the standard library's TLS, too.
    """

    @property
    def hasServerContext(self) -> bool:
        """
        Whether it can.
        """

    def getServerContext(self, protocols: Sequence[str]) -> SSLContext:
        """
        Return the context for the next connection.

        @param protocols: What ALPN may negotiate, best first: always the same.
        """


@implementer(IPromptTransport)
class SharedTLSProtocol(_TLSProtocol):  # type: ignore[misc]
    """
    The TLS of one connection.  A handshake takes a millisecond, and many clients may
    begin one in the same moment: they are read behind others
    (L{comet.reactor.returning}), and once the time of the turn is spent, what comes in
    waits for another turn, and its connection is not read meanwhile.  A client that goes on
    telling TLS something, such as to take other keys, is cut.
    """

    factory: SharedTLSFactory

    # Any: any transport that can be paused.
    transport: Any

    # Whether the client asks for little.
    _pace: ClientPace

    # Which records had no text.
    _records: RecordCounter

    # Input that waits for another turn.
    _early: bytes | None = None
    # Whether the wrapped protocol wants no input.
    _isStopped = False
    # Whether the client has sent nothing but what TLS says.
    _isBeginning = True
    # Whether what is encrypted may be sent past the transport.
    _isDirect = False

    def makeConnection(self, transport: Any) -> None:
        """
        Begin TLS.
        """
        self._isDirect = isPlain(transport, Server)
        self._records = RecordCounter()
        self._pace = ClientPace(self.factory.turns)
        BEGINNING.set(transport, True)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Decrypt input, or leave it for another turn.
        """
        self._pace.size += len(data)
        if self._early is not None:
            self._early += data
        elif self.factory.turns.isSpent:
            isBehind = self._isBeginning or RETURNING.isSet(self.transport)
            self._wait(data, self._pace.isLight and not isBehind)
        else:
            self._decrypt(data)

    def _wait(self, data: bytes, isLight: bool = False) -> None:
        """
        Leave input for another turn.

        @param isLight: See L{Turns.later<comet.reactor.turns.Turns.later>}.
        """
        self._early = data
        self.transport.pauseProducing()
        self.factory.turns.later(self._goOn, isLight)

    def _decrypt(self, data: bytes) -> None:
        """
        Decrypt input for a share of time, and leave the rest for another turn.
        """
        turns = self.factory.turns
        begun = turns.seconds()
        over, at = begun + turns.share, 0
        try:
            while not self._lostTLSConnection:
                part = data[at : at + _COUNTED] if len(data) > _COUNTED else data
                at += _COUNTED
                self._records.take(part)
                isShaken = self._handshakeDone
                super().dataReceived(part)
                if not isShaken:
                    # Those of the handshake.
                    self._records.silent = 0
                elif self.factory.isCounting and self._records.silent > MOST_SILENT:
                    self.abortConnection()
                    break
                if at >= len(data):
                    break
                if turns.seconds() >= over:
                    self._wait(data[at:])
                    break
        finally:
            self._pace.worked(begun, self._early is None)

    def _goOn(self) -> None:
        """
        Decrypt what has waited for this turn.
        """
        data, self._early = self._early, None
        if data is None:
            # The connection is lost.
            return
        try:
            if not self._isStopped:
                self.transport.resumeProducing()
            self._decrypt(data)
        except Exception:
            # As the reactor does with what a protocol raises.
            connectionFailed(self.transport)

    def _flushReceiveBIO(self) -> None:
        """
        Deliver what is decrypted, and send what TLS says to it by itself.
        """
        while not self._lostTLSConnection:
            try:
                text = self._tlsConnection.recv(_RECORDS)
            except WantReadError:
                break
            except ZeroReturnError:
                # The client has ended its side.
                self._shutdownTLS()
                self._tlsShutdownFinished(None)
            except Error:
                self._tlsShutdownFinished(Failure())
            else:
                # Each call returns the text of one record.
                self._records.silent -= 1
                if self._isBeginning:
                    self._isBeginning = False
                    BEGINNING.set(self.transport, False)
                if not self._aborted:
                    ProtocolWrapper.dataReceived(self, text)
        self._flushSendBIO()

    def writeNow(self, data: bytes) -> None:
        """
        See L{IPromptTransport.writeNow<comet.transports.sinks.IPromptTransport.writeNow>}.
        """
        # What was written before and waits for the turn's end goes first.
        self._aggregator.flush()
        TLSMemoryBIOProtocol.write(self, data)

    def _flushSendBIO(self) -> None:
        """
        Send what is encrypted, and give the transport below what the socket does not take.
        """
        try:
            data = self._tlsConnection.bio_read(_RECORDS)
        except WantReadError:
            return
        transport = self.transport
        if self._isDirect and isEmpty(transport):
            sent = sendPlain(transport, data)
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        """
        TLS is over.

        @param reason: Why, unless both sides have ended it.
        """
        if reason is not None:
            # The frames of its traceback have it, and the connection with its TLS: they
            # would stay until the collector finds them, which may be never.
            reason.cleanFailure()
        super()._tlsShutdownFinished(reason)

    def pauseProducing(self) -> None:
        """
        Deliver nothing more: the wrapped protocol asks for this.
        """
        self._isStopped = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Deliver again: the wrapped protocol asks for this.
        """
        self._isStopped = False
        if self._early is None:
            self.transport.resumeProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Drop what waits.
        """
        self._early = None
        super().connectionLost(reason)


class SharedTLSFactory(TLSMemoryBIOFactory):
    """
    Speaks TLS in front of a factory.

    @cvar isCounting: Whether records without text are counted here.

    @ivar turns: The shares of time.

    @ivar serverContexts: Makes contexts of the standard library's TLS for the lean edge;
        L{None} if the endpoint has none, and Twisted's edge has to serve it.
    """

    protocol = SharedTLSProtocol
    isCounting = True

    def __init__(
        self, contextFactory: Any, wrappedFactory: Any, turns: Turns, clock: Any = None
    ) -> None:
        """
        @param clock: Tells when a turn ends, for what is written in several parts; by
            default the reactor.
        """
        super().__init__(contextFactory, False, wrappedFactory, clock)
        self.turns = turns
        made = isinstance(contextFactory, ServerContexts) and contextFactory.hasServerContext
        self.serverContexts: ServerContexts | None = contextFactory if made else None


def encrypted(contextFactory: Any, factory: Any) -> Any:
    """
    Put TLS in front of a factory.

    @param factory: If it, or one that it wraps, has an attribute C{turns}, the TLS
        shares its L{Turns}.
    """
    inner = factory
    while inner is not None:
        turns = getattr(inner, "turns", None)
        if isinstance(turns, Turns):
            return SharedTLSFactory(contextFactory, factory, turns)
        inner = getattr(inner, "wrappedFactory", None)
    return TLSMemoryBIOFactory(contextFactory, False, factory)
