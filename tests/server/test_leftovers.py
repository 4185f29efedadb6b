"""
Tests of applications that stop their service: neither timers nor sockets,
threads or Deferreds are left, on any bus.

They run in trial's reactor, as the tests of an application do.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from comet.access.rights import Access
from comet.bus.memory.bus import MemoryBus
from comet.bus.redis.bus import RedisBus
from comet.bus.redis.urls import parseURL
from comet.bus.sqlite.bus import SQLiteBus
from comet.errors import Unavailable
from comet.fanout.reader import Reader
from comet.fanout.states import State
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.interfaces.messagebus import IMessageBus
from comet.interfaces.receiver import IReceiver
from comet.lean.reactor import LeanReactor
from comet.model.cursors import Cursor
from comet.model.messages import Close, Message
from comet.reactor.clocks import steadyClock
from comet.reactor.deferreds import gather
from comet.server.demo.pair import PairEndpoint
from comet.server.demo.visits import Demo
from comet.server.describedendpoints import makeEndpoint
from comet.server.service import CometService
from comet.transports.flashpolicy import FlashPolicyFactory
from comet.transports.tcp import CometFactory
from comet.web.resources import CometResource
from comet.web.site import CometSite
from tests.redisserver import RedisServer

# How many seconds the service gives its clients to leave.
DRAIN = 0.3


def reactor() -> Any:
    """
    Return the reactor in which the tests run.
    """
    from twisted.internet import reactor

    return reactor


def portOf(port: Any) -> int:
    """
    Return the number of a port.
    """
    number: int = port.getHost().port
    return number


@implementer(IReceiver)
class Receiver:
    """
    A receiver of an application, which notes what it hears.
    """

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.closed: list[Close] = []

    def subscriptionOpened(self, subscription: object) -> None:
        """
        See L{IReceiver.subscriptionOpened}.
        """

    def messageReceived(self, message: Message, replay: bool) -> None:
        """
        Note the message.
        """
        self.heard.append(message.payload)

    def gapFound(self, cursor: Cursor, names: Sequence[str]) -> None:
        """
        Note the gap.
        """
        self.heard.append(names)

    def subscriptionClosed(self, close: Close) -> None:
        """
        Note the reason.
        """
        self.closed.append(close)


class Visitor(Protocol):
    """
    A client that says something, and stays until the server closes.

    @ivar answered: Fires when the server has said something.

    @ivar left: Fires when the connection is closed.
    """

    # Any: a test makes it pause.
    transport: Any

    def __init__(self, said: bytes, reads: bool = True) -> None:
        self.answered: Deferred[None] = Deferred()
        self.left: Deferred[None] = Deferred()
        self._said = said
        self._reads = reads

    def connectionMade(self) -> None:
        """
        Say it.
        """
        self.transport.write(self._said)

    def dataReceived(self, data: bytes) -> None:
        """
        Note that the server has said something.
        """
        if not self.answered.called:
            self.answered.callback(None)
        if not self._reads:
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note the end.
        """
        self.left.callback(None)


def get(target: str, *headers: str) -> bytes:
    """
    Make a request of HTTP/1.1.
    """
    lines = (f"GET {target} HTTP/1.1", "Host: localhost", *headers, "", "")
    return "\r\n".join(lines).encode()


KEY = base64.b64encode(bytes(16)).decode()

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")

READING = [
    *(get(f"/channels/a?transport={each}") for each in ("sse", "stream", "iframe", "multipart")),
    get("/channels/a", *UPGRADE, f"Sec-WebSocket-Key: {KEY}"),
]

# The last one reads no channel yet.
ENDLESS = [*READING, get("/socket", *UPGRADE, f"Sec-WebSocket-Key: {KEY}")]

# Not answered before there is a message.
HELD = [
    get("/channels/a?transport=longpoll&wait=30"),
    get("/channels/a?transport=jsonp&callback=f&wait=30", "Sec-Fetch-Site: same-origin"),
]

# Answered at once, and then the connection is idle; or nothing is asked.
IDLE = [get("/health"), get("/channels/a?transport=poll")]


def isBehind(reader: object) -> bool:
    """
    Whether a reader's client has not taken what was written to it.
    """
    return isinstance(reader, Reader) and reader.state is State.BEHIND


class LeftoverTests(TestCase):
    """
    The memory bus.
    """

    timeout = 60

    def setUp(self) -> Any:
        """
        @return: Fires when the reactor runs.
        """
        running: Deferred[None] = Deferred()
        reactor().callWhenRunning(running.callback, None)
        return running

    def left(self) -> dict[str, set[object]]:
        """
        Return the delayed calls, the descriptors and the threads.
        """
        # The clock is the reactor itself, if that keeps steady time.
        scheduled: set[Any] = {
            *reactor().getDelayedCalls(),
            *steadyClock(reactor()).getDelayedCalls(),
        }
        # Trial's own calls end a test that takes too long.
        calls = {
            each
            for each in scheduled
            if not getattr(each, "func", self.left).__module__.startswith("twisted.trial")
        }
        return {
            "calls": {each for each in calls if each.active()},
            "readers": set(reactor().getReaders()),
            "writers": set(reactor().getWriters()),
            "threads": {each for each in threading.enumerate() if each.name.startswith("comet")},
        }

    async def assertNothingLeft(self) -> None:
        """
        Assert that all is gone that came with the service.
        """
        left = self.left()
        # A thread that was told to end is seen for some microseconds.
        for thread in left.pop("threads") - self.before["threads"]:
            assert isinstance(thread, threading.Thread)
            thread.join(30)
            self.assertFalse(thread.is_alive(), thread)
        for kind, found in left.items():
            self.assertEqual(found - self.before[kind], set(), kind)

    def makeBus(self) -> IMessageBus:
        """
        Make the bus.
        """
        return MemoryBus(reactor())

    def makeHub(self) -> Hub:
        """
        Make a hub, and note what there was before.
        """
        self.before = self.left()
        return Hub(self.makeBus(), reactor(), Settings(heartbeat=5.0), Access(None, ["**"]))

    async def start(self, hub: Hub, served: Sequence[Any] = ()) -> CometService:
        """
        Start the service of a hub, and wait until it accepts connections.
        """
        listening: Deferred[CometService] = Deferred()
        service = CometService(hub, served, DRAIN, listening.callback)
        service.startService()
        await listening
        return service

    async def visit(self, port: int, said: bytes, reads: bool = True) -> Visitor:
        """
        Connect, and say something.
        """
        endpoint = TCP4ClientEndpoint(reactor(), "127.0.0.1", port)
        visitor: Visitor = await connectProtocol(endpoint, Visitor(said, reads))
        return visitor

    async def test_subscription(self) -> None:
        """
        An application that publishes, subscribes, and stops its service at
        once leaves nothing.
        """
        hub = self.makeHub()
        service = await self.start(hub)
        receiver = Receiver()
        await hub.subscribe(["a", "b/*"], "now", receiver)
        for number in range(3):
            await hub.publish("a", number, key=f"{number}")
        self.assertEqual(receiver.heard, [b"0", b"1", b"2"])
        await service.stopService()
        await self.assertNothingLeft()
        self.assertEqual([each.code for each in receiver.closed], ["draining"])

    async def test_unsubscribed(self) -> None:
        """
        A subscription that ended before the service stops leaves nothing, and
        neither does one that reads older messages.
        """
        hub = self.makeHub()
        service = await self.start(hub)
        for number in range(3):
            await hub.publish("a", number)
        for since in ("now", "earliest", "-2"):
            subscription = await hub.subscribe("a", since, Receiver())
            subscription.unsubscribe()
        await service.stopService()
        await self.assertNothingLeft()

    async def test_demo(self) -> None:
        """
        The readers of the lab page, which the server connects to itself, leave
        nothing, whether they are connected or cut.
        """
        hub = self.makeHub()
        service = await self.start(hub)
        Demo(hub, PairEndpoint(reactor(), CometFactory(hub))).start()
        reports = Receiver()
        await hub.subscribe(["$lab/tcp/a", "$lab/tcp/b"], "now", reports)
        for visit in "ab":
            await hub.publish(f"lab/{visit}/tcp", str(hub.end))
            await hub.publish(f"lab/{visit}", "to be read")
        while sum(b"to be read" in str(each).encode() for each in reports.heard) < 2:
            await self.turn()
        await hub.publish("lab/b/tcp", False)
        await service.stopService()
        await self.turn()
        await self.assertNothingLeft()

    async def test_stopsAsItStarts(self) -> None:
        """
        A service that is stopped before it has started leaves nothing.
        """
        service = CometService(self.makeHub(), [], DRAIN)
        service.startService()
        await service.stopService()
        await self.assertNothingLeft()

    async def test_publishesAfterStop(self) -> None:
        """
        What an application publishes after the stop is refused, and leaves
        nothing.
        """
        hub = self.makeHub()
        service = await self.start(hub)
        await hub.publish("a", 1)
        await service.stopService()
        await self.assertFailure(hub.publish("a", 2), Unavailable)
        await self.assertNothingLeft()

    async def test_clientsOfSite(self) -> None:
        """
        After the service of an application has stopped, and the last client has
        left the application's own site, nothing is left.
        """
        hub = self.makeHub()
        root = Resource()
        root.putChild(b"push", CometResource(hub))
        port: Any = reactor().listenTCP(0, Site(root), interface="127.0.0.1")
        service = await self.start(hub)
        said = [each.replace(b"GET /", b"GET /push/", 1) for each in ENDLESS + HELD]
        visitors = [await self.visit(port.getHost().port, each) for each in said]
        await gather([each.answered for each in visitors[: len(ENDLESS)]])
        await self.untilReaders(hub, len(said))
        await hub.publish("b", 1)
        await service.stopService()
        for visitor in visitors:
            # Those that polled may keep the connection.
            visitor.transport.loseConnection()
        await gather([each.left for each in visitors])
        await port.stopListening()
        await self.turn()
        await self.assertNothingLeft()

    def endpoints(self, hub: Hub, used: Any) -> Iterator[tuple[Any, Any]]:
        """
        Yield the endpoints of all that comet serves, each with its factory.
        """
        site = CometSite(CometResource(hub), 65536, reactor=reactor())
        for factory in (site, CometFactory(hub), FlashPolicyFactory(hub)):
            yield makeEndpoint(used, "tcp:0:interface=127.0.0.1"), factory

    async def stopWithClients(self, used: Any) -> None:
        """
        Stop a service while clients of all kinds are connected, some of which
        read nothing and some of which say nothing.
        """
        hub = self.makeHub()
        service = await self.start(hub, list(self.endpoints(hub, used)))
        http, tcp, policy = map(portOf, service.ports)
        await hub.publish("a", "x" * 1000)
        answering = [await self.visit(http, each) for each in ENDLESS]
        answering += [await self.visit(http, each) for each in IDLE]
        answering.append(await self.visit(tcp, b'{"id":1,"subscribe":"a"}\n'))
        deaf = [await self.visit(http, each, reads=False) for each in ENDLESS]
        held = [await self.visit(http, each) for each in HELD]
        silent = [await self.visit(port, b"") for port in (http, tcp, policy)]
        silent.append(await self.visit(http, b"GET /chan"))
        silent.append(await self.visit(http, b"POST /channels/a HTTP/1.1\r\nHost: localhost\r\n"))
        await gather([each.answered for each in answering + deaf])
        await self.untilReaders(hub, 2 * len(ENDLESS) + 1 + len(held))
        await self.untilBehind(hub, len(READING))
        await service.stopService()
        left = self.left()
        mine = {each.transport for each in answering + deaf + held + silent}
        for kind in ("readers", "writers"):
            self.assertEqual(left[kind] - self.before[kind] - mine, set(), kind)
        for visitor in deaf:
            visitor.transport.abortConnection()
        await gather([each.left for each in answering + deaf + held + silent])
        await self.turn()
        await self.assertNothingLeft()

    async def untilReaders(self, hub: Hub, count: int) -> None:
        """
        Wait until the hub has so many readers.
        """
        while len(hub.fanout.readers) < count:
            await self.turn()

    async def untilBehind(self, hub: Hub, count: int) -> None:
        """
        Publish until so many clients have not taken what was written to them.
        """
        behind = 0
        while behind < count:
            await hub.publish("a", "x" * 60000)
            # Those that read have their turn to do so.
            await self.turn()
            behind = sum(isBehind(each) for each in hub.fanout.readers)

    async def turn(self) -> None:
        """
        Let the reactor have some turns.
        """
        for _ in range(3):
            turned: Deferred[None] = Deferred()
            reactor().callLater(0.005, turned.callback, None)
            await turned

    async def test_clientsOfTwistedEdge(self) -> None:
        """
        Clients of Twisted's edge that do not leave are cut when the time to
        drain is over.
        """
        await self.stopWithClients(reactor())

    async def test_clientsOfLeanEdge(self) -> None:
        """
        Clients of the lean edge that do not leave are cut when the time to
        drain is over.
        """
        await self.stopWithClients(LeanReactor(reactor()))


class SQLiteLeftoverTests(LeftoverTests):
    """
    The SQLite bus.
    """

    def makeBus(self) -> IMessageBus:
        """
        Make the bus.
        """
        return SQLiteBus(str(Path(self.mktemp()).absolute()), reactor())


class RedisLeftoverTests(LeftoverTests):
    """
    The Redis bus.
    """

    def setUp(self) -> Any:
        """
        Start Redis.
        """
        self.redis = RedisServer().start()
        self.addCleanup(self.redis.destroy)
        return super().setUp()

    def makeBus(self) -> IMessageBus:
        """
        Make the bus.
        """
        return RedisBus(reactor(), parseURL(f"redis://127.0.0.1:{self.redis.port}"))
