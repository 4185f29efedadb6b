"""
The contract of buses that keep state beside the log.
"""

from __future__ import annotations

from typing import Any

from comet.errors import TooMany
from comet.interfaces.statebus import IStateBus
from comet.model.messages import Publication
from comet.model.state import StateEntry
from comet.testing.case import BusCase, Listener

TABLE = "$control"


def change(payload: bytes, event: str = "put") -> Publication:
    """
    Make the publication that tells of a change.
    """
    return Publication((TABLE,), payload, event)


async def stateOf(bus: Any, limit: int = 1000, table: str = TABLE) -> dict[str, bytes]:
    """
    Read all that a table has, page by page.
    """
    found: dict[str, bytes] = {}
    after: str | None = ""
    while after is not None:
        page = await bus.readState(table, after, limit)
        found.update((each.key, each.payload) for each in page.entries)
        after = page.rest
    return found


class StateContract(BusCase):
    """
    L{comet.interfaces.statebus.IStateBus}.
    """

    async def makeState(self, **bounds: Any) -> Any:
        """
        Make a bus, as L{makeBus} does.
        """
        bus = await self.makeBus(**bounds)
        self.assertTrue(IStateBus.providedBy(bus))
        return bus

    async def test_statePut(self) -> None:
        """
        What is put is kept, and told by a message of the same time, which listeners have
        heard when the caller is answered.
        """
        bus = await self.makeState()
        listener = Listener()
        await bus.listen(listener, [TABLE])
        entry = await bus.putState(change(b'"x"'), "k", None, 9)
        await self.settle(bus)
        page = await bus.readState(TABLE, "", 9)
        self.assertEqual(page.entries, (entry,))
        self.assertEqual(page.cursor, bus.end)
        self.assertIsNone(page.rest)
        [message] = listener.messages
        self.assertEqual((message.channel, message.event), (TABLE, "put"))
        self.assertEqual(entry, StateEntry("k", b'"x"', message.time))
        self.assertEqual((await self.read(bus, TABLE)).messages[0].payload, b'"x"')

    async def test_stateReplaced(self) -> None:
        """
        The same key again has another value, and is told again.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "k", 60.0, 1)
        await bus.putState(change(b"2"), "k", None, 1)
        self.assertEqual(await stateOf(bus), {"k": b"2"})
        await self.advance(61)
        self.assertEqual(await stateOf(bus), {"k": b"2"})
        self.assertEqual(len(await self.held(bus, TABLE)), 2)

    async def test_stateDropped(self) -> None:
        """
        What is dropped is gone, and that is told; what was not there is not told of.
        """
        bus = await self.makeState()
        for key in ("j", "k"):
            await bus.putState(change(b"1"), key, None, 9)
        self.assertIs(await bus.dropState(change(b"0", "drop"), "k"), True)
        self.assertIs(await bus.dropState(change(b"0", "drop"), "k"), False)
        self.assertEqual(await stateOf(bus), {"j": b"1"})
        messages = (await self.read(bus, TABLE)).messages
        self.assertEqual([each.event for each in messages], ["put", "put", "drop"])

    async def test_stateFull(self) -> None:
        """
        A table that is full takes no other key, and nothing is told then.  What is over
        leaves its place.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "a", None, 2)
        await bus.putState(change(b"2"), "b", 60.0, 2)
        with self.assertRaises(TooMany):
            await bus.putState(change(b"3"), "c", None, 2)
        self.assertEqual(len(await self.held(bus, TABLE)), 2)
        await bus.putState(change(b"4"), "b", 60.0, 2)
        await self.advance(61)
        await bus.putState(change(b"3"), "c", None, 2)
        self.assertEqual(await stateOf(bus), {"a": b"1", "c": b"3"})

    async def test_stateAsLease(self) -> None:
        """
        A table with one place is a lease: its holder keeps the place for as long as it puts
        its key there anew in time; then another key gets it.
        """
        bus = await self.makeState()
        for _ in range(3):
            await bus.putState(change(b"1"), "one", 15.0, 1)
            await self.advance(14)
            with self.assertRaises(TooMany):
                await bus.putState(change(b"1"), "other", 15.0, 1)
        await self.advance(2)
        await bus.putState(change(b"1"), "other", 15.0, 1)
        with self.assertRaises(TooMany):
            await bus.putState(change(b"1"), "one", 15.0, 1)
        self.assertIs(await bus.dropState(change(b"0", "drop"), "one"), False)
        self.assertIs(await bus.dropState(change(b"0", "drop"), "other"), True)
        await bus.putState(change(b"1"), "one", 15.0, 1)

    async def test_stateEnds(self) -> None:
        """
        What is kept for a time is not read after it, and cannot be dropped then.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "a", 60.0, 9)
        await bus.putState(change(b"2"), "b", None, 9)
        await self.advance(59)
        self.assertEqual(await stateOf(bus), {"a": b"1", "b": b"2"})
        await self.advance(2)
        self.assertEqual(await stateOf(bus), {"b": b"2"})
        self.assertIs(await bus.dropState(change(b"0", "drop"), "a"), False)

    async def test_stateOutsideRetention(self) -> None:
        """
        What is kept stays when its message is dropped: by retention, by eviction, and
        when the channel is forgotten.
        """
        bus = await self.makeState(messages=1, seconds=60.0, totalBytes=20000)
        for number in range(3):
            await bus.putState(change(b"1"), f"k{number}", None, 9)
        self.assertEqual(len(await self.held(bus, TABLE)), 1)
        await bus.forget(TABLE)
        await self.put(bus, "a b c d e f", b'"%b"' % (b"x" * 6000))
        await self.advance(120)
        self.assertEqual(len(await stateOf(bus)), 3)

    async def test_stateOfNewEpoch(self) -> None:
        """
        When the log is lost, what is kept beside it is kept.
        """
        bus = await self.makeState()
        await bus.putState(change(b"1"), "k", None, 9)
        await self.renew(bus)
        await self.settle(bus)
        self.assertEqual(await stateOf(bus), {"k": b"1"})
        page = await bus.readState(TABLE, "", 9)
        self.assertEqual(page.cursor.epoch, bus.end.epoch)

    async def test_stateInPages(self) -> None:
        """
        It is read in pages, in the order of the keys, each of which tells its end.
        """
        bus = await self.makeState()
        keys = ["B", "a", "~", "0", "b-1", "ab"]
        for key in keys:
            await bus.putState(change(b'"%b"' % key.encode()), key, None, 9)
        self.assertEqual(list(await stateOf(bus, 2)), sorted(keys))
        page = await bus.readState(TABLE, "a", 9)
        self.assertEqual([each.key for each in page.entries], ["ab", "b-1", "~"])
        self.assertEqual(await stateOf(bus, 2, "$other"), {})

    async def test_stateOverInPages(self) -> None:
        """
        A page of entries that are over says where to go on.
        """
        bus = await self.makeState()
        for key in "abcd":
            await bus.putState(change(b"1"), key, 60.0, 9)
        await bus.putState(change(b"2"), "e", None, 9)
        await self.advance(61)
        self.assertEqual(await stateOf(bus, 2), {"e": b"2"})
