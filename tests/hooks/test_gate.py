"""
Who is asked about, and when, on the transports of both edges.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred

from comet.access.accesssettings import AccessSettings
from comet.access.rights import Access
from comet.framing.publications import Limits
from comet.hooks.connect import Connect
from comet.hooks.sender import HookSender
from comet.model.clients import ANONYMOUS
from comet.transports.channel import ChannelResource
from comet.transports.exchange import Exchange
from comet.transports.tcp import CometFactory
from tests.hooks.case import SETTINGS, FakeBackend
from tests.transports.case import HubTestCase, get, readResponse, request
from tests.transports.frames import UPGRADE, text
from tests.transports.wire import Wire

KEY = "k" * 16
COOKIE = "Cookie: sessionid=5a"


class GateTests(HubTestCase):
    """
    A server with a backend, which answers when a test does.
    """

    def setUp(self) -> None:
        """
        Let the backend decide on all but one channel.
        """
        super().setUp()
        self.hub.leases.now = self.clock.seconds
        self.backend = FakeBackend()
        wheel, seconds = self.hub.fanout.wheel, self.clock.seconds
        sender = HookSender(
            evolve(SETTINGS, headers=("cookie",)), self.backend, wheel, seconds, seconds
        )
        self.hook = Connect(sender, wheel, seconds, seconds)
        self.hub.access = self.access = Access(
            settings=AccessSettings((KEY,), (), ("open",), ("open", "open/*"), None, hook=self.hook)
        )

    def answer(self, **answer: Any) -> None:
        """
        Answer the last question.
        """
        self.backend.sent[-1].reply(answer)
        self.turn()

    def begin(self, *said: bytes) -> Wire:
        """
        Send a request that waits for the backend.
        """
        before = len(self.backend.sent)
        wire = self.say(*said)
        self.assertEqual((wire.take(), len(self.backend.sent)), (b"", before + 1))
        return wire

    def say(self, *said: bytes) -> Wire:
        """
        Send a request.
        """
        wire = self.connect()
        wire.send(*said)
        self.turn()
        return wire

    def told(self, *said: bytes) -> tuple[int, str]:
        """
        Send a request that is answered at once.

        @return: The status and the code.
        """
        response = readResponse(self.say(*said).take())
        return response.status, response.json.get("code", "")

    def test_readsWhatBackendPermits(self) -> None:
        """
        On each transport only what the backend permits is read, and it is asked once for
        as long as it is remembered.
        """
        for transport in ("poll", "stream", "sse", "multipart", "iframe"):
            path = f"/channels/news?transport={transport}&callback=cb&wait=0"
            wire = self.begin(get(path, COOKIE))
            self.answer(client="ada", subscribe=["news"])
            self.assertIn(b"200 OK", wire.take())
            self.assertIn(b"200 OK", self.say(get(path, COOKIE)).take())
            self.assertEqual(
                self.told(get("/channels/news,other?transport=poll", COOKIE)), (403, "forbidden")
            )
            self.hook.clear()

    def test_askedAgain(self) -> None:
        """
        While a stream lasts, the backend is asked again when its answer is over: the stream
        goes on while there is no answer, and ends when the client has logged out.
        """
        wire = self.begin(get("/channels/news?transport=stream", COOKIE))
        self.answer(client="ada", subscribe=["news"], expires=30)
        self.turn(30.2)
        self.answer(client="ada", subscribe=["news"], expires=30)
        self.turn(30.2)
        self.backend.sent[-1].reply(b"", 500)
        self.turn(9.5)
        self.assertEqual(len(self.backend.sent), 3)
        self.turn(0.8)
        self.assertNotIn(b'"close"', wire.take())
        self.answer()
        self.assertEqual(len(self.backend.sent), 4)
        self.assertIn(b'"close":{"code":"expired"', wire.take())

    def test_publishes(self) -> None:
        """
        What the backend permits is published; a batch is asked about, too.
        """
        wire = self.begin(request("POST", "/channels/news", COOKIE, body=b"x"))
        self.answer(client="ada", publish=["news"])
        self.assertEqual(readResponse(wire.take()).status, 201)
        self.assertEqual(
            self.told(request("POST", "/channels/other", COOKIE, body=b"x")), (403, "forbidden")
        )
        line = b'{"channel":"news","data":1}'
        kind = "Content-Type: application/x-ndjson"
        self.assertEqual(self.told(request("POST", "/publish", COOKIE, kind, body=line))[0], 201)

    def test_nobody(self) -> None:
        """
        Without a credential and a header the backend is asked only where no name is open.
        """
        self.assertEqual(self.told(get("/channels/open?transport=poll")), (200, ""))
        self.assertEqual(
            self.told(get("/channels/open,news?transport=poll")), (401, "unauthorized")
        )
        self.assertEqual(self.told(request("POST", "/channels/open", body=b"x"))[0], 201)
        self.assertEqual(self.backend.sent, [])
        wire = self.begin(get("/channels/news?transport=poll"))
        self.answer()
        response = readResponse(wire.take())
        self.assertEqual(response.status, 401)
        self.assertEqual(response.header("WWW-Authenticate"), "Bearer")

    def test_credentials(self) -> None:
        """
        A key never goes to the backend; any other credential does, from each place.
        """
        self.assertEqual(
            self.told(get("/channels/news?transport=poll", f"Authorization: Bearer {KEY}"))[0], 200
        )
        self.assertEqual(self.told(get(f"/channels/news?transport=poll&token={KEY}"))[0], 401)
        self.assertEqual(self.backend.sent, [])
        for headers, query in (
            (["Authorization: Bearer abc"], ""),
            ([], "&token=abc"),
            (["Cookie: comet_token=abc"], ""),
        ):
            self.begin(get(f"/channels/news?transport=poll{query}", *headers)).leave()
            self.assertEqual(self.backend.sent[-1].json["credential"], "abc")
            self.assertTrue(self.backend.sent[-1].isCancelled)

    def test_cookiesOfOtherSites(self) -> None:
        """
        The page of another site does not borrow the session of the client, also not by
        JSONP, nor by what was remembered.
        """
        wire = self.begin(get("/channels/news?transport=poll", COOKIE))
        self.answer(client="ada", subscribe=["news"])
        self.assertEqual(readResponse(wire.take()).status, 200)
        for path, header in (
            ("/channels/news?transport=poll", "Origin: https://evil.example"),
            ("/channels/news?transport=poll", "Sec-Fetch-Site: cross-site"),
            ("/channels/news?transport=jsonp&callback=cb", "Referer: http://localhost/"),
        ):
            wire = self.begin(get(path, COOKIE, header))
            self.assertEqual(self.backend.sent[-1].json["headers"], {})
            self.answer()
            self.assertNotIn(b'"messages"', wire.take())
            self.hook.clear()

    def test_noAnswer(self) -> None:
        """
        Where the backend gives no answer, only those wait that it is asked about, and they
        are told that it is unavailable.
        """
        wire = self.begin(get("/channels/news?transport=poll", COOKIE))
        self.assertEqual(self.told(get("/channels/open?transport=poll"))[0], 200)
        self.turn(5.2)
        self.assertProblem(readResponse(wire.take()), 503, "unavailable")

    # -- By commands

    def test_socketAsksAtFirstName(self) -> None:
        """
        A WebSocket without names is asked about when it names the first channel; commands
        behind that one wait, and every later one is judged, too.
        """
        wire = self.say(get("/socket", *UPGRADE, COOKIE) + text({"ping": 1}))
        self.assertIn(b'"pong":1', wire.take())
        self.assertEqual(self.backend.sent, [])
        wire.send(text({"id": 1, "subscribe": ["news"]}) + text({"id": 2, "ping": 2}))
        self.turn()
        self.assertEqual((wire.take(), len(self.backend.sent)), (b"", 1))
        self.assertEqual(self.backend.sent[0].json["headers"], {"cookie": "sessionid=5a"})
        self.answer(client="ada", subscribe=["news"], publish=["news"])
        self.turn()
        said = wire.take()
        self.assertIn(b'{"id":1,"ok"', said)
        self.assertIn(b'"pong":2', said)
        wire.send(text({"id": 3, "subscribe": ["other"]}))
        self.turn()
        self.assertIn(b'{"id":3,"error":{"code":"forbidden"', wire.take())
        wire.send(text({"id": 4, "publish": "news", "data": 1}))
        self.turn()
        self.assertIn(b'{"id":4,"ok"', wire.take())

    def test_namesOfSubclass(self) -> None:
        """
        The backend is asked about a WebSocket whose names are not those of its path before
        it begins: it does not name them by commands.
        """

        class Mine(ChannelResource):
            """
            Reads one channel, whatever the path.
            """

            def names(self, exchange: Exchange) -> tuple[str, ...]:
                """
                Return a name of its own.
                """
                return (f"inbox/{exchange.client.name}",)

        self.site = self.makeSite(Mine(self.hub))
        wire = self.begin(get("/?transport=websocket", *UPGRADE, COOKIE))
        self.answer(client="ada", subscribe=["inbox/{sub}"])
        self.assertIn(b"101 Switching", wire.take())
        self.publish("inbox/ada", 1)
        self.assertIn(b'"data":1', wire.take())

    def test_socketOfNobody(self) -> None:
        """
        A client that shows nothing has what is open, and is asked about at the first name
        that is not.
        """
        wire = self.say(get("/socket", *UPGRADE) + text({"id": 1, "subscribe": ["open"]}))
        self.assertIn(b'{"id":1,"ok"', wire.take())
        self.assertEqual(self.backend.sent, [])
        wire.send(text({"id": 2, "publish": "open/a", "data": 1}))
        self.turn()
        self.answer()
        self.assertIn(b'{"id":2,"error":{"code":"unauthorized"', wire.take())

    def test_socketIsRefused(self) -> None:
        """
        A refusal, or no answer, answers the command; the connection stays, and asks again
        later.
        """
        wire = self.say(get("/socket", *UPGRADE, COOKIE))
        wire.take()
        for id in (1, 2):
            wire.send(text({"id": id, "subscribe": ["news"]}))
            self.turn()
            if id == 1:
                self.answer(error={"code": "forbidden", "message": "banned"})
            self.assertIn(
                b'{"id":%d,"error":{"code":"forbidden","message":"banned"' % id, wire.take()
            )
        self.turn(2.1)
        wire.send(text({"id": 3, "subscribe": ["news"]}))
        self.turn()
        self.assertEqual(len(self.backend.sent), 2)
        self.turn(5.2)
        self.assertIn(b'{"id":3,"error":{"code":"unavailable"', wire.take())

    def test_refusedInTurn(self) -> None:
        """
        A refusal, fresh or remembered, answers its command after those before it; so does
        the error for one that is too large by now.
        """
        publish, stored = self.bus.publish, list[Deferred[Any]]()

        def slowly(given: Any) -> Deferred[Any]:
            stored.append(Deferred())
            return stored[-1].addCallback(lambda _: publish(given))

        self.patch(self.bus, "publish", slowly)
        wire = self.connect(CometFactory(self.hub))
        for code, isAsked in (("forbidden", True), ("forbidden", False), ("tooLarge", True)):
            wire.send(b'{"id":1,"publish":"open","data":1}\n{"id":2,"publish":"news","data":22}\n')
            self.turn()
            if code == "tooLarge":
                self.hub.settings = evolve(self.hub.settings, limits=Limits(maxMessage=1))
                self.answer(client="ada", publish=["news"])
            elif isAsked:
                self.answer(error={"code": "forbidden"})
            self.assertEqual(wire.take(), b"")
            stored.pop().callback(None)
            self.turn()
            first, second = wire.take().splitlines()
            self.assertIn(b'{"id":1,"ok"', first)
            self.assertIn(b'{"id":2,"error":{"code":"%b"' % code.encode(), second)
            if not isAsked:
                self.turn(2.1)
        self.assertEqual(len(self.backend.sent), 2)

    def test_rawTCP(self) -> None:
        """
        On raw TCP the backend is asked at the first name with the address, or by the
        command C{token}.
        """
        wire = self.connect(CometFactory(self.hub))
        wire.send(b'{"id":1,"subscribe":["news"]}\n')
        self.turn()
        self.assertEqual(self.backend.sent[0].json["headers"], {})
        self.answer()
        self.assertIn(b'{"id":1,"error":{"code":"unauthorized"', wire.take())
        wire.send(b'{"id":2,"token":"abc"}\n')
        self.turn()
        self.assertEqual(self.backend.sent[1].json["credential"], "abc")
        self.answer(client="ada", subscribe=["news"])
        wire.send(b'{"id":3,"subscribe":["news"]}\n')
        self.turn()
        said = wire.take()
        self.assertIn(b'{"id":2,"ok"', said)
        self.assertIn(b'{"id":3,"ok"', said)

    def test_renewAndForget(self) -> None:
        """
        The access object passes on what is renewed and forgotten.
        """
        self.assertIsNone(self.access.renew(ANONYMOUS))
        self.access.forget(lambda client: True)
        self.assertIsNone(Access().renew(ANONYMOUS))
        Access().forget(lambda client: True)
