"""
A part of a minute of fuzzing in each run of the tests: parsers, and the parts of the
fuzzing itself.
"""

from __future__ import annotations

import random

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from comet.transports.session import Session
from tests.fuzz import parsing
from tests.fuzz.comparing import ofFrames, ofHTTP, ofLines
from tests.fuzz.corpus import LINES, webSocketFrame
from tests.fuzz.memory import Fault, MemoryServer
from tests.fuzz.mutating import MAX_SIZE, Mutator
from tests.fuzz.parsers import Parser, makeParsers

# The seed of every run, and how long it takes.
SEED = 13
SECONDS = 12.0


class ParserTests(SynchronousTestCase):
    """
    All parsers, with what Hypothesis makes.
    """

    def test_takesCorpus(self) -> None:
        """
        Each parser understands something of its corpus, so that mutations reach
        what is behind its first check.
        """
        for parser in makeParsers():
            taken = [parser.attempt(data) for data in parser.corpus]
            self.assertIn(True, taken, parser.name)

    def test_raiseNothingElse(self) -> None:
        """
        No parser raises what it may not, and nothing is logged or left in a server
        in memory.
        """
        parsers = makeParsers()
        result = parsing.run(parsers, SEED, SECONDS)
        total = (result.taken + result.refused).total()
        print(f"\n{total} inputs to {len(parsers)} parsers in {SECONDS:g} s, --seed {SEED}")
        if result.findings:
            self.fail("\n".join(map(str, result.findings)))
        self.assertGreater(total, len(parsers))


class FindingTests(SynchronousTestCase):
    """
    What must not be is found.
    """

    def test_otherException(self) -> None:
        """
        An exception that a parser may not raise is found, with a small input that
        causes it, and the parser is not tried again.
        """

        def feed(data: bytes) -> None:
            if data.count(b"a") > 1:
                raise RuntimeError("two of them")
            if not data:
                raise ValueError("empty")

        parser = Parser("odd", feed, [b"banana" * 20], (ValueError,))
        result = parsing.run([parser], SEED, SECONDS)
        (finding,) = result.findings
        self.assertEqual((finding.what, finding.data), ("odd", b"aa"))
        self.assertIn("RuntimeError: two of them", finding.why)
        self.assertIn("-- odd: b'aa'\n", str(finding))

    def test_loggedError(self) -> None:
        """
        A traceback in the log of a server in memory is a fault.
        """
        server = MemoryServer()

        def fail(*args: object) -> None:
            raise RuntimeError("broken")

        self.patch(Session, "commandReceived", fail)
        error = self.assertRaises(Fault, server.tcp, [LINES[0]])
        self.assertIn("RuntimeError: broken", str(error))
        self.flushLoggedErrors(RuntimeError)

    def test_leftBehind(self) -> None:
        """
        A timer that is left once all clients are gone is a fault; what comes of an
        ordinary client is none.
        """
        server = MemoryServer()
        self.assertIn(b"pong", server.tcp([LINES[0]]))
        server.check()
        server._clock.callLater(1e6, Logger)
        self.assertRaises(Fault, server.check)


class MutatorTests(SynchronousTestCase):
    """
    L{Mutator}.
    """

    def test_sameForSameSeed(self) -> None:
        """
        A seed decides all, and what comes is bounded, and mostly new.
        """
        corpus = [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", b"x" * MAX_SIZE]
        made = []
        for _ in range(2):
            mutator = Mutator(random.Random(SEED))
            made.append([mutator.mutate(corpus) for _ in range(300)])
        self.assertEqual(*made)
        self.assertLessEqual(max(map(len, made[0])), MAX_SIZE)
        self.assertGreater(len(set(made[0])), 150)

    def test_splitsWithoutLoss(self) -> None:
        """
        Pieces are never empty, unless all is, and nothing is lost between them.
        """
        mutator = Mutator(random.Random(SEED))
        for size in (0, 1, 2, 3, 50):
            data = bytes(range(size))
            for _ in range(50):
                pieces = mutator.split(data)
                self.assertEqual(b"".join(pieces), data)
                self.assertTrue(all(pieces) or not data)


class ComparingTests(SynchronousTestCase):
    """
    What the edges have to agree on.
    """

    def test_http(self) -> None:
        """
        Status, headers, code and detail count; cursors, dates and messages do not.
        """

        def response(status: int, body: str, date: str = "now", more: str = "") -> bytes:
            head = f"HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Type: application/json\r\n"
            return f"{head}{more}Content-Length: {len(body)}\r\n\r\n{body}".encode()

        poll = response(200, '{"cursor":"k3f9a2-1","messages":[]}')
        same = response(200, '{"cursor":"aaaaaa-22","messages":[1]}', "then")
        self.assertEqual(ofHTTP(poll + poll), ofHTTP(same + same))
        refused = response(400, '{"code":"badCursor","detail":"k3f9a2-1 is old"}')
        again = response(400, '{"code":"badCursor","detail":"bbbbbb-7 is old"}')
        self.assertEqual(ofHTTP(refused), ofHTTP(again))
        others = (
            *(b"", poll, poll + poll, b"nonsense", refused, response(404, "{}")),
            response(400, '{"code":"badRequest","detail":"k3f9a2-1 is old"}'),
            response(200, '{"cursor":"k3f9a2-1","messages":[]}', more="Connection: close\r\n"),
        )
        self.assertEqual(len({repr(ofHTTP(each)) for each in others}), len(others))

    def test_envelopes(self) -> None:
        """
        Answers and closes count; messages of others do not.
        """
        lines = b'{"id":1,"ok":{"cursor":"k3f9a2-1"}}\n{"channel":"a","data":1}\n{"close":{}}\n'
        self.assertEqual(len(ofLines(lines)), 2)
        self.assertEqual(ofLines(lines), ofLines(lines.replace(b"k3f9a2-1", b"cccccc-3")))
        self.assertNotEqual(ofLines(lines), ofLines(lines.replace(b'"id":1', b'"id":2')))
        # The answer to a publication may be behind the next ones.
        self.assertEqual(ofLines(lines), ofLines(b"\n".join(reversed(lines.split(b"\n")))))
        head = b"HTTP/1.1 101 X\r\n\r\n"
        unmasked = b"\x81\x06" + b'{"a":1' + b"\x88\x02\x03\xe8"
        self.assertEqual(ofFrames(head + unmasked), [head[:12], (8, b"\x03\xe8"), b'{"a":0'])
        self.assertEqual(webSocketFrame(1, b"x" * 300)[1:4], b"\xfe\x01\x2c")
