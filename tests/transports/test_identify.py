"""
Requests on Twisted's edge that wait until it is known which client sends them.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from comet.access.rights import Access
from comet.errors import Forbidden, Unauthorized, Unavailable
from comet.http.credentials import Credentials
from comet.model.clients import Client
from comet.transports.tcp import CometFactory
from tests.transports.case import HubTestCase, get, readResponse, request
from tests.transports.frames import UPGRADE, text
from tests.transports.wire import Wire


class Member(Client):
    """
    An application's own class.
    """


ADA = Member("ada")


class Sessions(Access):
    """
    An application's access object, which answers when a test does.
    """

    def __init__(self) -> None:
        super().__init__("k" * 16)
        self.asked: list[tuple[Credentials, Deferred[Client]]] = []
        self.cancelled = 0
        self.checked: list[Client] = []

    def identify(self, credentials: Credentials) -> Deferred[Client]:
        """
        Answer later.
        """

        def cancel(answer: object) -> None:
            self.cancelled += 1

        answer: Deferred[Client] = Deferred(cancel)
        self.asked.append((credentials, answer))
        return answer

    def checkSubscribe(self, client: Client, name: str) -> None:
        """
        Note who reads.
        """
        self.checked.append(client)

    def checkPublisher(self, client: Client) -> None:
        """
        Let members publish.
        """
        self.checkPublish(client, "news")

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Let members publish.
        """
        self.checked.append(client)
        if not client.name:
            raise Forbidden("only members may")


class IdentifyTests(HubTestCase):
    """
    A server of an application with sessions.
    """

    def setUp(self) -> None:
        """
        Put the application's access object in the place of comet's.
        """
        super().setUp()
        self.hub.access = self.access = Sessions()

    def begin(self, *said: bytes) -> Wire:
        """
        Send a request, about which the access object is asked.
        """
        before = len(self.access.asked)
        wire = self.connect()
        wire.send(*said)
        self.turn()
        self.assertEqual((wire.take(), len(self.access.asked)), (b"", before + 1))
        return wire

    def answer(self, result: Client | Exception) -> None:
        """
        Answer the last question.
        """
        answer = self.access.asked[-1][1]
        if isinstance(result, Client):
            answer.callback(result)
        else:
            answer.errback(result)
        self.turn()

    def test_readsOnceClientIsKnown(self) -> None:
        """
        On each transport nothing is answered until the client is known, and its own
        object is the one that is checked.
        """
        for transport in ("poll", "stream", "sse", "multipart", "iframe", "jsonp"):
            path = f"/channels/news?transport={transport}&callback=cb&wait=0"
            wire = self.begin(get(path, "Cookie: s=1", "Referer: http://localhost/"))
            shown = self.access.asked[-1][0]
            self.assertEqual((shown.transport, shown.address), (transport, "127.0.0.1"))
            self.assertEqual(shown.cookies, {} if transport == "jsonp" else {"s": "1"})
            self.answer(ADA)
            self.assertIn(b"200 OK", wire.take())
            wire.leave()
        self.assertTrue(all(each is ADA for each in self.access.checked))
        self.assertNothingLeft()

    def test_webSocketKeepsWhatCame(self) -> None:
        """
        Frames that a client sends before it is known are carried out then.
        """
        wire = self.begin(get("/channels/news", *UPGRADE) + text({"publish": "news", "data": 1}))
        wire.send(text({"ping": 2}))
        self.answer(ADA)
        said = wire.take()
        self.assertIn(b"101 Switching", said)
        self.assertIn(b'{"ok":{"cursor":', said)
        self.assertIn(b'"pong":2', said)

    def test_refusesInFormOfTransport(self) -> None:
        """
        A client that cannot be identified is told so as its transport does.
        """
        wire = self.begin(get("/channels/news?transport=sse"))
        self.answer(Unavailable("the sessions are away"))
        response = readResponse(wire.take())
        self.assertEqual(response.status, 200)
        self.assertIn(b"event: $close", response.body)
        wire = self.begin(get("/channels/news?transport=sse"))
        self.answer(Unauthorized("log in"))
        self.assertProblem(readResponse(wire.take()), 401, "unauthorized")
        wire = self.begin(get("/channels/news?transport=poll"))
        self.answer(ZeroDivisionError())
        self.assertProblem(readResponse(wire.take()), 500, "internal")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_endsWhenClientLeaves(self) -> None:
        """
        The question is cancelled when the client leaves, also while its body comes,
        and soon when it may have left.
        """
        self.begin(get("/channels/news")).leave()
        self.assertEqual(self.access.cancelled, 1)
        self.begin(request("POST", "/channels/news", body=b"xx")[:-1]).leave()
        self.assertEqual(self.access.cancelled, 2)
        wire = self.begin(get("/channels/news"))
        wire.halfClose()
        self.turn()
        self.assertEqual(self.access.cancelled, 2)
        self.turn(5.2)
        self.assertEqual(self.access.cancelled, 3)
        self.assertNothingLeft()

    def test_hasLimit(self) -> None:
        """
        A question that is never answered ends as unavailable.
        """
        wire = self.begin(get("/channels/news"))
        self.turn(10.2)
        self.assertProblem(readResponse(wire.take()), 503, "unavailable")
        self.assertEqual(self.access.cancelled, 1)

    def test_asksOnceForBody(self) -> None:
        """
        For a request whose body comes behind its head one question is asked, at the
        head, whether it is answered before the body is whole or after.
        """
        for isEarly in (True, False):
            said = request("POST", "/publish", "Content-Type: application/x-ndjson", body=b"{}\n")
            said = said.replace(b"{}\n", b"").replace(b": 3", b": 30")
            line = b'{"channel":"news","data":123}\n'
            wire = self.begin(said, line[:10])
            self.assertEqual(self.access.asked[-1][0].transport, "publish")
            if isEarly:
                self.answer(ADA)
            wire.send(line[10:])
            self.turn()
            if not isEarly:
                self.assertEqual(wire.take(), b"")
                self.answer(ADA)
            self.assertEqual(readResponse(wire.take()).status, 201)
        self.assertEqual(len(self.access.asked), 2)

    def test_refusesBeforeBodyIsWhole(self) -> None:
        """
        A client that turns out not to be identified, or to have no right, is refused
        while its body comes.
        """
        for result, status, code in (
            (Unauthorized("log in"), 401, "unauthorized"),
            (Client(""), 403, "forbidden"),
        ):
            wire = self.begin(request("POST", "/channels/news", body=b"x" * 900)[:-500])
            self.answer(result)
            self.assertProblem(readResponse(wire.take()), status, code)

    def test_rawTCPWaits(self) -> None:
        """
        The lines of a client of raw TCP wait until it is known.
        """
        factory = CometFactory(self.hub)
        wire = self.connect(factory)
        wire.send(b'{"id":1,"publish":"news","data":1}\n{"id":2,"ping":0}\n')
        wire.send(b'{"id":3,"ping":0}\n')
        self.turn()
        self.assertEqual((wire.take(), len(self.access.asked)), (b"", 1))
        self.answer(ADA)
        self.turn()
        self.assertEqual([each[6:7] for each in wire.take().splitlines()], [b"1", b"2", b"3"])
        late = self.connect(factory)
        late.send(b'{"id":1,"ping":0}\n{"id":2,"ping":0}\n')
        self.turn()
        late.halfClose()
        self.turn(10.2)
        said = late.take()
        self.assertIn(b'"unavailable"', said)
        self.assertNotIn(b"pong", said)
        for last in (b'{"ping":0}', b'{"ping":0}\n'):
            ending = self.connect(factory)
            ending.send(b'{"ping":0}\n', last)
            self.turn()
            ending.halfClose()
            self.answer(ADA)
            self.assertEqual(ending.take().count(b'"pong"'), 2)
            self.assertFalse(ending.isOpen)
        left = self.connect(factory)
        left.send(b'{"ping":0}\n')
        left.leave()
        self.assertEqual(self.access.cancelled, 2)
        self.assertNothingLeft()
