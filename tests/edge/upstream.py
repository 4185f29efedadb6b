"""
Twisted's own tests of its HTTP channel, run against comet's: which tests are left
out and why, and how the others are made to use comet's channel.

All other tests run, also those that a later Twisted may add.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, Final
from unittest import TestCase

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test import test_http

from comet.web.site import CometSite
from tests.edge.leanchannel import OURS, ClientEnd, LeanChannel, LeanServer
from tests.edge.standins import (
    BoundedChannel,
    Module,
    PlainChannel,
    makeChannel,
    makeSite,
    turningWith,
)
from tests.lean.handreactor import HandReactor

# Whole classes, or single tests, each with the reason.  An inherited test is named
# by the class that defines it.
_ALONE: Final = "a request or a decoder on its own, to which no channel is connected"
_CLIENT: Final = "a client"
_NOT_HTTP: Final = "functions that no channel has a part in"
_LIMITS: Final = "sends no whole head; comet answers at its end, to tell the page that asked"
LEFT_OUT: Final[Mapping[str, str]] = {
    "ParsingTests.test_headersTooBigInitialCommand": _LIMITS,
    "ParsingTests.test_headersTooBigOtherHeaders": _LIMITS,
    "ChunkedTransferEncodingTests": _ALONE,
    "IdentityTransferEncodingTests": _ALONE,
    "DeprecatedRequestAttributesTests": _ALONE,
    "RequestTests": _ALONE,
    "ClientStatusParsingTests": _CLIENT,
    "HTTPClientDeprecationTests": _CLIENT,
    "HTTPClientSanitizationTests": _CLIENT,
    "MultilineHeadersTests": _CLIENT,
    "DateTimeTests": _NOT_HTTP,
    "QueryArgumentsTests": _NOT_HTTP,
    "ChunkingTests.testChunks": _NOT_HTTP,
    "ChunkingTests.testConcatenatedChunks": _NOT_HTTP,
    "GenericHTTPChannelTests": "what Twisted puts in front of its channel, and comet does not",
    "HTTP0_9Tests.test_noPipelining": "Twisted skips it",
}

# Tests that speak to a channel although their class is left out.
TAKEN: Final[frozenset[str]] = frozenset(
    {
        "RequestTests.test_finishCleansConnection",
        "RequestTests.test_requestBodyTimeoutFromFactory",
    }
)

# Tests that are left out only where the channel is behind a lean edge.
_CALLED: Final = "calls the channel where a client would have to say something"
_PRODUCER: Final = "calls the channel as a transport does, and looks what it has registered there"
_SLOW: Final = "needs a client that does not let the connection be closed"
LEFT_OUT_BEHIND: Final[Mapping[str, str]] = {
    "ChunkingTests.test_chunkedResponses": _CALLED,
    "HTTPChannelSanitizationTests": _CALLED,
    "PersistenceTests": _CALLED,
    "SecurityTests": _CALLED,
    "ChannelProductionTests.test_HTTPChannelCanUnregisterWithNoProducer": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelIsAProducer": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelPropagatesPausedProductionToRequest": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelPropagatesProducingFromTransportToTransport": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelRejectsMultipleProducers": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelStaysPausedWhenRequestCompletes": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelStopRequestProducer": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelStopWithNoRequestOutstanding": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelToleratesDataWhenTransportPaused": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelUnregistersSelfWhenCallingLoseConnection": _PRODUCER,
    "ChannelProductionTests.test_HTTPChannelUnregistersSelfWhenTimingOut": _PRODUCER,
    "HTTP1_0Tests.test_connectionLostAfterForceClose": _SLOW,
    "HTTP1_0Tests.test_transportForciblyClosed": _SLOW,
    "HTTP1_0Tests.test_transportNotAbortedAfterConnectionLost": _SLOW,
    "HTTP1_0Tests.test_transportNotAbortedWithZeroAbortTimeout": _SLOW,
}

# Twisted's requests parse forms and keep bodies in files; comet's do neither.
# These tests run with Twisted's requests on comet's channel.
WITH_TWISTEDS_REQUESTS: Final[frozenset[str]] = frozenset(
    {
        "ChunkingTests.test_multipartFormData",
        "ParsingTests.test_chunkedEncoding",
        "ParsingTests.test_formPOSTRequest",
        "ParsingTests.test_multipartFilesData",
        "ParsingTests.test_multipartFormData",
        "ParsingTests.test_multipartProcessingFailure",
    }
)


def isNamed(names: Container[str], case: type, test: str) -> bool:
    """
    Whether the names contain a test, or a class that it is in.
    """
    return any(
        kind.__name__ in names or f"{kind.__name__}.{test}" in names for kind in case.__mro__
    )


# How Twisted refuses what is no request.
BARE_REFUSAL: Final = b"HTTP/1.1 400 Bad Request\r\n\r\n"


# Tests of a refusal for which comet has a status of its own.
STATUSES: Final[Mapping[str, bytes]] = {"ParsingTests.test_tooManyHeaders": b"431"}


def _bare(data: bytes, status: bytes) -> bytes:
    """
    Return what Twisted would have said, if this is one refusal of comet's with
    this status and with its body, after which the connection ends; else the same.
    """
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    isRefusal = (
        lines[0].startswith(b"HTTP/1.1 %b " % status)
        and b"Content-Type: application/problem+json" in lines
        and b"Content-Length: %d" % len(body) in lines
        and b"Connection: close" in lines
    )
    return BARE_REFUSAL if isRefusal else data


class UpstreamTestCase(SynchronousTestCase):
    """
    A test of Twisted's with comet's channel on one of the edges: its name
    C{http} is bound to L{Module} instead of C{twisted.web.http}.

    @cvar leftOut: The classes and tests that are left out on this edge.
    """

    leftOut: Container[str] = LEFT_OUT

    def setUp(self) -> None:
        """
        Put comet's channel in the place of Twisted's.
        """
        if self.isLeftOut(self._testMethodName):
            # This happens only if trial runs a whole class by its name.
            self.fail("this test is left out")
        isTwisteds = isNamed(WITH_TWISTEDS_REQUESTS, type(self), self._testMethodName)
        kind = PlainChannel if isTwisteds else BoundedChannel
        self.patch(test_http, "http", Module(*self.place(kind)))
        super().setUp()

    def assertEqual(self, first: Any, second: Any, msg: object = None) -> Any:
        """
        Compare, where Twisted's bare C{400} stands for a refusal of comet's, which
        has a body that says why.
        """
        if second == BARE_REFUSAL and isinstance(first, bytes):
            names = (f"{kind.__name__}.{self._testMethodName}" for kind in type(self).__mro__)
            status = next((STATUSES[name] for name in names if name in STATUSES), b"400")
            first = _bare(first, status)
        return super().assertEqual(first, second, msg)

    @classmethod
    def isLeftOut(cls, test: str) -> bool:
        """
        Whether a test is left out.
        """
        return isNamed(cls.leftOut, cls, test) and not isNamed(TAKEN, cls, test)

    def place(self, kind: type[PlainChannel]) -> tuple[CometSite, Callable[[], Any]]:
        """
        Make a site, and a function that makes its channels.

        @param kind: The class of the channels.
        """
        raise NotImplementedError

    def atOnce(self) -> None:
        """
        Feed all bytes at once where a test feeds them one by one.
        """
        self.patch(test_http, "iterbytes", lambda data: [data])


class Ordinary(UpstreamTestCase):
    """
    The channel of comet's site, on a transport in memory.
    """

    def place(self, kind: type[PlainChannel]) -> tuple[CometSite, Callable[[], Any]]:
        """
        See L{UpstreamTestCase.place}.
        """
        reactor = HandReactor()
        site = makeSite(reactor, kind)
        self.patch(test_http, "StringTransport", turningWith(reactor))
        answer = test_http.DelayedHTTPHandler.delayedProcess

        def answerAndTurn(request: Any) -> None:
            # The next request in the input comes to the channel in another turn.
            answer(request)
            reactor.advance(0)

        self.patch(test_http.DelayedHTTPHandler, "delayedProcess", answerAndTurn)
        return site, lambda: makeChannel(site)


class OrdinaryAtOnce(Ordinary):
    """
    The channel of comet's site, on a transport in memory, fed all bytes at once.
    """

    def setUp(self) -> None:
        """
        See L{UpstreamTestCase.setUp}.
        """
        self.atOnce()
        super().setUp()


class Lean(UpstreamTestCase):
    """
    The channel of comet's site behind a lean edge, on loopback.

    @cvar first: A request to the lean edge that the client sends first.

    @cvar isCut: Whether the client sends byte by byte.
    """

    leftOut: Container[str] = LEFT_OUT.keys() | LEFT_OUT_BEHIND.keys()
    first = b""
    isCut = False

    def place(self, kind: type[PlainChannel]) -> tuple[CometSite, Callable[[], Any]]:
        """
        See L{UpstreamTestCase.place}.
        """
        server = LeanServer(kind)
        self.addCleanup(server.stop)
        self.addCleanup(self.assertNothingLost, server)
        self.patch(test_http, "StringTransport", ClientEnd)
        return server.site, lambda: LeanChannel(server, self.first, self.isCut)

    def assertNothingLost(self, server: LeanServer) -> None:
        """
        Check that the client's bytes came to the channel unchanged.
        """
        for connection in server.connections.values():
            self.assertEqual(connection.lost(), "")


class LeanCut(Lean):
    """
    The channel behind a lean edge, with a client that sends byte by byte.
    """

    isCut = True


class LeanAtOnce(Lean):
    """
    The channel behind a lean edge, with a client that sends all bytes at once.
    """

    def setUp(self) -> None:
        """
        See L{UpstreamTestCase.setUp}.
        """
        self.atOnce()
        super().setUp()


class LeanAfterOurs(LeanAtOnce):
    """
    The channel behind a lean edge, with bytes that come together with a request
    that the lean edge answers.
    """

    first = OURS


EDGES: Final = (Ordinary, OrdinaryAtOnce, Lean, LeanCut, LeanAtOnce, LeanAfterOurs)


def upstreamClasses(edge: type[UpstreamTestCase], module: str) -> Iterator[type[UpstreamTestCase]]:
    """
    Yield the classes of Twisted's tests, on one edge.

    @param module: The name of the module in which they can be found.
    """
    for case in list(vars(test_http).values()):
        if (
            isinstance(case, type)
            and issubclass(case, TestCase)
            and case.__module__ == test_http.__name__
        ):
            yield type(f"{edge.__name__}{case.__name__}", (edge, case), {"__module__": module})


def upstreamTests(case: type[UpstreamTestCase]) -> Iterator[TestCase]:
    """
    Yield the tests of a class that are not left out.
    """
    for name in sorted(dir(case)):
        if name.startswith("test") and not case.isLeftOut(name):
            yield case(name)
