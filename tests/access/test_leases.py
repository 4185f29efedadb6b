"""
Readers whose clients are known for a time.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.rights import Access
from comet.access.tokens import TokenVerifier
from comet.errors import Unauthorized
from comet.http.credentials import Credentials
from comet.limits.clientlimits import ClientSettings
from comet.model.clients import ANONYMOUS, Client, Known
from comet.model.grants import Rights
from tests.transports.case import HubTestCase, get
from tests.transports.frames import UPGRADE, text

# Knows no token: only who has a right reads.
VERIFIER = TokenVerifier([], ClaimRules(), lambda: 0.0)

ENDLESS = ("stream", "sse", "multipart", "iframe", "websocket")


class Timed(Access):
    """
    Knows all clients as one, for a minute.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(settings=AccessSettings(openReadPatterns=("hall",), tokens=VERIFIER))
        self.client = client
        self.renewals: list[Deferred[Client]] = []
        self.isRenewing = False
        self.cancelled = 0

    def identify(self, credentials: Credentials) -> Client:
        """
        Return the client.
        """
        return self.client

    def renew(self, client: Client) -> Deferred[Client] | None:
        """
        Answer when a test does.
        """
        if not self.isRenewing:
            return None

        def cancel(answer: object) -> None:
            self.cancelled += 1

        self.renewals.append(Deferred(cancel))
        return self.renewals[-1]


class LeaseTests(HubTestCase):
    """
    A hub whose clients are known for a minute.
    """

    def setUp(self) -> None:
        """
        Let the hub go by the clock of the test.
        """
        super().setUp()
        self.hub.leases.now = self.clock.seconds
        self.hub.access = self.access = Timed(self.known(60))

    def known(self, seconds: float) -> Client:
        """
        Make a client that is known for some seconds from now.
        """
        rights = Rights(["news"])
        until = self.clock.seconds() + seconds
        return Client("ada", rights=rights, until=until, expires=until, known=Known.TOKEN)

    def test_ends(self) -> None:
        """
        On each endless transport the end is told at its time, and not before; so is it to
        a held poll, which would have waited longer.
        """
        wires = [
            self.connect()
            for _ in ("stream", "sse", "multipart", "iframe", "websocket", "longpoll", "jsonp")
        ]
        transports = ("stream", "sse", "multipart", "iframe", "websocket", "longpoll", "jsonp")
        for wire, transport in zip(wires, transports, strict=True):
            upgrade = UPGRADE if transport == "websocket" else ("Referer: http://localhost/",)
            path = f"/channels/news?transport={transport}&callback=cb&wait=300"
            wire.send(get(path, *upgrade))
        self.turn(59.5)
        for wire in wires:
            self.assertNotIn(b"expired", wire.take())
        self.turn(0.7)
        for wire in wires:
            self.assertIn(b'"code":"expired"', wire.take())

    def test_openNamesStay(self) -> None:
        """
        Where a name is left that anyone may read, the others end at the time of the
        client, and what is published for it comes; a held poll is answered.
        """
        wires = {transport: self.connect() for transport in (*ENDLESS, "longpoll")}
        for transport, wire in wires.items():
            upgrade = UPGRADE if transport == "websocket" else ()
            wire.send(get(f"/channels/news,hall?transport={transport}&wait=300", *upgrade))
        self.turn(59.5)
        for transport, wire in wires.items():
            self.assertNotIn(b"expired", wire.take(), transport)
        self.turn(0.7)
        self.assertIn(b'"close":{"code":"expired"', wires.pop("longpoll").take())
        for transport, wire in wires.items():
            told = wire.take()
            self.assertIn(b'{"names":["news"],"code":"expired"}', told, transport)
            self.assertNotIn(b"close", told, transport)
            self.assertEqual(b"$ended" in told, transport == "sse")
        self.publish("news", "secret")
        self.publish("hall", "shown")
        for transport, wire in wires.items():
            told = wire.take()
            self.assertEqual((b"secret" in told, b"shown" in told), (False, True), transport)

    def test_socketWithoutNamesStays(self) -> None:
        """
        A connection that reads nothing goes on as nobody's.  It takes a new token of the
        same client, and of no other one.
        """
        wire = self.connect()
        wire.send(get("/socket", *UPGRADE))
        wire.send(text({"id": 1, "token": "x"}))
        self.turn(61)
        self.assertNotIn(b"expired", wire.take())
        wire.send(text({"id": 2, "subscribe": ["news"]}))
        self.turn()
        self.assertIn(b'{"id":2,"error":{"code":"unauthorized"', wire.take())
        self.access.client = Client("bob", rights=Rights(["news"]), known=Known.TOKEN)
        wire.send(text({"id": 3, "token": "x"}))
        self.turn()
        self.assertIn(b'{"id":3,"error":{"code":"forbidden"', wire.take())
        self.access.client = self.known(60)
        wire.send(text({"id": 4, "token": "x"}) + text({"id": 5, "subscribe": ["news"]}))
        self.turn()
        self.assertIn(b'{"id":5,"ok"', wire.take())
        self.turn(61)
        self.assertIn(b'"close":{"code":"expired"', wire.take())

    def test_handshakeGivesNoRightsForEver(self) -> None:
        """
        A WebSocket whose token came with its handshake has no rights left when the token
        ends, whether it has sent anything before or not.
        """
        for path, isSilent in product(("/socket", "/channels/hall"), (True, False)):
            self.access.client = self.known(60)
            wire = self.connect()
            wire.send(get(path, *UPGRADE))
            if not isSilent:
                wire.send(text({"id": 0, "ping": 1}))
            self.turn(61)
            wire.take()
            wire.send(text({"id": 1, "subscribe": ["news"]}))
            wire.send(text({"id": 2, "publish": "secret", "data": 1}))
            self.turn()
            told = wire.take()
            self.assertIn(b'{"id":1,"error":{"code":"unauthorized"', told, (path, isSilent))
            self.assertIn(b'{"id":2,"error":{"code":"unauthorized"', told, (path, isSilent))

    def test_accessThatFailsPermitsNothing(self) -> None:
        """
        If the access object raises when a name is judged, the name ends; if it raises or
        fails when it is asked about the client, the client's time is over.
        """
        failed: Deferred[Client] = Deferred()

        def check(client: Client, name: str) -> None:
            if client == ANONYMOUS:
                raise ZeroDivisionError

        answers = (lambda client: None, lambda client: 1 // 0, lambda client: failed)
        for renew in answers:
            self.access.client = self.known(60)
            self.patch(self.access, "checkSubscribe", check)
            self.patch(self.access, "renew", renew)
            wires = {transport: self.connect() for transport in ENDLESS}
            for transport, wire in wires.items():
                upgrade = UPGRADE if transport == "websocket" else ()
                wire.send(get(f"/channels/news?transport={transport}", *upgrade))
            self.turn(61)
            if not failed.called and renew is answers[-1]:
                failed.errback(ZeroDivisionError())
                self.turn()
            for transport, wire in wires.items():
                self.assertIn(b'"code":"expired"', wire.take(), transport)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 17)

    def test_judgedBeforeWhatIsAsked(self) -> None:
        """
        Names end as soon as one that is being added is there, and not after all that the
        client has asked for.
        """
        wire = self.connect()
        wire.send(get("/channels/news,hall", *UPGRADE))
        self.turn()
        resolves: list[Deferred[Any]] = []
        resolve = self.hub.bus.resolve

        def later(names: Any) -> Deferred[Any]:
            resolves.append(Deferred())
            return resolves[-1].addCallback(lambda _: resolve(names))

        self.patch(self.access, "checkSubscribe", self.checkHalls)
        self.patch(self.hub.bus, "resolve", later)
        wire.send(b"".join(text({"id": n, "subscribe": [f"halls/{n}"]}) for n in range(5)))
        self.turn(61)
        self.assertEqual(len(resolves), 1)
        resolves[0].callback(None)
        self.turn()
        self.assertIn(b'{"names":["news"],"code":"expired"}', wire.take())
        self.publish("news", "secret")
        self.assertNotIn(b"secret", wire.take())

    def checkHalls(self, client: Client, name: str) -> None:
        """
        Let everybody read halls, and a client that is known all names.
        """
        if client.isAnonymous and not name.startswith("hall"):
            raise Unauthorized("this is no hall")

    def test_endsNotOfOthers(self) -> None:
        """
        A client that is known without an end, or whose reader has ended before, has none.
        """
        wire = self.connect()
        wire.send(get("/channels/news?transport=stream"))
        self.turn(1)
        wire.leave()
        self.access.client = Client("eve", rights=Rights(["news"]), known=Known.TOKEN)
        other = self.connect()
        other.send(get("/channels/news?transport=stream"))
        self.turn(61)
        self.assertNotIn(b"expired", wire.take() + other.take())

    def test_renewedByCommand(self) -> None:
        """
        A token that is renewed a second before it ends keeps the connection, and its new
        end counts.
        """
        wire = self.connect()
        wire.send(get("/channels/news", *UPGRADE))
        self.turn(59)
        self.access.client = self.known(60)
        wire.send(text({"id": 1, "token": "x"}))
        self.turn()
        self.assertIn(b'{"id":1,"ok":{"expires":60.0}}', wire.take())
        self.turn(59.5)
        self.assertNotIn(b"expired", wire.take())
        self.turn(0.7)
        self.assertIn(b'"code":"expired"', wire.take())

    def test_renewed(self) -> None:
        """
        A reader goes on while the access object finds out, and if nothing has changed: all
        readers of a client are asked about once.
        """
        self.access.isRenewing = True
        wires = [self.connect() for _ in range(2)]
        for wire in wires:
            wire.send(get("/channels/news?transport=stream"))
        self.turn(65)
        self.assertEqual(len(self.access.renewals), 1)
        self.access.renewals[0].callback(self.known(60))
        self.turn(55)
        self.assertEqual(len(self.access.renewals), 1)
        self.turn(5.2)
        self.access.renewals[1].callback(ANONYMOUS)
        self.turn()
        for wire in wires:
            self.assertEqual(wire.take().count(b'"code":"expired"'), 1)

    def renewed(self, client: Client, path: str) -> dict[str, Any]:
        """
        Open a reader on each transport, and renew its client after a minute.

        @return: The connections, by transport.
        """
        self.access.isRenewing = True
        wires = {transport: self.connect() for transport in (*ENDLESS, "longpoll")}
        for transport, wire in wires.items():
            upgrade = UPGRADE if transport == "websocket" else ()
            wire.send(get(f"{path}?transport={transport}&wait=300", *upgrade))
        self.turn(60.2)
        for transport, wire in wires.items():
            self.assertNotIn(b"expired", wire.take(), transport)
        self.access.renewals[-1].callback(client)
        self.turn()
        return wires

    def test_renewedWithFewerRights(self) -> None:
        """
        Names that the client may read no longer end, and the others go on; a held poll is
        answered.  A later end counts for the reader as it is then.
        """
        until = self.clock.seconds() + 120
        fewer = Client("ada", rights=Rights(["chat/a"]), until=until, known=Known.TOKEN)
        self.access.client = evolve(self.known(60), rights=Rights(["news", "chat/*"]))
        wires = self.renewed(fewer, "/channels/news,chat/a")
        self.assertIn(b'"close":{"code":"expired"', wires.pop("longpoll").take())
        for transport, wire in wires.items():
            told = wire.take()
            self.assertIn(b'{"names":["news"],"code":"expired"}', told, transport)
            self.assertNotIn(b"close", told, transport)
        self.publish("news", "secret")
        self.publish("chat/a", "shown")
        for transport, wire in wires.items():
            told = wire.take()
            self.assertEqual((b"secret" in told, b"shown" in told), (False, True), transport)
        self.turn(60.2)
        self.assertEqual(len(self.access.renewals), 2)
        self.access.renewals[1].callback(ANONYMOUS)
        self.turn()
        for transport, wire in wires.items():
            self.assertIn(b'"code":"expired"', wire.take(), transport)

    def test_renewedWithMoreRights(self) -> None:
        """
        More rights end nothing, and count for the commands that follow; so does a name, if
        the client had none.
        """
        self.access.client = evolve(self.known(60), name="")
        wider = evolve(self.known(120), rights=Rights(["news", "chat/*"]))
        wires = self.renewed(wider, "/channels/news")
        for transport, wire in wires.items():
            self.assertEqual(wire.take(), b"", transport)
        socket = wires["websocket"]
        socket.send(text({"id": 1, "subscribe": ["chat/a"]}))
        self.turn()
        self.assertIn(b'{"id":1,"ok"', socket.take())
        self.access.client = evolve(wider, name="bob")
        socket.send(text({"id": 2, "token": "x"}))
        self.turn()
        self.assertIn(b'{"id":2,"error":{"code":"forbidden"', socket.take())
        self.publish("news", "shown")
        for transport, wire in wires.items():
            self.assertIn(b"shown", wire.take(), transport)

    def test_renewedBeyondItsNumber(self) -> None:
        """
        A client that turns out to be one that has all its readers, and one that is renewed
        with a time that is over, is nobody.
        """
        self.hub.clientLimits.configure(ClientSettings(connectionsPerClient=1))
        self.access.client = bob = evolve(self.known(600), name="bob")
        other = self.connect()
        other.send(get("/channels/news?transport=stream"))
        self.turn()
        self.access.isRenewing = True
        for client in (bob, self.known(60)):
            self.access.client = evolve(self.known(60), name="")
            wire = self.connect()
            wire.send(get("/channels/news,hall?transport=stream"))
            self.turn(60.2)
            self.access.renewals[-1].callback(client)
            self.turn()
            self.assertIn(b'{"names":["news"],"code":"expired"}', wire.take())
        self.assertNotIn(b"expired", other.take())

    def test_renewalIsGivenUp(self) -> None:
        """
        Once no reader is left, nothing is asked.
        """
        self.access.isRenewing = True
        wire = self.connect()
        wire.send(get("/channels/news?transport=stream"))
        self.turn(60.2)
        wire.leave()
        self.turn()
        self.assertEqual(self.access.cancelled, 1)

    def test_overBeforeItBegins(self) -> None:
        """
        A request whose client's time is over once it is to be carried out, as after a hook
        was asked about it, is answered as one with a bad credential; one of a client that
        the backend knows is carried out.
        """
        requests = [get(f"/channels/news?transport={each}&wait=0") for each in ENDLESS[:-1]]
        requests += [get(f"/channels/news?transport=poll{more}") for more in ("", "&before=a-1")]
        requests += [get("/channels/news?transport=longpoll&wait=9"), get("/channels/a", *UPGRADE)]
        for said in requests:
            self.access.client = self.known(0)
            answer = self.ask(said)
            challenge = answer.header("WWW-Authenticate")
            self.assertEqual((answer.status, challenge), (401, 'Bearer error="invalid_token"'))
        rights, now = Rights(["news"]), self.clock.seconds()
        self.access.client = Client("ada", rights=rights, known=Known.HOOK, until=now)
        self.assertEqual(self.ask(get("/channels/news?transport=poll")).status, 200)

    def test_pollThatIsOverBefore(self) -> None:
        """
        A held poll has a lease only if it may still be held when its client's time is over.
        """
        leased: list[Client] = []
        begin = self.hub.leases.begin

        def begun(reader: Any, client: Client) -> None:
            leased.append(client)
            begin(reader, client)

        self.patch(self.hub.leases, "begin", begun)
        for wait, count in ((25, 0), (58, 0), (59.5, 1), (300, 2)):
            wire = self.connect()
            wire.send(get(f"/channels/news?transport=longpoll&wait={wait}"))
            self.turn()
            self.assertEqual(len(leased), count, wait)

    def test_pollOfBackend(self) -> None:
        """
        A held poll of a client that the backend knows is left to its own time.
        """
        client = self.known(60)
        self.access.client = Client(
            "ada", rights=client.rights, known=Known.HOOK, until=client.until
        )
        wire = self.connect()
        wire.send(get("/channels/news?transport=longpoll&wait=100"))
        self.turn(61)
        self.assertEqual(wire.take(), b"")
