"""
What every shell promises of a server that is broken or hostile, and of what it leaves behind.
"""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from comet.client import requester, splitting
from comet.client.failures import BadAnswer, Lost, Refused, Unanswered
from comet.client.links import HTTP_TRANSPORTS
from comet.client.requester import Timing
from comet.errors import CometError, Forbidden, Unavailable
from tests.client.awkwardserver import AwkwardServer, Play, Visit, chunk, frame, response

CURSORS = json.dumps({"cursors": ["k3f9a2-7"]}).encode()
STORED = response(201, CURSORS)
AT = b'{"cursor":"k3f9a2-7"}\n'
MESSAGE = b'{"channel":"a","cursor":"k3f9a2-8","data":1}\n'
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
)

PARTS = STREAM.replace(b"application/x-ndjson", b"multipart/x-mixed-replace; boundary=b")
PAGE = STREAM.replace(b"application/x-ndjson", b"text/html; charset=utf-8")
OK = b'{"id":1,"ok":{"expires":null}}\n{"id":2,"ok":{"cursor":"k3f9a2-7"}}\n'

_POLLING = ("longpoll", "poll", "jsonp")

# More than any buffer of the system and of a client may hold together.
MOST_HELD = 16 * 2**20


def answering(*answers: bytes) -> Play:
    """
    Answer the requests of a connection, and close it.
    """

    def play(visit: Visit) -> None:
        for answer in answers:
            if not visit.take() or not visit.send(answer):
                return

    return play


def always(answer: bytes) -> Play:
    """
    Answer all requests of a connection alike.
    """

    def play(visit: Visit) -> None:
        while visit.take():
            visit.send(answer)

    return play


def messages() -> Iterator[bytes]:
    """
    Make messages without end, of some size.
    """
    data = "x" * 1000
    for number in itertools.count(8):
        value = {"channel": "a", "cursor": f"k3f9a2-{number}", "data": [number, data]}
        yield json.dumps(value).encode() + b"\n"


class AwkwardSetting:
    """
    Mixed in after the makers of a shell: servers of the test's own, and their clients.
    """

    # The times of most of these tests, in seconds.
    timing = Timing(heartbeat=0.5, timeout=2.0, patience=2.0)

    def setUp(self: Any) -> None:
        """
        Come back soon.
        """
        super().setUp()  # type: ignore[misc]
        self.patch(requester, "FIRST_DELAY", 0.01)

    def urlOf(self, port: int) -> str:
        """
        Return the URL of a port of this machine.
        """
        return f"http://127.0.0.1:{port}"

    def serve(self: Any, *plays: Play) -> AwkwardServer:
        """
        Start a server.
        """
        server = AwkwardServer(*plays)
        self.addCleanup(server.close)
        return server

    def client(self: Any, server: AwkwardServer, **options: Any) -> Any:
        """
        Make a client of it.
        """
        isRaw = options.get("transport") == "tcp"
        url = f"tcp://127.0.0.1:{server.port}" if isRaw else self.urlOf(server.port)
        return self.makeClient(url, **{"timing": self.timing, "key": "k" * 16, **options})

    async def failing(self: Any, awaitable: Any, *kinds: type[Exception]) -> Any:
        """
        Await something that fails.
        """
        try:
            await awaitable
        except kinds as error:
            return error
        self.fail(f"it is none of {kinds}")
        return None


class AwkwardContract(AwkwardSetting):
    """
    Mixed in after the makers of a shell.
    """

    # None of these has a name whose address a shell would ask for.
    badLocations: tuple[str, ...] = (
        "mailto:x",
        "http://a b/",
        "http://[::zz]/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
    )

    def test_target(self: Any) -> Any:
        """
        Requests ask for what the core has written, with its headers, and without others that would
        show something.
        """
        server = self.serve(always(response(400, b"{}")))

        async def play() -> None:
            for transport in HTTP_TRANSPORTS:
                client = self.client(server, transport=transport)
                names = ["a b/ü~!'()", "b/*", "$c", "d:;@&=+$"]
                reading = client.subscribe(names, since={names[0]: "earliest"})
                await self.failing(reading.__anext__(), CometError)
                line = server.visits[-1].requests[-1].partition(b"\r\n")[0].decode()
                path = "/channels/a%20b/%C3%BC~%21%27%28%29,b/*,$c,d%3A%3B%40%26%3D%2B$?"
                self.assertTrue(line.startswith(f"GET {path}transport={transport}&"), line)
                own = "" if transport in _POLLING else "&since.a+b%2F%C3%BC~%21%27%28%29="
                self.assertIn(own, line)
            for visit in server.visits:
                for request in visit.requests:
                    head = request.lower()
                    self.assertEqual(head.count(b"\r\nauthorization: bearer kkk"), 1)
                    self.assertEqual(head.count(b"\r\nuser-agent: comet-python\r\n"), 1)
                    self.assertEqual(head.count(b"\r\nhost: "), 1)
                    self.assertNotIn(b"cookie", head)
                    self.assertNotIn(b"gzip", head)
                    self.assertNotIn(b"permessage-deflate", head)

        return self.play(play())

    def test_kept(self: Any) -> Any:
        """
        Publications use the same connection.  One that the server has closed is replaced.
        """
        server = self.serve(answering(STORED, STORED), answering(STORED, STORED))

        async def play() -> None:
            client = self.client(server)
            for _ in range(4):
                await client.publish("a", 1)
            self.assertEqual([len(each.requests) for each in server.visits[:2]], [2, 2])

        return self.play(play())

    def test_cookies(self: Any) -> Any:
        """
        No cookie is taken.
        """
        server = self.serve(always(response(201, CURSORS, "Set-Cookie: a=b; Path=/")))

        async def play() -> None:
            client = self.client(server)
            for _ in range(2):
                await client.publish("a", 1)
            (visit,) = server.visits
            self.assertNotIn(b"cookie", visit.requests[1].lower())

        return self.play(play())

    def test_redirects(self: Any) -> Any:
        """
        A redirect to another origin is followed without the credential, over all transports.
        """
        other = self.serve(always(response(403, b'{"code":"forbidden"}')))
        location = f"Location: {self.urlOf(other.port)}/there"
        server = self.serve(always(response(307, b"", location)))

        async def play() -> None:
            client = self.client(server)
            await self.failing(client.publish("a", 1), Forbidden)
            for transport in HTTP_TRANSPORTS:
                client = self.client(server, transport=transport)
                await self.failing(client.subscribe("a").__anext__(), Forbidden)
            self.assertEqual(len(other.visits), 1 + len(HTTP_TRANSPORTS))
            for visit in server.visits:
                self.assertIn(b"authorization", visit.requests[0].lower())
            for visit in other.visits:
                self.assertNotIn(b"authorization", visit.requests[0].lower())

        return self.play(play())

    def test_badRedirects(self: Any) -> Any:
        """
        A redirect to what is no URL for a client is a bad answer.
        """

        async def play() -> None:
            for location in self.badLocations:
                redirect = response(307, b"", f"Location: {location}")
                client = self.client(self.serve(always(redirect)))
                await self.failing(client.publish("a", 1), BadAnswer)

        return self.play(play())

    def test_redirected(self: Any) -> Any:
        """
        The connection whose answer was a redirect is closed, or used again.
        """
        other = self.serve(always(STORED))
        location = f"Location: {self.urlOf(other.port)}/there"
        ended: list[bool] = []

        def redirecting(visit: Visit) -> None:
            while visit.take():
                visit.send(response(307, b"a body", location))
            ended.append(True)

        server = self.serve(redirecting)

        async def play() -> None:
            client = self.client(server)
            for _ in range(5):
                await client.publish("a", 1)
            await self.until(lambda: len(ended) >= len(server.visits) - 1)

        return self.play(play())

    def test_coded(self: Any) -> Any:
        """
        What was compressed all the same is not undone: nothing would bound its size.
        """
        coded = response(201, gzip.compress(CURSORS), "Content-Encoding: gzip")
        server = self.serve(always(coded))

        async def play() -> None:
            await self.failing(self.client(server).publish("a", 1), BadAnswer)

        return self.play(play())

    def test_noHTTP(self: Any) -> Any:
        """
        What is no HTTP is said to be none.
        """
        server = self.serve(answering(b"220 mail.example ESMTP\r\n\r\n"))

        async def play() -> None:
            await self.failing(self.client(server).publish("a", 1), BadAnswer)
            for transport in ("websocket", "stream"):
                reading = self.client(server, transport=transport).subscribe("a")
                await self.failing(reading.__anext__(), BadAnswer)

        return self.play(play())

    def test_head(self: Any) -> Any:
        """
        The head of a response has a bounded size: a line of it, its lines, and those before it.
        """

        def play(pieces: list[bytes]) -> Play:
            def answer(visit: Visit) -> None:
                visit.take()
                visit.send(b"HTTP/1.1 ")
                visit.sendEach(itertools.chain(pieces[:-1], itertools.repeat(pieces[-1])))

            return answer

        early = b"103 Yes\r\nLink: <x>\r\n\r\nHTTP/1.1 " * 100

        async def run() -> None:
            for pieces in ([b"200 " + b"x" * 10000], [b"200 OK\r\n", b"X: y\r\n" * 1000], [early]):
                server = self.serve(play(pieces))
                client = self.client(server)
                # Some only have no end: they are told of by the clock.
                await self.failing(client.publish("a", 1), BadAnswer, Unanswered)
                reading = self.client(server, transport="websocket").subscribe("a")
                await self.failing(reading.__anext__(), BadAnswer, Refused)
                if pieces != [early]:
                    for visit in server.visits:
                        self.assertLess(visit.sent, MOST_HELD)

        return self.play(run())

    def test_slowHead(self: Any) -> Any:
        """
        An answer of which a byte comes now and then takes no longer than the limit.
        """

        def slow(visit: Visit) -> None:
            visit.take()
            visit.sendEach((b"x" for _ in range(400)), 0.05)

        server = self.serve(slow)

        async def play() -> None:
            began = time.monotonic()
            client = self.client(server)
            await self.failing(client.publish("a", 1), Unanswered)
            self.assertLess(time.monotonic() - began, 10)

        return self.play(play())

    def test_body(self: Any) -> Any:
        """
        The body of an answer has a bounded size.
        """
        self.patch(requester, "MAX_BYTES", 2**16)

        def endless(visit: Visit) -> None:
            visit.take()
            visit.send(b"HTTP/1.1 201 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            visit.sendEach(itertools.repeat(chunk(b" " * 1000)))

        server = self.serve(endless)

        async def play() -> None:
            await self.failing(self.client(server).publish("a", 1), BadAnswer)
            self.assertLess(server.visits[0].sent, MOST_HELD)

        return self.play(play())

    def test_cutAnswer(self: Any) -> Any:
        """
        An answer that ends early is none, and the request is sent again with the same key.
        """
        chunked = b"HTTP/1.1 201 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

        async def play() -> None:
            for cut in (b"", STORED[:20], STORED[:-1], chunked, chunked + chunk(CURSORS)[:-3]):
                server = self.serve(answering(cut), answering(STORED))
                client = self.client(server)
                self.assertEqual(await client.publish("a", 1), "k3f9a2-7")
                bodies = [each.requests[0].partition(b"\r\n\r\n")[2] for each in server.visits]
                self.assertEqual(bodies[0], bodies[1])
                self.assertEqual(len(bodies), 2)

        return self.play(play())

    def test_line(self: Any) -> Any:
        """
        A line of a stream, and an event, have a bounded size.
        """
        self.patch(splitting, "MAX_BYTES", 2**16)

        async def play() -> None:
            part = b"--b\r\nContent-Type: application/json\r\n\r\n"
            for transport, begin in (
                ("stream", STREAM),
                ("sse", STREAM.replace(b"application/x-ndjson", b"text/event-stream")),
                ("multipart", PARTS + chunk(part)),
                ("multipart", PARTS + chunk(b"--b\r\n")),
                ("iframe", PAGE),
                ("iframe", PAGE + chunk(b"<script>parent.comet(")),
                ("tcp", b'{"cursor":'),
            ):
                isRaw = transport == "tcp"

                def endless(visit: Visit, begin: bytes = begin, isRaw: bool = isRaw) -> None:
                    visit.takeRaw() if isRaw else visit.take()
                    visit.send(begin)
                    data = b"data: " + b"x" * 1000
                    visit.sendEach(itertools.repeat(data if isRaw else chunk(data)))

                server = self.serve(endless)
                reading = self.client(server, transport=transport).subscribe("a")
                await self.failing(reading.__anext__(), BadAnswer)
                self.assertLess(server.visits[0].sent, MOST_HELD)

        return self.play(play())

    def test_silence(self: Any) -> Any:
        """
        A connection that brings nothing for two heartbeats is given up, and closed.
        """
        told: list[str] = []
        ended: list[bool] = []

        def stream(visit: Visit) -> None:
            visit.take()
            visit.send(STREAM + chunk(AT))
            ended.append(visit.awaitEnd())

        def socket(visit: Visit) -> None:
            visit.shake()
            visit.send(frame(1, AT))
            # Pings are no messages.
            visit.sendEach((frame(9, b"x") for _ in range(20)), 0.05)
            ended.append(visit.awaitEnd())

        def raw(visit: Visit) -> None:
            visit.takeRaw()
            visit.send(OK)
            ended.append(visit.awaitEnd())

        def refusing(visit: Visit) -> None:
            visit.takeRaw()
            visit.send(b'{"id":1,"error":{"code":"forbidden","message":"no"}}\n')
            visit.awaitEnd()

        over = answering(response(403, b'{"code":"forbidden"}'))

        async def play() -> None:
            for transport, first, last in (
                ("stream", stream, over),
                ("websocket", socket, over),
                ("tcp", raw, refusing),
            ):
                server = self.serve(first, last)
                client = self.client(server, transport=transport)
                reading = client.subscribe("a", onClose=lambda closing: told.append(closing.code))
                await self.failing(reading.__anext__(), Forbidden)
            self.assertEqual(told, ["silent"] * 3)
            await self.until(lambda: ended == [True] * 3)

        return self.play(play())

    async def until(self: Any, condition: Any) -> None:
        """
        Wait until something is so.
        """
        for _ in range(500):
            if condition():
                return
            await self.pause()
        self.fail("it is never so")

    def test_refusedSocket(self: Any) -> Any:
        """
        A refusal of the handshake is read however the network cuts it, with or without a length or
        in chunks, and its body is bounded.
        """
        problem = b'{"code":"unavailable","detail":"later"}'
        whole = response(503, problem, "Retry-After: 3000")
        bare = b"HTTP/1.1 503 No\r\nRetry-After: 3000\r\n\r\n" + problem
        chunked = b"HTTP/1.1 503 No\r\nRetry-After: 3000\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunked += chunk(problem[:20]) + chunk(problem[20:]) + chunk(b"")
        told: list[Any] = []

        def cutting(answer: bytes, size: int) -> Play:
            pieces = [answer[at : at + size] for at in range(0, len(answer), size)]

            def play(visit: Visit) -> None:
                visit.take()
                visit.sendEach(pieces, 0.01)
                if answer is not bare:
                    visit.awaitEnd()

            return play

        def endless(visit: Visit) -> None:
            visit.take()
            visit.send(b"HTTP/1.1 403 No\r\n\r\n")
            visit.sendEach(itertools.repeat(b" " * 10000))

        def lost(closing: Any) -> None:
            told.append((closing.code, closing.message, closing.retry))
            raise Unavailable("enough")

        async def play() -> None:
            for answer in (whole, bare, chunked):
                for size in (5, 30, 1000):
                    server = self.serve(cutting(answer, size))
                    client = self.client(server, transport="websocket")
                    reading = client.subscribe("a", onClose=lost)
                    await self.failing(reading.__anext__(), Unavailable)
            self.assertEqual(told, [("unavailable", "later", 3000)] * 9)
            server = self.serve(endless)
            reading = self.client(server, transport="websocket").subscribe("a")
            await self.failing(reading.__anext__(), Refused, BadAnswer, Lost)
            self.assertLess(server.visits[0].sent, MOST_HELD)

        return self.play(play())

    def test_badFrames(self: Any) -> Any:
        """
        Frames that are too large, masked, compressed or no text end the connection, and the client
        comes back where it was.
        """
        bad = [
            b"\x81\x7f" + (2**40).to_bytes(8, "big") + b"x" * 1000,
            b"\x81\x81\x00\x00\x00\x00x",
            b"\xc1\x01x",
            b"\x83\x00",
            frame(2, b"x"),
            frame(1, b"\xff"),
            frame(1, b"{"),
            frame(8, b"\x03\xe9"),
            b"",
        ]
        refusal = response(403, b'{"code":"forbidden"}')
        plays = [*(self.framing(each) for each in bad), answering(refusal)]

        async def play() -> None:
            server = self.serve(*plays)
            told: list[Any] = []
            client = self.client(server, transport="websocket")
            reading = client.subscribe("a", "k3f9a2-1", onClose=lambda each: told.append(each))
            for _ in bad:
                item = await reading.__anext__()
                self.assertEqual(item.data, 1)
            begins = [each.requests[0].split(b"since=")[1][:9] for each in server.visits]
            self.assertEqual(begins[0], b"k3f9a2-1 ")
            self.assertEqual(begins[1][:8], b"k3f9a2-9")
            self.assertEqual(len(told), len(bad) - 1)

        return self.play(play())

    def framing(self: Any, bad: bytes) -> Play:
        """
        Bring the next message, and then something bad.
        """

        def play(visit: Visit) -> None:
            visit.shake()
            start = visit.requests[0].split(b"since=k3f9a2-")[1].split(b" ")[0].split(b"&")[0]
            number = max(int(start), 8)
            value = {"channel": "a", "cursor": f"k3f9a2-{number + 1}", "data": 1}
            visit.send(frame(1, b'{"cursor":"k3f9a2-%d"}' % number))
            visit.send(frame(1, json.dumps(value).encode()))
            visit.send(bad)
            if bad:
                visit.awaitEnd()

        return play

    def test_slowReader(self: Any) -> Any:
        """
        A program that takes one message and no more costs a bounded memory, on each transport.
        """

        def stream(visit: Visit) -> None:
            visit.take()
            visit.send(STREAM + chunk(AT))
            visit.sendEach(chunk(each) for each in messages())

        def socket(visit: Visit) -> None:
            visit.shake()
            visit.send(frame(1, AT))
            visit.sendEach(frame(1, each) for each in messages())

        def raw(visit: Visit) -> None:
            visit.takeRaw()
            visit.send(OK)
            visit.sendEach(messages())

        async def play() -> None:
            for transport, first in (("stream", stream), ("websocket", socket), ("tcp", raw)):
                server = self.serve(first)
                reading = self.client(server, transport=transport).subscribe("a", "k3f9a2-7")
                numbers = [(await reading.__anext__()).data[0] for _ in range(3)]
                size = -1
                while size != server.visits[0].sent:
                    size = server.visits[0].sent
                    for _ in range(20):
                        await self.pause()
                self.assertLess(size, MOST_HELD)
                numbers += [(await reading.__anext__()).data[0] for _ in range(3000)]
                self.assertEqual(numbers, list(range(8, 3011)))
                await reading.close()

        return self.play(play())

    def test_pings(self: Any) -> Any:
        """
        A server that sends pings and does not read what they are answered is not read any more.
        """
        # Heartbeats between them, so that it is not silent.
        pings = frame(9, b"x" * 125) * 500 + frame(1, AT)

        def hostile(visit: Visit) -> None:
            visit.shake()
            visit.send(frame(1, AT) + frame(1, MESSAGE))
            visit.sendEach(itertools.repeat(pings, MOST_HELD // len(pings) + 1))

        async def play() -> None:
            server = self.serve(hostile)
            client = self.client(server, transport="websocket", timing=Timing(heartbeat=1))
            reading = client.subscribe("a", "k3f9a2-7", onClose=self.refuse)
            self.assertEqual((await reading.__anext__()).data, 1)
            await self.failing(reading.__anext__(), Unavailable)
            self.assertLess(server.visits[0].sent, MOST_HELD)

        return self.play(play())

    def refuse(self, closing: object) -> None:
        """
        End a subscription whose connection is lost.
        """
        raise Unavailable("enough")

    def test_emptyFrames(self: Any) -> Any:
        """
        Messages without a byte count while a program takes none.
        """

        def hostile(visit: Visit) -> None:
            visit.shake()
            visit.send(frame(1, AT) + frame(1, MESSAGE))
            visit.sendEach(itertools.repeat(frame(1, b"") * 10000))

        async def play() -> None:
            server = self.serve(hostile)
            reading = self.client(server, transport="websocket").subscribe("a", "k3f9a2-7")
            self.assertEqual((await reading.__anext__()).data, 1)
            size = -1
            while size != server.visits[0].sent and size < MOST_HELD:
                size = server.visits[0].sent
                for _ in range(20):
                    await self.pause()
            self.assertLess(size, MOST_HELD)
            await reading.close()

        return self.play(play())

    def test_leavesNothing(self: Any) -> Any:
        """
        When a client is closed, each of its connections is: kept ones, streams, held polls,
        WebSockets, and those whose answer is awaited; and no thread is left.
        """
        ended: list[str] = []

        def ending(name: str, before: bytes) -> Play:
            def play(visit: Visit) -> None:
                if name == "websocket":
                    visit.shake()
                elif name == "tcp":
                    visit.takeRaw()
                else:
                    visit.take()
                visit.send(before)
                if visit.awaitEnd():
                    ended.append(name)

            return play

        before = threading.active_count()

        async def play() -> None:
            cases = {
                "kept": STORED,
                "stream": STREAM + chunk(AT) + chunk(MESSAGE),
                "websocket": frame(1, AT) + frame(1, MESSAGE),
                "tcp": OK + MESSAGE,
            }
            for name, sent in cases.items():
                server = self.serve(ending(name, sent))
                client = self.client(server, transport=None if name == "kept" else name)
                if name == "kept":
                    await client.publish("a", 1)
                else:
                    reading = client.subscribe("a", "k3f9a2-7")
                    self.assertEqual((await reading.__anext__()).data, 1)
                if name == "stream":
                    await reading.close()
                else:
                    await self.closeClient(client)
                await self.until(lambda name=name: name in ended)
            server = self.serve(ending("held", b""))
            client = self.client(server, transport="longpoll", timing=Timing())
            await self.closedMeanwhile(client, client.subscribe("a"), server)
            await self.until(lambda: "held" in ended)
            server.close()
            await self.until(lambda: threading.active_count() <= before + self.spareThreads)

        return self.play(play())

    # Threads that belong to a library, or to the servers of the tests.
    spareThreads = 12

    async def pause(self: Any) -> None:
        """
        Wait for a moment.
        """
        raise NotImplementedError

    async def closeClient(self: Any, client: Any) -> None:
        """
        Close a client.
        """
        await client.close()

    async def closedMeanwhile(self: Any, client: Any, reading: Any, server: Any) -> None:
        """
        Close a client while a subscription waits for an answer.
        """
        raise NotImplementedError
