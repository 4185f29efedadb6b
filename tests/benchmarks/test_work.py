"""
The work of a delivery, counted and not timed.

One process holds the lean edge and the clients, on real sockets.  A profile
hook counts each call of a Python function (not of a C function) that the server
makes: for a message to each reader, for a poll that comes back, for a new
connection.  Encodings are counted by the names of the functions that encode.
System calls are counted at the receiver: each C{send} of a small message is one
TCP segment with data.  Objects and allocated blocks are counted by the garbage
collector and the allocator.  A change that makes any of these dearer fails here,
however fast the machine is.
"""

from __future__ import annotations

import gc
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any, Final

from tests.lean.case import LeanTestCase, Peer, read

READERS = 200
ENDLESS = ("stream", "sse", "multipart", "iframe", "websocket", "tcp")
POLLS = ("longpoll", "jsonp")

# The most calls of Python functions for each poll: to answer it, and to hold it
# again when it comes back.
POLL_CALLS: Final = 1.0
ASK_CALLS: Final = 33.0

# The most calls of Python functions for each new reader, from C{accept} until it
# is live.
CONNECT_CALLS: Final = {
    **{"stream": 67.0, "sse": 67.0, "multipart": 67.0, "iframe": 67.0},
    **{"websocket": 81.0, "tcp": 63.0},
}

# The bytes of Linux's C{struct tcp_info} before C{tcpi_data_segs_in}.
_BEFORE_SEGMENTS: Final = 152


class Work:
    """
    The calls of Python functions during some work.

    @ivar calls: The number of calls.

    @ivar names: The number of calls of each function, by its name.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.names: Counter[str] = Counter()

    @property
    def encodings(self) -> int:
        """
        The number of times that a message was encoded.
        """
        return self.names["encodeEnvelope"] + self.names["encodeEvent"]

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """
        Count a call.  This is the profile hook, which also hears of returns and
        of C functions.
        """
        if event == "call":
            self.calls += 1
            self.names[frame.f_code.co_name] += 1

    def of(self, call: Callable[[], None]) -> Work:
        """
        Count the calls that a function makes, itself included.
        """
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            call()
        finally:
            sys.setprofile(before)
        return self


def segments(peers: Sequence[Peer]) -> int:
    """
    Return the number of TCP segments with data that the clients have received:
    each system call that sends a small message makes one.
    """
    size = _BEFORE_SEGMENTS + 4
    infos = [each.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, size) for each in peers]
    return sum(struct.unpack_from("I", info, _BEFORE_SEGMENTS)[0] for info in infos)


class WorkTests(LeanTestCase):
    """
    One message to many readers.
    """

    def readers(self, transport: str, count: int = READERS) -> list[Peer]:
        """
        Connect readers, and wait until they are live and have one message.
        """
        peers = [self.reader(transport) for _ in range(count)]
        self.reactor.settle()
        # The first message makes what later ones reuse.
        self.publish(0)
        self.assertHeard(peers, 0)
        return peers

    def polls(self, transport: str) -> list[Peer]:
        """
        Connect long polls that have come back after an answer, and are held.
        """
        peers = self.readers(transport)
        again = self.again(transport)
        peers[0].send(again)
        self.reactor.until(lambda: self.hub.fanout.readers)
        for peer in peers[1:]:
            peer.send(again)
        self.untilReaders(READERS)
        return peers

    def again(self, transport: str) -> bytes:
        """
        Return the request of a poll that has every message.
        """
        return read(transport, more=f"&since={self.hub.end}")

    def deliver(self, number: int) -> Work:
        """
        Publish one message, and count the calls that deliver it.
        """
        self.hub.publish("c", number)
        return Work().of(lambda: self.reactor.advance(0))

    def leave(self, peers: Sequence[Peer]) -> None:
        """
        Disconnect clients, and wait until the server has noticed.
        """
        for peer in peers:
            peer.cut()
        self.untilReaders(0)

    def assertHeard(self, peers: list[Peer], number: int) -> None:
        """
        Check that each client has all messages up to this one.
        """
        for peer in peers:
            peer.upTo(number)

    def test_streams(self) -> None:
        """
        A message to a stream takes one system call for each reader, and less
        than half a call of a Python function.  It is encoded once for all.
        """
        for transport in ENDLESS:
            peers = self.readers(transport)
            before = segments(peers)
            work = self.deliver(1)
            self.assertEqual(work.encodings, 1, transport)
            self.assertLess(work.calls, READERS / 2, (transport, work.names.most_common(9)))
            self.assertHeard(peers, 1)
            self.assertEqual(segments(peers) - before, READERS, transport)
            self.leave(peers)

    def test_streamCallsDoNotGrowWithReaders(self) -> None:
        """
        Twice as many readers of a stream take no more calls of Python
        functions.
        """
        for transport in ENDLESS:
            peers = self.readers(transport, 50)
            few = self.deliver(1)
            peers += self.readers(transport, 50)
            many = self.deliver(2)
            self.assertLessEqual(many.calls, few.calls, (transport, many.names - few.names))
            self.assertHeard(peers, 2)
            self.leave(peers)

    def test_polls(self) -> None:
        """
        An answer to a long poll, or to one by JSONP, takes one system call, and
        fewer calls of Python functions than C{POLL_CALLS}.  The answer is made once
        for all that call the same function.
        """
        for transport in POLLS:
            peers = self.polls(transport)
            before = segments(peers)
            work = self.deliver(1)
            self.assertEqual(work.encodings, 1, transport)
            self.assertLessEqual(work.names["respond"], 2, transport)
            calls = work.calls / READERS
            self.assertLess(calls, POLL_CALLS, (transport, work.names.most_common(20)))
            self.assertHeard(peers, 1)
            self.assertEqual(segments(peers) - before, READERS, transport)
            self.leave(peers)

    def test_callsOfDifferentFunctions(self) -> None:
        """
        The messages in scripts that call different functions are encoded once.
        """
        peers = [
            self.peer(read("jsonp", more=f"&wait=300&x={n}").replace(b"=cb&", b"=cb%d&" % n))
            for n in range(20)
        ]
        self.untilReaders(20)
        work = self.deliver(1)
        self.assertEqual(work.encodings, 1)
        for number, peer in enumerate(peers):
            self.assertIn(b"/**/cb%d({" % number, peer.hears(b"});"))

    def test_pollsComeBack(self) -> None:
        """
        To hold a long poll that comes back takes fewer calls of Python
        functions than C{ASK_CALLS}, and does not read the log.
        """
        for transport in POLLS:
            peers = self.polls(transport)
            self.publish(1)
            self.assertHeard(peers, 1)
            again = self.again(transport)
            peers[0].send(again)
            self.reactor.until(lambda: self.hub.fanout.readers)
            for peer in peers[1:]:
                peer.send(again)
            work = Work().of(lambda: self.reactor.turn(100))
            self.assertEqual(len(self.hub.fanout.readers), READERS, transport)
            calls = work.calls / READERS
            self.assertLess(calls, ASK_CALLS, (transport, work.names.most_common(30)))
            self.assertEqual((work.names["resolve"], work.names["_wasRead"]), (0, 0))
            self.leave(peers)

    def test_connect(self) -> None:
        """
        To accept a reader that sends the same request as earlier ones takes
        fewer calls of Python functions than C{CONNECT_CALLS}, and does not read
        the log.
        """
        for transport, most in CONNECT_CALLS.items():
            peers = self.readers(transport, 2)
            isTCP = transport == "tcp"
            said = b'{"id":1,"subscribe":["c"]}\n' if isTCP else read(transport)
            new = [self.peer(said, isTCP=isTCP) for _ in range(READERS)]
            work = Work().of(partial(self.untilReaders, READERS + 2))
            calls = work.calls / READERS
            self.assertLess(calls, most, (transport, work.names.most_common(80)))
            self.assertEqual((work.names["resolve"], work.names["_wasRead"]), (0, 0))
            self.publish(1)
            self.assertHeard(peers + new, 1)
            self.leave(peers + new)

    def test_messagesLeaveNoObjects(self) -> None:
        """
        Ten messages leave fewer objects behind than there are readers: a reader
        keeps nothing of a message that was written to it.
        """
        for transport in ENDLESS:
            peers = self.readers(transport)
            self.publish(1, 2)
            self.assertHeard(peers, 2)
            gc.collect()
            before = len(gc.get_objects())
            for number in range(3, 13):
                self.hub.publish("c", number)
                self.reactor.advance(0)
            gc.collect()
            grown = len(gc.get_objects()) - before
            self.assertLess(grown, READERS, transport)
            self.leave(peers)

    def test_messagesLeaveNoBlocks(self) -> None:
        """
        One message leaves less than half an allocated block for each reader,
        also when the garbage collector does not run.
        """
        for transport in ENDLESS:
            peers = self.readers(transport)
            self.publish(1)
            gc.collect()
            gc.disable()
            try:
                before = sys.getallocatedblocks()
                self.hub.publish("c", 2)
                self.reactor.advance(0)
                grown = sys.getallocatedblocks() - before
            finally:
                gc.enable()
            self.assertLess(grown, READERS / 2, transport)
            self.assertHeard(peers, 2)
            self.leave(peers)

    def test_encodesOnceForEachShape(self) -> None:
        """
        Five messages of one turn are encoded once each for each shape in use,
        independent of the number of readers.
        """
        peers = [self.reader(transport) for transport in ENDLESS for _ in range(20)]
        for number in range(1, 6):
            self.hub.publish("c", number)
        work = Work().of(lambda: self.reactor.advance(0))
        self.assertEqual(work.encodings, 5 * len(ENDLESS))
        self.assertHeard(peers, 5)
