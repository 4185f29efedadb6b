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
import select
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any, Final

from comet.access.rights import Access
from comet.fanout.registry import LINGER
from comet.http import http1
from tests.lean.case import LeanTestCase, Peer, read, request
from tests.transports.frames import text

READERS = 200
ENDLESS = ("stream", "sse", "multipart", "iframe", "websocket", "tcp")
POLLS = ("longpoll", "jsonp")

# The most calls of Python functions for each poll: to answer it, and to hold it
# again when it comes back.
POLL_CALLS: Final = 0.4
ASK_CALLS: Final = 8.5

# The most calls to hold ten polls again that come back in one turn.
TEN_ASK_CALLS: Final = 122

# The same where they come back two in a turn.
TWOS_ASK_CALLS: Final = 185

# The most calls of Python functions for each new reader, from C{accept} until it
# is live.
CONNECT_CALLS: Final = {
    **{"stream": 58.0, "sse": 58.0, "multipart": 58.0, "iframe": 58.0},
    **{"websocket": 73.0, "tcp": 50.0},
}

# The most calls for a publication by HTTP, from the event of its connection to the
# answer: without a reader, and how many more to write it to ten readers.
PUBLISH_CALLS: Final = 50
TEN_CALLS: Final = {
    **{"stream": 20, "sse": 25, "multipart": 21, "iframe": 24},
    **{"websocket": 19, "tcp": 18, "longpoll": 35, "jsonp": 38},
}

# The most calls for a publication by a command of a WebSocket, without a reader: for one
# alone, and for each of those that come together.
COMMAND_CALLS: Final = 64
TOGETHER_CALLS: Final = 46

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
        before, isCollecting = sys.getprofile(), gc.isenabled()
        # Hypothesis, which other tests use, has the collector call a function of its own.
        gc.disable()
        sys.setprofile(self)
        try:
            call()
        finally:
            sys.setprofile(before)
            if isCollecting:
                gc.enable()
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

    def polls(self, transport: str, count: int = READERS) -> list[Peer]:
        """
        Connect long polls that have come back after an answer, and are held.
        """
        peers = self.readers(transport, count)
        again = self.again(transport)
        peers[0].send(again)
        self.reactor.until(lambda: self.hub.fanout.readers)
        for peer in peers[1:]:
            peer.send(again)
        self.untilReaders(count)
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

    def publishByPost(self, peer: Peer, number: int) -> Work:
        """
        Publish by a request, and count the calls from its event on.
        """
        work = self.taken(peer, request("/channels/c", method="POST", body=b"%d" % number))
        peer.hears(b"-%d" % self.hub.end.position)
        return work

    def taken(self, peer: Peer, said: bytes) -> Work:
        """
        Count the calls from the event of some input of a client on.
        """
        peer.send(said)
        poll = select.poll()
        poll.register(self.port.fileno(), select.POLLIN)
        poll.poll(5000)
        return Work().of(self.port.doRead)

    def test_countsNoCollector(self) -> None:
        """
        What the garbage collector calls is not counted.
        """
        calls: list[str] = []

        def collected(phase: str, info: object) -> None:
            calls.append(phase)

        gc.callbacks.append(collected)
        self.addCleanup(gc.callbacks.remove, collected)
        thresholds = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *thresholds)
        gc.set_threshold(1)
        kept: list[list[int]] = [[] for _ in range(9)]
        self.assertTrue(calls)
        work = Work().of(lambda: kept.extend([] for _ in range(9)))
        self.assertEqual(set(work.names), {"<lambda>", "<genexpr>"})
        self.assertTrue(gc.isenabled())

    def test_publish(self) -> None:
        """
        A publication by HTTP takes fewer calls of Python functions than C{PUBLISH_CALLS},
        and C{TEN_CALLS} more for all of ten readers.
        """
        self.hub.access = Access(None, ["c"])
        # Once a second it takes calls of Python functions.
        self.patch(http1, "_dateOf", b"%d".__mod__)
        publisher = self.peer()
        for number in range(3):
            alone = self.publishByPost(publisher, number)
        self.assertLess(alone.calls, PUBLISH_CALLS, alone.names.most_common(90))
        for transport, most in TEN_CALLS.items():
            peers = (self.polls if transport in POLLS else self.readers)(transport, 10)
            work = self.publishByPost(publisher, 1)
            self.assertHeard(peers, 1)
            calls = work.calls - alone.calls
            self.assertLess(calls, most, (transport, work.names - alone.names))
            self.leave(peers)
            # Their group is forgotten then.
            self.reactor.advance(LINGER + 1)

    def test_publishByCommand(self) -> None:
        """
        A publication by a command of a WebSocket takes fewer calls of Python functions
        than C{COMMAND_CALLS}.
        """
        self.hub.access = Access(None, ["c"])
        target = read("websocket").replace(b"/channels/c?transport=websocket", b"/socket?")
        publisher = self.peer(target)
        publisher.hears(b"\r\n\r\n")
        for number in range(3):
            work = self.taken(publisher, text({"id": number, "publish": "c", "data": "x"}))
            publisher.hears(b'{"id":%d,"ok":' % number)
        self.assertLess(work.calls, COMMAND_CALLS, work.names.most_common(90))

    def test_publishByCommandsTogether(self) -> None:
        """
        Commands of a WebSocket that come together take fewer calls of Python functions each
        than C{TOGETHER_CALLS}.
        """
        self.hub.access = Access(None, ["c"])
        publisher = self.peer(
            read("websocket").replace(b"/channels/c?transport=websocket", b"/socket?")
        )
        publisher.hears(b"\r\n\r\n")
        count = 20
        for number in range(3):
            said = [text({"id": n, "publish": "c", "data": number}) for n in range(count)]
            work = self.taken(publisher, b"".join(said))
            publisher.hears(b'{"id":%d,"ok":' % (count - 1))
        calls = work.calls / count
        self.assertLess(calls, TOGETHER_CALLS, work.names.most_common(90))

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
        functions than C{ASK_CALLS}, and does not read the log, though another
        channel had a message meanwhile.
        """
        for transport in POLLS:
            peers = self.polls(transport)
            self.publish(1)
            self.assertHeard(peers, 1)
            again = self.again(transport)
            self.hub.publish("other", 2)
            self.reactor.advance(0)
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

    def test_tenPollsComeBack(self) -> None:
        """
        To hold ten polls that come back takes fewer calls of Python functions than
        C{TEN_ASK_CALLS}: what is found out of the first counts for the others.
        """
        self.hub.access = Access(None, ["c"])
        for transport in POLLS:
            peers = self.polls(transport, 10)
            self.publish(1)
            self.assertHeard(peers, 1)
            again = self.again(transport)
            for peer in peers:
                peer.send(again)
            # The system needs a moment to bring them.
            time.sleep(0.01)
            work = Work().of(self.port.doRead)
            self.assertEqual(len(self.hub.fanout.readers), 10, transport)
            self.assertEqual(work.names["openPoll"], 1, transport)
            self.assertLess(work.calls, TEN_ASK_CALLS, (transport, work.names.most_common(30)))
            self.leave(peers)

    def test_tenPollsComeBackInTurns(self) -> None:
        """
        What is found out of the first of ten polls counts for those of the next turns, too.
        """
        self.hub.access = Access(None, ["c"])
        for transport in POLLS:
            peers = self.polls(transport, 10)
            self.publish(1)
            self.assertHeard(peers, 1)
            again, calls = self.again(transport), 0
            for number in range(0, 10, 2):
                for peer in peers[number : number + 2]:
                    peer.send(again)
                # The system needs a moment to bring them.
                time.sleep(0.01)
                work = Work().of(self.port.doRead)
                self.assertEqual(work.names["openPoll"], number == 0, transport)
                calls += work.calls
            self.assertEqual(len(self.hub.fanout.readers), 10, transport)
            self.assertLess(calls, TWOS_ASK_CALLS, transport)
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
