"""
Tests of L{comet.lean.tcp}: clients that send lines.
"""

from __future__ import annotations

import json
from typing import Any

from comet.lean.edge import GRACE_TIME
from comet.lean.tcp import MAX_LINE, MAX_LINES, FirstLines, TCPConnection
from comet.transports.tcp import FIRST_LINE
from tests.lean.case import LeanTestCase, Peer

FIRST = b'{"id":1,"subscribe":["c"]}\n'


class FirstLineTests(LeanTestCase):
    """
    Tests of L{FirstLines}.
    """

    def setUp(self) -> None:
        """
        Begin with an empty cache.
        """
        super().setUp()
        self.lines = FirstLines(self.hub)

    def test_parsesLineOnce(self) -> None:
        """
        A line that subscribes is parsed once, with any terminator and any one
        start position.
        """
        for data in (
            *(FIRST, b'{"subscribe":["a/*","b"],"since":"now"}\0', b'\n{"subscribe":["c"]}\r\n'),
            b'{"subscribe":["c"],"since":"%b"}\n' % str(self.hub.end).encode(),
        ):
            line: Any = self.lines.find(data)
            self.assertEqual(line.shape.terminator, data[-1:], data)
            self.assertEqual(
                line.joinPoint.names, tuple(json.loads(data.strip(b"\0"))["subscribe"])
            )
            self.assertIs(self.lines.find(data), line)

    def test_leavesOtherInput(self) -> None:
        """
        Other input is left to the protocol.
        """
        most = self.settings.limits.maxCommandBytes
        for data in (
            *(b"", b"\n", FIRST[:-1], FIRST + b"\n" + FIRST, FIRST + b"{", b'{"subscribe":[]}\n'),
            *(
                b'{"unsubscribe":["c"]}\n',
                b'{"ping":"\\"subscribe\\""}\n',
                b'{"subscribe":["c"]}x\n',
            ),
            *(b'{"subscribe":["c"],"ping":1}\n', b'{"subscribe":["c"],"since":{"c":"-1"}}\n'),
            b'{"subscribe":["c"],"reader":"mine-0001"}\n',
            *(FIRST.replace(b"c", b"c" * MAX_LINE), FIRST.replace(b"{", b"{" + b" " * most)),
            b'{"subscribe":["c"]}\n\0',
        ):
            self.assertIsNone(self.lines.find(data), data)

    def test_cacheIsBounded(self) -> None:
        """
        The cache holds a limited number of lines.
        """
        for number in range(MAX_LINES + 10):
            self.assertIsNotNone(self.lines.find(b'{"id":%d,"subscribe":["c"]}\n' % number))
        self.assertEqual(len(self.lines._lines), 10)


class LineTests(LeanTestCase):
    """
    Connections of clients that send lines.
    """

    def client(self, said: bytes = FIRST) -> Peer:
        """
        Connect a client that sends some bytes.
        """
        return self.peer(said, isTCP=True)

    def lineConnections(self) -> list[Any]:
        """
        Return the connections of the port that are for lines.
        """
        connections = self.tcpPort._edge.connections.values()
        return [each for each in connections if isinstance(each, TCPConnection)]

    def test_readersShareJoinPoint(self) -> None:
        """
        Clients that send the same first line get the same bytes.  All but the
        first have no protocol, also after a message.
        """
        peers = []
        for _ in range(3):
            peers.append(self.client())
            peers[-1].hears(b'"ok"')
        self.publish(1)
        for peer in peers:
            self.assertEqual(peer.upTo(1), [1])
        self.assertEqual(len({peer.said for peer in peers}), 1)
        self.assertEqual(
            [each._protocol is None for each in self.lineConnections()], [False, True, True]
        )

    def test_makesProtocolForMoreInput(self) -> None:
        """
        A client that sends more, in any pieces, is answered as if it had had a
        protocol from the beginning, and is counted once.
        """
        more = b'{"id":2,"subscribe":["d"],"since":"earliest"}\n{"id":3,"ping":"x"}\nrubbish\n'
        self.hub.publish("d", "held")
        said = set()
        for _ in range(2):
            peer = self.client()
            peer.hears(b'"ok"')
            for piece in (more[:7], more[7:]):
                peer.send(piece)
                self.reactor.settle()
            said.add(peer.hears(b'"error"'))
            peer.send(b'{"id":4,"unsubscribe":["c","d"]}\n')
            peer.hears(b'"id":4')
        self.assertEqual(len(said), 1)
        self.assertIn(b"held", said.pop())
        self.assertEqual(
            [each._protocol is None for each in self.lineConnections()], [False, False]
        )
        self.assertEqual(self.hub.metrics.sums()["tcp"]["requests"], 2)

    def test_countsAlikeWithoutProtocol(self) -> None:
        """
        What passes is counted alike with a protocol and without one.  A client
        that leaves without a word is counted, too.
        """
        counts = []
        for _ in range(3):
            before = self.hub.metrics.of("tcp").asDict()
            peer = self.client()
            peer.hears(b'"ok"')
            peer.cut()
            self.untilReaders(0)
            after = self.hub.metrics.of("tcp").asDict()
            counts.append({name: after[name] - before[name] for name in after})
        self.assertEqual(counts, counts[:1] * 3)
        self.assertEqual((counts[0]["requests"], counts[0]["dataIn"]), (1, len(FIRST)))
        peer = self.client(b"")
        self.reactor.until(lambda: self.lineConnections())
        peer.cut()
        self.reactor.until(lambda: not self.lineConnections())
        self.assertEqual(self.hub.metrics.of("tcp").requests, 4)
        self.assertEqual(self.hub.metrics.of("tcp").open, 0)

    def test_closesClientWithoutLine(self) -> None:
        """
        A client that sends no whole line is closed after a time, and not
        before.  A client that reads is not.
        """
        silent, partly, reads = self.client(b""), self.client(b'{"subs'), self.reader("tcp")
        again = self.reader("tcp")
        self.reactor.settle()
        self.reactor.advance(GRACE_TIME + 0.1)
        self.reactor.advance(FIRST_LINE - 1)
        self.reactor.settle()
        self.assertEqual(len(self.lineConnections()), 4)
        self.reactor.advance(1.2)
        self.assertEqual((silent.ends(), partly.ends()), (b"", b""))
        self.publish(1)
        self.assertEqual((reads.upTo(1), again.upTo(1)), ([1], [1]))

    def test_refusesRequestOfPage(self) -> None:
        """
        A request of HTTP is refused at its first byte, with one error, and no line of
        its body is carried out, however TCP cuts it.
        """
        line = b'{"publish":"open/a","data":1}\n{"id":1,"subscribe":["c"]}\n'
        request = b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + line
        for pieces in ((request,), (b"P",), (b"\n", b"P"), (b"\r", request), (request[:20], line)):
            peer = self.client(pieces[0])
            for piece in pieces[1:]:
                self.reactor.settle()
                peer.send(piece)
            answer = json.loads(peer.ends())
            self.assertEqual((list(answer), answer["error"]["code"]), (["error"], "badMessage"))
        self.reactor.settle()
        self.assertEqual((self.hub.end.position, self.lineConnections()), (0, []))
        self.assertEqual(len(self.hub.fanout.readers), 0)

    def test_refusesWhileDraining(self) -> None:
        """
        A draining server opens no reader, also at a join point.
        """
        self.client().hears(b'"ok"')
        self.hub.isDraining = True
        self.assertIn(b'"draining"', self.client().ends())

    def test_catchesUp(self) -> None:
        """
        A client that does not take what it is sent gets it later, also if it
        sends a command meanwhile.
        """
        self.keepLittle()
        self.client().hears(b'"ok"')
        peers = [self.peer(FIRST, 4096, isTCP=True) for _ in range(2)]
        for peer in peers:
            peer.hears(b'"ok"')
        for number in range(40):
            self.publish(number, filler="x" * 20000)
        peers[1].send(b'{"id":9,"ping":0}\n')
        self.reactor.settle()
        for peer in peers:
            self.assertEqual(peer.upTo(39), list(range(40)))
        peers[1].hears(b'"id":9')
