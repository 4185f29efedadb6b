"""
Tests that the two edges give the same answers: to odd requests, to requests that
end in odd ways, and on connections that the lean edge hands over.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from tests.edge.case import EdgeTestCase
from tests.edge.connections import Ended, Silence, TcpConnection
from tests.edge.framings import broken, framings
from tests.edge.oddities import oddities, pages

# After how many seconds without a byte a server counts as silent.
SILENCE = 2.0

# The header that differs from one moment to the next.
_DATE = re.compile(rb"\r\nDate: [^\r]*")
_TIME = re.compile(rb'"time":[0-9.]+')
_LENGTH = re.compile(rb"Content-Length: ([0-9]+)")
_CURSOR = re.compile(rb"[a-z2-9]{6}-[0-9]+")
_SIZE = re.compile(rb"([0-9a-f]+)\r\n")
_REQUEST = b"GET /channels/open/x?transport=poll HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"
_LAST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def plain(said: bytes) -> bytes:
    """
    Return the bytes of answers without what may differ.
    """
    return _CURSOR.sub(b"<cursor>", _DATE.sub(b"", said))


def timeless(said: bytes) -> bytes:
    """
    Return what follows the first head of answers without the times in it, of which one may have
    a digit less than another.  The sizes of chunks are those without them.
    """
    plainly, at = b"", 0
    while (size := _SIZE.match(said, at)) is not None:
        end = size.end() + int(size[1], 16)
        if said[end : end + 2] != b"\r\n":
            break
        chunk = _TIME.sub(b"<time>", said[size.end() : end])
        plainly += b"%x\r\n%s\r\n" % (len(chunk), chunk)
        at = end + 2
    return plainly + _TIME.sub(b"<time>", said[at:])


def begun(port: int, *pieces: bytes) -> Callable[[], bytes]:
    """
    Send bytes, and return a function that returns all answers until the server
    closes the connection or is silent.
    """
    tcp = TcpConnection(port)
    try:
        for piece in pieces:
            tcp.send(piece)
    except (ConnectionError, Ended):
        tcp.close()
        return lambda: b"<reset>"
    return partial(answers, tcp, time.monotonic() + SILENCE)


def answers(tcp: TcpConnection, until: float) -> bytes:
    """
    Return all answers until the server closes the connection or is silent.

    @param until: The time at which it counts as silent if it has said nothing.
    """
    said = b""
    try:
        while received := tcp.receive(until - time.monotonic()):
            said += received
            until = time.monotonic() + SILENCE
    except (ConnectionError, Ended):
        said += b"<reset>"
    except Silence:
        said += b"<silence>"
    finally:
        tcp.close()
    return plain(said)


def conversation(port: int, *pieces: bytes) -> bytes:
    """
    Send bytes, and return all answers.
    """
    return begun(port, *pieces)()


def ended(port: int, said: bytes) -> Callable[[], bytes]:
    """
    Send bytes, close the sending half, and return a function that returns all
    answers.
    """
    tcp = TcpConnection(port)
    tcp.send(said)
    tcp.halfClose()
    return partial(answersAfterTheEnd, tcp)


def answersAfterTheEnd(tcp: TcpConnection) -> bytes:
    """
    Return all answers until the server closes the connection.
    """
    heard = b""
    try:
        # A poll is held for 5 seconds more behind the end of the client's input.
        while received := tcp.receive(20.0):
            heard += received
    finally:
        tcp.close()
    return plain(heard)


def answersUntil(tcp: TcpConnection, until: float) -> bytes:
    """
    Return all answers that have come when a time is reached, or the server closes the
    connection.
    """
    heard = b""
    try:
        while received := tcp.receive(max(until - time.monotonic(), 0.02)):
            heard += received
    except Silence:
        heard += b"<silence>"
    finally:
        tcp.close()
    head, end, rest = heard.partition(b"\r\n\r\n")
    # What may differ counts in the length of the first answer, which has it.
    length = _LENGTH.search(head)
    if length is not None:
        least = int(length[1]) - sum(map(len, _TIME.findall(rest)))
        head = head[: length.start(1)] + b"%d" % least + head[length.end(1) :]
    return plain(head + end + timeless(rest))


class TimelessTests(SynchronousTestCase):
    """
    What is left of answers when times are taken out.
    """

    def test_chunks(self) -> None:
        """
        A time with a digit less makes no difference, nor in the size of its chunk.
        """
        bodies = [b'a{"time":17.503}b', b'a{"time":17.5}b']
        first, second = (
            timeless(b"%x\r\n%s\r\n2\r\nyz\r\nHTTP/1.1 200 OK" % (len(body), body))
            for body in bodies
        )
        self.assertEqual(first, second)
        self.assertIn(b"<time>", first)

    def test_cut(self) -> None:
        """
        What is no chunk, or not all of one, stays.
        """
        for said in (b"", b"ff\r\nshort", b'{"data":"b\r\n"}'):
            self.assertEqual(timeless(said), said)


class SameTests(EdgeTestCase):
    """
    The same bytes, sent to both edges.
    """

    def assertSame(
        self, begin: Callable[[int, bytes], Callable[[], bytes]], said: Iterable[bytes]
    ) -> None:
        """
        Check that both edges give the same answers.

        @param begin: Sends bytes to a port, and returns a function that waits for
            the answers: both edges are waited for at once.
        """
        lean = self.startServer("--open", "open/**")
        twisted = self.startServer("--open", "open/**", "--edge", "twisted")
        for each in said:
            one, other = begin(lean.port, each), begin(twisted.port, each)
            self.assertEqual(one(), other(), each[:300])

    def test_oddities(self) -> None:
        """
        Both edges give the same answer to each odd request, and to the request
        behind it.
        """
        self.assertSame(begun, oddities())

    def test_pages(self) -> None:
        """
        Both edges give the same answers to requests for scripts and frames, from
        pages of every origin, and begin the same streams.
        """
        options = ("--open", "open/**", "--allow-origin", "http://friend.example")
        servers = [self.startServer(*options, "--edge", edge) for edge in ("lean", "twisted")]
        asked = [[*pages(server.site.key)] for server in servers]
        for server, (first, *_) in zip(servers, asked, strict=True):
            tcp = TcpConnection(server.port)
            tcp.send(first)
            self.assertIn(b" 201 ", tcp.receiveUntil(b"}}"))
            tcp.close()
        pairs = []
        for requests in zip(*(each[1:] for each in asked), strict=True):
            pairs.append([TcpConnection(server.port) for server in servers])
            for tcp, request in zip(pairs[-1], requests, strict=True):
                tcp.send(request)
        until = time.monotonic() + SILENCE
        statuses = set()
        for (one, other), request in zip(pairs, asked[0][1:], strict=True):
            answer = answersUntil(one, until)
            self.assertEqual(answer, answersUntil(other, until), request)
            statuses.add(answer[:12])
        wanted = {b"HTTP/1.1 200", b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 403"}
        self.assertEqual(statuses, wanted)

    def test_framings(self) -> None:
        """
        Both edges give the same answers to requests that mark their end in odd
        ways, and to the requests behind them.
        """
        self.assertSame(begun, framings())

    def test_halfClosed(self) -> None:
        """
        Both edges give the same answers to a client that closes its sending
        half, behind a whole request and in the middle of one.
        """
        self.assertSame(ended, broken())


class SplitTests(EdgeTestCase):
    """
    The same bytes, sent to the lean edge at once and in pieces.
    """

    def test_split(self) -> None:
        """
        The answer to a request does not depend on the byte at which the network
        cuts it.
        """
        port = self.server.port
        whole = conversation(port, _REQUEST + _LAST)
        self.assertEqual(whole.count(b"HTTP/1.1 200 OK"), 2)
        waiting = []
        for place in range(1, len(_REQUEST)):
            tcp = TcpConnection(port)
            self.addCleanup(tcp.close)
            tcp.send(_REQUEST[:place])
            waiting.append((tcp, _REQUEST[place:] + _LAST))
        for tcp, rest in waiting:
            tcp.send(rest)
            said = b""
            while received := tcp.receive(5.0):
                said += received
            self.assertEqual(plain(said), whole, rest)

    def test_handedOverLater(self) -> None:
        """
        The lean edge answers some requests on a connection, and hands it over
        with the first request that is not for it.  No byte is lost.
        """
        pieces = [
            _REQUEST * 3,
            b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n",
            _REQUEST,
            _LAST,
        ]
        whole = conversation(self.server.port, b"".join(pieces))
        self.assertEqual(whole.count(b"HTTP/1.1 200 OK"), 5)
        self.assertEqual(whole.count(b"HTTP/1.1 404 Not Found"), 1)
        self.assertEqual(conversation(self.server.port, *pieces), whole)
