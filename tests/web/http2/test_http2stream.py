"""
Tests of L{comet.web.http2.http2stream}: what resources other than comet's may do.
"""

from __future__ import annotations

import json
from typing import Any

from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from comet.access.rights import Access
from comet.web.http2.http2stream import HIGH_WATER_MARK, HTTP2Stream
from tests.edge.connections import Ended
from tests.web.http2.case import Http2TestCase


class Script(Resource):
    """
    A resource that does with a request what the test says, and keeps the last
    one.
    """

    isLeaf = True

    def __init__(self, does: Any) -> None:
        super().__init__()
        self.does = does
        self.request: Any = None

    def render(self, request: Request) -> Any:
        """
        Do what the test says.
        """
        self.request = request
        self.does(request)
        return NOT_DONE_YET


class Pulled:
    """
    A pull producer that writes in parts, some of them empty.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.left: list[bytes] = [b"a" * 100, b"", b"b" * HIGH_WATER_MARK, b"c" * HIGH_WATER_MARK]
        request.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """
        Write a part.
        """
        if self.left:
            self.request.write(self.left.pop(0))
        else:
            self.request.unregisterProducer()
            self.request.finish()


class Pushed:
    """
    A push producer that notes when it has to pause.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """
        Note the call.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Note the call.
        """
        self.told.append("resume")


class Counted(bytes):
    """
    Bytes that count how many of them are copied.
    """

    copied = 0

    def __getitem__(self, index: Any) -> Any:
        """
        Copy a part.
        """
        part = super().__getitem__(index)
        if isinstance(part, bytes):
            Counted.copied += len(part)
            return Counted(part)
        return part


class Carrier:
    """
    A connection whose windows are shut.
    """

    site: Any = None
    transport: Any = None
    isSecure = False
    isBehind = False

    def sendHead(self, stream: HTTP2Stream, status: bytes, headers: Any) -> None:
        """
        Send nothing.
        """

    def wake(self, stream: HTTP2Stream) -> None:
        """
        Send nothing.
        """

    def finished(self, stream: HTTP2Stream) -> None:
        """
        Send nothing.
        """

    def reset(self, stream: HTTP2Stream, code: ErrorCodes) -> None:
        """
        Send nothing.
        """


class QueueTests(SynchronousTestCase):
    """
    What waits in a stream.
    """

    @given(st.lists(st.binary(max_size=50)), st.lists(st.integers(1, 60), min_size=1))
    def test_takesAllInOrder(self, written: list[bytes], sizes: list[int]) -> None:
        """
        All that is written is taken once, in order, in pieces of at most the
        sizes asked for.
        """
        stream = HTTP2Stream(Carrier(), 1)
        taken, number = b"", 0
        for data in written:
            stream.write(data)
        while stream.unsent:
            size = sizes[number % len(sizes)]
            piece = stream.take(size)
            self.assertTrue(0 < len(piece) <= size)
            taken += piece
            number += 1
        self.assertEqual(taken, b"".join(written))

    def test_copiesEachByteOnce(self) -> None:
        """
        A large part of a body is cut without copying what is left of it.
        """
        self.patch(Counted, "copied", 0)
        stream, size = HTTP2Stream(Carrier(), 1), 1_000_000
        stream.write(Counted(size))
        while stream.unsent:
            stream.take(1000)
        self.assertEqual(Counted.copied, size)


class StreamTests(Http2TestCase):
    """
    A request over HTTP/2 to any resource of Twisted's.
    """

    def serve(self, does: Any) -> Script:
        """
        Serve a resource that does something with each request.
        """
        script = Script(does)
        self.site.resource = script
        return script

    def test_carriesRequestAndResponse(self) -> None:
        """
        The request has what the client sent, and the response what the resource
        wrote.
        """
        found: list[Any] = []

        def does(request: Any) -> None:
            found.append((request.method, request.uri, request.clientproto, request.isSecure()))
            found.append((request.getHeader("host"), request.getCookie(b"a")))
            found.append((request.content.read(), request.getClientAddress().port))
            found.append(request.getHost().port)
            request.setHeader("X-One", "1")
            request.responseHeaders.addRawHeader("X-Two", "2")
            request.responseHeaders.addRawHeader("X-Two", "3")
            request.addCookie("b", "c")
            request.channel.writeSequence([b"", b""])
            request.write(b"hello ")
            request.write(b"")
            request.write(b"you")
            request.finish()

        self.serve(does)
        http2, wire = self.open()
        headers = {"Cookie": "a=b"}
        answer = http2.send("POST", "/a/b?c", headers, b"body").answer()
        self.assertEqual(found[0], (b"POST", b"/a/b?c", b"HTTP/2", True))
        self.assertEqual(found[1:], [("localhost", b"b"), (b"body", 54321), 8080])
        self.assertEqual((answer.status, answer.body), (200, b"hello you"))
        self.assertEqual((answer.headers["x-one"], answer.headers["x-two"]), ("1", "2, 3"))
        self.assertEqual(answer.headers["set-cookie"], "b=c")
        wire.leave()

    def test_takesHeadersInList(self) -> None:
        """
        The headers of the response may come in a list.
        """

        def does(request: Any) -> None:
            request.channel.writeHeaders(b"HTTP/2", b"204", b"", [(b"X-One", b"1")])
            request.startedWriting = 1
            request.finish()

        self.serve(does)
        http2, wire = self.open()
        answer = http2.send("GET", "/").answer()
        self.assertEqual((answer.status, answer.headers), (204, {"x-one": "1"}))
        wire.leave()

    def test_givesUpBadHeaders(self) -> None:
        """
        A response with bad headers is given up, and logged.  The client can read
        the other responses, also if they repeat its good headers.
        """
        for bad in ((b":x", b"1"), (b"", b"1"), (b"x y", b"1"), (b"x-two", b"1\r\n")):

            def does(request: Any, bad: Any = bad) -> None:
                headers = [(b"x-one", b"1")]
                if request.uri == b"/bad":
                    headers.append(bad)
                request.channel.writeHeaders(b"", b"204", b"", headers)
                request.startedWriting = 1
                if request.uri != b"/bad":
                    request.finish()

            self.serve(does)
            http2, wire = self.open()
            stream = http2.send("GET", "/bad")
            self.assertRaises(Ended, stream.head)
            self.assertEqual(stream.code, ErrorCodes.INTERNAL_ERROR)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
            for _ in range(2):
                answer = http2.send("GET", "/good").answer()
                self.assertEqual((answer.status, answer.headers), (204, {"x-one": "1"}))
            wire.leave()

    def test_asksPullProducer(self) -> None:
        """
        A pull producer is asked for more whenever all is taken, and no more
        when the client leaves.
        """
        pulled = []
        self.serve(lambda request: pulled.append(Pulled(request)))
        http2, wire = self.open()
        stream = http2.send("GET", "/")
        while not stream.isEnded:
            self.turn()
            http2.pump(1)
        answer = stream.answer()
        self.assertEqual(answer.body, b"a" * 100 + b"b" * HIGH_WATER_MARK + b"c" * HIGH_WATER_MARK)
        slow = http2.send("GET", "/")
        slow.isOpenHanded = False
        for _ in range(10):
            self.turn()
        self.assertEqual(len(pulled[-1].left), 1)
        http2.reset(slow)
        for _ in range(10):
            self.turn()
        self.assertEqual(len(pulled[-1].left), 1)
        wire.leave()
        self.assertNothingLeft()

    def test_pausesPushProducer(self) -> None:
        """
        A push producer is paused when too much waits, also if that was before
        it registered, and resumed when all is taken.
        """
        script = self.serve(lambda request: request.write(b"x" * HIGH_WATER_MARK * 3))
        http2, wire = self.open()
        stream = http2.send("GET", "/")
        stream.isOpenHanded = False
        stream.head()
        producer = Pushed()
        script.request.registerProducer(producer, True)
        script.request.write(b"y")
        self.assertEqual(producer.told, ["pause"])
        http2.allow(stream, HIGH_WATER_MARK)
        http2.flush()
        self.assertEqual(producer.told, ["pause"])
        http2.allow(stream, 2 * HIGH_WATER_MARK)
        http2.flush()
        self.assertEqual(producer.told, ["pause", "resume"])
        script.request.write(b"z" * HIGH_WATER_MARK * 2)
        self.assertEqual(producer.told, ["pause", "resume", "pause"])
        http2.allow(stream, 2 * HIGH_WATER_MARK)
        http2.flush()
        script.request.unregisterProducer()
        script.request.write(b"z" * HIGH_WATER_MARK * 4)
        script.request.finish()
        self.assertEqual(producer.told, ["pause", "resume", "pause", "resume"])
        wire.leave()
        self.assertNothingLeft()

    def test_resetsOnLoseConnection(self) -> None:
        """
        When a resource closes the connection, it is told that its client is
        gone, and the stream is reset.
        """
        told: list[Any] = []
        script = self.serve(lambda request: request.notifyFinish().addErrback(told.append))
        http2, wire = self.open()
        stream = http2.send("GET", "/")
        channel = script.request.channel
        script.request.loseConnection()
        self.assertEqual(len(told), 1)
        self.assertRaises(Ended, stream.head)
        channel.loseConnection()
        channel.write(b"late")
        channel.writeHeaders(b"", b"200", b"", [])
        self.assertTrue(wire.isOpen)
        wire.leave()
        self.assertNothingLeft()

    def test_discardsRestOfRequest(self) -> None:
        """
        When the response is complete before the request, the rest of the
        request is discarded, and the client is told to stop.
        """
        http2, wire = self.open()
        headers = {"Content-Length": str(10**9)}
        stream = http2.send("POST", "/publish", headers, b"x", isWhole=False)
        answer = stream.answer()
        self.assertEqual(answer.status, 413)
        self.assertEqual(json.loads(answer.body)["code"], "tooLarge")
        self.assertEqual(stream.code, ErrorCodes.NO_ERROR)
        wire.leave()
        self.assertNothingLeft()

    def test_countsWhatWaits(self) -> None:
        """
        A response that waits for its client is counted until it is taken, or the
        stream or the connection is gone.
        """
        unsent = self.hub.fanout.unsent
        self.publish("a", *["x" * 1000] * 50)
        for isReset in (False, True):
            http2, wire = self.open(window=1000)
            stream = http2.send("GET", "/channels/a?transport=poll&since=earliest")
            self.turn()
            self.assertGreater(unsent.kept, 49_000)
            self.assertLess(unsent.kept, 60_000)
            if isReset:
                http2.reset(stream)
                self.assertEqual(unsent.kept, 0)
            wire.leave()
            self.assertEqual(unsent.kept, 0)

    def test_countsSharedBytesOnce(self) -> None:
        """
        A response that many clients get, and that waits for all of them, is counted once,
        until the last has taken it or is gone.
        """
        unsent = self.hub.fanout.unsent
        clients = [self.open(window=1000) for _ in range(5)]
        for http2, _ in clients:
            http2.send("GET", "/channels/a?transport=longpoll&wait=9")
            self.turn()
        self.publish("a", *["x" * 1000] * 50)
        self.turn()
        for _, wire in clients:
            self.assertGreater(unsent.kept, 49_000)
            self.assertLess(unsent.kept, 60_000)
            wire.leave()
        self.assertEqual(unsent.kept, 0)

    def test_strangersLeaveRoom(self) -> None:
        """
        Bodies of clients without the publish key that do not end leave room for
        those of its holder.
        """
        self.hub.access = Access("k" * 16, ["open/*"])
        self.hub.uploads.most = 1000
        http2, wire = self.open()
        for size in (400, 100):
            http2.send("POST", "/channels/open/a", {}, b"x" * size, isWhole=False)
        late = http2.send("POST", "/channels/open/a", {}, b"x", isWhole=False)
        self.assertEqual((late.answer().status, self.hub.uploads.kept), (503, 500))
        holder = {"Authorization": f"Bearer {'k' * 16}"}
        taken = http2.send("POST", "/channels/news", holder, b"x" * 400, isWhole=False)
        http2.sendBody(taken, b"x" * 100)
        self.assertEqual((taken.answer().status, self.hub.uploads.kept), (201, 500))
        wire.leave()
        self.assertNothingLeft()

    def test_refusesBeforeBody(self) -> None:
        """
        A client that may not publish is told so at the head of its request; a
        batch is read while it arrives; and a body for which there is no room is
        refused.
        """
        http2, wire = self.open()
        kind = {"Content-Type": "application/x-ndjson"}
        shut = http2.send("POST", "/channels/a", {}, b"", isWhole=False)
        self.assertEqual(shut.answer().status, 401)
        self.assertEqual(shut.code, ErrorCodes.NO_ERROR)
        line = b'{"channel":"open/a","data":1}\n'
        batch = http2.send("POST", "/publish", kind, line, isWhole=False)
        self.assertEqual(self.hub.uploads.kept, len(line))
        http2.sendBody(batch, b'{"channel":"a","data":1}\n', isWhole=False)
        self.assertEqual(batch.answer().status, 401)
        self.assertEqual((batch.code, self.hub.uploads.kept), (ErrorCodes.NO_ERROR, 0))
        self.hub.access = Access()
        refused = http2.send("POST", "/publish", kind, line, isWhole=False)
        self.assertEqual(refused.answer().status, 401)
        self.hub.access = Access(openPatterns=["**"])
        self.hub.uploads.most = 2 * len(line)
        first = http2.send("POST", "/publish", kind, line, isWhole=False)
        second = http2.send("POST", "/publish", kind, line * 2, isWhole=False)
        answer = second.answer()
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "1"))
        http2.sendBody(first, line)
        self.assertEqual((first.answer().status, self.hub.uploads.kept), (201, 0))
        wire.leave()
        self.assertNothingLeft()
