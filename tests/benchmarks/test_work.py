"""
How much work a delivery is, counted and not timed: who makes one dearer is told.
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
ENDLESS = ("stream", "sse", "websocket", "tcp")

# How many of Python's functions are called at most to answer a long poll, and to
# take it up.
POLL_CALLS: Final = 1.0
ASK_CALLS: Final = 34.0

# And to accept a reader that comes, until it is live.
CONNECT_CALLS: Final = {"stream": 70.0, "sse": 70.0, "websocket": 84.0, "tcp": 66.0}

# What there is in Linux's C{struct tcp_info} before C{tcpi_data_segs_in}.
_BEFORE_SEGMENTS: Final = 152


class Work:
    """
    What was done.

    @ivar calls: How many functions of Python's were called.

    @ivar names: How often each of them.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.names: Counter[str] = Counter()

    @property
    def encodings(self) -> int:
        """
        How often a message was encoded.
        """
        return self.names["encodeEnvelope"] + self.names["encodeEvent"]

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """
        Something was called, or has returned.
        """
        if event == "call":
            self.calls += 1
            self.names[frame.f_code.co_name] += 1

    def of(self, call: Callable[[], None]) -> Work:
        """
        Count what something does.
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
    In how many segments of TCP with data all that came to some clients has
    come: each call that sends a little begins one.
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
        So many readers that have begun, and are live.
        """
        peers = [self.reader(transport) for _ in range(count)]
        self.reactor.settle()
        # What is made once is made now.
        self.publish(0)
        self.assertHeard(peers, 0)
        return peers

    def polls(self) -> list[Peer]:
        """
        Long polls that have come back after an answer, and wait.
        """
        peers = self.readers("longpoll")
        again = self.again()
        peers[0].send(again)
        self.reactor.until(lambda: self.hub.fanout.readers)
        for peer in peers[1:]:
            peer.send(again)
        self.untilReaders(READERS)
        return peers

    def again(self) -> bytes:
        """
        What polls say that have everything.
        """
        return read("longpoll", more=f"&since={self.hub.end}")

    def deliver(self, number: int) -> Work:
        """
        Publish one message, and count what it takes to write it.
        """
        self.hub.publish("c", number)
        return Work().of(lambda: self.reactor.advance(0))

    def leave(self, peers: Sequence[Peer]) -> None:
        """
        Let some leave.
        """
        for peer in peers:
            peer.cut()
        self.untilReaders(0)

    def assertHeard(self, peers: list[Peer], number: int) -> None:
        """
        All have it.
        """
        for peer in peers:
            peer.upTo(number)

    def test_streams(self) -> None:
        """
        To write a message to a stream is one call of the system, and less than
        half a call of a function of Python's; it is encoded once.
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

    def test_streamsDoubled(self) -> None:
        """
        Twice as many readers take not one call more.
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
        To answer a long poll is one call of the system, and some of Python's;
        the answer is made once for all.
        """
        peers = self.polls()
        before = segments(peers)
        work = self.deliver(1)
        self.assertEqual(work.encodings, 1)
        self.assertLessEqual(work.names["respond"], 2)
        self.assertLess(work.calls / READERS, POLL_CALLS, work.names.most_common(20))
        self.assertHeard(peers, 1)
        self.assertEqual(segments(peers) - before, READERS)

    def test_askAgain(self) -> None:
        """
        To take up a long poll that comes back is some calls too; and asks the
        log for nothing.
        """
        peers = self.polls()
        self.publish(1)
        self.assertHeard(peers, 1)
        again = self.again()
        peers[0].send(again)
        self.reactor.until(lambda: self.hub.fanout.readers)
        for peer in peers[1:]:
            peer.send(again)
        work = Work().of(lambda: self.reactor.turn(100))
        self.assertEqual(len(self.hub.fanout.readers), READERS)
        self.assertLess(work.calls / READERS, ASK_CALLS, work.names.most_common(30))
        self.assertEqual((work.names["resolve"], work.names["_wasRead"]), (0, 0))

    def test_connect(self) -> None:
        """
        To accept one more reader that asks what others have asked is some
        calls, and the log is asked for nothing.
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

    def test_memory(self) -> None:
        """
        A message that was written leaves nothing behind with its readers.
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

    def test_allocated(self) -> None:
        """
        Nor is more allocated for each than the sum of what is counted.
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

    def test_shapes(self) -> None:
        """
        A message is encoded once for each shape that is in use, however many
        readers have it; so are several in one turn, which are written in one
        go.
        """
        peers = [self.reader(transport) for transport in ENDLESS for _ in range(20)]
        for number in range(1, 6):
            self.hub.publish("c", number)
        work = Work().of(lambda: self.reactor.advance(0))
        self.assertEqual(work.encodings, 5 * len(ENDLESS))
        self.assertHeard(peers, 5)
