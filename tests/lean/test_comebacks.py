"""
Tests of L{comet.lean.comebacks}: polls that were answered, and ask again.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from typing import Any

from twisted.web.resource import Resource

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.revocations import Revocation
from comet.access.rights import Access
from comet.access.tokenkeys import readTokenKeys
from comet.access.tokens import TokenVerifier
from comet.fanout.polls import PollReader
from comet.hub.hub import Hub
from comet.hub.hubsettings import Settings
from comet.lean.comebacks import Comeback
from comet.lean.http import HTTPConnection
from comet.limits.clientlimits import ClientSettings
from comet.model.clients import Client
from tests.access.tokencase import NOW, SECRET, sign
from tests.benchmarks.test_work import Work
from tests.lean.accesses import Closed
from tests.lean.case import LeanTestCase, Peer, read, request


class Closing(Resource):
    """
    An application's resource, which closes all channels.
    """

    isLeaf = True
    hub: Hub

    def render(self, request: Any) -> bytes:
        """
        Close them.
        """
        self.hub.access = Closed()
        return b""


class ComebackTestCase(LeanTestCase):
    """
    The base of the test cases: some polls that were answered.
    """

    def setUp(self) -> None:
        """
        Keep the channel open to all.
        """
        super().setUp()
        self.hub.access = Access(None, ["c"])

    def answered(self, count: int, transport: str = "longpoll") -> list[Peer]:
        """
        Connect polls, and answer them.
        """
        peers = [self.reader(transport) for _ in range(count)]
        self.publish(0)
        self.assertHeard(peers, 0)
        return peers

    def assertHeard(self, peers: Sequence[Peer], *numbers: int) -> None:
        """
        Check that each client has been told just these numbers since the last time.
        """
        for peer in peers:
            peer.upTo(numbers[-1])
            self.assertEqual(peer.numbers, list(numbers))
            peer.said = b""

    def again(self, more: str = "", transport: str = "longpoll") -> bytes:
        """
        Return the request of a poll that has all that was published.
        """
        return read(transport, more=f"&since={self.hub.end}{more}")

    def ask(self, peers: Sequence[Peer], said: bytes) -> Work:
        """
        Have some clients send the same in one turn, and count the calls of the turn.
        """
        for peer in peers:
            peer.send(said)
        # The system needs a moment to bring it.
        time.sleep(0.01)
        return Work().of(lambda: self.reactor.turn(100))

    @property
    def httpConnections(self) -> list[HTTPConnection]:
        """
        The connections.
        """
        found = self.port._edge.connections.values()
        return [each for each in found if isinstance(each, HTTPConnection)]

    @property
    def readers(self) -> list[Any]:
        """
        The readers that are open.
        """
        return list(self.hub.fanout.readers)


class SameReaderTests(ComebackTestCase):
    """
    A poll that asks again has the reader that it had.
    """

    def test_sameReaders(self) -> None:
        """
        No reader is made for polls that come back, time and again.
        """
        for transport in ("longpoll", "jsonp"):
            peers = self.answered(5, transport)
            self.ask(peers, self.again(transport=transport))
            readers = self.readers
            self.assertEqual(len(readers), 5)
            for number in (1, 2, 3):
                self.publish(number)
                self.assertEqual(self.readers, [])
                self.assertHeard(peers, number)
                work = self.ask(peers, self.again(transport=transport))
                self.assertCountEqual(self.readers, readers)
                self.assertEqual(work.names["openPoll"], 1)
            for peer in peers:
                peer.cut()
            self.untilReaders(0)

    def test_otherRequestsBetween(self) -> None:
        """
        A poll is asked again after publications and other polls on its connection.
        """
        (peer,) = self.answered(1)
        peer.send(request("/channels/c", method="POST", body=b"1"))
        peer.hears(b"201 Created")
        peer.send(read("poll", more="&since=-1"))
        self.assertHeard([peer], 1)
        for number in (2, 3):
            self.ask([peer], self.again())
            self.publish(number)
            self.assertHeard([peer], number)
            self.ask([peer], self.again("&limit=7"))
            self.publish(-number)
            peer.hears(b"-%d" % number)
            peer.said = b""

    def test_behindTheEnd(self) -> None:
        """
        A poll that comes back with an older cursor, or after others have published, is
        told what it has missed, and then waits again.
        """
        peers = self.answered(3)
        old = self.again()
        for number in (1, 2):
            self.publish(number)
        self.ask(peers, old)
        self.assertHeard(peers, 1, 2)
        self.ask(peers, self.again())
        self.publish(3)
        self.assertHeard(peers, 3)
        self.ask(peers, old)
        self.assertHeard(peers, 1, 2, 3)

    def test_publishedInTheSameTurn(self) -> None:
        """
        A poll that comes back behind a publication of the same turn hears it.
        """
        peers = self.answered(4)
        publisher = self.peer()
        said = self.again()
        for peer in peers[:2]:
            peer.send(said)
        publisher.send(request("/channels/c", method="POST", body=b"1"))
        self.ask(peers[2:], said)
        self.assertHeard(peers, 1)

    def test_droppedMessages(self) -> None:
        """
        A poll that comes back is told of a gap, if the channel has dropped messages.
        """
        peers = self.answered(3)
        said = self.again()
        self.publish(1)
        self.bus.forget("c")
        self.ask(peers, said)
        for peer in peers:
            peer.hears(b'"gap":["c"]')
            peer.said = b""
        self.ask(peers, self.again())
        self.publish(2)
        self.assertHeard(peers, 2)

    def test_newEpoch(self) -> None:
        """
        A poll that comes back after the log was lost is told of a gap.
        """
        peers = self.answered(3)
        said = self.again()
        self.bus.renew()
        self.reactor.turn()
        self.ask(peers, said)
        for peer in peers:
            peer.hears(b'"gap":["c"]')

    def test_pipelined(self) -> None:
        """
        Polls that come back with another request behind them are answered in order.
        """
        peers = self.answered(4)
        self.ask(peers, self.again() + read("poll", more="&since=-1"))
        self.assertEqual(len(self.readers), 4)
        self.publish(1)
        for peer in peers:
            peer.hears(b'"cursor"', 2)
        self.assertHeard(peers, 1, 1)

    def test_inPieces(self) -> None:
        """
        A head that follows a part of another one is not taken for a poll.
        """
        peers = self.answered(4)
        said = self.again()
        peers[3].send(b"GET /channels/c HTTP/1.1\r\nHost: local")
        self.reactor.turn(100)
        for peer in peers[:3]:
            peer.send(said)
        self.ask([peers[3]], said)
        self.assertEqual(len(self.readers), 3)
        self.assertEqual(peers[3].hears(b"HTTP/1.1 400")[:12], b"HTTP/1.1 400")

    def test_gone(self) -> None:
        """
        Clients that were answered and leave, or leave as they come back, leave nothing
        behind.
        """
        peers = self.answered(6)
        self.ask(peers[:4], self.again())
        for peer in peers[1:]:
            peer.cut()
        self.untilReaders(1)
        self.publish(1)
        self.assertHeard(peers[:1], 1)
        self.assertEqual(self.connections, 1)
        peers[0].cut()
        self.reactor.until(lambda: self.connections == 0)
        self.assertEqual(self.readers, [])

    def test_time(self) -> None:
        """
        A poll that comes back waits for as long as it has asked.
        """
        peers = self.answered(4)
        for _ in range(2):
            said = read("longpoll", more="&wait=9")
            self.ask(peers, said)
            self.publish(1)
            self.assertHeard(peers, 1)
        self.ask(peers, read("longpoll", more=f"&wait=9&since={self.hub.end}"))
        self.reactor.advance(8.9)
        self.assertEqual(len(self.readers), 4)
        self.reactor.advance(0.5)
        self.assertEqual(self.readers, [])
        for peer in peers:
            self.assertEqual(peer.hears(b'"messages":[]').count(b"200 OK"), 1)


class RightsTests(ComebackTestCase):
    """
    What a client may do is asked in each turn.
    """

    def test_accessChanged(self) -> None:
        """
        Polls that come back once the access has changed are refused.
        """
        peers = self.answered(4)
        self.ask(peers, self.again())
        self.publish(1)
        self.assertHeard(peers, 1)
        self.hub.access = Closed()
        self.ask(peers, self.again())
        self.assertEqual(self.readers, [])
        for peer in peers:
            peer.hears(b"HTTP/1.1 401 ")

    def test_ownAccess(self) -> None:
        """
        An application's own access is asked for each poll.
        """
        asked: list[str] = []

        class Own(Access):
            def checkSubscribe(self, client: Client, name: str) -> None:
                asked.append(name)

        self.hub.access = Own(None, ["c"])
        peers = self.answered(4)
        asked.clear()
        self.ask(peers, self.again())
        self.assertEqual(asked, ["c"] * 4)

    def test_limits(self) -> None:
        """
        No more polls come back than there may be readers.
        """
        peers = self.answered(5)
        self.hub.settings = Settings(self.settings.limits, maxConnections=3)
        self.ask(peers, self.again())
        self.assertEqual(len(self.readers), 3)

    def test_limitsOfAddress(self) -> None:
        """
        An address has no more polls that come back than it may have.
        """
        peers = self.answered(5)
        self.hub.clientLimits.configure(ClientSettings(connectionsPerAddress=3))
        self.ask(peers, self.again())
        self.assertEqual(len(self.readers), 3)

    def test_foreignCode(self) -> None:
        """
        What is found out counts no longer once a connection was handed to an application's
        resource, in the same turn.
        """
        own = Closing()
        own.hub = self.hub
        self.port._edge.factory.resource.putChild(b"own", own)
        peers = self.answered(8)
        said = self.again()
        for peer in peers[:4]:
            peer.send(said)
        time.sleep(0.01)
        self.peer(request("/own"))
        self.port.doRead()
        self.ask(peers[4:], said)
        for peer in peers[4:]:
            peer.hears(b"HTTP/1.1 401 ")
        self.assertEqual(self.port._edge.comebacks, {})

    def test_members(self) -> None:
        """
        What counts the readers of a channel is told of each poll that comes back, once it
        has its names, and of its end.
        """
        told: list[tuple[str, Any, tuple[str, ...]]] = []
        fanout = self.hub.fanout
        peers = self.answered(4)
        fanout.namesChanged = lambda reader: told.append(("names", reader, reader.progress.names))
        fanout.readerEnded = lambda reader: told.append(("end", reader, reader.progress.names))
        self.ask(peers, self.again())
        readers = self.readers
        self.assertCountEqual(told, [("names", each, ("c",)) for each in readers])
        told.clear()
        self.publish(1)
        self.assertCountEqual(told, [("end", each, ("c",)) for each in readers])


class TokenTestCase(ComebackTestCase):
    """
    The base of the test cases with a token that is the same for all, and ends.
    """

    def setUp(self) -> None:
        """
        Demand tokens.
        """
        super().setUp()
        self.now = NOW
        self.hub.leases.now = lambda: self.now
        verifier = TokenVerifier(readTokenKeys(SECRET), ClaimRules(), lambda: self.now)
        self.hub.access = Access(settings=AccessSettings(("k" * 16,), tokens=verifier))

    def answeredBy(self, seconds: int) -> tuple[list[Peer], str]:
        """
        Have four polls answered that show a token.

        @param seconds: How long the token counts.

        @return: The peers, and what their requests have more than those of others.
        """
        token = sign({"sub": "ada", "exp": NOW + seconds, "comet": {"subscribe": ["c"]}})
        more = f"&wait=20&token={token}"
        peers = [self.peer(read("longpoll", more=more)) for _ in range(4)]
        self.untilReaders(4)
        self.publish(0)
        self.assertHeard(peers, 0)
        return peers, more


class TokenTests(TokenTestCase):
    """
    Polls with a token come back while it lasts.
    """

    def test_lasting(self) -> None:
        """
        Polls with a token that outlasts them come back together, until it has expired.
        """
        peers, more = self.answeredBy(600)
        for number in (1, 2):
            work = self.ask(peers, self.again(more))
            self.assertEqual(work.names["openPoll"], 1)
            self.assertEqual({each.client.name for each in self.readers}, {"ada"})
            self.publish(number)
            self.assertHeard(peers, number)
        self.now += 700
        self.ask(peers, self.again(more))
        self.assertEqual(self.readers, [])
        for peer in peers:
            peer.hears(b"HTTP/1.1 401 ")

    def test_endsBefore(self) -> None:
        """
        Polls with a token that ends while they wait are closed then.
        """
        peers, more = self.answeredBy(10)
        work = self.ask(peers, self.again(more))
        self.assertEqual(work.names["openPoll"], 4)
        self.now += 18
        self.reactor.advance(18)
        self.assertEqual(self.readers, [])
        for peer in peers:
            peer.hears(b'"close"')

    def test_revoked(self) -> None:
        """
        Polls whose client was revoked are refused as they come back.
        """
        peers, more = self.answeredBy(600)
        self.ask(peers, self.again(more))
        self.publish(1)
        self.assertHeard(peers, 1)
        revoked = Revocation("1", client="ada", issuedBefore=NOW + 1)
        self.hub.control.revocations.add(revoked)
        self.ask(peers, self.again(more))
        self.assertEqual(self.readers, [])


class NotedTests(ComebackTestCase):
    """
    Only of polls that have company something is noted.
    """

    def notes(self) -> int:
        """
        Return how many notes there are.
        """
        return len(self.port._edge.comebacks)

    def test_alone(self) -> None:
        """
        Nothing is noted of the only poll of a channel, which would be of no use.
        """
        peers = self.answered(1)
        for number in (1, 2):
            self.ask(peers, self.again())
            self.assertEqual(self.notes(), 0)
            self.publish(number)
            self.assertHeard(peers, number)

    def test_answeredTogether(self) -> None:
        """
        The first poll that comes back is noted if others were answered together with it.
        """
        peers = self.answered(2)
        self.ask(peers, self.again())
        self.publish(1)
        self.assertHeard(peers, 1)
        before = self.notes()
        self.ask(peers[:1], self.again())
        self.assertEqual(self.notes(), before + 1)

    def test_othersAreHeld(self) -> None:
        """
        A poll that comes back is noted if others are held already.
        """
        (peer,) = self.answered(1)
        others = [self.peer(self.again()) for _ in range(2)]
        self.untilReaders(2)
        self.ask([peer], self.again())
        self.assertEqual(self.notes(), 1)
        self.publish(1)
        self.assertHeard([peer, *others], 1)


class FitsTests(ComebackTestCase):
    """
    What is noted of one poll counts for those that ask for the same.
    """

    def noted(self) -> tuple[Comeback, PollReader[bytes], list[Peer]]:
        """
        Have two polls come back.

        @return: What was noted of them, and the reader of another poll like them.
        """
        peers = self.answered(3)
        edge = self.port._edge
        others = [each.answered for each in self.httpConnections if each.answered is not None]
        self.ask(peers[:2], self.again())
        (comeback,) = edge.comebacks.values()
        (other,) = [each for each in others if each not in self.hub.fanout.readers]
        self.assertTrue(comeback.fits(other, edge.turn))
        return comeback, other, peers

    def test_notAfterMessages(self) -> None:
        """
        It counts until there is a message for the polls.
        """
        comeback, other, _ = self.noted()
        turn = self.port._edge.turn
        self.hub.publish("other", 1)
        self.assertTrue(comeback.fits(other, turn))
        self.reactor.turn()
        self.assertTrue(comeback.fits(other, turn))
        self.publish(1)
        self.assertFalse(comeback.fits(other, turn))

    def test_notWhileRetired(self) -> None:
        """
        It does not count once the bus lets the names be heard no more.
        """
        comeback, other, _ = self.noted()
        group = self.readers[0].group
        self.hub.fanout.registry.retire(group)
        self.assertFalse(comeback.fits(other, self.port._edge.turn))

    def test_notInOtherShape(self) -> None:
        """
        It does not count for a poll in another shape.
        """
        comeback, _, peers = self.noted()
        peer = self.peer(self.again("&limit=7"))
        self.untilReaders(3)
        self.publish(1)
        self.assertHeard([*peers[:2], peer], 1)
        (reader,) = [
            each.answered
            for each in self.httpConnections
            if each.answered is not None and each.answered.shape.limit == 7
        ]
        self.assertFalse(comeback.fits(reader, self.port._edge.turn))


class AllMessagesTests(ComebackTestCase):
    """
    Clients that do what comes to their minds.
    """

    def test_eachOnce(self) -> None:
        """
        Each client hears each message once, in order, however the requests of many clients
        and publications come together in the turns.
        """
        for seed in range(12):
            self.play(random.Random(seed))

    def play(self, chance: random.Random) -> None:
        """
        Have clients read a channel until each has all of its messages.
        """
        channel, count = f"c{chance.random()}", 20
        self.hub.access = Access(None, [channel])
        peers = [self.peer(read("poll", channel)) for _ in range(8)]
        heard: dict[Peer, list[int]] = {peer: [] for peer in peers}
        for peer in peers:
            peer.hears(b"}")
        left = list(range(1, count + 1))
        transport = chance.choice(("longpoll", "jsonp"))
        for _ in range(4000):
            for peer in peers:
                if chance.random() < 0.7:
                    self.comeBack(peer, channel, transport, heard[peer], chance)
            if left and chance.random() < 0.5:
                self.hub.publish(channel, left.pop(0))
            self.reactor.turn(chance.choice((0, 1)))
            if not left and all(len(each) >= count for each in heard.values()):
                break
        self.assertEqual(list(heard.values()), [list(range(1, count + 1))] * len(peers))
        for peer in peers:
            peer.cut()
        self.reactor.until(lambda: self.connections == 0)

    def comeBack(
        self, peer: Peer, channel: str, transport: str, heard: list[int], chance: random.Random
    ) -> None:
        """
        Have a client read the response that has come, if it is whole, and ask again.
        """
        head, _, body = peer.take().partition(b"\r\n\r\n")
        start, end = body.find(b"{"), body.rfind(b"}")
        if not head or end < 0 or not body.endswith((b"}\n", b");\n", b");")):
            return
        told = json.loads(body[start : end + 1])
        heard += [each["data"] for each in told["messages"]]
        peer.said = b""
        said = read(transport, channel, f"&since={told['cursor']}")
        at = chance.randrange(len(said)) if chance.random() < 0.1 else 0
        peer.send(said[:at])
        peer.send(said[at:])
