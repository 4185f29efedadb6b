"""
Tests of L{comet.lean.shown}, and of requests that wait until their client is
known.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from types import FrameType
from typing import Any

from twisted.internet.defer import Deferred

from comet.access.rights import Access
from comet.errors import Forbidden, Unauthorized
from comet.http.credentials import Credentials
from comet.model.clients import ANONYMOUS, Client
from comet.transports.detach import MAX_HELD_INPUT
from tests.lean.case import LeanTestCase, Peer, read, request
from tests.lean.test_publishing import head


class Sessions(Access):
    """
    An application's access object, which answers later.
    """

    def __init__(self) -> None:
        super().__init__("k" * 16)
        self.asked: list[tuple[Credentials, Deferred[Client]]] = []
        self.cancelled = 0
        self.checked: list[tuple[Client, str]] = []

    def identify(self, credentials: Credentials) -> Deferred[Client]:
        """
        Answer when the test does.
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
        self.checked.append((client, name))
        if client.isAnonymous:
            raise Unauthorized("log in first")

    def checkPublish(self, client: Client, channel: str) -> None:
        """
        Let ada publish.
        """
        if client.name != "ada":
            raise Forbidden("only ada may")


class Member(Client):
    """
    An application's own class.
    """


ADA = Member("ada")


class WaitingTests(LeanTestCase):
    """
    Requests whose client is known later.
    """

    def setUp(self) -> None:
        """
        Start a server of an application with sessions.
        """
        super().setUp()
        self.hub.access = self.access = Sessions()
        self.handedOver = 0
        handOver = self.port._edge.handOver

        def count(connection: Any, data: bytes) -> None:
            self.handedOver += 1
            handOver(connection, data)

        self.patch(self.port._edge, "handOver", count)

    def ask(self, said: bytes, isTCP: bool = False) -> tuple[Peer, Credentials, Deferred[Client]]:
        """
        Send a request, and wait until the access object is asked.
        """
        before = len(self.access.asked)
        peer = self.peer(said, isTCP=isTCP)
        self.reactor.until(lambda: len(self.access.asked) > before)
        return peer, *self.access.asked[-1]

    def test_readsOnceClientIsKnown(self) -> None:
        """
        On each transport nothing is answered until the client is known; others are
        served meanwhile, and the client's own object is the one that is checked.
        """
        for transport in ("poll", "longpoll", "stream", "sse", "websocket"):
            headers = "Cookie: session=s1\r\nX-Any: thing\r\n"
            said = read(transport).replace(b"\r\n\r\n", b"\r\n" + headers.encode() + b"\r\n")
            peer, shown, answer = self.ask(said)
            self.assertEqual((shown.transport, shown.cookies["session"]), (transport, "s1"))
            self.assertEqual((shown.header("x-any"), shown.address), ("thing", "127.0.0.1"))
            other, _, others = self.ask(read("poll"))
            others.callback(ADA)
            other.hears(b"HTTP/1.1 200")
            self.assertEqual(peer.take(), b"")
            self.access.checked.clear()
            answer.callback(ADA)
            if transport == "longpoll":
                self.untilReaders(1)
                self.publish(7)
            peer.hears(b"101" if transport == "websocket" else b"200 OK")
            self.assertIs(self.access.checked[0][0], ADA)
            peer.cut()
            self.untilReaders(0)
        self.assertEqual(self.handedOver, 0)

    def test_publishesOnceClientIsKnown(self) -> None:
        """
        A body that comes meanwhile is kept within bounds, and published then; the
        next request on the connection is answered after it.
        """
        body = b"x" * 60000
        peer, shown, answer = self.ask(head("/channels/c", len(body)) + body)
        self.assertEqual(shown.transport, "publish")
        self.reactor.settle()
        (connection,) = self.port._edge.connections.values()
        kept: Any = connection
        self.assertLess(len(kept.buffer), 2 * MAX_HELD_INPUT)
        self.assertEqual(self.hub.end.position, 0)
        answer.callback(ADA)
        peer.hears(b"201 Created")
        peer.send(head("/channels/c", 1) + b"y" + read("poll"))
        for transport in ("publish", "poll"):
            self.reactor.until(partial(self.isAskedFor, transport))
            self.access.asked[-1][1].callback(ADA)
        peer.hears(b'"messages"')
        self.assertEqual((self.hub.end.position, self.handedOver), (2, 0))

    def wasAsked(self, count: int) -> bool:
        """
        Whether the access object was asked so many times.
        """
        return len(self.access.asked) == count

    def isAskedFor(self, transport: str) -> bool:
        """
        Whether the access object is asked for a request on a transport.
        """
        shown, answer = self.access.asked[-1]
        return shown.transport == transport and not answer.called

    def test_refusesOnceClientIsKnown(self) -> None:
        """
        A client without the right, and one that cannot be identified, are refused.
        """
        for result, status in (
            (Client("bob"), b"403"),
            (Unauthorized("the session is over"), b"401"),
            (ZeroDivisionError(), b"500"),
        ):
            peer, _, answer = self.ask(head("/channels/c", 1) + b"x")
            if isinstance(result, Client):
                answer.callback(result)
            else:
                answer.errback(result)
            peer.hears(b"HTTP/1.1 " + status)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.hub.end.position, 0)

    def test_refusedReaderIsAskedAboutOnce(self) -> None:
        """
        Where a reader is refused, Twisted's edge tells it so, and does not ask again; it
        does about the next request on the connection, also one with the same head.
        """
        for result, status in ((ANONYMOUS, b"401"), (Unauthorized("gone"), b"401")):
            count, handedOver = len(self.access.asked) + 2, self.handedOver
            peer, _, answer = self.ask(read("poll") * 2)
            if isinstance(result, Client):
                answer.callback(result)
            else:
                answer.errback(result)
            peer.hears(b"HTTP/1.1 " + status)
            self.assertEqual(self.handedOver, handedOver + 1)
            self.reactor.until(partial(self.wasAsked, count))
            self.access.asked[-1][1].callback(ADA)
            peer.hears(b"200 OK")
            self.assertTrue(self.wasAsked(count))

    def test_refusedAtOnceIsAskedAboutOnce(self) -> None:
        """
        An access object that refuses at once is asked once, too; and again about the same
        request on another connection.
        """
        answers: list[Any] = [Unauthorized("gone"), ADA, ADA]

        def identify(credentials: Credentials) -> Client:
            answer = answers.pop(0)
            if isinstance(answer, Client):
                return answer
            raise answer

        self.patch(self.access, "identify", identify)
        self.peer(read("poll")).hears(b"HTTP/1.1 401")
        self.peer(read("poll")).hears(b"200 OK")
        self.assertEqual(len(answers), 1)

    def test_nextRequestIsAskedAbout(self) -> None:
        """
        What was found out counts for one request, also where the next one has the same
        head: a client may have logged out.
        """
        for said in (read("poll"), head("/channels/c", 60000) + b"x" * 60000):
            peer, _, answer = self.ask(said)
            answer.callback(ADA)
            peer.hears(b"HTTP/1.1 20")
            count = len(self.access.asked) + 1
            peer.send(said)
            self.reactor.until(partial(self.wasAsked, count))
            self.access.asked[-1][1].callback(ANONYMOUS)
            peer.hears(b"HTTP/1.1 40")

    def test_endsWhenClientLeaves(self) -> None:
        """
        The question is cancelled when the client leaves, and soon when it may have
        left.
        """
        peer, _, _ = self.ask(read("sse"))
        peer.cut()
        self.reactor.until(lambda: self.access.cancelled == 1)
        peer, _, _ = self.ask(read("sse"))
        peer.halfClose()
        self.reactor.settle()
        self.assertEqual(self.access.cancelled, 1)
        self.reactor.advance(5.2)
        self.reactor.until(lambda: self.access.cancelled == 2)
        self.assertEqual(len(self.hub.fanout.readers), 0)

    def test_hasLimit(self) -> None:
        """
        A question that is never answered ends as unavailable.
        """
        peer, _, _ = self.ask(head("/channels/c", 1) + b"x")
        self.reactor.advance(10.2)
        self.assertIn(b"Retry-After", peer.hears(b"503 "))
        self.assertEqual(self.access.cancelled, 1)

    def test_rawTCPWaits(self) -> None:
        """
        The lines of a client of raw TCP wait until it is known, and are carried out
        in their order.
        """
        lines = b'{"id":1,"subscribe":["c"]}\n{"id":2,"publish":"c","data":5}\n{"id":3,"ping":0}\n'
        peer, shown, answer = self.ask(lines, isTCP=True)
        self.assertEqual((shown.transport, shown.address), ("tcp", "127.0.0.1"))
        self.reactor.settle()
        self.assertEqual(peer.take(), b"")
        answer.callback(ADA)
        said = peer.hears(b'"pong"')
        self.assertIn(b'{"id":1,"ok"', said)
        peer.hears(b'"data":5')
        self.assertEqual(self.access.checked, [(ADA, "c")])
        refused, _, answer = self.ask(lines, isTCP=True)
        answer.errback(Unauthorized("log in"))
        self.assertIn(b'"unauthorized"', refused.ends())
        left, _, _ = self.ask(lines, isTCP=True)
        left.cut()
        self.reactor.until(lambda: self.access.cancelled == 1)


class PlainTests(LeanTestCase):
    """
    Where the access object needs the credential alone.
    """

    def test_costsOneCall(self) -> None:
        """
        A poll asks the access object with one call, and reads nothing else of what
        the request shows, however often it comes.
        """
        peer = self.peer(read("poll"))
        peer.hears(b"messages")
        calls: Counter[str] = Counter()

        def count(frame: FrameType, event: str, argument: object) -> None:
            module = frame.f_globals.get("__name__", "")
            if event == "call" and module.startswith(
                ("comet.access", "comet.http.credentials", "comet.lean.shown")
            ):
                calls[frame.f_code.co_name] += 1

        peer.take()
        for _ in range(10):
            peer.send(read("poll"))
            sys.setprofile(count)
            try:
                self.reactor.settle()
            finally:
                sys.setprofile(None)
        self.assertEqual(calls, {"clientOf": 10, "checkSubscribe": 10})

    def test_changedAccessCountsAtOnce(self) -> None:
        """
        An access object that is put in the place of another is asked from the next
        request on, on connections that are open, too.
        """
        peer = self.peer(read("poll"))
        peer.hears(b"200 OK")
        self.hub.access = sessions = Sessions()
        peer.send(read("poll"))
        self.reactor.until(lambda: bool(sessions.asked))
        sessions.asked[0][1].callback(ANONYMOUS)
        peer.hears(b"401 Unauthorized")

    def test_leavesTokensInCookiesToTwistedsEdge(self) -> None:
        """
        A credential in a cookie is refused where cookies count, as it is anywhere
        but in C{Authorization}.
        """
        cookie = "Cookie: comet_token=%s\r\n" % ("k" * 16)
        for said in (
            request("/channels/c?transport=poll", cookie),
            request("/channels/c?transport=poll&token=" + "k" * 16),
        ):
            self.assertIn(b"does not count", self.peer(said).hears(b"}"))
        foreign = request("/channels/c?transport=poll", cookie + "Origin: http://evil.example\r\n")
        self.peer(foreign).hears(b"200 OK")
