"""
Tests of tokens that end, or are renewed, in the middle of something, on both edges:
what the token permitted ends at its time, and with the next token nothing is lost and
nothing repeated.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from comet.access.accesssettings import AccessSettings
from comet.access.claims import TOLERANCE, ClaimRules
from comet.access.rights import Access
from comet.access.tokenkeys import readTokenKeys
from comet.access.tokens import TokenVerifier
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.transports.tcp import CometFactory
from tests.access.tokencase import SECRET, sign
from tests.lean.case import LeanTestCase, Peer
from tests.transports.case import HubTestCase
from tests.transports.frames import UPGRADE, text
from tests.transports.wire import Wire

ENDLESS: Final = ("stream", "sse", "multipart", "iframe", "websocket")
HELD: Final = ("longpoll", "jsonp")

KEY: Final = "k" * 16

_NUMBER = re.compile(rb'"n":([0-9]+)')
_CURSOR = re.compile(rb'"cursor":"([a-z0-9]+-[0-9]+)"|\bid: ([a-z0-9]+-[0-9]+)')


class Client(Protocol):
    """
    A client of either edge.
    """

    def send(self, data: bytes) -> None:
        """
        Send bytes.
        """


def numbersOf(heard: bytes) -> list[int]:
    """
    Find the numbers of the messages, in their order.
    """
    return [int(each) for each in _NUMBER.findall(heard)]


def cursorAt(heard: bytes, mark: bytes) -> str:
    """
    Find the cursor with which something was told: the last one before it.
    """
    before, found, _ = heard.partition(mark)
    assert found, (mark, heard[-400:])
    cursors: list[tuple[bytes, bytes]] = _CURSOR.findall(before)
    return (cursors[-1][0] or cursors[-1][1]).decode()


class TokenEnds:
    """
    What holds on both edges.

    @ivar hub: The hub.
    """

    hub: Hub

    @abstractmethod
    def seconds(self) -> float:
        """
        Return the time.
        """

    @abstractmethod
    def client(self, said: bytes, isTCP: bool = False, isStuck: bool = False) -> Any:
        """
        Connect a client, and send.

        @param isStuck: Whether it takes nothing before it is asked what it has heard.
        """

    @abstractmethod
    def heard(self, client: Any, mark: bytes = b"") -> bytes:
        """
        Return all that a client has heard so far.

        @param mark: What has to have come.
        """

    @abstractmethod
    def goOn(self, seconds: float = 0) -> None:
        """
        Let time pass, and everything happen that is due.
        """

    def begin(self) -> None:
        """
        Let the hub know tokens.
        """
        verifier = TokenVerifier(readTokenKeys(SECRET), ClaimRules(), self.seconds)
        settings = AccessSettings((KEY,), openReadPatterns=("hall",), tokens=verifier)
        self.hub.access = Access(settings=settings)
        self.hub.leases.now = self.seconds
        self.published = 0

    def token(self, seconds: float, sub: str = "ada", **granted: Sequence[str]) -> str:
        """
        Make a token that is accepted for some seconds more.
        """
        comet = granted or {"subscribe": ["room", "side"], "publish": ["room"]}
        until = self.seconds() + seconds - TOLERANCE
        return sign({"sub": sub, "exp": until, "comet": comet})

    def number(self, count: int, channel: str = "room", filler: str = "") -> list[int]:
        """
        Publish numbered messages.
        """
        numbers = list(range(self.published + 1, self.published + count + 1))
        self.published += count
        for number in numbers:
            self.hub.publish(channel, {"n": number, "filler": filler})
        self.goOn()
        return numbers

    def reading(self, transport: str, names: str, token: str, since: str = "now") -> bytes:
        """
        Make a request to read.
        """
        lines = [
            f"GET /channels/{names}?transport={transport}&since={since}&wait=300&callback=f "
            "HTTP/1.1",
            "Host: localhost",
            "Sec-Fetch-Site: same-origin",
            f"Authorization: Bearer {token}",
            *(UPGRADE if transport == "websocket" else ()),
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii")

    def publishing(self, token: str, size: int) -> bytes:
        """
        Make the head of a request to publish.

        @param size: How many bytes the body has.
        """
        return (
            f"POST /channels/room HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        ).encode("ascii")

    def equal(self, first: object, second: object, why: object = None) -> None:
        """
        Compare.
        """
        assert first == second, (why, first, second)

    # -- The tests

    def test_inStream(self) -> None:
        """
        What is published before the end has come, what is published later has not, and
        the next token begins where the first ended.
        """
        for transport in ENDLESS:
            client = self.client(self.reading(transport, "room", self.token(60)))
            before = self.number(3)
            self.goOn(59)
            before += self.number(2)
            self.goOn(1.2)
            after = self.number(2)
            heard = self.heard(client)
            self.equal(numbersOf(heard), before, transport)
            cursor = cursorAt(heard, b'"code":"expired"')
            again = self.client(self.reading(transport, "room", self.token(60), cursor))
            after += self.number(1)
            self.equal(numbersOf(self.heard(again)), after, transport)

    def test_inHold(self) -> None:
        """
        A held poll is answered at the end, and the next one misses nothing.
        """
        for transport in HELD:
            for names in ("room", "room,hall"):
                client = self.client(self.reading(transport, names, self.token(60)))
                self.goOn(59)
                self.equal(self.heard(client), b"", transport)
                self.goOn(1.2)
                missed = self.number(2)
                heard = self.heard(client)
                cursor = cursorAt(heard, b'"close":{"code":"expired"')
                self.equal(numbersOf(heard), [], transport)
                again = self.client(self.reading(transport, names, self.token(60), cursor))
                self.goOn()
                self.equal(numbersOf(self.heard(again)), missed, transport)

    def test_inReplay(self) -> None:
        """
        A client that takes nothing while its token ends has got the beginning of what is
        held, and the close says where that stops.
        """
        filler = "x" * 900
        start = str(self.hub.end)
        held = self.number(600, filler=filler)
        for transport in ENDLESS:
            said = self.reading(transport, "room", self.token(60), start)
            client = self.client(said, isStuck=True)
            self.goOn(61)
            heard = self.heard(client, b'"code":"expired"')
            numbers = numbersOf(heard)
            self.equal(numbers, held[: len(numbers)], transport)
            assert 0 < len(numbers) < len(held), (transport, len(numbers))
            cursor = cursorAt(heard, b'"code":"expired"')
            again = self.client(self.reading(transport, "room", self.token(60), cursor))
            heard = self.heard(again, b'"n":%d,' % held[-1])
            self.equal(numbersOf(heard), held[len(numbers) :], transport)

    def test_inReplayOfSeveral(self) -> None:
        """
        Where an open name is left, it goes on from where it was, without those that ended.
        """
        filler = "x" * 900
        start = str(self.hub.end)
        kinds = {}
        for channel in ("room", "hall") * 300:
            kinds[self.number(1, channel, filler)[0]] = channel
        halls = [number for number, channel in kinds.items() if channel == "hall"]
        for transport in ENDLESS:
            said = self.reading(transport, "room,hall", self.token(60), start)
            client = self.client(said, isStuck=True)
            self.goOn(61)
            heard = self.heard(client, b'"n":%d,' % halls[-1])
            before, found, after = heard.partition(b'{"names":["room"],"code":"expired"}')
            assert found, (transport, heard[-300:])
            numbers, later = numbersOf(before), numbersOf(after)
            self.equal(numbers, list(kinds)[: len(numbers)], transport)
            assert 0 < len(numbers) < len(kinds), (transport, len(numbers))
            self.equal(later, halls[-len(later) :], transport)
            self.equal(sorted({*numbers, *later} & {*halls}), halls, transport)
            self.equal(len(numbers) + len(later), len({*numbers, *later}), transport)

    def test_inBody(self) -> None:
        """
        A body that was begun with the token, and is whole after its end, is not stored;
        one that is whole before is.
        """
        for seconds, status, stored in ((19, b"201", 1), (21, b"401", 0)):
            for body in (b"x" * 50, b"y" * 50):
                position = self.hub.end.position
                client = self.client(self.publishing(self.token(20), len(body)) + body[:20])
                self.goOn(seconds / 2)
                client.send(body[20:40])
                self.goOn(seconds / 2)
                client.send(body[40:])
                heard = self.heard(client, b"HTTP")
                self.equal(heard[9:12], status, heard)
                self.equal(b'Bearer error="invalid_token"' in heard, not stored, heard)
                self.equal(self.hub.end.position - position, stored)

    def test_inBatch(self) -> None:
        """
        A batch that is whole after the end is not stored, even if lines were read before.
        """
        line = b'{"channel":"room","data":1}\n'
        head = self.publishing(self.token(20), 3 * len(line)).replace(
            b"/channels/room", b"/publish"
        )
        head = head.replace(b"Host", b"Content-Type: application/x-ndjson\r\nHost")
        position = self.hub.end.position
        client = self.client(head + 2 * line)
        self.goOn(10)
        client.send(line[:10])
        self.goOn(11)
        client.send(line[10:])
        self.equal(self.heard(client, b"HTTP")[9:12], b"401")
        self.equal(self.hub.end.position, position)

    def test_inCommand(self) -> None:
        """
        A command that has half come when the token ends is nobody's.
        """
        for isTCP in (False, True):
            client = self.speaker(isTCP, self.token(20))
            position = self.hub.end.position
            said = self.command(isTCP, {"id": 2, "publish": "room", "data": 1})
            client.send(said[:12])
            self.goOn(21)
            client.send(said[12:])
            heard = self.heard(client, b'{"id":2,')
            assert b'{"id":2,"error":{"code":"unauthorized"' in heard, heard
            self.equal(self.hub.end.position, position)

    def test_whileStored(self) -> None:
        """
        What was accepted before the end is stored and answered, however long the bus takes.
        """
        bus: Any = self.hub.bus
        publish = bus.publish
        late: list[Callable[[], None]] = []

        def slow(*asked: Any, **more: Any) -> Deferred[Any]:
            stored: Deferred[Any] = Deferred()

            def store() -> None:
                publish(*asked, **more).chainDeferred(stored)

            late.append(store)
            return stored

        bus.publish = slow
        try:
            posting = self.client(self.publishing(self.token(20), 1) + b"x")
            speakers = [self.speaker(isTCP, self.token(20)) for isTCP in (False, True)]
            for isTCP, speaker in zip((False, True), speakers, strict=True):
                speaker.send(self.command(isTCP, {"id": 2, "publish": "room", "data": 1}))
                self.goOn()
            self.goOn(21)
        finally:
            bus.publish = publish
        for store in late:
            store()
        self.goOn()
        self.equal(self.heard(posting, b"HTTP")[9:12], b"201")
        for speaker in speakers:
            assert b'{"id":2,"ok"' in self.heard(speaker, b'{"id":2,')
        self.equal(self.hub.end.position, 3)

    def speaker(self, isTCP: bool, token: str, names: Sequence[str] = ()) -> Any:
        """
        Connect a client that gives commands.
        """
        commands: list[dict[str, Any]] = [{"id": "t", "token": token}]
        if names:
            commands.append({"id": "s", "subscribe": list(names)})
        said = b"".join(self.command(isTCP, each) for each in commands)
        if not isTCP:
            head = "\r\n".join(["GET /socket HTTP/1.1", "Host: localhost", *UPGRADE, "", ""])
            said = head.encode("ascii") + said
        client = self.client(said, isTCP)
        self.goOn()
        return client

    def command(self, isTCP: bool, command: dict[str, Any]) -> bytes:
        """
        Write a command.
        """
        return json.dumps(command).encode() + b"\n" if isTCP else text(command)

    def test_renewed(self) -> None:
        """
        A token that is renewed a second before its end makes no difference to what is
        read; nor does the old one's end.
        """
        for isTCP in (False, True):
            client = self.speaker(isTCP, self.token(60), ["room", "side"])
            numbers = self.number(2)
            self.goOn(59)
            numbers += self.number(1)
            client.send(self.command(isTCP, {"id": 1, "token": self.token(60)}))
            numbers += self.number(2, "side")
            self.goOn(5)
            numbers += self.number(2)
            heard = self.heard(client)
            assert b'{"id":1,"ok":{"expires":55.0}}' in heard, heard
            self.equal(numbersOf(heard), numbers, isTCP)
            assert b"expired" not in heard and b"ended" not in heard, heard
            self.goOn(57)
            assert b'"close":{"code":"expired"' in self.heard(client)

    def test_renewedWithFewerRights(self) -> None:
        """
        Names that the new token does not permit end with it, at a cursor from which
        another token loses nothing.
        """
        for isTCP in (False, True):
            client = self.speaker(isTCP, self.token(60), ["room", "side"])
            numbers = self.number(2) + self.number(1, "side")
            fewer = self.token(60, subscribe=["side"])
            client.send(self.command(isTCP, {"id": 1, "token": fewer}))
            self.goOn()
            lost = self.number(2)
            numbers += self.number(1, "side")
            heard = self.heard(client)
            ended = b'"ended":{"names":["room"],"code":"forbidden"}'
            cursor = cursorAt(heard, ended)
            self.equal(numbersOf(heard), numbers, isTCP)
            subscribe = {"id": 3, "subscribe": ["room"], "since": {"room": cursor}}
            client.send(self.command(isTCP, {"id": 2, "token": self.token(60)}))
            client.send(self.command(isTCP, subscribe))
            self.goOn()
            lost += self.number(1)
            self.equal(numbersOf(self.heard(client)), numbers + lost, isTCP)
            none = self.token(60, publish=["room"])
            client.send(self.command(isTCP, {"id": 4, "token": none}))
            self.goOn()
            last = self.heard(client).split(b'{"id":4,')[-1]
            assert re.search(rb'"close":\{"code":"forbidden".*"retry":null\}', last), last

    def test_renewedForAnother(self) -> None:
        """
        A token of another client is refused; the first one goes on, until its own end.
        """
        for isTCP in (False, True):
            client = self.speaker(isTCP, self.token(60), ["room"])
            client.send(self.command(isTCP, {"id": 1, "token": self.token(90, "eve")}))
            self.goOn()
            numbers = self.number(2)
            heard = self.heard(client)
            assert b'{"id":1,"error":{"code":"forbidden"' in heard, heard
            self.equal(numbersOf(heard), numbers, isTCP)
            self.goOn(61)
            assert b'"close":{"code":"expired"' in self.heard(client)


class TwistedTokenEndsTests(TokenEnds, HubTestCase):
    """
    Twisted's edge.
    """

    settings = Settings()

    def setUp(self) -> None:
        """
        Begin.
        """
        super().setUp()
        self.factory = CometFactory(self.hub)
        self.said: dict[Wire, bytes] = {}
        self.begin()

    def seconds(self) -> float:
        """
        See L{TokenEnds.seconds}.
        """
        return self.clock.seconds()

    def client(self, said: bytes, isTCP: bool = False, isStuck: bool = False) -> Wire:
        """
        See L{TokenEnds.client}.
        """
        wire = self.connect(self.factory if isTCP else None)
        self.said[wire] = b""
        wire.transport.isStuck = isStuck
        wire.send(said)
        self.turn()
        return wire

    def heard(self, client: Any, mark: bytes = b"") -> bytes:
        """
        See L{TokenEnds.heard}.
        """
        client.transport.isStuck = False
        self.turn()
        self.said[client] += client.take()
        return self.said[client]

    def goOn(self, seconds: float = 0) -> None:
        """
        See L{TokenEnds.goOn}.
        """
        self.turn(seconds)


class LeanTokenEndsTests(TokenEnds, LeanTestCase):
    """
    The lean edge.
    """

    def setUp(self) -> None:
        """
        Begin.
        """
        super().setUp()
        self.begin()

    def seconds(self) -> float:
        """
        See L{TokenEnds.seconds}.
        """
        return float(self.reactor.seconds())

    def client(self, said: bytes, isTCP: bool = False, isStuck: bool = False) -> Peer:
        """
        See L{TokenEnds.client}.
        """
        if isStuck:
            self.keepLittle()
        peer = self.peer(said, 4096 if isStuck else 0, isTCP)
        self.reactor.settle()
        return peer

    def heard(self, client: Any, mark: bytes = b"") -> bytes:
        """
        See L{TokenEnds.heard}.
        """
        if mark:
            # The kernel takes its time.
            client.hears(mark)
        self.reactor.settle()
        heard: bytes = client.take()
        return heard

    def goOn(self, seconds: float = 0) -> None:
        """
        See L{TokenEnds.goOn}.
        """
        self.reactor.advance(seconds)
        self.reactor.settle()
