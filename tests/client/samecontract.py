"""
What the clients of all shells do alike, whether they talk to a real server or are stand-ins
without sockets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from comet.client.failures import Closed
from comet.client.received import Gap, Message
from comet.errors import (
    BadChannel,
    BadCursor,
    BadMessage,
    CometError,
    KeyReused,
    NotFound,
    Unauthorized,
)


class SameContract:
    """
    Mixed into a test case, with the makers of one kind of client.  Clients may publish to
    C{open/**}, of which presence is kept.
    """

    def makeClient(self, url: str, **options: Any) -> Any:
        """
        Make a client, which is closed when the test is over.

        @param url: Of the server, empty for the one that all tests share.
        """
        raise NotImplementedError

    def play(self, coroutine: Coroutine[Any, Any, None]) -> Any:
        """
        Run a coroutine that awaits what the shell's methods return.
        """
        raise NotImplementedError

    async def taken(self, subscription: AsyncIterator[Message | Gap], count: int) -> list[Any]:
        """
        Return the data of the next messages.
        """
        items = [await subscription.__anext__() for _ in range(count)]
        return [item.data if isinstance(item, Message) else item for item in items]

    async def refused(self: Any, kind: type[CometError], call: Any) -> None:
        """
        Assert that a call is refused.
        """
        try:
            await call()
        except kind:
            pass
        else:
            self.fail(f"it did not raise {kind.__name__}")

    def test_forms(self: Any) -> Any:
        """
        Messages have the forms that they were published in, and come in order.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            cursors = await client.publishMany(
                {"channel": channel, "data": each, "event": "e"} for each in (None, "x\n", b"\xff")
            )
            cursors.append(await client.publish(channel, {"n": [1, 2.5]}))
            subscription = client.subscribe(channel, since="earliest")
            items = [await subscription.__anext__() for _ in range(4)]
            self.assertEqual([each.data for each in items], [None, "x\n", b"\xff", {"n": [1, 2.5]}])
            self.assertEqual([each.event for each in items], ["e", "e", "e", None])
            self.assertEqual([each.cursor for each in items], cursors)
            self.assertEqual({each.channel for each in items}, {channel})
            self.assertEqual(sorted(each.time for each in items), [each.time for each in items])
            self.assertEqual({each.replay for each in items}, {False})
            self.assertEqual(subscription.cursor, cursors[-1])
            await subscription.close()

        return self.play(play())

    def test_refuses(self: Any) -> Any:
        """
        What is not allowed is refused with the same errors.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            await self.refused(Unauthorized, lambda: client.publish("closed", 1))
            await self.refused(Unauthorized, lambda: client.subscribe("$events").__anext__())
            await self.refused(BadChannel, lambda: client.publish("open/*", 1))
            await self.refused(BadMessage, lambda: client.publish(channel, 1, event="$x"))
            odds: list[Any] = [{"data": 1}, {"channel": channel}, "a", None, 1]
            odds.append({"channel": channel, "data": 1, "x": 1})
            for odd in odds:
                await self.refused(BadMessage, lambda odd=odd: client.publishMany([odd]))
            await self.refused(BadMessage, lambda: client.publish(channel, float("nan")))
            self.assertRaises(BadChannel, client.subscribe, "a//b")
            self.assertRaises(ValueError, client.subscribe, [])
            other = self.makeClient("", key="not-the-key-of-this-server")
            await self.refused(Unauthorized, lambda: other.publish(channel, 1))
            # All of a request or none.
            both = [{"channel": channel, "data": 1}, {"channel": "closed", "data": 1}]
            await self.refused(Unauthorized, lambda: client.publishMany(both))
            await client.publish(channel, "only")
            subscription = client.subscribe(channel, since="earliest")
            self.assertEqual(await self.taken(subscription, 1), ["only"])
            await subscription.close()

        return self.play(play())

    def test_history(self: Any) -> Any:
        """
        What was before a message is read, with the right to; a method that nothing answers is
        refused.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            cursors = [await client.publish(channel, number, event="e") for number in range(4)]
            history = await client.history(channel, cursors[3], limit=2)
            self.assertEqual(
                [(each.channel, each.cursor, each.data, each.event) for each in history.messages],
                [(channel, cursors[number], number, "e") for number in (1, 2)],
            )
            self.assertEqual((history.more, history.gap), (True, False))
            await self.refused(Unauthorized, lambda: client.history("$events", cursors[3]))
            await self.refused(BadChannel, lambda: client.history("open/*", cursors[3]))
            await self.refused(BadCursor, lambda: client.history(channel, "now"))
            await self.refused(NotFound, lambda: client.call("list", 1))

        return self.play(play())

    def test_keys(self: Any) -> Any:
        """
        A publication that is repeated with its key is stored once, and one with another body
        refused.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            first = await client.publish(channel, 1, key=f"{channel}-1")
            self.assertEqual(await client.publish(channel, 1, key=f"{channel}-1"), first)
            await self.refused(KeyReused, lambda: client.publish(channel, 2, key=f"{channel}-1"))
            await client.publish(channel, 3)
            subscription = client.subscribe(channel, since="earliest")
            self.assertEqual(await self.taken(subscription, 2), [1, 3])
            await subscription.close()

        return self.play(play())

    def test_begins(self: Any) -> Any:
        """
        A subscription begins where it is asked to, each name at its own place.
        """

        async def play() -> None:
            client = self.makeClient("")
            one, two = self.channel("a"), self.channel("b")
            cursors = [await client.publish(one, number) for number in range(4)]
            other = await client.publish(two, "x")
            for since, expected in (
                ("-2", [2, 3]),
                (cursors[1], [2, 3]),
                ({one: cursors[2], two: other}, [3]),
                ({one: "-1", two: "earliest"}, [3, "x"]),
            ):
                names = [one, two] if isinstance(since, dict) else one
                subscription = client.subscribe(names, since=since)
                got = await self.taken(subscription, len(expected))
                self.assertEqual(got, expected)
                await subscription.close()

        return self.play(play())

    def test_gap(self: Any) -> Any:
        """
        Where messages are lost, there is a gap, and then what is held.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            await client.publish(channel, 1)
            subscription = client.subscribe(channel, since="zzzzzz-5")
            gap, data = await self.taken(subscription, 2)
            self.assertIsInstance(gap, Gap)
            self.assertEqual((gap.names, data), ((channel,), 1))
            await subscription.close()

        return self.play(play())

    def test_goesOn(self: Any) -> Any:
        """
        A file keeps the place of a subscription: what was handled does not come again.
        """
        file = Path(self.mktemp())

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            for number in range(3):
                await client.publish(channel, number)
            subscription = client.subscribe(channel, since="earliest", cursorFile=file)
            self.assertEqual(await self.taken(subscription, 2), [0, 1])
            # The second was taken, and not handled.
            await subscription.close()
            subscription = client.subscribe(channel, since="earliest", cursorFile=file)
            self.assertEqual(await self.taken(subscription, 2), [1, 2])
            subscription.handled()
            await subscription.close()
            await client.publish(channel, 3)
            subscription = client.subscribe(channel, since="earliest", cursorFile=file)
            self.assertEqual(await self.taken(subscription, 1), [3])
            await subscription.close()

        return self.play(play())

    def test_present(self: Any) -> Any:
        """
        Readers without a name are counted.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            await client.publish(channel, 1)
            subscription = client.subscribe(channel, since="earliest")
            await self.taken(subscription, 1)
            found = await client.presence(channel)
            self.assertEqual((found.count, found.anonymous, found.members), (0, 1, ()))
            self.assertRegex(found.cursor, r"^\w+-\d+$")
            await subscription.close()

        return self.play(play())

    def test_spares(self: Any) -> Any:
        """
        A message for all but one reader comes to a reader that is not that one.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            await client.publish(channel, 1, exclude="a-reader-of-pages")
            subscription = client.subscribe(channel, since="earliest")
            self.assertEqual(await self.taken(subscription, 1), [1])
            await subscription.close()

        return self.play(play())

    def test_closed(self: Any) -> Any:
        """
        A closed subscription brings nothing more.
        """

        async def play() -> None:
            client, channel = self.makeClient(""), self.channel("a")
            await client.publish(channel, 1)
            subscription = client.subscribe(channel, since="earliest")
            await self.taken(subscription, 1)
            await client.publish(channel, 2)
            await subscription.close()
            try:
                await subscription.__anext__()
            except (Closed, StopAsyncIteration, StopIteration, RuntimeError):
                # A coroutine may not raise StopIteration.
                pass
            else:
                self.fail("it goes on")

        return self.play(play())
