"""
Tests of L{comet.lean.comebacks}: polls that come back in several turns.
"""

from __future__ import annotations

from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.revocations import Revocation
from comet.access.rights import Access
from comet.access.tokenkeys import readTokenKeys
from comet.access.tokens import TokenVerifier
from comet.http.forwarded import Proxies
from comet.http.origins import Origins
from comet.hub.hubsettings import Settings
from comet.lean.comebacks import MOST_KEPT
from comet.limits.clientlimits import ClientSettings
from tests.access.tokencase import NOW, SECRET
from tests.benchmarks.test_work import Work
from tests.lean.accesses import Closed
from tests.lean.case import Peer, read, request
from tests.lean.test_comebacks import ComebackTestCase, TokenTestCase


class TurnsTests(ComebackTestCase):
    """
    What is found out of a poll that comes back counts in later turns, too.

    @ivar all: The polls.
    """

    all: list[Peer]

    def halfBack(self) -> tuple[list[Peer], bytes]:
        """
        Have two of four polls come back.

        @return: The others, and what all of them send.
        """
        peers = self.answered(4)
        said = self.again()
        self.assertEqual(self.ask(peers[:2], said).names["openPoll"], 1)
        self.all = peers
        return peers[2:], said

    def assertAsked(self, work: Work, count: int) -> None:
        """
        Check for how many polls it was found out anew what they may read.
        """
        self.assertEqual(work.names["openPoll"], count)

    def test_nextTurns(self) -> None:
        """
        Polls of the next turns come back like those before, and hear what follows.
        """
        for transport in ("longpoll", "jsonp"):
            peers = self.answered(4, transport)
            for number in (1, 2, 3):
                said = self.again(transport=transport)
                counts = [self.ask([peer], said).names["openPoll"] for peer in peers]
                self.assertEqual(counts, [1, 0, 0, 0])
                self.publish(number)
                self.assertHeard(peers, number)
            for peer in peers:
                peer.cut()
            self.untilReaders(0)

    def test_otherMessages(self) -> None:
        """
        Messages of other channels change nothing.
        """
        others, said = self.halfBack()
        for peer in others:
            self.hub.publish("other", 1)
            self.reactor.turn()
            self.assertAsked(self.ask([peer], said), 0)
        self.assertEqual({each.position for each in self.readers}, {self.hub.end})
        self.publish(1)
        self.assertHeard(self.all, 1)

    def test_besidePublication(self) -> None:
        """
        Polls come back in the turn of a publication, too, and hear it if it is theirs.
        """
        publisher = self.peer()
        self.hub.access = Access(None, ["c", "other"])
        for channel in ("other", "c"):
            others, said = self.halfBack()
            publisher.send(request(f"/channels/{channel}", method="POST", body=b"1"))
            self.assertAsked(self.ask(others, said), 0)
            publisher.hears(b"201 Created")
            publisher.said = b""
            if channel == "other":
                self.publish(1)
            self.assertHeard(self.all, 1)

    def test_publishedBefore(self) -> None:
        """
        A poll from now on, in the turn of a publication, does not hear what was before it.
        """
        peers = self.answered(4)
        said = read("longpoll")
        for number in (1, 2):
            self.ask(peers[:2], said)
            if number == 1:
                self.publish(number)
                self.assertHeard(peers[:2], number)
        self.ask(peers[2:], said)
        self.publish(3)
        self.assertHeard(peers, 3)
        self.ask(peers[:1], said)
        peers[1].send(request("/channels/c", method="POST", body=b"4"))
        self.ask(peers[2:], said)
        self.assertHeard(peers[:1], 4)
        self.assertEqual(len(self.readers), 2)

    def test_ownMessages(self) -> None:
        """
        Polls that come back once their channel had a message are told of it.
        """
        others, said = self.halfBack()
        self.publish(1)
        self.ask(others, said)
        self.assertHeard(self.all, 1)

    def test_interrupted(self) -> None:
        """
        Where a message may have been missed, the log is read.
        """
        others, said = self.halfBack()
        self.patch(self.hub.fanout, "messagesStored", lambda messages: None)
        self.hub.publish("c", 1)
        self.reactor.turn()
        self.hub.fanout.interrupted()
        self.hub.fanout.endMoved(self.hub.end)
        self.reactor.turn()
        self.ask(others, said)
        self.assertHeard(self.all, 1)

    def test_newEpoch(self) -> None:
        """
        Polls of the next turn are told of a gap once the log was lost.
        """
        others, said = self.halfBack()
        self.bus.renew()
        self.reactor.turn()
        self.ask(others, said)
        for peer in others:
            peer.hears(b'"gap":["c"]')

    def test_startPositionsOfNames(self) -> None:
        """
        Where names have start positions of their own, each poll is looked up.
        """
        more = "&since.c=now"
        peers = self.answered(4)
        self.ask(peers, self.again(more))
        self.publish(1)
        self.assertHeard(peers, 1)
        said = self.again(more)
        for some in (peers[:2], peers[2:]):
            self.assertAsked(self.ask(some, said), 2)
        self.publish(2)
        self.assertHeard(peers, 2)

    def test_fewAreKept(self) -> None:
        """
        Few comebacks are kept from one turn to the next.
        """
        peers = self.answered(4)
        edge = self.port._edge
        for number in range(MOST_KEPT + 2):
            self.ask(peers, self.again())
            self.publish(number)
            self.assertHeard(peers, number)
            self.assertLessEqual(len(edge.comebacks), MOST_KEPT + 1)
        self.assertLess(len(edge.comebacks), 3)

    def test_accessChanged(self) -> None:
        """
        Polls of the next turn are refused once the access is another.
        """
        others, said = self.halfBack()
        self.hub.access = Closed()
        self.ask(others, said)
        for peer in others:
            peer.hears(b"HTTP/1.1 401 ")

    def test_accessConfigured(self) -> None:
        """
        Polls of the next turn are refused once the access demands tokens.
        """
        others, said = self.halfBack()
        access = self.hub.access
        assert isinstance(access, Access)
        verifier = TokenVerifier(readTokenKeys(SECRET), ClaimRules(), lambda: NOW)
        access.configure(AccessSettings(("k" * 16,), tokens=verifier))
        self.ask(others, said)
        for peer in others:
            peer.hears(b"HTTP/1.1 401 ")

    def test_trustChanged(self) -> None:
        """
        Other trusted pages or proxies may change what a request means.
        """
        others, said = self.halfBack()
        self.hub.origins = Origins(["https://own.example"])
        self.assertAsked(self.ask(others[:1], said), 1)
        self.hub.proxies = Proxies(["127.0.0.1"])
        self.assertAsked(self.ask(others[1:], said), 1)

    def test_limits(self) -> None:
        """
        No more come back than there may be readers by now.
        """
        others, said = self.halfBack()
        self.hub.settings = Settings(self.settings.limits, maxConnections=3)
        self.ask(others, said)
        self.assertEqual(len(self.readers), 3)

    def test_limitsOfAddress(self) -> None:
        """
        No more of an address come back than it may have by now.
        """
        others, said = self.halfBack()
        self.hub.clientLimits.configure(ClientSettings(connectionsPerAddress=1))
        self.ask(others, said)
        self.assertEqual(len(self.readers), 3)

    def test_draining(self) -> None:
        """
        Once the server goes down, none comes back.
        """
        others, said = self.halfBack()
        self.port._edge.drain()
        self.assertEqual(self.port._edge.comebacks, {})
        self.ask(others, said)
        self.assertEqual(self.port._edge.comebacks, {})


class TokenTurnsTests(TokenTestCase):
    """
    A token is looked at in each turn.
    """

    def halfBack(self) -> tuple[list[Peer], bytes]:
        """
        Have two of four polls come back with a token.

        @return: The others, and what all of them send.
        """
        peers, more = self.answeredBy(600)
        said = self.again(more)
        self.ask(peers[:2], said)
        return peers[2:], said

    def assertRefused(self, peers: list[Peer], said: bytes) -> None:
        """
        Check that polls which come back are refused.
        """
        self.ask(peers, said)
        for peer in peers:
            peer.hears(b"HTTP/1.1 401 ")

    def test_counts(self) -> None:
        """
        Polls come back in the next turns as long as it counts.
        """
        others, said = self.halfBack()
        for peer in others:
            self.assertEqual(self.ask([peer], said).names["openPoll"], 0)
        self.assertEqual({each.client.name for each in self.readers}, {"ada"})

    def test_ended(self) -> None:
        """
        Polls are refused once it has ended.
        """
        others, said = self.halfBack()
        self.now += 700
        self.assertRefused(others, said)

    def test_endsSoon(self) -> None:
        """
        If it ends while a poll waits, the poll is closed then.
        """
        others, said = self.halfBack()
        self.now += 590
        self.assertEqual(self.ask(others, said).names["openPoll"], 2)

    def test_forgotten(self) -> None:
        """
        A token that was forgotten is verified again.
        """
        others, said = self.halfBack()
        access = self.hub.access
        assert isinstance(access, Access)
        access.forget(lambda client: True)
        self.assertEqual(self.ask(others, said).names["openPoll"], 1)

    def test_revoked(self) -> None:
        """
        Polls are refused once their client is revoked.
        """
        others, said = self.halfBack()
        revoked = Revocation("1", client="ada", issuedBefore=NOW + 1)
        self.hub.control.revocations.add(revoked)
        self.ask(others, said)
        for peer in others:
            peer.hears(b"HTTP/1.1 4")
