"""
What the tests of hooks share: a backend that answers when a test does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from attrs import define, evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from comet.hooks.hooksettings import HookSettings
from comet.hooks.sender import HookSender
from comet.http.credentials import Credentials
from comet.reactor.timers import TimerWheel
from tests.access.case import headOf

SECRET = bytes(range(32))
SETTINGS = HookSettings("http://127.0.0.1:9/hook", (SECRET,), ("cookie",))

# When the tests begin, in seconds since 1970.
NOW = 1_800_000_000.0


class FakeResponse:
    """
    The head of an answer; its body comes when a test gives it.
    """

    def __init__(self, code: int = 200, length: object = UNKNOWN_LENGTH) -> None:
        self.code = code
        self.length = length
        self.transport = StringTransport()
        self.protocol: Any = None

    def deliverBody(self, protocol: Any) -> None:
        """
        Note where the body goes.
        """
        self.protocol = protocol
        protocol.makeConnection(self.transport)

    def give(self, body: bytes, reason: Exception | None = None) -> None:
        """
        Give the body, and end it.
        """
        self.protocol.dataReceived(body)
        self.protocol.connectionLost(Failure(ResponseDone() if reason is None else reason))


@define
class Sent:
    """
    A request that the backend has got.

    @ivar answer: What C{agent.request} has returned.
    """

    method: bytes
    url: bytes
    headers: Headers
    body: bytes
    answer: Deferred[Any]
    isCancelled: bool = False

    @property
    def json(self) -> Any:
        """
        The body.
        """
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """
        Return a header that came once.
        """
        (value,) = self.headers.getRawHeaders(name) or [""]
        return value

    def reply(self, value: object, code: int = 200) -> None:
        """
        Answer at once.
        """
        response = FakeResponse(code)
        self.answer.callback(response)
        if code == 200:
            response.give(value if isinstance(value, bytes) else json.dumps(value).encode())


@implementer(IAgent)
class FakeBackend:
    """
    Keeps the requests.
    """

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.error: Exception | None = None

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        See L{IAgent}.
        """
        if self.error is not None:
            raise self.error
        consumer = StringTransport()
        assert bodyProducer is not None and headers is not None
        bodyProducer.startProducing(cast(Any, consumer))

        def cancel(answer: object) -> None:
            sent.isCancelled = True

        answer: Deferred[Any] = Deferred(cancel)
        sent = Sent(method, uri, headers, consumer.value(), answer)
        self.sent.append(sent)
        return answer


class HookTestCase(SynchronousTestCase):
    """
    A sender, with a clock that stands still.
    """

    def setUp(self) -> None:
        """
        Make the sender.
        """
        self.clock = Clock()
        self.clock.advance(NOW)
        self.wheel = TimerWheel(self.clock)
        self.backend = FakeBackend()
        self.makeSender()

    def makeSender(self, **changes: Any) -> HookSender:
        """
        Make the sender anew, with other settings.
        """
        self.sender = HookSender(
            evolve(SETTINGS, **changes),
            self.backend,
            self.wheel,
            self.clock.seconds,
            self.clock.seconds,
        )
        return self.sender

    @property
    def sent(self) -> list[Sent]:
        """
        The requests that the backend has got.
        """
        return self.backend.sent

    def warnings(self) -> list[Mapping[str, Any]]:
        """
        Return what was logged of failures since L{watchLog}.
        """
        return [each for each in self._events if "gave no answer" in str(each.get("log_format"))]

    def watchLog(self) -> None:
        """
        Keep what is logged from now on.
        """
        self._events: list[Mapping[str, Any]] = []
        observer = cast(Any, self._events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)


def showing(
    *headers: tuple[str, str], address: str = "192.0.2.1", query: str = "", cookies: bool = True
) -> Credentials:
    """
    Make what a request shows.
    """
    return Credentials("poll", headOf(*headers, query=query), lambda: address, takesCookies=cookies)
