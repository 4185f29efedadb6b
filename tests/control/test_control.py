"""
Tests of L{comet.control}: orders to all nodes, obeyed by hubs in memory.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides, implementer_only

from comet.access import keptrevocations, revocations
from comet.access.accesssettings import AccessSettings
from comet.access.claims import ClaimRules
from comet.access.rights import Access
from comet.access.tokens import TokenVerifier
from comet.bus.memory.bus import MemoryBus
from comet.control.audience import Audience
from comet.control.inforce import LOADING
from comet.errors import BadCredential, BadRequest, Forbidden, Unavailable
from comet.fanout.states import State
from comet.fanout.streams import StreamReader
from comet.framing.ndjson import NDJSONShape
from comet.http.credentials import Credentials
from comet.hub.hub import Hub
from comet.interfaces.busabilities import INodesBus
from comet.interfaces.messagebus import IMessageBus
from comet.model.channels import CONTROL
from comet.model.clients import ANONYMOUS, KEY_HOLDER, Client, Known
from comet.model.grants import Rights
from comet.model.messages import Close, Publication
from comet.model.positions import StartPositions
from tests.fanout.doubles import MemorySink, MemoryWaiter, OutcomeShape


def holder(name: str = "ada", issued: float = 1000.0, token: str = "") -> Client:
    """
    Make a client that has a token, with the right to read and publish to what is below
    C{chat}.
    """
    return Client(
        name,
        known=Known.TOKEN,
        issued=issued,
        credentialID=token,
        rights=Rights(("chat/*",), ("chat/*",)),
    )


class Stream(MemorySink):
    """
    The sink of a stream.

    @ivar reader: Its reader.
    """

    reader: StreamReader

    def take(self) -> bytes:
        """
        Return what was written since this was called last.
        """
        writes, self.writes = self.writes, []
        return b"".join(writes)


@implementer_only(IMessageBus)
class PlainBus(MemoryBus):
    """
    Keeps no state.
    """


class Accesses(Access):
    """
    Notes whom it forgets.
    """

    forgotten: list[str] = []  # noqa: RUF012

    def forget(self, matches: Any) -> None:
        """
        Note it.
        """
        self.forgotten = [name for name in ("ada", "bob") if matches(holder(name))]


class ControlCase(SynchronousTestCase):
    """
    Two nodes with one bus.
    """

    def setUp(self) -> None:
        """
        Start both.
        """
        self.clock = Clock()
        self.clock.advance(2000)
        self.bus = MemoryBus(self.clock, wallClock=self.clock.seconds)
        self.verifier = TokenVerifier([], ClaimRules(), self.clock.seconds)
        self.hub, self.other = self.node(), self.node()

    def node(self) -> Hub:
        """
        Start another node on the bus.
        """
        settings = AccessSettings(
            ("0123456789abcdef",), openReadPatterns=("news",), tokens=self.verifier
        )
        hub = Hub(self.bus, self.clock, access=Accesses(settings=settings))
        hub.leases.now = self.clock.seconds
        hub.control.start()
        self.addCleanup(hub.control.stop)
        self.turn()
        return hub

    def forgotten(self, hub: Hub) -> list[str]:
        """
        Return whom a node's access object was told to forget.
        """
        access: Any = hub.access
        found: list[str] = access.forgotten
        return found

    def turn(self, seconds: float = 0.0) -> None:
        """
        Let everything happen that is due.
        """
        self.clock.advance(seconds)
        for _ in range(8):
            self.clock.advance(0)

    def stream(self, hub: Hub, client: Client, *names: str) -> Stream:
        """
        Open a stream.
        """
        sink = Stream()
        sink.reader = hub.openStream(
            client,
            names,
            StartPositions(),
            lambda: StreamReader(hub.fanout, NDJSONShape(chunked=False), sink),
        )
        self.turn()
        sink.take()
        return sink

    def told(self, sink: Stream) -> list[Any]:
        """
        Return what a client was told.
        """
        return [json.loads(line) for line in sink.take().splitlines() if line]

    def ends(self, sink: Stream) -> Any:
        """
        Return why a stream was closed.
        """
        self.assertIs(sink.reader.state, State.CLOSED)
        return self.told(sink)[-1]["close"]


class RevokeTests(ControlCase):
    """
    L{Hub.revoke}.
    """

    def test_client(self) -> None:
        """
        The readers of a client end on all nodes, for good; others notice nothing.
        """
        ended = [self.stream(hub, holder(), "chat/a", "news") for hub in (self.hub, self.other)]
        spared = [
            self.stream(self.hub, holder("bob"), "chat/a"),
            self.stream(self.other, holder(issued=2001.0), "chat/a"),
            self.stream(self.other, ANONYMOUS, "news"),
            self.stream(self.other, KEY_HOLDER, "chat/a"),
        ]
        revocation = self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        for each in ended:
            close = self.ends(each)
            self.assertEqual((close["code"], close["retry"]), ("revoked", None))
        for each in spared:
            self.assertIsNot(each.reader.state, State.CLOSED)
            self.assertEqual(self.told(each), [])
        self.assertEqual(revocation.issuedBefore, 2000.0)
        self.assertEqual(self.other.revocations(), [revocation])

    def test_refuses(self) -> None:
        """
        Tokens that were made up to the end of that second are refused on all nodes, also
        those of connections that have been there and of nodes that start later.
        """
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        later = self.node()
        for hub in (self.hub, self.other, later):
            for client, isRefused in (
                (holder(issued=2000.9), True),
                (holder(issued=2001.0), False),
                (holder("bob"), False),
            ):
                for check, names in (
                    (hub.check, [["chat/a"]]),
                    (hub.check, [[]]),
                    (hub.checkPublish, [["chat/a"]]),
                    (hub.checkPublisher, []),
                ):
                    asked = partial(check, client, *names)
                    if isRefused:
                        self.assertRaises(BadCredential, asked)
                    else:
                        asked()
            self.failureResultOf(hub.forget(holder(), ["chat/a"]), BadCredential)

    def test_identifies(self) -> None:
        """
        A client whose token is revoked is not identified, whether the access object answers
        at once or later, when it was revoked meanwhile.
        """
        found: list[Deferred[Client]] = [Deferred(), Deferred()]
        answers: list[Any] = [*found, holder(), holder("bob")]
        self.patch(self.hub.access, "identify", lambda credentials: answers.pop(0))
        told: list[Any] = []
        for _ in found:
            lookup: Any = self.hub.identify(Credentials("poll"))
            lookup.then(told.append, told.append)
        self.successResultOf(self.hub.revoke("ada"))
        for each, name in zip(found, ("ada", "bob"), strict=True):
            each.callback(holder(name))
        self.assertIsInstance(told[0], BadCredential)
        self.assertEqual(told[1], holder("bob"))
        self.assertRaises(BadCredential, self.hub.identify, Credentials("poll"))
        self.assertEqual(self.hub.identify(Credentials("poll")), holder("bob"))

    def test_token(self) -> None:
        """
        One token is revoked by its id, whenever it was made.
        """
        ended = self.stream(self.other, holder(issued=9999.0, token="t1"), "chat/a")
        spared = self.stream(self.other, holder(token="t2"), "chat/a")
        self.successResultOf(self.hub.revoke(token="t1"))
        self.turn()
        self.assertEqual(self.ends(ended)["code"], "revoked")
        self.assertIsNot(spared.reader.state, State.CLOSED)

    def test_channels(self) -> None:
        """
        Where channels are taken away, only their names end, also of patterns that reach
        them; what is open to all stays.
        """
        some = self.stream(self.other, holder(), "chat/a", "chat/b", "news")
        pattern = self.stream(self.other, holder(), "chat/*")
        opened = self.stream(self.other, holder(), "news")
        self.successResultOf(self.hub.revoke("ada", channels=["chat/a", "news"]))
        self.turn()
        [told] = [each for each in self.told(some) if "ended" in each]
        self.assertEqual(told["ended"], {"names": ["chat/a"], "code": "revoked"})
        self.assertEqual(set(some.reader.progress.names), {"chat/b", "news"})
        self.assertEqual(self.ends(pattern)["code"], "revoked")
        self.assertEqual(self.told(opened), [])
        self.hub.check(holder(), ["chat/b", "news"])
        self.hub.checkPublish(holder(), ["chat/b"])
        self.assertRaises(Forbidden, self.hub.check, holder(), ["chat/a"])
        self.assertRaises(Forbidden, self.hub.check, holder(), ["chat/*"])
        self.assertRaises(Forbidden, self.hub.checkPublish, holder(), ["chat/a"])

    def test_hookClient(self) -> None:
        """
        What the backend knows is ended, and forgotten, so that it is asked again.
        """
        client = Client("ada", known=Known.HOOK, rights=Rights(("chat/*",)))
        ended = self.stream(self.other, client, "chat/a")
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        self.assertEqual(self.ends(ended)["code"], "revoked")
        for hub in (self.hub, self.other):
            self.assertEqual(self.forgotten(hub), ["ada"])
        self.other.check(client, ["chat/a"])

    def test_seconds(self) -> None:
        """
        A revocation ends by itself after its time, by the clock of the bus.
        """
        self.successResultOf(self.hub.revoke("ada", seconds=60))
        self.turn(59)
        self.assertRaises(BadCredential, self.other.check, holder(), ["chat/a"])
        self.turn(2)
        self.other.check(holder(), ["chat/a"])
        self.assertEqual(self.other.revocations(), [])
        page = self.successResultOf(self.hub.control.kept.page("", 9))
        self.assertEqual((page.found, page.rest, page.unreadable), ((), None, {}))

    def test_restored(self) -> None:
        """
        A revocation can be taken back, once.
        """
        revocation = self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        self.assertTrue(self.successResultOf(self.other.restore(revocation.id)))
        self.turn()
        for hub in (self.hub, self.other, self.node()):
            hub.check(holder(), ["chat/a"])
        for id in (revocation.id, "", "no id"):
            self.assertFalse(self.successResultOf(self.hub.restore(id)))

    def test_invalid(self) -> None:
        """
        An order that says nothing valid is refused, and told to no node.
        """
        for wrong in ({}, {"client": "a", "token": "b"}, {"client": "a", "channels": ["a//b"]}):
            self.failureResultOf(self.hub.revoke(**wrong), BadRequest)
        self.assertEqual(self.bus.end.position, 0)

    def test_unavailable(self) -> None:
        """
        While the bus is down, nothing is revoked or ended, not even here.
        """
        kept = self.stream(self.hub, holder(), "chat/a")
        down = Unavailable("down")
        for method in ("putState", "publish"):
            self.patch(self.bus, method, lambda *given: fail(down))
        for order in (self.hub.revoke("ada"), self.hub.disconnect("ada")):
            self.failureResultOf(order, Unavailable)
        self.turn()
        self.assertIsNot(kept.reader.state, State.CLOSED)
        self.hub.check(holder(), ["chat/a"])

    def test_noState(self) -> None:
        """
        With a bus that keeps no state nothing can be revoked; that is logged once.
        """
        bus = PlainBus(self.clock, wallClock=self.clock.seconds)
        hub = Hub(bus, self.clock)
        for _ in range(2):
            self.failureResultOf(hub.revoke("ada"), Unavailable)
            self.failureResultOf(hub.restore("x"), Unavailable)
            self.failureResultOf(hub.control.kept.page("", 9), Unavailable)
        hub.check(holder(), ["chat/a"])
        sink = self.stream(hub, holder(), "chat/a")
        self.assertEqual(self.successResultOf(hub.disconnect("ada")), 1)
        self.assertEqual(self.ends(sink)["code"], "disconnected")
        hub.control.stop()


class PollTests(ControlCase):
    """
    Held polls, which say all in one answer.
    """

    def poll(self, *names: str) -> MemoryWaiter:
        """
        Hold a poll of ada's.
        """
        waiter = MemoryWaiter()
        self.hub.openPoll(holder(), names, StartPositions(), OutcomeShape(), waiter, 60.0)
        return waiter

    def test_revoked(self) -> None:
        """
        A poll with a name that is taken away is answered, also when the bus has not told
        yet where its names begin; another one goes on.  Where a name is left, its client
        may come back for that.
        """
        for isOpen in (True, False):
            listen = self.bus.listen
            waits: Deferred[None] = Deferred()
            if not isOpen:
                self.patch(self.bus, "listen", lambda *asked, waits=waits: waits)
            names = ("a", "b") if isOpen else ("c", "d")
            lost, kept = self.poll(f"chat/{names[0]}", "news"), self.poll(f"chat/{names[1]}")
            alone = self.poll(f"chat/{names[0]}")
            self.turn()
            revoked = self.hub.revoke("ada", channels=[f"chat/{names[0]}"])
            self.turn()
            self.bus.listen = listen  # type: ignore[method-assign]
            waits.callback(None)
            self.turn()
            self.assertEqual(self.successResultOf(revoked).client, "ada")
            close = lost.outcome.close
            assert close is not None
            self.assertEqual((close.code, close.retry), ("revoked", 0.0))
            close = alone.outcome.close
            assert close is not None
            self.assertEqual((close.code, close.retry), ("revoked", None))
            self.assertFalse(kept.isAnswered)
            self.hub.disconnect("ada")
            self.turn()
            close = kept.outcome.close
            assert close is not None
            self.assertEqual(close.code, "disconnected")


class LoadingTests(ControlCase):
    """
    What is in force is read when a node starts, and after a gap.
    """

    def held(self) -> tuple[Hub, Deferred[Any], Any]:
        """
        Start a node whose bus does not answer what is in force yet.

        @return: The node, and what to fire to have it answered.
        """
        answer: Deferred[Any] = Deferred()
        read = self.bus.readState
        self.patch(self.bus, "readState", lambda *asked: answer)
        return self.node(), answer, read

    def test_notLoaded(self) -> None:
        """
        Until it is known, tokens are unavailable; all others are served.
        """
        hub, answer, read = self.held()
        self.assertRaises(Unavailable, hub.check, holder(), ["chat/a"])
        self.assertRaises(Unavailable, hub.checkPublish, holder(), ["chat/a"])
        hub.check(ANONYMOUS, ["news"])
        hub.check(KEY_HOLDER, ["chat/a"])
        read(CONTROL, "", 9).chainDeferred(answer)
        hub.check(holder(), ["chat/a"])

    def test_waited(self) -> None:
        """
        A server that starts waits until it is known, for some seconds.
        """
        self.successResultOf(self.hub.control.whenLoaded())
        hub, answer, read = self.held()
        known, late = hub.control.whenLoaded(), hub.control.whenLoaded()
        self.assertNoResult(known)
        read(CONTROL, "", 9).chainDeferred(answer)
        for each in (known, late):
            self.successResultOf(each)
        other: Deferred[Any] = Deferred()
        self.patch(self.bus, "readState", lambda *asked: other)
        third = self.node()
        waited, ended = third.control.whenLoaded(), self.node().control.whenLoaded()
        self.turn(LOADING - 0.1)
        self.assertNoResult(waited)
        self.turn(0.2)
        for each in (waited, ended):
            self.successResultOf(each)
        self.assertRaises(Unavailable, third.check, holder(), ["chat/a"])
        last = third.control.whenLoaded()
        third.control.stop()
        self.successResultOf(last)

    def test_changedMeanwhile(self) -> None:
        """
        What is revoked and restored while it is read counts, too.
        """
        old = self.successResultOf(self.hub.revoke("bob"))
        page = self.successResultOf(self.bus.readState(CONTROL, "", 9))
        hub, answer, _ = self.held()
        self.successResultOf(self.hub.revoke("ada"))
        self.successResultOf(self.hub.restore(old.id))
        self.turn()
        answer.callback(page)
        self.assertRaises(BadCredential, hub.check, holder(), ["chat/a"])
        hub.check(holder("bob"), ["chat/a"])

    def test_tooMany(self) -> None:
        """
        While there are more than there may be, no token is judged; one more that the bus has
        taken revokes, in place of what is over there.
        """
        self.successResultOf(self.hub.revoke("bob", seconds=60))
        page = self.successResultOf(self.bus.readState(CONTROL, "", 9))
        hub, answer, read = self.held()
        waiting = hub.control.whenLoaded()
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        self.patch(revocations, "MAX_REVOCATIONS", 1)
        answer.callback(page)
        self.turn()
        self.assertNoResult(waiting)
        self.bus.readState = read  # type: ignore[method-assign]
        for _ in range(3):
            self.turn(1.1)
            for client in (holder("bob"), holder("cyd")):
                self.assertRaises(Unavailable, hub.check, client, ["chat/a"])
        self.turn(60)
        self.successResultOf(waiting)
        self.assertRaises(BadCredential, hub.check, holder(), ["chat/a"])
        hub.check(holder("bob"), ["chat/a"])

    def test_takenByBus(self) -> None:
        """
        What the bus has taken is in force, although there are as many here as there may be.
        """
        old = self.successResultOf(self.hub.revoke("bob"))
        self.turn()
        self.bus._state.drop(CONTROL, old.id)
        self.patch(revocations, "MAX_REVOCATIONS", 1)
        streams = [self.stream(hub, holder(), "chat/a") for hub in (self.hub, self.other)]
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        for each in streams:
            self.assertEqual(self.ends(each)["code"], "revoked")
        for hub in (self.hub, self.other):
            self.assertRaises(Unavailable, hub.check, holder(), ["chat/a"])
        self.turn(1.1)
        for hub in (self.hub, self.other):
            self.assertRaises(BadCredential, hub.check, holder(), ["chat/a"])
            hub.check(holder("bob"), ["chat/a"])

    def test_again(self) -> None:
        """
        A bus that fails is asked again, until it answers.
        """
        hub, answer, read = self.held()
        answer.errback(Failure(Unavailable("down")))
        self.turn(0.9)
        self.bus.readState = read  # type: ignore[method-assign]
        self.assertRaises(Unavailable, hub.check, holder(), ["chat/a"])
        self.turn(0.2)
        hub.check(holder(), ["chat/a"])

    def test_gap(self) -> None:
        """
        After a gap it is read anew, and what has begun meanwhile ends.
        """
        kept = self.stream(self.other, holder("bob"), "chat/a")
        lost = self.stream(self.other, holder(), "chat/a")
        part = self.stream(self.other, holder("cyd"), "chat/a", "chat/b")
        control = self.other.control
        self.patch(control, "messageReceived", lambda message, replay: None)
        self.successResultOf(self.hub.revoke("ada"))
        self.successResultOf(self.hub.revoke("cyd", channels=["chat/b"]))
        self.turn()
        self.other.check(holder(), ["chat/a"])
        control.gapFound(self.bus.end, (CONTROL,))
        self.turn()
        self.assertRaises(BadCredential, self.other.check, holder(), ["chat/a"])
        self.assertEqual(self.ends(lost)["code"], "revoked")
        self.assertIsNot(kept.reader.state, State.CLOSED)
        self.assertEqual(part.reader.progress.names, ("chat/a",))

    def test_newEpoch(self) -> None:
        """
        A new epoch of the log takes nothing out of force.
        """
        self.successResultOf(self.hub.revoke("ada"))
        self.bus.renew()
        self.turn()
        self.assertRaises(BadCredential, self.other.check, holder(), ["chat/a"])
        self.successResultOf(self.other.revoke("bob"))
        self.turn()
        self.assertRaises(BadCredential, self.hub.check, holder("bob"), ["chat/a"])

    def test_closed(self) -> None:
        """
        A node that cannot read the channel any more judges no token until it can.
        """
        [reader] = [each for each in self.other.fanout.readers if each.progress.names == (CONTROL,)]
        reader.close(Close("unavailable", "the bus is gone", 1.0))
        self.assertRaises(Unavailable, self.other.check, holder(), ["chat/a"])
        self.turn(1.1)
        self.other.check(holder(), ["chat/a"])
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        self.assertRaises(BadCredential, self.other.check, holder(), ["chat/a"])

    def test_pages(self) -> None:
        """
        It is read in pages.
        """
        self.patch(keptrevocations, "PAGE", 2)
        for number in range(5):
            self.successResultOf(self.hub.revoke(f"c{number}"))
        self.assertEqual(len(self.node().revocations()), 5)

    def test_strangeEntry(self) -> None:
        """
        While there is an entry that cannot be read, no token is judged, by no node: it may
        revoke any.  The admin finds its id, and deletes it.
        """
        for payload in (
            b"7",
            b'{"id":"k 1","client":"ada","token":"t"}',
            b'{"id":"other","client":"bob"}',
        ):
            key = f"k{len(payload)}"
            change = Publication((CONTROL,), payload, "revoke")
            self.successResultOf(self.bus.putState(change, key, None, 9))
            for hub in (self.hub, self.other):
                hub.control.gapFound(self.bus.end, (CONTROL,))
            self.turn(1.1)
            for hub in (self.hub, self.other, self.node()):
                self.assertRaises(Unavailable, hub.check, holder(), ["chat/a"])
                hub.check(ANONYMOUS, ["news"])
            page = self.successResultOf(self.hub.control.kept.page("", 9))
            self.assertEqual((page.found, list(page.unreadable)), ((), [key]))
            self.assertTrue(self.successResultOf(self.hub.restore(key)))
            self.turn(1.1)
            for hub in (self.hub, self.other):
                hub.check(holder(), ["chat/a"])

    def test_strangeOrder(self) -> None:
        """
        A message that cannot be read is of no effect.  After one that revokes, it is read
        what is kept.
        """
        for event in ("disconnect", "restore", "ended", "what"):
            self.successResultOf(self.bus.publish([Publication((CONTROL,), b"[]", event)]))
        self.turn()
        self.hub.check(holder(), ["chat/a"])
        self.successResultOf(self.bus.publish([Publication((CONTROL,), b"[]", "revoke")]))
        self.turn()
        self.assertRaises(Unavailable, self.hub.check, holder(), ["chat/a"])
        self.turn(1.1)
        self.hub.check(holder(), ["chat/a"])

    def test_missedHookClient(self) -> None:
        """
        What the backend knows ends, too, if the order was lost; the client comes back, and is
        asked about.  An order that was heard ends nothing again.
        """
        client = Client("ada", known=Known.HOOK, rights=Rights(("chat/*",)))
        lost = self.stream(self.other, client, "chat/a")
        kept = self.stream(self.other, Client("bob", known=Known.HOOK, rights=client.rights))
        control = self.other.control
        self.patch(control, "messageReceived", lambda message, replay: None)
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        self.assertIsNot(lost.reader.state, State.CLOSED)
        control.gapFound(self.bus.end, (CONTROL,))
        self.turn(1.0)
        self.assertEqual(self.forgotten(self.other), ["ada"])
        close = self.ends(lost)
        self.assertEqual(close["code"], "disconnected")
        self.assertTrue(0 < close["retry"] <= 1, close["retry"])
        back = self.stream(self.other, client, "chat/a")
        control.gapFound(self.bus.end, (CONTROL,))
        self.turn(1.0)
        for each in (back, kept):
            self.assertIsNot(each.reader.state, State.CLOSED)

    def test_closedWhileUnread(self) -> None:
        """
        A node that could read neither what is in force nor the channel reads both again.
        """
        [reader] = [each for each in self.other.fanout.readers if each.progress.names == (CONTROL,)]
        read = self.bus.readState
        self.patch(self.bus, "readState", lambda *asked: fail(Unavailable("down")))
        self.other.control.gapFound(self.bus.end, (CONTROL,))
        reader.close(Close("unavailable", "the bus is gone", 1.0))
        self.patch(self.bus, "readState", read)
        self.turn(1.1)
        self.assertTrue(self.other.control.isFollowing)
        self.successResultOf(self.hub.revoke("ada"))
        self.turn()
        self.assertRaises(BadCredential, self.other.check, holder(), ["chat/a"])


class DisconnectTests(ControlCase):
    """
    L{Hub.disconnect}.
    """

    def test_client(self) -> None:
        """
        The readers of a client end on all nodes, and may come back; those of this node
        are counted.
        """
        ended = [
            self.stream(self.hub, holder(), "chat/a"),
            self.stream(self.hub, Client("ada", known=Known.HOOK), "news"),
            self.stream(self.other, holder(issued=9999.0), "chat/a"),
            self.stream(self.other, holder()),
        ]
        spared = self.stream(self.other, holder("bob"), "chat/a")
        self.assertEqual(self.successResultOf(self.hub.disconnect("ada")), 2)
        self.turn()
        for each in ended:
            close = self.ends(each)
            self.assertEqual(close["code"], "disconnected")
            self.assertTrue(0 < close["retry"] <= 1, close["retry"])
        self.assertIsNot(spared.reader.state, State.CLOSED)
        self.other.check(holder(), ["chat/a"])
        for hub in (self.hub, self.other):
            self.assertEqual(self.forgotten(hub), ["ada"])

    def test_countsAll(self) -> None:
        """
        Where the bus knows how many nodes there are, the readers of all are counted; one
        that does not tell is waited for no longer than a second.
        """
        directlyProvides(self.bus, INodesBus)
        nodes: Any = self.bus
        for counted, seconds in ((2, 0.0), (3, 1.01)):
            nodes.countListening = lambda channel, counted=counted: succeed(counted)
            for hub in (self.hub, self.other, self.other):
                self.stream(hub, holder(), "chat/a")
            done = self.hub.disconnect("ada")
            self.turn()
            if seconds:
                self.assertNoResult(done)
            self.turn(seconds)
            self.assertEqual(self.successResultOf(done), 3)
        nodes.countListening = lambda channel: fail(Unavailable("down"))
        kept = self.stream(self.hub, holder(), "chat/a")
        self.failureResultOf(self.hub.disconnect("ada"), Unavailable)
        self.assertIsNot(kept.reader.state, State.CLOSED)
        # What is told of no order of this node is of no effect.
        for payload in (b'{"id":"x","count":3}', b'{"id":"x"}'):
            self.bus.publish([Publication((CONTROL,), payload, "ended")])
        self.turn()

    def test_comesBack(self) -> None:
        """
        A client that comes back stays, also when the order is read again, or is late.
        """
        self.successResultOf(self.hub.disconnect("ada"))
        self.turn()
        back = [self.stream(hub, holder(), "chat/a") for hub in (self.hub, self.other)]
        read = self.bus.read([CONTROL], self.bus.end._replace(position=0), 9, 9999, None)
        [message] = self.successResultOf(read).messages
        for hub in (self.hub, self.other):
            hub.control.messageReceived(message, False)
        self.turn(61)
        self.node().control.messageReceived(message, False)
        for each in back:
            self.assertIsNot(each.reader.state, State.CLOSED)

    def test_channels(self) -> None:
        """
        Only some names may be ended.
        """
        sink = self.stream(self.hub, holder(), "chat/a", "chat/b")
        self.assertEqual(self.successResultOf(self.hub.disconnect("ada", channels=["chat/a"])), 1)
        self.turn()
        [told] = [each for each in self.told(sink) if "ended" in each]
        self.assertEqual(told["ended"], {"names": ["chat/a"], "code": "disconnected"})

    def test_unnamed(self) -> None:
        """
        Nobody, keys, and the application's own readers have no name and are not meant.
        """
        got: list[object] = []
        self.successResultOf(self.hub.subscribe("news", "now", got.append))
        kept = [self.stream(self.hub, each, "news") for each in (ANONYMOUS, KEY_HOLDER)]
        self.successResultOf(self.hub.disconnect("ada"))
        self.failureResultOf(self.hub.disconnect(""), BadRequest)
        self.hub.publish("news", 1)
        self.turn()
        self.assertEqual(len(got), 1)
        for each in kept:
            self.assertIsNot(each.reader.state, State.CLOSED)


class AudienceTests(ControlCase):
    """
    L{Audience}.
    """

    def test_clients(self) -> None:
        """
        The clients that read a channel are found by their names and patterns, each once.
        """
        self.stream(self.hub, holder(), "chat/a")
        self.stream(self.hub, holder(), "chat/a", "news")
        self.stream(self.hub, holder("bob"), "chat/*")
        self.stream(self.hub, holder("cyd"), "news")
        self.stream(self.hub, ANONYMOUS, "news")
        for pattern, names in (
            ("chat/a", ["ada", "bob"]),
            ("chat/b", ["bob"]),
            ("news", ["ada", "cyd"]),
            ("**", ["ada", "bob", "cyd"]),
        ):
            found = self.successResultOf(self.hub.clients(pattern))
            self.assertEqual([each.name for each in found], names, pattern)
        self.assertEqual(self.successResultOf(self.other.clients("**")), [])
        self.failureResultOf(self.hub.clients("a//b"))

    def test_shares(self) -> None:
        """
        Many readers are looked at in several turns.
        """
        turns = self.hub.fanout.turns
        sinks = [self.stream(self.hub, holder(), "chat/a") for _ in range(200)]
        self.patch(turns, "seconds", iter(range(100000)).__next__)
        ended = Audience(self.hub.fanout).end(
            lambda client: True, lambda: Close("disconnected", "", 1.0)
        )
        self.assertNoResult(ended)
        closed = [each for each in sinks if each.reader.state is State.CLOSED]
        # One of those that were looked at is the node's own.
        self.assertEqual(len(closed), 63)
        self.turn()
        self.assertEqual(self.successResultOf(ended), 200)

    def test_together(self) -> None:
        """
        What is asked for while readers are looked at is looked for in one other walk, when
        others have had their time.
        """
        sinks = [self.stream(self.hub, holder(f"c{n % 50}"), "chat/a") for n in range(200)]
        audience = Audience(self.hub.fanout)
        seen: list[Client] = []
        looked = self.hub.fanout.turns

        def end(name: str) -> Deferred[int]:
            def concerns(client: Client) -> bool:
                seen.append(client)
                return True

            return audience.end(concerns, lambda: Close("disconnected", "", 1.0), client=name)

        # As if each look at the clock took a second.
        times = iter(range(2001, 10000))
        self.patch(looked, "seconds", lambda: float(next(times)))
        self.patch(self.hub.fanout, "seconds", self.clock.seconds)
        first = end("c0")
        others = [end(f"c{n}") for n in range(1, 50)]
        self.assertNoResult(first)
        self.turn()
        self.assertEqual(self.successResultOf(first), 4)
        self.assertEqual(len(seen), 4)
        for each in others:
            self.assertNoResult(each)
        # The walk took some seconds, and others have four times as long.
        self.turn(100)
        self.assertEqual([self.successResultOf(each) for each in others], [4] * 49)
        # Each reader was looked at by what looks for its client, and no other.
        self.assertEqual(len(seen), 200)
        self.assertTrue(all(each.reader.state is State.CLOSED for each in sinks))
        audience.stop()

    def test_fails(self) -> None:
        """
        A reader that cannot be looked at is closed, and the others have their turn.
        """
        sinks = [self.stream(self.hub, holder(), "chat/a") for _ in range(3)]

        def concerns(client: Client) -> bool:
            if client is sinks[1].reader.client:
                raise ValueError("a fault")
            return True

        close = Close("disconnected", "", 1.0)
        ended = Audience(self.hub.fanout).end(concerns, lambda: close)
        self.assertEqual(self.successResultOf(ended), 2)
        self.assertEqual([self.ends(each)["code"] for each in sinks].count("internal"), 1)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
