"""
Tests of L{comet.client.clientreading}, over each transport, to a server in memory.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from comet.client.clientreading import Reading
from comet.client.failures import Closed, Ended
from comet.client.received import Closing, Gap, Message
from comet.errors import Unauthorized
from comet.hub.hubsettings import Settings
from comet.model.messages import Close
from tests.client.playing import Player
from tests.transports.case import KEY, HubTestCase


class ReadingContract:
    """
    What a subscription does on every transport.
    """

    transport: str
    isPolling = False
    hasTime = True
    # How many bytes a connection brings at least where links are cut, how many more at most, and
    # in which pieces.
    shortest = 0
    spread = 900
    pieces: tuple[int, ...] = (1, 7, 65536)
    settings = Settings()

    def setUp(self) -> None:
        """
        Make a player.
        """
        super().setUp()  # type: ignore[misc]
        self.player = Player(self)  # type: ignore[arg-type]
        self.told: list[Closing] = []

    def read(self: Any, names: Any = "open/a", since: Any = None, **given: Any) -> Reading:
        """
        Begin a subscription.
        """
        core = self.player.core(transport=self.transport)
        reading: Reading = core.subscribe(names, since, onClose=self.told.append, **given)
        return reading

    def test_live(self: Any) -> None:
        """
        What is published is delivered with its channel, cursor, event, time and data.
        """
        reading = self.read(["open/a", "open/x/*"])
        self.assertEqual(self.player.items(reading), [])
        stored = self.hub.publish("open/x/1", {"a": [1]}, event="made")
        self.turn()
        cursor = str(self.successResultOf(stored))
        time = self.clock.seconds() if self.hasTime else None
        expected = Message("open/x/1", cursor, {"a": [1]}, "made", time)
        self.assertEqual(self.player.items(reading), [expected])
        self.assertEqual(reading.cursor, cursor)
        self.publish("open/a", b"\x00\xff", "text")
        self.assertEqual(self.player.data(reading), [b"\x00\xff", "text"])

    def test_starts(self: Any) -> None:
        """
        It begins now, with what is held, with the last few, or behind a cursor.
        """
        cursors = self.publish("open/a", 1, 2, 3)
        for since, expected in (
            (None, []),
            ("earliest", [1, 2, 3]),
            ("-2", [2, 3]),
            (cursors[0], [2, 3]),
        ):
            self.assertEqual(self.player.data(self.read(since=since)), expected, since)

    def test_startsOfNames(self: Any) -> None:
        """
        Each name begins where it is told to.  After a break in the replay each goes on where it
        was.
        """
        self.publish("open/a", 1, 2, 3)
        self.publish("open/b", 4, 5, 6)
        since = {"open/a": "-2", "open/b": "-1"}
        reading = self.read(["open/a", "open/b"], since)
        found = [self.player.next(reading, waits=False).data]
        self.player.connections[-1].wire.leave()
        found += [self.player.next(reading).data for _ in range(2)]
        self.assertEqual((found, self.player.data(reading)), ([2, 3, 6], []))
        self.publish("open/a", 7)
        self.assertEqual(self.player.data(reading), [7])

    def test_comesBack(self: Any) -> None:
        """
        A lost connection loses no message, and repeats none.  The application is told.
        """
        reading = self.read()
        self.publish("open/a", 0)
        self.player.items(reading)
        self.publish("open/a", 1)
        self.assertEqual(self.player.data(reading), [1])
        self.player.connections[-1].wire.leave()
        self.publish("open/a", 2, 3)
        self.assertEqual(self.player.data(reading), [2, 3])
        # A connection that is kept for polls may be closed at any time, which is no trouble.
        told = [] if self.isPolling else ["lost"]
        self.assertEqual([each.code for each in self.told], told)
        self.assertLessEqual(sum(self.player.slept), 1.0)

    def test_silence(self: Any) -> None:
        """
        A connection that brings nothing for two heartbeats is given up, and nothing is lost.
        """
        reading = self.read()
        self.player.items(reading)
        self.player.connections[-1].wire.transport.isStuck = True
        self.publish("open/a", 1)
        began = self.clock.seconds()
        self.assertEqual(self.player.next(reading).data, 1)
        self.assertEqual([each.code for each in self.told], ["silent"])
        self.assertLess(self.clock.seconds() - began, 53)

    def test_heartbeats(self: Any) -> None:
        """
        Heartbeats keep a connection, and move the cursor.
        """
        reading = self.read()
        self.player.items(reading)
        self.publish("open/other", 1, 2)
        for _ in range(12):
            self.turn(10)
            self.assertEqual(self.player.items(reading), [])
        self.assertEqual((len(self.player.connections), self.told), (1, []))
        self.assertEqual(reading.cursor.partition("-")[2], "2")

    def test_gap(self: Any) -> None:
        """
        What is no longer held is told of, before what is.
        """
        first = self.publish("open/a", 1)
        reading = self.read(since=first[0])
        self.player.items(reading)
        self.player.connections[-1].wire.leave()
        self.publish("open/a", 2)
        self.successResultOf(self.bus.forget("open/a"))
        self.publish("open/a", 3)
        self.assertEqual(self.player.data(reading), [Gap(first[0], ("open/a",)), 3])

    def test_newEpoch(self: Any) -> None:
        """
        After the server has lost its log, it is told of a gap, and what the new log holds follows.
        """
        self.publish("open/a", 1)
        reading = self.read(since="lost99-7")
        gap, message = self.player.items(reading)
        self.assertEqual((gap.names, message.data), (("open/a",), 1))
        self.publish("open/a", 2)
        self.assertEqual(self.player.data(reading), [2])

    def test_ended(self: Any) -> None:
        """
        A reader that may not come back ends with the reason, after what has arrived before.
        """
        reading = self.read()
        self.player.items(reading)
        if not self.isPolling:
            self.publish("open/a", 1)
        for each in list(self.hub.fanout.readers):
            each.close(Close("disconnected", "go away", None))
        self.turn()
        if not self.isPolling:
            self.assertEqual(self.player.next(reading).data, 1)
        error = self.assertRaises(Ended, self.player.items, reading)
        self.assertEqual((error.code, error.detail, self.told), ("disconnected", "go away", []))
        self.assertRaises(Ended, reading.step)

    def test_closedMeanwhile(self: Any) -> None:
        """
        If it is closed while a shell does a step, it is closed for the shell, too, however the step
        ends, and the connection that a step brings is closed.
        """
        for count in range(3):
            reading = self.read()
            for left in range(count, -1, -1):
                self.assertIsNone(reading.take())
                result = self.player.do(reading.step())
                if left:
                    reading.done(result)
            reading.close()
            reading.done(result)
            if not self.isPolling or not count:
                # An answer that has come whole leaves a connection for the next one.
                self.assertFalse(self.player.connections[-1].wire.isOpen)
            self.assertIsNone(reading.take())
            self.assertRaises(Closed, reading.step)
            reading.failed(ConnectionResetError("aborted"))
            self.assertRaises(Closed, reading.step)

    def test_toldToComeBack(self: Any) -> None:
        """
        It comes back when the server says so.
        """
        reading = self.read()
        self.player.items(reading)
        for each in list(self.hub.fanout.readers):
            each.close(Close("draining", "the server stops", 3.5))
        self.turn()
        self.publish("open/a", 1)
        self.assertEqual(self.player.next(reading).data, 1)
        self.assertEqual([(each.code, each.retry) for each in self.told], [("draining", 3.5)])

    def test_refused(self: Any) -> None:
        """
        What the server refuses for good is raised, by each transport alike.
        """
        self.assertRaises(Unauthorized, self.player.items, self.read("$events"))
        core = self.player.core(transport=self.transport, key=KEY)
        self.assertEqual(self.player.items(core.subscribe("$events")), [])
        core = self.player.core(transport=self.transport, key="9" * 20)
        self.assertRaises(Unauthorized, self.player.items, core.subscribe("open/a"))
        self.assertEqual(self.player.slept, [])

    def test_newToken(self: Any) -> None:
        """
        The function for tokens is asked when the server does not take the last one any more, and a
        token that was never taken is refused for good.
        """
        given = ["0" * 20]
        core = self.player.core(transport=self.transport, token=lambda: given[-1])
        self.assertRaises(Unauthorized, self.player.items, core.subscribe("secret"))
        given.append(KEY)
        core = self.player.core(transport=self.transport, token=lambda: given[-1])
        reading = core.subscribe("secret")
        self.player.items(reading)
        core._requester.credential._word = "1" * 20
        self.player.connections[-1].wire.leave()
        self.publish("secret", 1)
        self.assertEqual(self.player.next(reading).data, 1)

    def test_cursorFile(self: Any) -> None:
        """
        The place of what was handled is in the file, and the next subscription begins there.
        """
        path = Path(self.mktemp())
        reading = self.read(cursorFile=path)
        self.player.items(reading)
        self.assertTrue(path.read_text().endswith("-0\n"))
        cursors = self.publish("open/a", 1, 2)
        self.assertEqual(self.player.next(reading).data, 1)
        self.assertNotIn(cursors[0], path.read_text())
        reading.handled()
        self.assertEqual(path.read_text(), f"{cursors[0]}\n")
        reading = self.read(since="now", cursorFile=str(path))
        self.assertEqual(self.player.data(reading), [2])
        self.assertEqual(path.read_text(), f"{cursors[1]}\n")

    def test_faults(self: Any) -> None:
        """
        Links that are cut at any byte, and bytes that come in pieces of any size, lose, repeat and
        reorder nothing.
        """
        chance = Random(1)
        player = self.player
        player.cut = lambda: self.shortest + chance.randrange(self.spread)
        player.most = lambda: chance.choice(self.pieces)
        reading = self.read(["open/a", "open/b"], "earliest")
        found: list[int] = []
        for number in range(60):
            self.publish(f"open/{chance.choice('ab')}", number)
            if chance.random() < 0.5:
                found += player.data(reading)
        player.isDown, player.cut = False, lambda: None
        while len(found) < 60:
            found.append(player.next(reading).data)
        self.assertEqual(found, list(range(60)))
        self.assertGreater(len(player.connections), 10)


class WebSocketTests(ReadingContract, HubTestCase):
    """
    Over WebSocket.
    """

    transport = "websocket"


class SSETests(ReadingContract, HubTestCase):
    """
    By Server-Sent Events.
    """

    transport = "sse"


class StreamTests(ReadingContract, HubTestCase):
    """
    By HTTP streaming.
    """

    transport = "stream"


class LongPollTests(ReadingContract, HubTestCase):
    """
    By long-polling.
    """

    transport = "longpoll"
    isPolling = True


class JSONPTests(ReadingContract, HubTestCase):
    """
    By JSONP.
    """

    transport = "jsonp"
    isPolling = True


class MultipartTests(ReadingContract, HubTestCase):
    """
    By HTTP streaming in parts.
    """

    transport = "multipart"


class IFrameTests(ReadingContract, HubTestCase):
    """
    By the forever frame.
    """

    transport = "iframe"
    # The page has 4,096 before its first script.
    shortest = 4000
    pieces = (61, 509, 65536)


class TCPTests(ReadingContract, HubTestCase):
    """
    Over raw TCP.
    """

    transport = "tcp"
    hasTime = False
    spread = 400


class PollTests(HubTestCase):
    """
    By polls that are answered at once.
    """

    def setUp(self) -> None:
        """
        Make a player.
        """
        super().setUp()
        self.player = Player(self)

    def next(self, reading: Reading) -> Any:
        """
        Return the data of the next message.
        """
        item = self.player.next(reading)
        assert isinstance(item, Message)
        return item.data

    def test_pauses(self) -> None:
        """
        There is a poll a second, and each message comes once.
        """
        self.publish("open/a", *range(100))
        reading = self.player.core(transport="poll").subscribe("open/a", "earliest")
        found = [self.next(reading) for _ in range(100)]
        self.assertEqual((found, self.player.slept), (list(range(100)), []))
        call = self.clock.callLater(2.5, self.hub.publish, "open/a", "late")
        self.assertEqual(self.next(reading), "late")
        self.assertFalse(call.active())
        self.assertEqual(self.player.slept, [1.0] * 3)

    def test_faults(self) -> None:
        """
        Links that are cut at any byte lose, repeat and reorder nothing.
        """
        chance, player = Random(1), self.player
        player.cut = lambda: chance.randrange(900)
        names = ["open/a", "open/b"]
        reading = player.core(transport="poll").subscribe(names, "earliest")
        found: list[int] = []
        for number in range(60):
            self.publish(f"open/{chance.choice('ab')}", number)
            if chance.random() < 0.5:
                found += [self.next(reading) for _ in range(number + 1 - len(found))]
        found += [self.next(reading) for _ in range(60 - len(found))]
        self.assertEqual(found, list(range(60)))
        self.assertGreater(len(player.connections), 10)
